"""Write a bundle or a run as a file for other programs: StableHLO, ONNX, or weights under timm's names.

    skinjax export model.skinjax --format=stablehlo --out=model.stablehlo
    skinjax export model.skinjax --format=onnx --out=model.onnx
    skinjax export runs/cdc-demo-0123abcd --format=safetensors --out=model.safetensors

The first two take decoded photographs uint8 [b, H, W, 3] and answer with the probabilities of `skinjax predict`. Each
file is run and compared with it before it is written. docs/export.md has an example that calls them; ONNX needs
packages in an environment of their own, which that page says how to make.
"""

import argparse
from pathlib import Path

from skinjax.core.arguments import Parser
from skinjax.core.errors import UserError, os_errors_as_user_errors
from skinjax.core.tables import check_folder


def add_arguments(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a bundle, or the folder of a finished run")
    parser.add_argument("--format", required=True, help="stablehlo, onnx or safetensors")
    parser.add_argument("--out", metavar="FILE", required=True, help="the file to write")


def run(options: argparse.Namespace) -> int:
    from skinjax.core.compilation_cache import use_compilation_cache
    from skinjax.core.files import human_bytes, write_atomically
    from skinjax.data.dataset import data_root
    from skinjax.deploy.export import check_needs, export
    from skinjax.deploy.predictor import open_predictor

    out = Path(options.out).expanduser()
    refuse_foreign(out)
    check_needs(options.format)
    predictor = open_predictor(options.model)
    use_compilation_cache(data_root() / "compilation_cache")
    made = export(predictor, options.format)
    with os_errors_as_user_errors(f"{out} cannot be written", "make room or name another file"):
        write_atomically(out, made.data)
    print(f"wrote {out}: {human_bytes(len(made.data))}; answers as skinjax predict, within {made.difference:.1g}")
    print(made.about)
    return 0


def refuse_foreign(out: Path) -> None:
    """Refuse to write where there is no folder, or over what was not exported."""
    from skinjax.deploy.export import MARK

    check_folder(out, "--out")
    if out.exists() and not (out.is_file() and MARK.encode() in out.read_bytes()):
        raise UserError(f"{out} is there and was not exported by skinjax: give another --out")
