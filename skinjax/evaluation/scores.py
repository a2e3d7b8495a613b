"""Figures of probabilities: (labels [N], probabilities [N, classes], weights [..., N] or None) -> [...].

Rows with a label of -1 are left out; `weights` says how often each row counts (a bootstrap gives a row of weights for
each replicate). They agree with scikit-learn's, given `sample_weight`; a class without positives or without negatives
has no figure (nan) and enters no mean.
"""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from skinjax.evaluation.confusion import mean_of_known, ratio

Array = np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Points:
    """What a class's curves need: the weights [thresholds, ...] at and above each threshold that has a positive.

    hits are of positives, taken of all, and `_before` those above the threshold; rows with one score come at once.
    """

    hits: Array
    hits_before: Array
    taken: Array
    taken_before: Array
    positives: Array
    total: Array

    @property
    def auc(self) -> Array:
        """The weighted probability [...] that a positive scores above a negative, ties counting half."""
        below = self.total - self.positives - (self.taken - self.hits + self.taken_before - self.hits_before) / 2
        wins = ((self.hits - self.hits_before) * below).sum(axis=0)
        return ratio(wins, self.positives * (self.total - self.positives), empty=np.nan)

    def sensitivity_at(self, specificity: float) -> Array:
        """The highest share of positives [...] at a threshold with at least that specificity, which its curve gives."""
        refused = ratio(self.taken - self.hits, self.total - self.positives, empty=np.nan)
        kept = np.where(refused <= 1 - specificity + 1e-12, self.hits, 0)
        best = kept.max(axis=0, initial=0)
        return np.where(self.total > self.positives, ratio(best, self.positives, empty=np.nan), np.nan)

    def average_precision(self, trapezoids: bool) -> Array:
        """The area [...] under precision over recall, as steps or trapezoids."""
        precision = ratio(self.hits, self.taken, empty=1)
        if trapezoids:
            precision = (precision + ratio(self.hits_before, self.taken_before, empty=1)) / 2
        area = ((self.hits - self.hits_before) * precision).sum(axis=0)
        return ratio(area, self.positives, empty=np.nan)


class Scored:
    """Labelled rows with their weights; what several figures need of them is computed once."""

    def __init__(self, labels: Array, probabilities: Array, weights: Array | None = None):
        self.known = labels >= 0
        self.labels, self.probabilities = labels[self.known], probabilities[self.known]
        self.weights = np.ones(len(self.labels)) if weights is None else weights[..., self.known]

    @functools.cached_property
    def points(self) -> list[Points]:
        """Those of each class against the rest."""
        # Rows first: reordering them then moves whole runs of memory.
        by_row = np.ascontiguousarray(np.moveaxis(self.weights, -1, 0))
        classes = range(self.probabilities.shape[1])
        return [_points(self.labels == number, self.probabilities[:, number], by_row) for number in classes]

    def mean(self, values: Array) -> Array:
        """The mean [...] of values [N], each counted as often as its weight says."""
        return ratio(self.weights @ values, self.weights.sum(axis=-1), empty=np.nan)


def one_vs_rest_auc(labels: Array, probabilities: Array, weights: Array | None = None) -> Array:
    """Area under the ROC curve of each class against the rest [..., classes]; nan without positives or negatives."""
    return auc(Scored(labels, probabilities, weights))


def auc(scored: Scored) -> Array:
    """See `one_vs_rest_auc`."""
    return np.stack([points.auc for points in scored.points], axis=-1)


def sensitivity_at(scored: Scored, specificity: float) -> Array:
    """The sensitivity of each class [..., classes] at that specificity; nan without positives or negatives."""
    return np.stack([points.sensitivity_at(specificity) for points in scored.points], axis=-1)


def average_precision(scored: Scored, *, trapezoids: bool = False) -> Array:
    """Average precision [...] of the second of two classes, else the mean of all classes that have positives.

    Steps are scikit-learn's definition; `trapezoids` are that before its release 0.19, which paper 004's leaderboard
    has: it rewards ties, and gives a constant score (1 + share of positives) / 2.
    """
    found = np.stack([points.average_precision(trapezoids) for points in scored.points], axis=-1)
    return found[..., 1] if found.shape[-1] == 2 else mean_of_known(found)


def brier(scored: Scored) -> Array:
    """Mean squared distance [...] of the probabilities to the truth, summed over the classes: from 0 to 2."""
    truth = np.eye(scored.probabilities.shape[1])[scored.labels]
    return scored.mean(np.square(scored.probabilities - truth).sum(axis=1))


def log_loss(scored: Scored) -> Array:
    """Mean of minus the logarithm of the true class's probability [...], which is clipped as scikit-learn does."""
    rows = scored.probabilities.astype(float)
    true = np.take_along_axis(rows / rows.sum(axis=1, keepdims=True), scored.labels[:, None], 1)[:, 0]
    return scored.mean(-np.log(np.clip(true, np.finfo(float).eps, 1)))


# Figures [...] of scored rows, by name.
SCORE_METRICS: dict[str, Callable[[Scored], Array]] = {
    "macro_auc": lambda scored: mean_of_known(auc(scored)),  # of the classes that have both kinds (paper 003)
    "average_precision": average_precision,
    "average_precision_old": functools.partial(average_precision, trapezoids=True),
    "brier": brier,
    "log_loss": log_loss,
}
LOWER_IS_BETTER = ("brier", "log_loss")


def _points(positive: Array, scores: Array, weights: Array) -> Points:
    """The points of (positive [N], scores [N], weights [N, ...])."""
    order = np.argsort(-scores, kind="stable")
    rows, number = weights[order], np.cumsum(np.append(False, np.diff(scores[order]) != 0)[: len(order)])
    places = np.flatnonzero(positive[order])
    distinct, first = np.unique(number[places], return_index=True)
    rises = _sums(rows[places], np.append(first, len(places)))
    begins, ends = (np.searchsorted(number, distinct, side=side) for side in ("left", "right"))
    borders = np.unique(np.concatenate([[0], begins, ends]).astype(int))
    taken = np.concatenate([np.zeros((1, *weights.shape[1:])), np.cumsum(_sums(rows, borders), axis=0)])
    hits = np.cumsum(rises, axis=0)
    at, before = (taken[np.searchsorted(borders, of)] for of in (ends, begins))
    return Points(hits, hits - rises, at, before, rises.sum(axis=0), weights.sum(axis=0))


def _sums(rows: Array, borders: Array) -> Array:
    """The sums of the rows [N, ...] from each border to the next."""
    if len(borders) < 2:
        return np.zeros((0, *rows.shape[1:]))
    return np.add.reduceat(rows[: borders[-1]], borders[:-1], axis=0)
