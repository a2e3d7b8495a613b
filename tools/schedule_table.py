"""Paper 002's schedules on CIFAR-10, several seeds each: measures and writes docs/schedules.md.

    python tools/schedule_table.py --folder=runs/schedules [--seeds=5] [--rates=steepest,tenth_of_minimum]
                                   [--data_dir=DIR] [--config.FIELD=VALUE]

Every schedule trains `configs/cifar10.py:narrow` for 7 epochs, whose ends of cycles are at epochs 1, 3 and 7 for cycles
that double. Their full rate is read off the range test of the same config, the median of three seeds (what it shows
does not depend on the schedule), once in each of the ways of --rates. Resumable: finished runs are read back; 35
minutes on 2 idle cores for each way. What the document says below its line "## What it says" stays.
"""

import argparse
import csv
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import time_to_accuracy
from demo_table import budget, in_percent, markdown_table, parser_of_seeds, run, write_document

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
EPOCHS = 7
TARGETS = (0.55, 0.6)  # chosen when it was known what this network reaches
READINGS = {"steepest": "where the loss falls fastest", "tenth_of_minimum": "a tenth of where the loss is lowest"}
INTRODUCTION = """# Schedules of paper 002

Written by `tools/schedule_table.py` on CIFAR-10 (the JPEG copies of its pictures), once for each way of reading a rate
off the range test, the median of three of them."""


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.set_defaults(seeds=5)
    parser.add_argument("--doc", type=Path, default=Path("docs/schedules.md"))
    parser.add_argument("--rates", default=",".join(READINGS))
    options, changes = parser.parse_known_args()
    sections = [section(reading, options, changes) for reading in options.rates.split(",")]
    text = "\n\n".join([INTRODUCTION, *sections])
    print(text)
    write_document(options.doc, text)


def section(reading: str, options: argparse.Namespace, changes: Sequence[str]) -> str:
    """What every schedule comes to at the rate that this reading of the range test gives."""
    tested = options.folder / "lr_range"
    rate = range_test(tested, [CONFIG, *changes], options.data_dir, reading=reading)
    short = {name: name.replace(", ", "-").replace(" ", "_") for name in SCHEDULES}
    folders = {
        name: [options.folder / reading / f"{short[name]}-{seed}" for seed in range(options.seeds)]
        for name in SCHEDULES
    }
    for seed in range(options.seeds):
        for name, arguments in SCHEDULES.items():
            common = [CONFIG, f"--config.optimizer.learning_rate={rate:.3g}"]
            run([*common, *arguments, *changes], folders[name][seed], seed, options.data_dir)
    return f"## Full rate {rate:.2g}, {READINGS[reading]}\n\n{document(folders)}"


def range_test(
    folder: Path, arguments: Sequence[str], data_dir: str | None, phase: str = "train", reading: str = "steepest"
) -> float:
    """What `skinjax lr-range` suggests, the median of three seeds; its curves are left in `folder`."""
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
        found.append(getattr(suggest(shown.rates, shown.smoothed), reading))
    return float(np.exp(np.median(np.log(found))))


def document(folders: Mapping[str, Sequence[Path]]) -> str:
    """What the finished runs of every schedule, a folder for each seed, came to."""
    tables = {name: [read_predictions(run / "predictions_test.csv") for run in of] for name, of in folders.items()}
    curves = {name: [time_to_accuracy.read_curve(run, "accuracy") for run in of] for name, of in folders.items()}
    seen = "; ".join(f"epoch {epoch}" for epoch in CYCLE_ENDS)
    times = "\n\n".join(_times(curves, target) for target in TARGETS)
    return f"""{budget(folders)}

Validation accuracy in % at the ends of the doubling cycles ({seen}), and test accuracy at the end; mean (standard
deviation, ddof 0) over the seeds.

{markdown_table(("schedule", *(f"epoch {epoch}" for epoch in CYCLE_ENDS), "test"), _accuracies(curves, tables))}

Test accuracy of one schedule minus that of another, every seed's paired by picture, with 95 % intervals over pictures:

{markdown_table(("", "mean of the seeds", "each seed"), _differences(tables))}

{times}"""


def _accuracies(
    curves: Mapping[str, Sequence[time_to_accuracy.Curve]], tables: Mapping[str, Sequence[Predictions]]
) -> list[list[str]]:
    rows = []
    for name, of in curves.items():
        at_ends = [[value_at(curve, epoch) for curve in of] for epoch in CYCLE_ENDS]
        at_ends.append([evaluate(table, "accuracy") for table in tables[name]])
        rows.append([name, *(f"{100 * np.mean(values):.1f} ({100 * np.std(values):.1f})" for values in at_ends)])
    return rows


def value_at(curve: time_to_accuracy.Curve, epoch: int) -> float:
    """The value at the evaluation nearest to the end of an epoch; one of a cycle's end may be beside it."""
    end = epoch * curve.steps[-1] / EPOCHS
    return curve.values[min(range(len(curve.steps)), key=lambda place: abs(curve.steps[place] - end))]


def _differences(tables: Mapping[str, Sequence[Predictions]]) -> list[list[str]]:
    rows = []
    for base, name in COMPARED:
        gains = [paired_difference(a, b, "accuracy") for a, b in zip(tables[base], tables[name], strict=True)]
        values = 100 * np.array([gain.value for gain in gains])
        each = "; ".join(in_percent(g, "+.1f") for g in gains)
        rows.append([f"{name} minus {base}", f"{values.mean():+.2f} ({values.std():.2f})", each])
    return rows


def _times(curves: Mapping[str, Sequence[time_to_accuracy.Curve]], target: float) -> str:
    head = list(time_to_accuracy.HEAD)
    return f"To {100 * target:.0f} % on validation:\n\n" + markdown_table(
        head, time_to_accuracy.rows({name: list(of) for name, of in curves.items()}, target)
    )


if __name__ == "__main__":
    main()
