"""Does synergy help? Two networks apart, on pairs without synergy, and with it: measures and writes docs/synergy.md.

    python tools/synergy_table.py --folder=runs/synergy [--seeds=8] [--data_dir=DIR] [--doc=FILE]

Drawn nevi and melanomas: 900 training photographs as ISIC 2016 has them (727 and 173), and 6,000 test
photographs, one per lesion. The rate of the networks apart, and that of those on pairs, are chosen on the validation
part with seed 0 and lambda 3. Resumable; 25 minutes on 2 idle cores for the three main conditions, 12 more for the
others, which have three seeds (--exploratory). What the document says below its line "## What it says" stays.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from demo_table import budget, in_percent, markdown_table, parser_of_seeds, run, write_document
from scipy import stats

from skinjax.data.dataset import Dataset, data_root, open_dataset, prepared
from skinjax.evaluation.intervals import paired_difference
from skinjax.evaluation.metrics import evaluate
from skinjax.evaluation.predictions import Predictions, read_predictions
from skinjax.evaluation.scores import Scored, average_precision

# Drawn nevi and melanomas, which differ by their structures; two invented classes are told apart without error.
SET = {"images": 26000, "height": 96, "width": 128}
CLASSES = {"benign": "nv", "malignant": "mel"}
NAME = "synthetic_melanomas"
PARTS = {"train": (727, 173), "validation": (808, 192), "test": (4847, 1153)}  # lesions of each class
RATES = (3e-4, 1e-3, 3e-3)
APART, PAIRED = (f"--config=configs/synergic.py:melanomas_{name}" for name in ("ensemble", "sdl"))
MAIN = {
    "ensemble": [APART],
    "lambda 0": [PAIRED, "--config.method.synergy=0.0"],
    "lambda 3": [PAIRED],
}
EXPLORATORY = {
    "lambda 1": [PAIRED, "--config.method.synergy=1.0"],
    "lambda 5": [PAIRED, "--config.method.synergy=5.0"],
    "three networks, lambda 3": [PAIRED, "--config.method.members=3"],
}
COMPARED = {
    "sampling: lambda 0 minus ensemble": ("ensemble", "lambda 0"),
    "synergy: lambda 3 minus lambda 0": ("lambda 0", "lambda 3"),
    "both: lambda 3 minus ensemble": ("ensemble", "lambda 3"),
}
METRICS = ("average_precision", "average_precision_old", "macro_auc", "accuracy", "macro_recall")
SMALL, PAPERS_GAINS, SUBSETS = (304, 75), (0.0336, 0.0421), 1000  # ISIC 2016's test part, and what SDL gains there


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.set_defaults(seeds=8)
    parser.add_argument("--exploratory", action="store_true")
    parser.add_argument("--doc", type=Path, default=Path("docs/synergy.md"))
    options = parser.parse_args()
    root = data_root(options.data_dir)
    if NAME not in prepared(root):
        prepare(open_dataset("synthetic", SET, root), root)

    def trained(name: str, arguments: Sequence[str], rate: float, seed: int) -> Path:
        folder = options.folder / f"{name.replace(', ', '-').replace(' ', '_')}-{rate:g}-{seed}"
        run([*arguments, f"--config.optimizer.learning_rate={rate}"], folder, seed, options.data_dir)
        return folder

    tried = {}
    for name in ("ensemble", "lambda 3"):
        tried[name] = {rate: validated(trained(name, MAIN[name], rate, 0)) for rate in RATES}
    best = {name: max(found, key=found.__getitem__) for name, found in tried.items()}
    folders = {}
    for name, arguments in (MAIN | (EXPLORATORY if options.exploratory else {})).items():
        rate = best["ensemble" if name == "ensemble" else "lambda 3"]
        seeds = range(options.seeds if name in MAIN else min(3, options.seeds))
        folders[name] = [trained(name, arguments, rate, seed) for seed in seeds]
    text = document(folders, tried)
    print(text)
    write_document(options.doc, text)


def prepare(drawn: Dataset, root: Path) -> None:
    """Make a data set of two classes with one photograph of every lesion that is used, parted once."""
    columns, rng = drawn.columns, np.random.default_rng(0)
    _, first = np.unique(columns["group"], return_index=True)
    with tempfile.TemporaryDirectory() as source:
        for label, (name, of) in enumerate(CLASSES.items()):
            of_class = rng.permutation(np.sort(first[columns["label"][first] == drawn.classes.index(of)]))
            borders = np.cumsum([counts[label] for counts in PARTS.values()])
            assert borders[-1] <= len(of_class)  # or the set is too small
            for part, records in zip(PARTS, np.split(of_class, borders), strict=False):
                folder = Path(source, part, name)
                folder.mkdir(parents=True)
                for record in records:
                    (folder / f"{columns['image_id'][record]}.jpg").write_bytes(drawn.encoded(record))
        command = ["prepare", "folder", f"--source={source}", f"--name={NAME}", f"--data_dir={root}"]
        subprocess.run([sys.executable, "-m", "skinjax.cli", *command], check=True)


def validated(folder: Path) -> float:
    """The average precision of a run on its validation part."""
    return evaluate(read_predictions(folder / "predictions_validation.csv"), "average_precision")


def document(folders: Mapping[str, Sequence[Path]], tried: Mapping[str, Mapping[float, float]]) -> str:
    """What the finished runs of every condition, a folder for each seed, came to."""
    tables = {name: [read_predictions(run / "predictions_test.csv") for run in of] for name, of in folders.items()}
    members = [run / f"predictions_test_member{number}.csv" for run in folders["ensemble"] for number in (1, 2)]
    single = [read_predictions(path) for path in members]
    differences = [gains(tables, what, pair) for what, pair in COMPARED.items()]
    over = [f">= {100 * gain:.1f}" for gain in PAPERS_GAINS]
    rates = [[name, *(f"{100 * found[rate]:.1f}" for rate in RATES)] for name, found in tried.items()]
    rows = [[name, str(len(of)), *figures(of)] for name, of in {"one network": single, **tables}.items()]
    return f"""# Does synergy help?

Written by `tools/synergy_table.py`; synthetic photographs, a test bench and not medicine. Two classes, 900 training
photographs ({PARTS["train"][1]} of the rarer class), 1,000 for validation, {sum(PARTS["test"]):,} for test
({PARTS["test"][1]:,} of the rarer class), each of another lesion. {budget(folders)}

Average precision on the validation part in %, seed 0, by learning rate; the best is taken, and that of lambda 3 for all
that are trained on pairs:

{markdown_table(("", *(f"{rate:g}" for rate in RATES)), rates)}

Test part in %, mean (standard deviation, ddof 1) over the runs:

{markdown_table(("", "runs", *METRICS), rows)}

Gains in %, mean over the seeds with a 95 % t interval over them, and how many seeds gain; every seed's average
precision with its 95 % interval over photographs:

{markdown_table(("", *METRICS[:3], "seeds", "each seed"), differences)}

## Of 379 of these test photographs

{SUBSETS:,} random subsets of {SMALL[0]} and {SMALL[1]}, as ISIC 2016's test part, of every seed; average precision of
the old definition, lambda 3 minus ensemble. How many show at least the paper's gain of {100 * PAPERS_GAINS[0]:.1f}
points (with augmentation) or {100 * PAPERS_GAINS[1]:.1f} (without), and how many a loss:

{markdown_table(("seed", "all test photographs", "sd of subsets", *over, "< 0"), subsets(tables))}"""


def figures(runs: Sequence[Predictions]) -> list[str]:
    """Mean and deviation of every metric."""
    values = {metric: 100 * np.array([evaluate(table, metric) for table in runs]) for metric in METRICS}
    return [f"{of.mean():.1f} ({of.std(ddof=1):.1f})" for of in values.values()]


def gains(tables: Mapping[str, Sequence[Predictions]], what: str, pair: tuple[str, str]) -> list[str]:
    """A row of the differences between two conditions, seed by seed."""
    base, other = (tables[name] for name in pair)
    cells, signs = [], ""
    for metric in METRICS[:3]:
        values = 100 * np.array([evaluate(b, metric) - evaluate(a, metric) for a, b in zip(base, other, strict=True)])
        half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
        cells.append(f"{values.mean():+.2f} [{values.mean() - half:+.2f}, {values.mean() + half:+.2f}]")
        signs = signs or f"{(values > 0).sum()}/{len(values)}"
    each = [paired_difference(a, b, METRICS[0]) for a, b in zip(base, other, strict=True)]
    told = "; ".join(in_percent(g, "+.1f") for g in each)
    return [what, *cells, signs, told]


def subsets(tables: Mapping[str, Sequence[Predictions]]) -> list[list[str]]:
    """A row for each seed, and one of all."""
    rng, rows, every = np.random.default_rng(0), [], []
    for seed, (base, other) in enumerate(zip(tables["ensemble"], tables["lambda 3"], strict=True)):
        places = [np.flatnonzero(base.labels == label) for label in range(2)]
        weights = np.zeros((SUBSETS, len(base.labels)))
        for drawn in weights:
            for of_class, count in zip(places, SMALL, strict=True):
                drawn[rng.choice(of_class, count, replace=False)] = 1
        found = [
            average_precision(Scored(of.labels, of.probabilities, weights), trapezoids=True) for of in (base, other)
        ]
        gain = found[1] - found[0]
        whole = evaluate(other, "average_precision_old") - evaluate(base, "average_precision_old")
        rows.append([str(seed), f"{100 * whole:+.1f}", *shares(gain)])
        every.append(gain)
    return [*rows, ["all", "", *shares(np.concatenate(every))]]


def shares(gain: np.ndarray) -> list[str]:
    over = [f"{100 * np.mean(gain >= least):.0f} %" for least in PAPERS_GAINS]
    return [f"{100 * gain.std():.1f}", *over, f"{100 * np.mean(gain < 0):.0f} %"]


if __name__ == "__main__":
    main()
