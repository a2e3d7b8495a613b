"""How a paper's printed table is held: rows of numbers, the metric that each column is here, the config of each row.

Figures whose points are runs are tables too, without printed numbers; what a command draws is a `Figure`.
"""

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

Cell = float | tuple[float, ...] | None  # a mean, a mean and its standard deviation, or a lost number
Rows = Mapping[str, Mapping[str, Sequence[Cell]]]  # of every table of a paper
NO_AIMS: Mapping[str, str] = MappingProxyType({})


class Printed(NamedTuple):
    """A printed number and its standard deviation, None where the paper prints none."""

    mean: float
    sd: float | None = None


class Claim(NamedTuple):
    """What is said of two rows: in this column one is higher than the other; see `place_of`."""

    higher: str
    lower: str
    column: str


@dataclass(frozen=True)
class Row:
    """The numbers by column, without those that are lost, and the config (FILE:VARIANT) that aims at them, or ''."""

    cells: dict[str, Printed]
    config: str = ""


@dataclass(frozen=True)
class Table:
    """`metrics`: every column and the figure of `skinjax.evaluation.metrics` that it is, '' where it is none.

    Such a figure may have a prefix: `validation:` for that part, `small:` for the smallest of the classes that the
    config judges; `seconds` are those of the training, `seconds_saved` how many times as long the row `against` took,
    `seconds_times` how many times as long as the first of its series a row of a figure takes.
    scale: what a figure, a share, is multiplied by for print. folds: over how many a row is a mean. changes: fields of
    a row's config that differ. judged: the row or the config of a row's network, where its own only judges that.
    corrected: rows whose decisions are for equally frequent classes, by what validation chooses. against: the
    table whose seconds are compared to. axis: of a figure, whose rows are called `SERIES, X`.
    """

    metrics: dict[str, str]
    rows: dict[str, Row]
    scale: float = 100.0
    folds: int = 1
    claims: tuple[Claim, ...] = ()
    changes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    judged: Mapping[str, str] = field(default_factory=dict)
    corrected: tuple[str, ...] = ()
    against: str = ""
    axis: str = ""


@dataclass(frozen=True)
class Figure:
    """What a figure shows, and the command that draws it; RUN there is the folder of the run of each config."""

    shows: str
    command: str = ""
    configs: tuple[str, ...] = ()


def claims(column: str, *orders: str) -> tuple[Claim, ...]:
    """The claims of orders written as `BEST > NEXT > LAST`, each of two rows that follow one another.

    >>> claims("AP", "SDL > Ensemble")
    (Claim(higher='SDL', lower='Ensemble', column='AP'),)
    """
    named = [order.split(" > ") for order in orders]
    return tuple(Claim(*pair, column) for names in named for pair in itertools.pairwise(names))


def place_of(row: str, table: str) -> tuple[str, str]:
    """The table and row that a claim of a table means: `ROW` is its own, `TABLE: ROW` that of another.

    >>> place_of("Table 1: SDL", "Table 2")
    ('Table 1', 'SDL')
    """
    other, colon, name = row.partition(": ")
    return (other, name) if colon else (table, row)


def in_groups(groups: Iterable[str], column: str, *orders: str) -> tuple[Claim, ...]:
    """The same claims in every group of `grouped_rows`."""
    made = claims(column, *orders)
    return tuple(Claim(f"{group}, {of.higher}", f"{group}, {of.lower}", column) for group in groups for of in made)


def table(
    metrics: dict[str, str],
    rows: Mapping[str, Sequence[Cell]],
    aims: Mapping[str, str] = NO_AIMS,
    scale: float = 100.0,
    **others: Any,
) -> Table:
    """The table of rows written out as they are printed. `aims`: the config of a row, for some or all of them.

    >>> table({"Recall": "macro_recall"}, {"BCE": [(82.92, 1.35)]}).rows["BCE"].cells["Recall"].sd
    1.35
    """

    def row(name: str, cells: Sequence[Cell]) -> Row:
        known = {column: cell for column, cell in zip(metrics, cells, strict=True) if cell is not None}
        numbers = {name: Printed(*cell) if isinstance(cell, tuple) else Printed(cell) for name, cell in known.items()}
        return Row(numbers, aims.get(name, ""))

    return Table(metrics, {name: row(name, cells) for name, cells in rows.items()}, scale, **others)


def series_of(row: str) -> tuple[str, float]:
    """The series ('' if there is one alone) and the x of a figure's row.

    >>> series_of("N = 5, 0.2")
    ('N = 5', 0.2)
    """
    name, _, x = row.rpartition(", ")
    return name, float(x)


def sweep(axis: str, metrics: dict[str, str], configs: dict[str, str], **others: Any) -> Table:
    """A figure whose points are runs, without numbers in print; its rows are called `SERIES, X` or X."""
    return Table(metrics, {name: Row({}, config) for name, config in configs.items()}, axis=axis, **others)


def comparison(
    metrics: dict[str, str], rows: Mapping[str, Sequence[str]], common: Sequence[str] = (), **others: Any
) -> Table:
    """A table of one's own, without printed numbers.

    rows: of each the config, FILE:VARIANT, and the changes to it, FIELD=VALUE, after those that are common to all

    >>> table = comparison({"Recall": "macro_recall"}, {"gamma 5": ("configs/focal.py:demo", "loss.gamma=5.0")})
    >>> table.rows["gamma 5"].config, table.changes["gamma 5"]
    ('configs/focal.py:demo', ('loss.gamma=5.0',))
    """
    changes = {name: (*common, *own) for name, (_, *own) in rows.items()}
    return Table(metrics, {name: Row({}, config) for name, (config, *_) in rows.items()}, changes=changes, **others)


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
