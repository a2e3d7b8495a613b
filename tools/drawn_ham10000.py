"""Prepares `synthetic_ham10000`: drawn photographs with HAM10000's training counts and an equal test part.

    python tools/drawn_ham10000.py [--data_dir=DIR]

8,012 to train on, as many of each class as a stratified fifth leaves of HAM10000, with their lesions; to validate and
to test 60 and 300 lesions of each class, one photograph each. Two minutes on 2 cores.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from skinjax.data.dataset import Dataset, data_root, open_dataset, prepared

NAME = "synthetic_ham10000"
DRAWN = {"images": 47000, "height": 96, "width": 128, "imbalance": 1.0, "seed": 1}
TRAINING = {"akiec": 262, "bcc": 411, "bkl": 879, "df": 92, "mel": 890, "nv": 5364, "vasc": 114}
HELD_OUT = {"test": 300, "validation": 60}  # lesions of each class


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir")
    make(data_root(parser.parse_args().data_dir))


def make(root: Path) -> None:
    """Draw the set and prepare it, unless it is there."""
    if NAME in prepared(root):
        return
    drawn = open_dataset("synthetic", DRAWN, root)
    ids, groups, labels = (drawn.columns[name] for name in ("image_id", "group", "label"))
    with tempfile.TemporaryDirectory() as source:
        rows = []
        for record, part in chosen(drawn):
            Path(source, f"{ids[record]}.jpg").write_bytes(drawn.encoded(record))
            rows.append((f"{ids[record]}.jpg", drawn.classes[labels[record]], part, groups[record]))
        with open(Path(source, "table.csv"), "w", newline="") as file:
            csv.writer(file).writerows([("image", "label", "split", "group"), *rows])
        command = ["prepare", "csv", f"--source={source}/table.csv", f"--name={NAME}", f"--data_dir={root}"]
        subprocess.run([sys.executable, "-m", "skinjax.cli", *command], check=True)


def chosen(drawn: Dataset) -> list[tuple[int, str]]:
    """(record, part) of the photographs that are used; no lesion is in two parts."""
    groups, labels = drawn.columns["group"], drawn.columns["label"]
    rng, found = np.random.default_rng(0), []
    for label, name in enumerate(drawn.classes):
        of_class = np.flatnonzero(labels == label)
        lesions = rng.permutation(np.unique(groups[of_class]))
        first = 0
        for part, count in HELD_OUT.items():
            for lesion in lesions[first : first + count]:
                found.append((int(of_class[groups[of_class] == lesion][0]), part))
            first += count
        free = of_class[np.isin(groups[of_class], lesions[first:])]
        ordered = free[np.argsort([np.flatnonzero(lesions == group)[0] for group in groups[free]], kind="stable")]
        assert len(ordered) >= TRAINING[name]  # or too few are drawn
        found += [(int(record), "train") for record in ordered[: TRAINING[name]]]
    return sorted(found)


if __name__ == "__main__":
    main()
