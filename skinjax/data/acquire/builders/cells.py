"""What tables about photographs write into their cells, read the same way everywhere."""

import re
from collections.abc import Iterable, Mapping

import numpy as np

from skinjax.core.tables import Row

PART_OF_WORD = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
# Columns of a table that skinjax uses, and names that are taken by columns of its own.
USED = ("split", "group", "weight")
TAKEN = ("image_id", "class", "fold")


def in_natural_order(names: Iterable[str]) -> list[str]:
    """Names sorted as people do it: "2" before "10".

    >>> in_natural_order({"10", "2", "b1"})
    ['2', '10', 'b1']
    """

    def key(name: str) -> list[tuple[int, int, str]]:
        pieces = re.split(r"([0-9]+)", name)
        return [(0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part) for part in pieces if part]

    return sorted(names, key=lambda name: (key(name), name))


def one_of(row: Row, column: str, names: tuple[str, ...]) -> str:
    """The lower-case content of a cell, which must be one of `names`."""
    value = row.cells[column].lower()
    if value not in names:
        row.refuse(f"{column} {row.cells[column]!r} is none of {', '.join(names)}")
    return value


def one_hot(row: Row, class_of_column: Mapping[str, str]) -> str:
    """The class of the one column that holds a 1 where the others hold 0."""
    for column in class_of_column:
        if row.cells[column] not in ("0", "0.0", "1", "1.0"):
            row.refuse(f"{column} is {row.cells[column]!r}, neither 0 nor 1")
    marked = [name for column, name in class_of_column.items() if row.cells[column].startswith("1")]
    if len(marked) != 1:
        row.refuse(f"{len(marked)} of the columns {', '.join(class_of_column)} hold 1: just one must")
    return marked[0]


def read_age(row: Row, column: str) -> float:
    """Years, from `80` or `80.0`; NaN where the cell is empty or says that nobody knows."""
    text = known(row.cells[column])
    age = number_in(text)
    if text and not 0 <= age <= 150:
        row.refuse(f"{column} {text!r} is no number of years")
    return age


def known(text: str) -> str:
    """A cell's content in lower case, '' where it says that nobody knows."""
    text = text.lower()
    return "" if text in ("unknown", "nan", "na", "n/a", "none", "null") else text


def number_in(text: str) -> float:
    """The number that a cell holds, NaN where it holds none."""
    try:
        return float(text)
    except ValueError:
        return np.nan
