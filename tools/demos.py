"""Runs every demo of every config at full length; writes docs/demos.md: command, time, figures.

    python tools/demos.py [--folder=runs/demos] [--only=CONFIG,...] [--data_dir=DIR] [--doc=FILE]

Resumable: finished runs are read back, and rows of the document whose runs are not in FOLDER stay as they are. About
two minutes each on 2 idle cores.
"""

import argparse
import importlib
import json
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from measuring import in_percent, markdown_table, run, write_document

from skinjax.evaluation.intervals import bootstrap

CONFIGS = Path(__file__).parents[1] / "configs"
METRICS = ("macro_recall", "accuracy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/demos"))
    parser.add_argument("--only", default="")
    parser.add_argument("--data_dir")
    parser.add_argument("--doc", type=Path, default=Path("docs/demos.md"))
    options = parser.parse_args()
    only = options.only.split(",") if options.only else None
    found = dict.fromkeys(f"`--config=configs/{config}.py:{variant}`" for config, variant in demos())
    found |= {row[0]: row for row in rows_of(options.doc) if row[0] in found}
    for (config, variant), command in zip(demos(), found, strict=True):
        folder = options.folder / f"{config}-{variant}"
        if only and config not in only and not folder.with_suffix(".json").exists():
            continue
        print(f"{config}:{variant}", flush=True)
        table = run([f"--config=configs/{config}.py:{variant}"], folder, 0, options.data_dir)
        seconds = json.loads(folder.with_suffix(".json").read_text())["seconds"]
        figures = [in_percent(bootstrap(table, metric)) for metric in METRICS]
        found[command] = [command, str(seconds or "?"), str(len(table.labels)), *figures]
        write_document(options.doc, document([row for row in found.values() if row]))


def rows_of(path: Path) -> list[list[str]]:
    """The rows of the table in the document."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("| `--config")]


def demos() -> Iterator[tuple[str, str]]:
    """(config, variant) of every demo."""
    sys.path.insert(0, str(CONFIGS))
    for path in sorted(CONFIGS.glob("*.py")):
        variants = getattr(importlib.import_module(path.stem), "VARIANTS", ())
        yield from ((path.stem, name) for name in dict.fromkeys(("demo", *variants)) if name.startswith("demo"))


def document(rows: list[list[str]]) -> str:
    """The table of the demos that have finished."""
    return f"""# Every demo

Written by `make demos` (`tools/demos.py`): `python -m skinjax.main` and these arguments, seed 0; synthetic photographs,
a test bench and not medicine. Seconds are of the whole command on {len(os.sched_getaffinity(0))} core(s)
({platform.machine()}), with the drawing of a set where it is the first of it (?: not in one go). Figures of the test
part in %, with 95 % bootstrap intervals over lesions; single runs on different data and splits, which compare nothing.

{markdown_table(("", "seconds", "test photographs", *METRICS), rows)}"""


if __name__ == "__main__":
    main()
