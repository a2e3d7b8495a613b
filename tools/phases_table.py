"""One phase or two, one rate or three by depth, from ImageNet weights on HAM10000: writes docs/phases.md.

    python tools/phases_table.py --weights=FILE --folder=runs/phases [--data_dir=DIR] [--doc=FILE]

Needs `skinjax prepare ham10000` and a safetensors file for `mobilenetv2_100_same`. Every recipe sees 10,000 images in
each of five lesion-grouped folds, whose test parts are pooled, so that its figures are of every photograph. In two
phases the head takes the first fifth of them, on stored features. The full rate of a recipe is a tenth of that at which
the loss is lowest in a range test of its last phase in the first fold, made before anything is trained. Resumable; 50
minutes on 2 idle cores. What the document says below its line "## What it says" stays.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from demo_table import budget, in_percent, markdown_table, parser_of_seeds, run, write_document
from schedule_table import range_test

from skinjax.evaluation.intervals import bootstrap, paired_difference
from skinjax.evaluation.predictions import Predictions, joined, read_predictions

BY_DEPTH = "(('early',0.01),('late',0.1),('top',1.0))"
ONE_RATE = "(('.*',1.0),)"
RECIPES = {
    "one phase, one rate": (False, ONE_RATE),
    "one phase, by depth": (False, BY_DEPTH),
    "two phases, one rate": (True, ONE_RATE),
    "two phases, by depth": (True, BY_DEPTH),
}
COMPARED = (
    ("one phase, one rate", "one phase, by depth"),
    ("one phase, one rate", "two phases, one rate"),
    ("two phases, one rate", "two phases, by depth"),
    ("one phase, one rate", "two phases, by depth"),
)
FOLDS = 5
METRICS = ("macro_recall", "accuracy", "macro_f1")


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--doc", type=Path, default=Path("docs/phases.md"))
    options = parser.parse_args()
    rates, folders = {}, {}
    for name, (two_phases, by_depth) in RECIPES.items():
        arguments = arguments_of(two_phases, by_depth, options.weights)
        short = name.replace(", ", "-").replace(" ", "_")
        # The rate of a last phase that begins from a trained head is that of one which begins from a new one.
        tested = arguments_of(False, by_depth, options.weights)
        found = options.folder / f"lr_range-{by_depth == BY_DEPTH}"
        rates[name] = range_test(found, tested, options.data_dir, "all", "tenth_of_minimum")
        folders[name] = [options.folder / f"{short}-{fold}" for fold in range(FOLDS)]
        for fold, folder in enumerate(folders[name]):
            chosen = [f"--config.optimizer.learning_rate={rates[name]:.3g}", f"--config.split.fold={fold}"]
            run([*arguments, *chosen], folder, 0, options.data_dir)
    text = document(folders, rates)
    print(text)
    write_document(options.doc, text)


def arguments_of(two_phases: bool, by_depth: str, weights: Path) -> list[str]:
    """The command line of a recipe but for its rate and fold."""
    variant = "ham10000_two_phases" if two_phases else "ham10000_one_phase"
    return [
        f"--config=configs/schedules.py:{variant}",
        f"--config.model.weights={weights}",
        f"--config.phases.all.learning_rate_multipliers={by_depth}",
    ]


def document(folders: Mapping[str, Sequence[Path]], rates: Mapping[str, float]) -> str:
    """What the finished runs of every recipe, a folder for each fold, came to."""
    pooled = {name: pool([folder / "predictions_test.csv" for folder in of]) for name, of in folders.items()}
    rows = []
    for name, table in pooled.items():
        figures = [bootstrap(table, metric) for metric in METRICS]
        shown = [in_percent(x) for x in figures]
        rows.append([name, f"{rates[name]:.2g}", *shown])
    differences = []
    for base, name in COMPARED:
        gains = [paired_difference(pooled[base], pooled[name], metric) for metric in METRICS]
        shown = [in_percent(x, "+.1f") for x in gains]
        differences.append([f"{name} minus {base}", *shown])
    return f"""# One phase or two, one rate or three by depth

Written by `tools/phases_table.py` on HAM10000, 200x150 copies: MobileNet-v2 from ImageNet weights, 10,000 images a
run, five lesion-grouped folds, seed 0. {budget(folders, "folds")}

The test parts of the five folds pooled, in %, with 95 % bootstrap intervals over lesions:

{markdown_table(("recipe", "full rate", *METRICS), rows)}

Paired by lesion:

{markdown_table(("", *METRICS), differences)}"""


def pool(paths: Sequence[Path]) -> Predictions:
    """The predictions of all folds as one table."""
    return joined([read_predictions(path) for path in paths])


if __name__ == "__main__":
    main()
