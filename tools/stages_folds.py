"""One stage against two, on HAM10000: measures and writes docs/stages.md.

    python tools/stages_folds.py --weights=FILE --folder=runs/stages [--data_dir=DIR] [--doc=FILE]

Needs `skinjax prepare ham10000` and a safetensors file for `mobilenetv2_100_same`. Five lesion-grouped folds, 10,000
images a run (5,000 for each of two stages), the settings of `configs/two_stage.py:ham10000_copies_one` and `_two`; the
test parts of the folds are pooled. Resumable; 30 minutes on 2 idle cores. What the document says below its line
"## What it says" stays.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from demo_table import budget, in_percent, markdown_table, parser_of_seeds, run, write_document
from phases_table import pool

from skinjax.evaluation.intervals import bootstrap, drawn_of, paired_difference, percentiles
from skinjax.evaluation.predictions import Predictions

FOLDS = 5
RUNS = {"one stage": "ham10000_copies_one", "two stages": "ham10000_copies_two"}
METRICS = ("macro_recall", "accuracy", "macro_f1")


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--doc", type=Path, default=Path("docs/stages.md"))
    options = parser.parse_args()
    folders = {}
    for name, variant in RUNS.items():
        folders[name] = [options.folder / f"{name.replace(' ', '_')}-{fold}" for fold in range(FOLDS)]
        for fold, folder in enumerate(folders[name]):
            arguments = [f"--config=configs/two_stage.py:{variant}", f"--config.model.weights={options.weights}"]
            run([*arguments, f"--config.split.fold={fold}"], folder, 0, options.data_dir)
    text = document(folders)
    print(text)
    write_document(options.doc, text)


def document(folders: Mapping[str, Sequence[Path]]) -> str:
    """What the finished runs, a folder for each fold, came to."""
    pooled = {
        "one stage": pool([folder / "predictions_test.csv" for folder in folders["one stage"]]),
        "two stages, hard": pool([folder / "predictions_test_hard.csv" for folder in folders["two stages"]]),
        "two stages, soft": pool([folder / "predictions_test_soft.csv" for folder in folders["two stages"]]),
    }
    errors = {name: [interval(table, of) for of in ERRORS.values()] for name, table in pooled.items()}
    base = pooled["one stage"]
    gains = {
        f"{name} minus one stage": [interval(table, of, base) for of in ERRORS.values()]
        + [in_percent(paired_difference(base, table, metric), "+.1f") for metric in METRICS]
        for name, table in pooled.items()
        if table is not base
    }
    rows = [
        [name, *errors[name], *(in_percent(bootstrap(table, metric)) for metric in METRICS)]
        for name, table in pooled.items()
    ]
    columns = ("", *ERRORS, *METRICS)
    return f"""# One stage or two

Written by `tools/stages_folds.py` on HAM10000, 200x150 copies: MobileNet-v2 from ImageNet weights, focal loss with
gamma 1, five lesion-grouped folds. {budget(folders, "folds")}

The test parts of the five folds pooled, with 95 % bootstrap intervals over lesions: photographs that are wrongly taken
for nevi, and nevi that are taken for something else, as numbers; the other figures in %:

{markdown_table(columns, rows)}

Paired by lesion:

{markdown_table(columns, [[name, *cells] for name, cells in gains.items()])}"""


def into_nv(table: Predictions) -> np.ndarray:
    """Whether each row is taken for a nevus and is none."""
    nv = table.classes.index("nv")
    return (table.predicted == nv) & (table.labels != nv)


def out_of_nv(table: Predictions) -> np.ndarray:
    """Whether each row is a nevus and taken for something else."""
    nv = table.classes.index("nv")
    return (table.predicted != nv) & (table.labels == nv)


ERRORS: dict[str, Callable[[Predictions], np.ndarray]] = {
    "errors into nv": into_nv,
    "errors out of nv": out_of_nv,
    "both": lambda table: into_nv(table) | out_of_nv(table),
}


def interval(table: Predictions, wrong: Callable[[Predictions], np.ndarray], base: Predictions | None = None) -> str:
    """How many rows are wrong, or how many more than in `base`, with an interval over lesions."""
    count = wrong(table).astype(float) - (0 if base is None else wrong(base))
    low, high = percentiles(drawn_of(table.groups, lambda weights: count @ weights))
    sign = "" if base is None else "+"
    return f"{count.sum():{sign}.0f} [{low:{sign}.0f}, {high:{sign}.0f}]"


if __name__ == "__main__":
    main()
