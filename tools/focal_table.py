"""Can gamma alone give paper 001's gain of recall? Focal loss, natural and down-sampled; writes docs/focal.md.

    python tools/focal_table.py --folder=runs/focal [--seeds=5] [--data_dir=DIR] [--doc=FILE]

The demo of configs/focal.py at 64 px on the set of tools/drawn_ham10000.py, 28,000 images a run. Resumable; 30 minutes
on 2 idle cores. What the document says below its line "## What it says" stays.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import drawn_ham10000
import numpy as np
from demo_table import budget, markdown_table, parser_of_seeds, run, write_document
from scipy import stats

from skinjax.data.dataset import data_root
from skinjax.evaluation.confusion import recall
from skinjax.evaluation.metrics import evaluate, table_confusion
from skinjax.evaluation.predictions import Predictions

SHOWN = [
    f"--config.dataset.name={drawn_ham10000.NAME}",
    "--config.split.protocol=official",
    "--config.stored_size.height=74",
    "--config.stored_size.width=74",
    "--config.views.size=(64,64)",
    "--config.cache=host",
    "--config.evaluations.every=0.0",
    "--config.checkpoints.every=0.0",
]
GAMMAS = ("0", "1", "5")
SAMPLERS = ("natural", "downsampled")
METRICS = ("macro recall", "accuracy at HAM10000's shares", "recall of nv")
# Of macro recall and accuracy, in points: what the paper's Table has between gamma 0 and 1.
PAPER = (13.9, -20.8)


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.set_defaults(seeds=5)
    parser.add_argument("--doc", type=Path, default=Path("docs/focal.md"))
    options = parser.parse_args()
    drawn_ham10000.make(data_root(options.data_dir))
    folders: dict[str, list[Path]] = {}
    for sampler in SAMPLERS:
        for gamma in GAMMAS:
            name = f"gamma {gamma}, {sampler}"
            folders[name] = [options.folder / f"{sampler}-{gamma}-{seed}" for seed in range(options.seeds)]
            changes = [*SHOWN, f"--config.loss.gamma={gamma}.0", f"--config.sampler={sampler}"]
            for seed, folder in enumerate(folders[name]):
                run(["--config=configs/focal.py:demo", *changes], folder, seed, options.data_dir)
    text = document(folders)
    print(text)
    write_document(options.doc, text)


def document(folders: Mapping[str, Sequence[Path]]) -> str:
    """What the finished runs of every condition, a folder for each seed, came to."""
    from skinjax.evaluation.predictions import read_predictions

    tables = {name: [read_predictions(run / "predictions_test.csv") for run in of] for name, of in folders.items()}
    rows = [[name, *told(np.array([figures(table) for table in of]))] for name, of in tables.items()]
    gains = []
    for sampler in SAMPLERS:
        for before, after in (("0", "1"), ("1", "5")):
            one, other = (
                np.array([figures(table) for table in tables[f"gamma {gamma}, {sampler}"]]) for gamma in (before, after)
            )
            gains.append([f"gamma {before} to {after}, {sampler}", *with_interval(other - one)])
    both = [np.array([figures(table) for table in tables[f"gamma 0, {sampler}"]]) for sampler in SAMPLERS]
    gains.append(["natural to down-sampled, gamma 0", *with_interval(both[1] - both[0])])
    return f"""# Focal loss and down-sampling

Written by `tools/focal_table.py`; synthetic photographs, a test bench and not medicine. 8,012 training photographs with
HAM10000's counts; 2,100 test photographs, 300 lesions of each class. {budget(folders)}

Test part in %, mean (standard deviation, ddof 1) over the seeds; accuracy weighs a class by its share of HAM10000:

{markdown_table(("", *METRICS), rows)}

Differences in points, mean over the seeds with a 95 % t interval over them. The paper prints {PAPER[0]:+.1f} of macro
recall and {PAPER[1]:+.1f} of accuracy from gamma 0 to 1:

{markdown_table(("", *METRICS), gains)}"""


def figures(table: Predictions) -> list[float]:
    """The METRICS of a table whose test part has as many of each class."""
    recalls = recall(table_confusion(table))
    shares = np.array([drawn_ham10000.TRAINING[name] for name in table.classes], float)
    weighted = float((recalls * shares / shares.sum()).sum())
    return [100 * evaluate(table, "macro_recall"), 100 * weighted, 100 * float(recalls[table.classes.index("nv")])]


def told(values: np.ndarray) -> list[str]:
    """Mean and deviation of each column of values [seeds, metrics]."""
    return [f"{x.mean():.1f} ({x.std(ddof=1):.1f})" for x in values.T]


def with_interval(values: np.ndarray) -> list[str]:
    """Mean and t interval of each column of differences [seeds, metrics]."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(0, ddof=1) / len(values) ** 0.5
    return [f"{m:+.1f} [{m - h:+.1f}, {m + h:+.1f}]" for m, h in zip(values.mean(0), half, strict=True)]


if __name__ == "__main__":
    main()
