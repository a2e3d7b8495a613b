"""How much of paper 002's speed-up is its weights, and how much its recipe: measures and writes docs/eta.md.

    python tools/eta_table.py --weights=FILE --folder=runs/eta [--data_dir=DIR] [--doc=FILE]

Needs `skinjax prepare cifar10` and a safetensors file for `mobilenetv2_100_same`. MobileNet-v2 at 96 px, from scratch
and from the weights, by both recipes of configs/cifar10.py: 10,000 training, 2,000 validation and all test images,
50,000 images a run, each with a tenth of the rate at which the loss of its own range test is lowest. The target is the
best validation accuracy of the baseline from scratch. Resumable; 55 minutes on 2 idle cores. What the document says
below its line "## What it says" stays.
"""

import csv
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import time_to_accuracy
from measuring import budget, in_percent, markdown_table, parser_of_seeds, run, write_document

from skinjax.core.files import write_atomically
from skinjax.core.tables import csv_text
from skinjax.data.dataset import Dataset, data_root, open_dataset
from skinjax.evaluation.intervals import bootstrap
from skinjax.evaluation.predictions import read_predictions
from skinjax.training.lr_range import Curve, suggest

STARTS = ("scratch", "ImageNet")
RECIPES = ("baseline", "speed-up")
TRAINING, VALIDATION = 1000, 200  # of each class
FIRST, LAST = ("scratch", "baseline"), ("ImageNet", "speed-up")


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--doc", type=Path, default=Path("docs/eta.md"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    split = options.folder / "split.csv"
    if not split.exists():
        write_atomically(
            split, csv_text(("image_id", "fold1"), parts(open_dataset("cifar10", {}, data_root(options.data_dir))))
        )
    folders, rates = {}, {}
    for start in STARTS:
        for recipe in RECIPES:
            arguments = [
                f"--config=configs/cifar10.py:small_{recipe.replace('-', '')}",
                f"--config.model.weights={options.weights if start == 'ImageNet' else ''}",
                "--config.split.protocol=file",
                f"--config.split.file={split}",
                "--config.split.validation=0.0",
            ]
            phase = "all" if recipe == "speed-up" else "train"
            name = f"{start}-{recipe}"
            tested = [*arguments, f"--phase={phase}"]
            # The loss of ten classes falls fastest while biases learn how rare each is, at a rate that teaches no more.
            found = options.folder / f"lr_range-{name}"
            rates[start, recipe] = range_test(found, tested, options.data_dir, phase, "tenth_of_minimum")
            folders[start, recipe] = options.folder / name
            chosen = f"--config.optimizer.learning_rate={rates[start, recipe]:.3g}"
            run([*arguments, chosen], folders[start, recipe], 0, options.data_dir)
    text = document(folders, rates)
    print(text)
    write_document(options.doc, text)


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


def parts(dataset: Dataset) -> list[tuple[str, str]]:
    """(image id, part) of the images that are used: as many of each class, drawn once, and the whole test part."""
    columns, rng = dataset.columns, np.random.default_rng(0)
    rows = [(name, "test") for name in columns["image_id"][columns["split"] == "test"]]
    for label in range(len(dataset.classes)):
        of_class = np.flatnonzero((columns["label"] == label) & (columns["split"] == "train"))
        drawn = columns["image_id"][rng.permutation(of_class)]
        rows += [(name, "train") for name in drawn[:TRAINING]]
        rows += [(name, "validation") for name in drawn[TRAINING : TRAINING + VALIDATION]]
    return rows


def document(folders: Mapping[tuple[str, str], Path], rates: Mapping[tuple[str, str], float]) -> str:
    """What the four runs came to."""
    curves = {names: [time_to_accuracy.read_curve(folder, "accuracy")] for names, folder in folders.items()}
    target = max(curves[FIRST][0].values)
    by_name = {" ".join(names): of for names, of in curves.items()}
    tests = []
    for names, folder in folders.items():
        found = bootstrap(read_predictions(folder / "predictions_test.csv"), "accuracy")
        tests.append(
            [
                " ".join(names),
                f"{rates[names]:.2g}",
                in_percent(found),
            ]
        )
    shares = []
    for what, slow, fast in (
        ("weights and recipe", FIRST, LAST),
        ("weights, by the baseline's recipe", FIRST, ("ImageNet", "baseline")),
        ("recipe, from the weights", ("ImageNet", "baseline"), LAST),
        ("recipe, from scratch", FIRST, ("scratch", "speed-up")),
    ):
        times = [
            [time_to_accuracy.time_to(curves[names], target, of) for names in (slow, fast)]
            for of in ("steps", "seconds")
        ]
        shares.append([what, *(time_to_accuracy.ratio(*pair) for pair in times)])
    return f"""# Whose is the speed-up?

Written by `tools/eta_table.py` on CIFAR-10 (the JPEG copies of its pictures, enlarged to 96 px): 10,000 training and
2,000 validation images. {budget({" ".join(names): [folder] for names, folder in folders.items()})} One seed.

To {100 * target:.2f} % on validation, the best of the baseline from scratch:

{markdown_table(list(time_to_accuracy.HEAD), time_to_accuracy.rows(by_name, target))}

How many times sooner, in steps and in seconds:

{markdown_table(("what it has", "eta, steps", "eta, seconds"), shares)}

Test accuracy at the end in %, with 95 % intervals over pictures:

{markdown_table(("start and recipe", "full rate", "accuracy"), tests)}"""


if __name__ == "__main__":
    main()
