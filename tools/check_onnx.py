"""Exports every backbone to StableHLO and ONNX, and compares what the files answer; writes the table of docs/export.md.

    python tools/check_onnx.py [NAME ...] [--folder=runs/exports]

Runs where docs/export.md says how to export to ONNX. Resumable: what was found lies in FOLDER, a file a backbone.
The networks are filled by the formula of tools/parity.py; half a minute each on 2 cores, minutes for the largest.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import parity
from measuring import markdown_table

from skinjax.core.errors import UserError
from skinjax.core.settings import from_plain
from skinjax.deploy.export import check_needs, export
from skinjax.deploy.predictor import Predictor
from skinjax.model import Model, make_method
from skinjax.models import BACKBONES
from skinjax.recipe.recipe import ModelSpec

DOC = Path(__file__).parents[1] / "docs" / "export.md"
BEGIN, END = "<!-- written by tools/check_onnx.py -->\n", "<!-- until here -->\n"
CLASSES = tuple(map(str, range(parity.CLASSES)))
OF_OUR_OWN = {"size": 64, "gain": 1.5}  # networks without a reference


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=sorted(BACKBONES), metavar="NAME")
    parser.add_argument("--folder", type=Path, default=Path("runs/exports"))
    options = parser.parse_args()
    check_needs("onnx")
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        path = options.folder / f"{name}.json"
        if not path.exists():
            began = time.monotonic()
            found = {format: outcome(name, format) for format in ("stablehlo", "onnx")}
            path.write_text(json.dumps(found))
            print(name, *found.values(), f"{time.monotonic() - began:.0f} s", flush=True)
    rows = [
        [f"`{path.stem}`", *json.loads(path.read_text()).values()]
        for path in sorted(options.folder.glob("*.json"))
        if path.stem in BACKBONES
    ]
    before, _, rest = DOC.read_text().partition(BEGIN)
    table = markdown_table(["backbone", "StableHLO", "ONNX"], rows)
    DOC.write_text(f"{before}{BEGIN}{table}\n{END}{rest.partition(END)[2]}")


def outcome(name: str, format: str) -> str:
    """The largest relative difference, or why there is no file."""
    try:
        return f"{export(predictor_of(name), format).difference:.0e}"
    except UserError as error:
        return str(error)


def predictor_of(name: str) -> Predictor:
    """A network filled by the formula, which is shown photographs that are resized once more."""
    path = parity.GOLDENS / f"{name}.npz"
    golden = np.load(path) if path.exists() else OF_OUR_OWN
    size = int(golden["size"])
    _, _, variables = parity.network(name, size, float(golden["gain"]), parity.EVALUATION_BIAS)
    plain = {
        "stored_size": {"height": size + 8, "width": size + 16},
        "views": {"size": (size, size)},
        "model": {"backbone": name},
        "batch": 4,
    }
    spec, n = from_plain(ModelSpec, plain, "spec"), len(CLASSES)
    constants = make_method(spec, CLASSES).constants(np.ones(n), np.full(n, 1 / n))
    return Predictor(Model(spec, CLASSES, variables | {"constants": constants}))


if __name__ == "__main__":
    main()
