"""CDC, CD and the plain classifier on the demo set, several seeds each: the table of docs/demo_table.md.

The last row was added after the others were known, to test an explanation of them.

    python tools/demo_table.py --folder=runs/demo_table [--seeds=3] [--data_dir=DIR]

Every method is trained by the settings of `configs/cdc.py:demo`. Resumable: finished runs are read back. One to three
minutes a run on 2 cores.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from skinjax.evaluation.intervals import bootstrap, paired_difference
from skinjax.evaluation.metrics import evaluate
from skinjax.evaluation.predictions import Predictions, read_predictions

METHODS = {
    "classifier": ["--config=configs/baselines.py:demo"],
    "CD": ["--config=configs/cdc.py:demo", "--config.method.beta=0.0"],
    "CDC": ["--config=configs/cdc.py:demo"],
    "CDC, twin statistics not kept": [
        "--config=configs/cdc.py:demo",
        "--config.method.twin_batch_norm=batch_stats_no_update",
    ],
}
METRICS = ("macro_recall", "macro_f1", "macro_precision", "accuracy")


def run(arguments: list[str], workdir: Path, seed: int, data_dir: str | None) -> Predictions:
    command = [sys.executable, "-m", "skinjax.main", *arguments, f"--config.seed={seed}", f"--workdir={workdir}"]
    subprocess.run([*command, f"--data_dir={data_dir}"] if data_dir else command, check=True, stdout=subprocess.DEVNULL)
    return read_predictions(workdir / "predictions_test.csv")


def figures_of_seeds(runs: list[Predictions], metrics: Sequence[str]) -> list[str]:
    """Cells of a table: mean and deviation of each metric in %, then every seed's macro recall with its interval."""
    cells = []
    for metric in metrics:
        values = 100 * np.array([evaluate(table, metric) for table in runs])
        cells.append(f"{values.mean():.1f} ({values.std():.1f})")
    intervals = [bootstrap(table, "macro_recall") for table in runs]
    cells.append("; ".join(f"{100 * i.value:.1f} [{100 * i.low:.1f}, {100 * i.high:.1f}]" for i in intervals))
    return cells


def parser_of_seeds(description: str) -> argparse.ArgumentParser:
    """The arguments of every table of seeds: where its runs lie, how many seeds, where data sets lie."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data_dir")
    return parser


def main() -> None:
    options = parser_of_seeds(__doc__).parse_args()
    tables = {
        name: [
            run(
                arguments,
                options.folder / f"{name.replace(', ', '-').replace(' ', '_')}-{seed}",
                seed,
                options.data_dir,
            )
            for seed in range(options.seeds)
        ]
        for name, arguments in METHODS.items()
    }
    print(f"| method | {' | '.join(METRICS)} | macro recall of each seed [95 % interval] | against the classifier |")
    print(f"|---|{'---|' * (len(METRICS) + 2)}")
    for name, runs in tables.items():
        cells = figures_of_seeds(runs, METRICS)
        differences = [
            paired_difference(base, table, "macro_recall")
            for base, table in zip(tables["classifier"], runs, strict=True)
        ]
        shown = "; ".join(f"{100 * d.value:+.1f} [{100 * d.low:+.1f}, {100 * d.high:+.1f}]" for d in differences)
        cells.append("" if name == "classifier" else shown)
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
