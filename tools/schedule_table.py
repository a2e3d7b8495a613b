"""Paper 002's schedules on CIFAR-10, several seeds each: measures and writes docs/schedules.md.

    python tools/schedule_table.py --folder=runs/schedules [--seeds=5] [--data_dir=DIR] [--config.FIELD=VALUE]

Every schedule trains `configs/cifar10.py:narrow` for 7 epochs, whose ends of cycles are at epochs 1, 3 and 7 for cycles
that double. The full rate of all of them is that of the range test of the same config, the median of three seeds: what
a range test shows does not depend on the schedule. Resumable: finished runs are read back; 35 minutes on 2 idle cores.
What the document says below its line "## What it says" stays.
"""

import csv
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import time_to_accuracy
from demo_table import budget, markdown_table, parser_of_seeds, run, write_document

from skinjax.evaluation.intervals import paired_difference
from skinjax.evaluation.metrics import evaluate
from skinjax.evaluation.predictions import Predictions, read_predictions
from skinjax.training.lr_range import Curve, suggest

CONFIG = "--config=configs/cifar10.py:narrow"
SCHEDULES = {
    "constant": ["--config.phases.train.schedule=constant"],
    "three rates": [
        "--config.phases.train.schedule=step",
        "--config.phases.train.schedule.milestones=(3,5)",  # 1, 0.1 and 0.01 of the rate
    ],
    "one cosine": ["--config.phases.train.schedule=cosine"],
    "restarts": ["--config.phases.train.schedule.multiplier=1.0"],
    "restarts, doubling cycles": [],
}
COMPARED = (
    ("constant", "restarts, doubling cycles"),
    ("three rates", "restarts, doubling cycles"),
    ("one cosine", "restarts, doubling cycles"),
    ("restarts", "restarts, doubling cycles"),
    ("constant", "one cosine"),
)
CYCLE_ENDS = (1, 3, 7)  # of the doubling cycles, in epochs
TARGETS = (0.7, 0.8)


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.set_defaults(seeds=5)
    parser.add_argument("--doc", type=Path, default=Path("docs/schedules.md"))
    options, changes = parser.parse_known_args()
    rate = range_test(options.folder / "lr_range", [CONFIG, *changes], options.data_dir)
    folders = {
        name: [options.folder / f"{name.replace(', ', '-').replace(' ', '_')}-{seed}" for seed in range(options.seeds)]
        for name in SCHEDULES
    }
    for seed in range(options.seeds):
        for name, arguments in SCHEDULES.items():
            common = [CONFIG, f"--config.optimizer.learning_rate={rate:.3g}"]
            run([*common, *arguments, *changes], folders[name][seed], seed, options.data_dir)
    text = document(folders, rate)
    print(text)
    write_document(options.doc, text)


def range_test(folder: Path, arguments: Sequence[str], data_dir: str | None, phase: str = "train") -> float:
    """The suggestion of `skinjax lr-range`, the median of three seeds; its curves are left in `folder`."""
    path = folder / f"{phase}.csv"
    if not path.exists():
        there = [f"--data_dir={data_dir}"] if data_dir else []
        command = [
            sys.executable,
            "-m",
            "skinjax.cli",
            "lr-range",
            *arguments,
            "--repeats=3",
            f"--out={folder}",
            *there,
        ]
        subprocess.run(command, check=True)
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    found = []
    for seed in sorted({row["seed"] for row in rows}):
        curve = Curve(
            seed,
            "all",
            *np.array(
                [[row[key] for key in ("rate", "loss", "smoothed")] for row in rows if row["seed"] == seed], float
            ).T,
        )
        shown = curve.shown()
        found.append(suggest(shown.rates, shown.smoothed).steepest)
    return float(np.exp(np.median(np.log(found))))


def document(folders: Mapping[str, Sequence[Path]], rate: float) -> str:
    """What the finished runs of every schedule, a folder for each seed, came to."""
    tables = {name: [read_predictions(run / "predictions_test.csv") for run in of] for name, of in folders.items()}
    curves = {name: [time_to_accuracy.read_curve(run, "accuracy") for run in of] for name, of in folders.items()}
    seen = "; ".join(f"epoch {epoch}" for epoch in CYCLE_ENDS)
    times = "\n\n".join(_times(curves, target) for target in TARGETS)
    return f"""# Schedules of paper 002

Written by `tools/schedule_table.py` on CIFAR-10 (the JPEG copies of its pictures). {budget(folders)} Full rate
{rate:.3g}, the median suggestion of three range tests.

## Accuracy

Validation accuracy in % at the ends of the doubling cycles ({seen}), and test accuracy at the end; mean (standard
deviation, ddof 0) over the seeds.

{markdown_table(("schedule", *(f"epoch {epoch}" for epoch in CYCLE_ENDS), "test"), _accuracies(curves, tables))}

Test accuracy of one schedule minus that of another, every seed's paired by picture, with 95 % intervals over pictures:

{markdown_table(("", "mean of the seeds", "each seed"), _differences(tables))}

## Time

{times}"""


def _accuracies(
    curves: Mapping[str, Sequence[time_to_accuracy.Curve]], tables: Mapping[str, Sequence[Predictions]]
) -> list[list[str]]:
    rows = []
    for name, of in curves.items():
        at_ends = [[curve.values[epoch - 1] for curve in of] for epoch in CYCLE_ENDS]
        at_ends.append([evaluate(table, "accuracy") for table in tables[name]])
        rows.append([name, *(f"{100 * np.mean(values):.1f} ({100 * np.std(values):.1f})" for values in at_ends)])
    return rows


def _differences(tables: Mapping[str, Sequence[Predictions]]) -> list[list[str]]:
    rows = []
    for base, name in COMPARED:
        gains = [paired_difference(a, b, "accuracy") for a, b in zip(tables[base], tables[name], strict=True)]
        values = 100 * np.array([gain.value for gain in gains])
        each = "; ".join(f"{100 * g.value:+.1f} [{100 * g.low:+.1f}, {100 * g.high:+.1f}]" for g in gains)
        rows.append([f"{name} minus {base}", f"{values.mean():+.2f} ({values.std():.2f})", each])
    return rows


def _times(curves: Mapping[str, Sequence[time_to_accuracy.Curve]], target: float) -> str:
    head = list(time_to_accuracy.HEAD)
    return f"To {100 * target:.0f} % on validation:\n\n" + markdown_table(
        head, time_to_accuracy.rows({name: list(of) for name, of in curves.items()}, target)
    )


if __name__ == "__main__":
    main()
