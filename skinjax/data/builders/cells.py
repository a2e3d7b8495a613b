"""What tables about photographs write into their cells, read the same way everywhere."""

import numpy as np

from skinjax.tables import Row


def one_of(row: Row, column: str, names: tuple[str, ...]) -> str:
    """The lower-case content of a cell, which must be one of `names`."""
    value = row.cells[column].lower()
    if value not in names:
        row.refuse(f"{column} {row.cells[column]!r} is none of {', '.join(names)}")
    return value


def read_age(row: Row, column: str) -> float:
    """Years, from `80` or `80.0`; NaN where the cell is empty or says that nobody knows."""
    text = known(row.cells[column])
    try:
        age = float(text) if text else np.nan
    except ValueError:
        row.refuse(f"{column} {text!r} is no number of years")
    if not (np.isnan(age) or 0 <= age <= 150):
        row.refuse(f"{column} {text!r} is no number of years")
    return age


def known(text: str) -> str:
    """A cell's content in lower case, '' where it says that nobody knows."""
    text = text.lower()
    return "" if text in ("unknown", "nan", "na", "n/a", "none", "null") else text
