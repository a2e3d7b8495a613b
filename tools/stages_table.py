"""Stages and the discount on nevi apart, which paper 001 changes at once: measures and writes docs/stages_ablation.md.

    python tools/stages_table.py --folder=runs/stages_table [--seeds=5] [--data_dir=DIR] [--doc=FILE]

The demos of configs/focal.py and configs/two_stage.py at 64 px on the set of tools/drawn_ham10000.py, 28,000 images a
run over all its networks. Resumable; 30 minutes on 2 idle cores. What the document says below its line "## What it
says" stays.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import drawn_ham10000
import numpy as np
from demo_table import budget, markdown_table, parser_of_seeds, run_all, write_document
from focal_table import METRICS, SHOWN, figures, told, with_interval

from skinjax.data.dataset import data_root
from skinjax.evaluation.predictions import read_predictions

ONE, TWO = "--config=configs/focal.py:demo", "--config=configs/two_stage.py:demo"
RUNS = {
    "one stage": [ONE],
    "one stage, discount": [ONE, "--config.loss.class_factors=(('nv',0.5),)"],
    "two stages": [f"{TWO}_no_discount"],
    "two stages, discount": [TWO],
    "shared trunk, discount": [f"{TWO}_shared_trunk"],
}
COMPARED = (
    ("one stage", "two stages"),
    ("one stage, discount", "two stages, discount"),
    ("one stage", "one stage, discount"),
    ("two stages", "two stages, discount"),
    ("one stage", "two stages, discount"),
    ("two stages, discount", "shared trunk, discount"),
)


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.set_defaults(seeds=5)
    parser.add_argument("--doc", type=Path, default=Path("docs/stages_ablation.md"))
    options = parser.parse_args()
    drawn_ham10000.make(data_root(options.data_dir))
    folders = run_all(RUNS, options, *SHOWN)
    text = document(folders)
    print(text)
    write_document(options.doc, text)


def document(folders: Mapping[str, Sequence[Path]]) -> str:
    """What the finished runs of every condition, a folder for each seed, came to."""
    found = {name: measured(of, "") for name, of in folders.items()}
    soft = {f"{name}, soft": measured(of, "_soft") for name, of in folders.items() if not name.startswith("one")}
    rows = [[name, *told(values)] for name, values in (found | soft).items()]
    pairs = [(found[a], found[b], f"{b} minus {a}") for a, b in COMPARED]
    pairs += [(found[name.removesuffix(", soft")], values, f"{name} minus hard") for name, values in soft.items()]
    gains = [[what, *with_interval(after - before)] for before, after, what in pairs]
    return f"""# Two stages, and the discount

Written by `tools/stages_table.py`; synthetic photographs, a test bench and not medicine. 8,012 training photographs
with HAM10000's counts; 2,100 test photographs, 300 lesions of each class. Focal loss with gamma 1; the discount halves
the loss of nevi, of two stages in the first. 28,000 images over all networks of a run. {budget(folders)}

Test part in %, mean (standard deviation, ddof 1) over the seeds; accuracy weighs a class by its share of HAM10000.
Stages decide one after the other, or, where it says so, by the products of their probabilities:

{markdown_table(("", *METRICS), rows)}

Differences in points, mean over the seeds with a 95 % t interval over them:

{markdown_table(("", *METRICS), gains)}"""


def measured(runs: Sequence[Path], which: str) -> np.ndarray:
    """The figures of each run's test predictions [seeds, metrics]."""
    return np.array([figures(read_predictions(run / f"predictions_test{which}.csv")) for run in runs])


if __name__ == "__main__":
    main()
