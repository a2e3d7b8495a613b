"""Synergic networks against two that are trained apart, on HAM10000: measures and writes docs/synergic.md.

    python tools/synergic_folds.py --weights=FILE --folder=runs/synergic [--data_dir=DIR] [--doc=FILE]

Needs `skinjax prepare ham10000` and a safetensors file for `mobilenetv2_100_same`. Five lesion-grouped folds, 8,000
images for every network, the settings of `configs/synergic.py:ham10000_sdl`; the test parts of the folds are pooled, so
that the figures are of every photograph. Resumable; 45 minutes on 2 idle cores. What the document says below its line
"## What it says" stays.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from demo_table import budget, in_percent, markdown_table, parser_of_seeds, run, write_document
from phases_table import pool

from skinjax.evaluation.intervals import bootstrap, paired_difference
from skinjax.evaluation.predictions import Predictions

FOLDS = 5
RUNS = {"ensemble": "ham10000_ensemble", "SDL": "ham10000_sdl"}
METRICS = ("macro_auc", "macro_recall", "accuracy", "macro_f1")


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--doc", type=Path, default=Path("docs/synergic.md"))
    options = parser.parse_args()
    folders = {}
    for name, variant in RUNS.items():
        folders[name] = [options.folder / f"{name}-{fold}" for fold in range(FOLDS)]
        for fold, folder in enumerate(folders[name]):
            arguments = [f"--config=configs/synergic.py:{variant}", f"--config.model.weights={options.weights}"]
            run([*arguments, f"--config.split.fold={fold}"], folder, 0, options.data_dir)
    text = document(folders)
    print(text)
    write_document(options.doc, text)


def document(folders: Mapping[str, Sequence[Path]]) -> str:
    """What the finished runs, a folder for each fold, came to."""
    pooled = {name: pool([folder / "predictions_test.csv" for folder in of]) for name, of in folders.items()}
    members = {
        f"{name}, network {number} alone": pool([folder / f"predictions_test_member{number}.csv" for folder in of])
        for name, of in folders.items()
        for number in (1, 2)
    }
    rows = [[name, *cells(table)] for name, table in (pooled | members).items()]
    gains = [paired_difference(pooled["ensemble"], pooled["SDL"], metric) for metric in METRICS]
    told = [in_percent(x, "+.2f") for x in gains]
    return f"""# Synergic networks on HAM10000

Written by `tools/synergic_folds.py` on HAM10000, 200x150 copies: MobileNet-v2 from ImageNet weights, two networks, five
lesion-grouped folds. {budget(folders, "folds")}

The test parts of the five folds pooled, in %, with 95 % bootstrap intervals over lesions:

{markdown_table(("", *METRICS), rows)}

SDL minus ensemble, paired by lesion:

{markdown_table(METRICS, [told])}"""


def cells(table: Predictions) -> list[str]:
    """Every metric with its interval."""
    found = [bootstrap(table, metric) for metric in METRICS]
    return [in_percent(x) for x in found]


if __name__ == "__main__":
    main()
