"""How a paper's printed table is held: rows of numbers, the metric that each column is here, the config of each row."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

Cell = float | tuple[float, ...] | None  # a mean, a mean and its standard deviation, or a lost number
Rows = Mapping[str, Mapping[str, Sequence[Cell]]]  # of every table of a paper
NO_AIMS: Mapping[str, str] = MappingProxyType({})


class Printed(NamedTuple):
    """A printed number and its standard deviation, None where the paper prints none."""

    mean: float
    sd: float | None = None


@dataclass(frozen=True)
class Row:
    """The numbers by column, without those that are lost, and the config (FILE:VARIANT) that aims at them, or ''."""

    cells: dict[str, Printed]
    config: str = ""


@dataclass(frozen=True)
class Table:
    """`metrics`: every column and the figure of `skinjax.evaluation.metrics` that it is, '' where it is none.

    scale: what that figure, a share, is multiplied by for print.
    """

    metrics: dict[str, str]
    rows: dict[str, Row]
    scale: float = 100.0


def table(
    metrics: dict[str, str], rows: Mapping[str, Sequence[Cell]], aims: Mapping[str, str] = NO_AIMS, scale: float = 100.0
) -> Table:
    """The table of rows written out as they are printed. `aims`: the config of a row, for some or all of them.

    >>> table({"Recall": "macro_recall"}, {"BCE": [(82.92, 1.35)]}).rows["BCE"].cells["Recall"].sd
    1.35
    """

    def row(name: str, cells: Sequence[Cell]) -> Row:
        known = {column: cell for column, cell in zip(metrics, cells, strict=True) if cell is not None}
        numbers = {name: Printed(*cell) if isinstance(cell, tuple) else Printed(cell) for name, cell in known.items()}
        return Row(numbers, aims.get(name, ""))

    return Table(metrics, {name: row(name, cells) for name, cells in rows.items()}, scale)


def grouped_rows(groups: Iterable[str], text: str) -> dict[str, list[Cell]]:
    """The rows `GROUP, NAME` of a table that has a line for each name, in it the cells of each group behind a bar.

    A cell is as in print, with its standard deviation behind it, or a dash; two blanks or more part it from the next.

    >>> grouped_rows(["Skin-7", "Skin-198"], "BCE | 84.44 0.55  - | 65.75 1.21  66.85")["Skin-7, BCE"]
    [(84.44, 0.55), None]
    """
    lines = [line.split("|") for line in text.strip().splitlines()]
    return {
        f"{group}, {line[0].strip()}": [_cell(cell) for cell in re.split("  +", line[number].strip())]
        for number, group in enumerate(groups, start=1)
        for line in lines
    }


def _cell(text: str) -> Cell:
    return None if text == "-" else tuple(map(float, text.split()))
