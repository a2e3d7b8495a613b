"""ISIC 2016 task 3 (paper 004): benign against malignant, two tables without a header."""

from typing import Any

from skinjax.core.tables import Row, read_table
from skinjax.data.acquire.builders.base import Listing, PhotographBuilder, listing_of_rows, one_table
from skinjax.data.acquire.catalogue import CATALOGUE
from skinjax.data.acquire.sources import Source

CLASSES = ("benign", "malignant")
# The training table has words, the test table numbers.
CLASS_OF_WORD = {
    "benign": "benign",
    "0.0": "benign",
    "0": "benign",
    "malignant": "malignant",
    "1.0": "malignant",
    "1": "malignant",
}
PARTS = {"Training": "train", "Test": "test"}


class Isic2016(PhotographBuilder):
    """The official training and test parts; the tables of task 3B, which have the same labels, serve as well."""

    @staticmethod
    def read(source: Source) -> Listing:
        rows: dict[str, dict[str, Any]] = {}
        tables = []
        for word, part in PARTS.items():
            name = f"ISBI2016_ISIC_Part3_{word}_GroundTruth.csv"
            pattern = rf"ISBI2016_ISIC_Part3B?_{word}_GroundTruth\.csv"
            file = one_table(source, pattern, name, CATALOGUE["isic2016"].download)
            table = read_table(file.read(), file.path, header=("image", "label"))
            for image, row in table.unique("image").items():
                if image in rows:
                    row.refuse(f"image {image!r} is in the training table too")
                rows[image] = {"class": _class(row), "split": part}
            tables.append(file)
        return listing_of_rows(CLASSES, rows, source, tables)


def _class(row: Row) -> str:
    word = row.cells["label"].lower()
    if word not in CLASS_OF_WORD:
        row.refuse(f"label {row.cells['label']!r} is none of benign, malignant, 0.0, 1.0")
    return CLASS_OF_WORD[word]
