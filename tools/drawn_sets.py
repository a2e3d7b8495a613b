"""Prepares the two sets of drawn photographs that tables/drawn.py trains on.

    python tools/drawn_sets.py [--data_dir=DIR]

`synthetic_ham10000` has 8,012 to train on, as many of each class as a stratified fifth leaves of HAM10000, with their
lesions; to validate and to test 60 and 300 lesions of each class, one photograph each. `synthetic_melanomas` has nevi
and melanomas, of which 900 train, as ISIC 2016 has them, 1,000 validate and 6,000 test, one of each lesion. Three
minutes on 2 cores.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from skinjax.data.dataset import Dataset, data_root, open_dataset, prepared

NAME = "synthetic_ham10000"
DRAWN = {"images": 47000, "height": 96, "width": 128, "imbalance": 1.0, "seed": 1}
TRAINING = {"akiec": 262, "bcc": 411, "bkl": 879, "df": 92, "mel": 890, "nv": 5364, "vasc": 114}
HELD_OUT = {"test": 300, "validation": 60}  # lesions of each class

# Drawn nevi and melanomas, which differ by their structures; two invented classes are told apart without error.
MELANOMAS = "synthetic_melanomas"
OF_MELANOMAS = {"images": 26000, "height": 96, "width": 128}
TWO_CLASSES = {"benign": "nv", "malignant": "mel"}
PARTS = {"train": (727, 173), "validation": (808, 192), "test": (4847, 1153)}  # lesions of each class


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir")
    root = data_root(parser.parse_args().data_dir)
    for name, arguments, choose in ((NAME, DRAWN, chosen), (MELANOMAS, OF_MELANOMAS, of_two_classes)):
        if name not in prepared(root):
            drawn = open_dataset("synthetic", arguments, root)
            prepare(name, drawn, choose(drawn), root)


def prepare(name: str, drawn: Dataset, rows: Iterable[tuple[int, str, str]], root: Path) -> None:
    """Make a data set of these (record, class, part)."""
    ids, groups = drawn.columns["image_id"], drawn.columns["group"]
    with tempfile.TemporaryDirectory() as source:
        table = [("image", "label", "split", "group")]
        for record, label, part in rows:
            Path(source, f"{ids[record]}.jpg").write_bytes(drawn.encoded(record))
            table.append((f"{ids[record]}.jpg", label, part, groups[record]))
        with open(Path(source, "table.csv"), "w", newline="") as file:
            csv.writer(file).writerows(table)
        command = ["prepare", "csv", f"--source={source}/table.csv", f"--name={name}", f"--data_dir={root}"]
        subprocess.run([sys.executable, "-m", "skinjax.cli", *command], check=True)


def chosen(drawn: Dataset) -> list[tuple[int, str, str]]:
    """(record, class, part) of the photographs that are used; no lesion is in two parts."""
    groups, labels = drawn.columns["group"], drawn.columns["label"]
    rng, found = np.random.default_rng(0), []
    for label, name in enumerate(drawn.classes):
        of_class = np.flatnonzero(labels == label)
        lesions = rng.permutation(np.unique(groups[of_class]))
        first = 0
        for part, count in HELD_OUT.items():
            for lesion in lesions[first : first + count]:
                found.append((int(of_class[groups[of_class] == lesion][0]), name, part))
            first += count
        free = of_class[np.isin(groups[of_class], lesions[first:])]
        ordered = free[np.argsort([np.flatnonzero(lesions == group)[0] for group in groups[free]], kind="stable")]
        assert len(ordered) >= TRAINING[name]  # or too few are drawn
        found += [(int(record), name, "train") for record in ordered[: TRAINING[name]]]
    return sorted(found)


def of_two_classes(drawn: Dataset) -> Iterator[tuple[int, str, str]]:
    """The same, one photograph of every lesion that is used, parted once."""
    columns, rng = drawn.columns, np.random.default_rng(0)
    _, first = np.unique(columns["group"], return_index=True)
    for label, (name, of) in enumerate(TWO_CLASSES.items()):
        of_class = rng.permutation(np.sort(first[columns["label"][first] == drawn.classes.index(of)]))
        borders = np.cumsum([counts[label] for counts in PARTS.values()])
        assert borders[-1] <= len(of_class)  # or too few are drawn
        for part, records in zip(PARTS, np.split(of_class, borders), strict=False):
            yield from ((int(record), name, part) for record in records)


if __name__ == "__main__":
    main()
