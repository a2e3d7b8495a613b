"""What paper 001's pretexts are worth, joint and one after the other, beside no pretext; writes docs/pretexts.md.

    python tools/pretext_table.py --folder=runs/pretexts [--seeds=4] [--data_dir=DIR] [--doc=FILE]

The demos of configs/rotation.py and configs/restoration.py at 64 px on the set of tools/drawn_ham10000.py: 20,000
images for the classes, and as many for the pretext where it comes first; without a pretext 20,000 and 40,000. The
U-Net is a quarter as wide as the paper's. Resumable; 53 minutes on 2 idle cores. What the document says below its line
"## What it says" stays.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import drawn_ham10000
from demo_table import budget, markdown_table, parser_of_seeds, run_all, write_document
from focal_table import METRICS, SHOWN, told, with_interval
from stages_table import measured

from skinjax.data.dataset import data_root

ONE = ["--config=configs/focal.py:demo"]


def images(number: int, *phases: str) -> list[str]:
    """The flags that give each phase so many images, a tenth of them to warm up."""
    fields = {"duration": float(number), "warmup": number / 10}
    return [f"--config.phases.{phase}.{field}={value}" for phase in phases for field, value in fields.items()]


JOINT, IN_TURN = images(20_000, "train"), images(20_000, "pretext", "classes")
RUNS = {
    "scratch": [*ONE, *JOINT],
    "scratch, twice the images": [*ONE, *images(40_000, "train")],
    "rotation, joint": ["--config=configs/rotation.py:demo", *JOINT],
    "rotation first": ["--config=configs/rotation.py:demo_sequential", *IN_TURN],
    "restoration, joint": ["--config=configs/restoration.py:demo", *JOINT],
    "restoration first": ["--config=configs/restoration.py:demo_sequential", *IN_TURN],
}
BASES = ("scratch", "scratch, twice the images")


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.set_defaults(seeds=4)
    parser.add_argument("--doc", type=Path, default=Path("docs/pretexts.md"))
    options = parser.parse_args()
    drawn_ham10000.make(data_root(options.data_dir))
    folders = run_all(RUNS, options, *SHOWN)
    text = document(folders)
    print(text)
    write_document(options.doc, text)


def document(folders: Mapping[str, Sequence[Path]]) -> str:
    """What the finished runs of every condition, a folder for each seed, came to."""
    found = {name: measured(of, "") for name, of in folders.items()}
    rows = [[name, *told(values)] for name, values in found.items()]
    gains = [
        [f"{name} minus {base}", *with_interval(values - found[base])]
        for base in BASES
        for name, values in found.items()
        if name not in BASES
    ]
    return f"""# What pretexts are worth

Written by `tools/pretext_table.py`; synthetic photographs, a test bench and not medicine. 8,012 training photographs
with HAM10000's counts; 2,100 test photographs, 300 lesions of each class. {budget(folders)}
Twice as many steps where images are twice as many, or the pretext comes first.

Test part in %, mean (standard deviation, ddof 1) over the seeds; accuracy weighs a class by its share of HAM10000:

{markdown_table(("", *METRICS), rows)}

Differences in points, mean over the seeds with a 95 % t interval over them, at equal images for the classes, then at
equal images in all for those whose pretext comes first:

{markdown_table(("", *METRICS), gains)}"""


if __name__ == "__main__":
    main()
