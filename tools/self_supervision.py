"""Does rotation without labels help where labels are few? On HAM10000: measures and writes docs/self_supervision.md.

    python tools/self_supervision.py --folder=runs/self_supervision [--seeds=5] [--data_dir=DIR] [--doc=FILE]

Needs `skinjax prepare ham10000`. Every seed draws lesion-grouped parts of its own. Narrow ResNet, 96 px: the pretext
sees 60,000 images of the training part, without labels; then, on a tenth of its lesions with labels, 20,000 images.
From scratch on that tenth: 20,000, and 80,000. Resumable; 55 minutes on 2 idle cores. What the document says below its
line "## What it says" stays.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from measuring import budget, finish, in_percent, markdown_table, parser_of_seeds, run, write_document
from scipy import stats

from skinjax.core.files import write_atomically
from skinjax.core.tables import csv_text
from skinjax.evaluation.intervals import paired_difference
from skinjax.evaluation.metrics import evaluate
from skinjax.evaluation.predictions import Predictions, read_predictions

CONFIG = "--config=configs/rotation.py:ham10000"
METRICS = ("macro_recall", "accuracy", "macro_auc")
SHARE = 0.1
RUNS = {
    "rotation, then 20,000": ["--config.phases.train.duration=20000.0"],
    "scratch, 20,000": ["--config.phases.train.duration=20000.0"],
    "scratch, 80,000": ["--config.phases.train.duration=80000.0", "--config.phases.train.warmup=8000.0"],
}
FIRST, *OTHERS = RUNS


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.set_defaults(seeds=5)
    parser.add_argument("--doc", type=Path, default=Path("docs/self_supervision.md"))
    options = parser.parse_args()
    folders: dict[str, list[Path]] = {name: [] for name in RUNS}
    pretexts = []
    for seed in range(options.seeds):
        pretexts.append(options.folder / f"pretext-{seed}")
        finish([f"{CONFIG}_pretext", f"--config.split.seed={seed}"], pretexts[-1], seed, options.data_dir)
        few = options.folder / f"few-{seed}.csv"
        if not few.exists():
            write_atomically(few, csv_text(("image_id", "fold1"), some_labels(pretexts[-1] / "split.csv", seed)))
        split = ["--config.split.protocol=file", f"--config.split.file={few}", "--config.split.test=0.0"]
        for number, (name, changes) in enumerate(RUNS.items()):
            weights = [f"--config.model.weights={pretexts[-1]}"] if name == FIRST else []
            folders[name].append(options.folder / f"{number}-{seed}")
            arguments = [f"{CONFIG}_few_labels", *split, *changes, *weights]
            run(arguments, folders[name][-1], seed, options.data_dir)
    text = document(folders, pretexts)
    print(text)
    write_document(options.doc, text)


def some_labels(split: Path, seed: int) -> list[tuple[str, str]]:
    """(image id, part) of a split with a tenth of the training lesions of each class; the others are in no part."""
    with open(split, newline="") as file:
        rows = list(csv.DictReader(file))
    rng, kept = np.random.default_rng(seed), set()
    for label in sorted({row["label"] for row in rows}):
        lesions = sorted({row["group"] for row in rows if row["split"] == "train" and row["label"] == label})
        kept |= set(rng.choice(lesions, max(1, round(SHARE * len(lesions))), replace=False).tolist())
    return [(row["image_id"], row["split"]) for row in rows if row["split"] != "train" or row["group"] in kept]


def document(folders: Mapping[str, Sequence[Path]], pretexts: Sequence[Path]) -> str:
    """What the finished runs of every condition, a folder for each seed, came to."""
    tables = {name: [read_predictions(run / "predictions_test.csv") for run in of] for name, of in folders.items()}
    found = {name: np.array([figures(table) for table in of]) for name, of in tables.items()}
    gains = [[f"{FIRST} minus {name}", *with_interval(found[FIRST] - found[name])] for name in OTHERS]
    each = []
    for name in OTHERS:
        pairs = zip(tables[name], tables[FIRST], strict=True)
        differences = [paired_difference(before, after, METRICS[0]) for before, after in pairs]
        each.append([f"{FIRST} minus {name}", *(in_percent(x, "+.1f") for x in differences)])
    angles = [rotation_accuracy(run) for run in pretexts]
    seeds = [f"seed {seed}" for seed in range(len(pretexts))]
    return f"""# Rotation without labels, on HAM10000

Written by `tools/self_supervision.py` on HAM10000, 200x150 copies: five lesion-grouped draws of the parts, a seed each;
the pretext sees the training part alone, without labels, and a tenth of its lesions keep theirs. {budget(folders)}
The pretext tells {", ".join(f"{100 * x:.0f}" for x in angles)} % of six angles of validation photographs.

Test part in %, mean (standard deviation, ddof 1) over the seeds:

{markdown_table(("", *METRICS), [[name, *told(values)] for name, values in found.items()])}

Differences in points, mean over the seeds with a 95 % t interval over them:

{markdown_table(("", *METRICS), gains)}

Of macro recall, every seed's paired by lesion:

{markdown_table(("", *seeds), each)}"""


def figures(table: Predictions) -> list[float]:
    """The METRICS in %."""
    return [100 * evaluate(table, metric) for metric in METRICS]


def rotation_accuracy(folder: Path) -> float:
    """The last validation figure of a pretext."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [line["validation/rotation_accuracy"] for line in lines if "validation/rotation_accuracy" in line][-1]


def told(values: np.ndarray) -> list[str]:
    """Mean and deviation of each column of values [seeds, metrics]."""
    return [f"{x.mean():.1f} ({x.std(ddof=1):.1f})" for x in values.T]


def with_interval(values: np.ndarray) -> list[str]:
    """Mean and t interval of each column of differences [seeds, metrics]."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(0, ddof=1) / len(values) ** 0.5
    return [f"{m:+.1f} [{m - h:+.1f}, {m + h:+.1f}]" for m, h in zip(values.mean(0), half, strict=True)]


if __name__ == "__main__":
    main()
