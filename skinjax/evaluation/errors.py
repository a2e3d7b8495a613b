"""Where a classifier errs: pairs of classes, single photographs, and kinds of photographs."""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from skinjax.core.errors import UserError
from skinjax.evaluation.predictions import Predictions, chosen_rows
from skinjax.evaluation.proportions import Interval, class_shares, macro_recall_interval

Array = np.ndarray

AGE_BANDS = (30, 45, 60, 75)  # years at which a band of age begins
MOST_VALUES = 20  # of a column that is judged by value


class Pair(NamedTuple):
    """Two classes, and how often either was taken for the other."""

    first: str
    second: str
    errors: int


class Mistake(NamedTuple):
    """A photograph with its class, the one it was given, that one's probability, and that of its own."""

    image_id: str
    label: str
    prediction: str
    confidence: float
    of_label: float


def pairs(confusion: Array, classes: Sequence[str], least: int = 5) -> list[Pair]:
    """Pairs of classes with at least so many errors between them, the most first (paper 002's table).

    >>> pairs(np.array([[9, 3, 0], [4, 9, 0], [1, 0, 9]]), ("mel", "nv", "df"))
    [Pair(first='mel', second='nv', errors=7)]
    """
    both = confusion + confusion.T
    rows, columns = np.triu_indices(len(classes), k=1)
    found = [
        Pair(classes[i], classes[j], int(both[i, j])) for i, j in zip(rows.tolist(), columns.tolist(), strict=True)
    ]
    return sorted((pair for pair in found if pair.errors >= least), key=lambda pair: -pair.errors)


def top_losses(predictions: Predictions, most: int = 20) -> list[Mistake]:
    """The photographs whose own class has the least probability, the least first."""
    rows = np.flatnonzero(predictions.labelled)
    return _mistakes(predictions, rows, predictions.probabilities[rows, predictions.labels[rows]], most)


def confident_hits(predictions: Predictions, most: int = 20) -> list[Mistake]:
    """The photographs that were given their own class with the highest probability, told as mistakes are."""
    rows = np.flatnonzero(predictions.labelled & (predictions.predicted == predictions.labels))
    return _mistakes(predictions, rows, -predictions.probabilities[rows].max(axis=1), most)


def confident_mistakes(predictions: Predictions, most: int = 20) -> list[Mistake]:
    """The photographs that were given a wrong class with the highest probability."""
    rows = np.flatnonzero(predictions.labelled & (predictions.predicted != predictions.labels))
    return _mistakes(predictions, rows, -predictions.probabilities[rows].max(axis=1), most)


def between(predictions: Predictions, first: str, second: str, most: int = 4) -> list[Mistake]:
    """The errors between two classes, either way, with the highest probability."""
    pair = [predictions.classes.index(first), predictions.classes.index(second)]
    either = np.isin(predictions.labels, pair) & np.isin(predictions.predicted, pair)
    rows = np.flatnonzero(either & (predictions.predicted != predictions.labels))
    return _mistakes(predictions, rows, -predictions.probabilities[rows].max(axis=1), most)


def _mistakes(predictions: Predictions, rows: Array, keys: Array, most: int) -> list[Mistake]:
    found = []
    for row in rows[np.argsort(keys, kind="stable")][:most].tolist():
        given, label, shares = predictions.predicted[row], predictions.labels[row], predictions.probabilities[row]
        names = str(predictions.image_ids[row]), predictions.classes[label], predictions.classes[given]
        found.append(Mistake(*names, float(shares[given]), float(shares[label])))
    return found


class Kind(NamedTuple):
    """Photographs with one value of a column, with their macro recall, and each class's shares."""

    value: str
    images: int
    groups: int
    macro_recall: Interval
    shares: dict[str, dict[str, Interval]]


def by_column(predictions: Predictions, column: str, level: float = 0.95) -> list[Kind]:
    """The figures of the photographs with each value of a metadata column; ages are put into bands.

    A value that is not known is one of its own, '' ; of more than MOST_VALUES the commonest are told.
    """
    values = column_values(predictions, column)
    distinct, counts = np.unique(values[predictions.labelled], return_counts=True)
    commonest = distinct[np.argsort(-counts, kind="stable")][:MOST_VALUES]
    found = []
    for value in sorted(commonest.tolist(), key=lambda value: (not value, value)):
        rows = chosen_rows(predictions, (values == value) & predictions.labelled)
        shares = {name: class_shares(rows, number, level) for number, name in enumerate(rows.classes)}
        found.append(Kind(value, len(rows), len(np.unique(rows.groups)), macro_recall_interval(rows, level), shares))
    return found


def where_column(predictions: Predictions, column: str, value: str) -> Predictions:
    """The rows with this value of a metadata column."""
    values = column_values(predictions, column)
    if value not in values:
        known = ", ".join(sorted(set(values.tolist()))[:MOST_VALUES])
        raise UserError(f"no row of the table has {value!r} in column {column}; there are {known}")
    return chosen_rows(predictions, values == value)


def column_values(predictions: Predictions, column: str) -> Array:
    """A metadata column [N]; numbers of a column called age are bands."""
    if column not in predictions.metadata:
        known = ", ".join(predictions.metadata) or "none"
        raise UserError(f"the table has no column {column!r} to judge by; it has {known}")
    values = predictions.metadata[column]
    return np.array([age_band(value) for value in values.tolist()]) if re.fullmatch("age(_.*)?", column) else values


def age_band(text: str) -> str:
    """The band of an age in years; what is no such number stays as it is, and nan is not known."""
    try:
        age = float(text)
    except ValueError:
        return text
    if not 0 <= age < math.inf:
        return "" if math.isnan(age) else text
    edges = (0, *AGE_BANDS)
    place = max(number for number, edge in enumerate(edges) if age >= edge or not number)
    return f"{edges[place]}-{edges[place + 1] - 1}" if place + 1 < len(edges) else f"{edges[place]}+"
