"""Field of view, gamma and illumination before a finished network: measures and writes docs/corrections_table.md.

    python tools/corrections_table.py --folder=runs/stages_table [--seeds=5] [--data_dir=DIR] [--doc=FILE]

The runs of one stage of tools/stages_table.py, whose folder serves, on the 2,100 test photographs of
tools/drawn_ham10000.py; each network sees them anew after a correction that it was not trained with. Resumable; 6
minutes on 2 idle cores after those. What the document says below its line "## What it says" stays.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import drawn_ham10000
import numpy as np
from demo_table import budget, markdown_table, parser_of_seeds, run, write_document
from focal_table import METRICS, SHOWN, figures, told, with_interval

from skinjax.data.dataset import data_root
from skinjax.evaluation.predictions import read_predictions
from skinjax.runs.again import judge_again

ONE = "--config=configs/focal.py:demo"
PLAIN = "as trained"
SEEN = {
    "the middle, 7/8 of a side": ["views.evaluation=centre_crop", "views.window=(65,65)"],
    "the middle, 3/4 of a side": ["views.evaluation=centre_crop", "views.window=(56,56)"],
    "field of view found and cut": ["views.corrections=('field_of_view_crop',)"],
    "gamma 1.3": ["views.corrections=('gamma',)"],
    "even illumination": ["views.corrections=('even_illumination',)"],
    "shades of grey": ["views.corrections=('shades_of_grey',)"],
    "hairs removed": ["views.corrections=('remove_hair',)"],
}


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.set_defaults(seeds=5)
    parser.add_argument("--doc", type=Path, default=Path("docs/corrections_table.md"))
    options = parser.parse_args()
    root = data_root(options.data_dir)
    drawn_ham10000.make(root)
    folders: dict[str, list[Path]] = {PLAIN: [], **{name: [] for name in SEEN}}
    for seed in range(options.seeds):
        folder = options.folder / f"one_stage-{seed}"
        run([ONE, *SHOWN], folder, seed, options.data_dir)
        folders[PLAIN].append(folder)
        for name, changes in SEEN.items():
            folders[name].append(judge_again(folder, changes, root, lambda line: None))
    text = document(folders)
    print(text)
    write_document(options.doc, text)


def document(folders: Mapping[str, Sequence[Path]]) -> str:
    """The figures of every view, and what each does to them."""
    found = {
        name: np.array([figures(read_predictions(folder / "predictions_test.csv")) for folder in of])
        for name, of in folders.items()
    }
    rows = [[name, *told(values)] for name, values in found.items()]
    gains = [[name, *with_interval(values - found[PLAIN])] for name, values in found.items() if name != PLAIN]
    return f"""# Corrections before a finished network

Written by `tools/corrections_table.py`; synthetic photographs, a test bench and not medicine. 2,100 test photographs,
300 lesions of each class, seen anew by networks that were trained without any correction.
{budget({PLAIN: folders[PLAIN]})}

Test part in %, mean (standard deviation, ddof 1) over the seeds; accuracy weighs a class by its share of HAM10000:

{markdown_table(("", *METRICS), rows)}

Against what they were trained for, in points, mean over the seeds with a 95 % t interval over them:

{markdown_table(("", *METRICS), gains)}"""


if __name__ == "__main__":
    main()
