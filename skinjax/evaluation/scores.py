"""Figures of probabilities: (labels [N], probabilities [N, classes], weights [..., N] or None) -> [...].

Rows with a label of -1 are left out; `weights` says how often each row counts (a bootstrap gives a row of weights for
each replicate). They agree with scikit-learn's, given `sample_weight`; a class without positives or without negatives
has no figure (nan) and enters no mean.
"""

import functools
from collections.abc import Callable

import numpy as np

from skinjax.evaluation.confusion import mean_of_known, ratio

Array = np.ndarray


def one_vs_rest_auc(labels: Array, probabilities: Array, weights: Array | None = None) -> Array:
    """Area under the ROC curve of each class against the rest [..., classes]; nan without positives or negatives.

    labels: [N], -1 left out; probabilities: [N, classes]; weights: how often each row counts [..., N].
    """
    return _one_vs_rest(_auc, labels, probabilities, weights)


def macro_auc(labels: Array, probabilities: Array, weights: Array | None = None) -> Array:
    """Mean one-vs-rest AUC of the classes that have both positives and negatives [...] (paper 003)."""
    return mean_of_known(one_vs_rest_auc(labels, probabilities, weights))


def average_precision(
    labels: Array, probabilities: Array, weights: Array | None = None, *, trapezoids: bool = False
) -> Array:
    """Average precision [...] of the second of two classes, else the mean of all classes that have positives.

    Steps are scikit-learn's definition; `trapezoids` are that before its release 0.19, which paper 004's leaderboard
    has: it rewards ties, and gives a constant score (1 + share of positives) / 2.
    """
    found = _one_vs_rest(functools.partial(_average_precision, trapezoids=trapezoids), labels, probabilities, weights)
    return found[..., 1] if found.shape[-1] == 2 else mean_of_known(found)


def brier(labels: Array, probabilities: Array, weights: Array | None = None) -> Array:
    """Mean squared distance [...] of the probabilities to the truth, summed over the classes: from 0 to 2."""
    known = labels >= 0
    truth = np.eye(probabilities.shape[1])[labels[known]]
    return _mean(np.square(probabilities[known] - truth).sum(axis=1), known, weights)


def log_loss(labels: Array, probabilities: Array, weights: Array | None = None) -> Array:
    """Mean of minus the logarithm of the true class's probability [...], which is clipped as scikit-learn does."""
    known = labels >= 0
    rows = probabilities[known].astype(float)
    true = np.take_along_axis(rows / rows.sum(axis=1, keepdims=True), labels[known][:, None], 1)[:, 0]
    return _mean(-np.log(np.clip(true, np.finfo(float).eps, 1)), known, weights)


# Metrics of (labels, probabilities, weights), by name.
SCORE_METRICS: dict[str, Callable[[Array, Array, Array | None], Array]] = {
    "macro_auc": macro_auc,
    "average_precision": average_precision,
    "average_precision_old": functools.partial(average_precision, trapezoids=True),
    "brier": brier,
    "log_loss": log_loss,
}
LOWER_IS_BETTER = ("brier", "log_loss")


def _mean(values: Array, known: Array, weights: Array | None) -> Array:
    """The mean [...] of values of the known rows, each counted as often as its weight says."""
    rows = np.ones(len(values)) if weights is None else weights[..., known]
    return ratio(rows @ values, rows.sum(axis=-1), empty=np.nan)


def _one_vs_rest(figure: Callable[..., Array], labels: Array, probabilities: Array, weights: Array | None) -> Array:
    """A figure of (positive [N], scores [N], weights [N, ...]) for each class against the rest [..., classes]."""
    known = labels >= 0
    labels, probabilities = labels[known], probabilities[known]
    # Rows first: reordering them then moves whole runs of memory.
    by_row = np.ones(len(labels)) if weights is None else np.ascontiguousarray(np.moveaxis(weights, -1, 0)[known])
    return np.stack([figure(labels == k, probabilities[:, k], by_row) for k in range(probabilities.shape[1])], axis=-1)


def _average_precision(positive: Array, scores: Array, weights: Array, trapezoids: bool) -> Array:
    """The area [...] under precision over recall, as steps or trapezoids; rows with one score come at once."""
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True)) if len(order) else order
    ups = np.where(positive.reshape(-1, *[1] * (weights.ndim - 1)), weights, 0)
    hits, taken = (np.cumsum(x[order], axis=0)[last] for x in (ups, weights))
    rises, precisions = np.diff(hits, axis=0, prepend=0), ratio(hits, taken, empty=1)
    if trapezoids and len(last):
        precisions = (precisions + np.concatenate([np.ones_like(precisions[:1]), precisions[:-1]])) / 2
    return ratio((rises * precisions).sum(axis=0), ups.sum(axis=0), empty=np.nan)


def _auc(positive: Array, scores: Array, weights: Array) -> Array:
    """Weighted probability [...] that a positive scores above a negative, ties counting half. `weights`: [N, ...]."""
    negatives = np.flatnonzero(~positive)
    negatives = negatives[np.argsort(scores[negatives])]
    # below[i] is the weight of the i lowest negatives.
    below = np.zeros((len(negatives) + 1, *weights.shape[1:]))
    np.cumsum(weights[negatives], axis=0, out=below[1:])
    ranks = (np.searchsorted(scores[negatives], scores[positive], side=side) for side in ("left", "right"))
    wins = sum(below[rank] for rank in ranks) / 2
    ups = weights[positive]
    return ratio((ups * wins).sum(axis=0), ups.sum(axis=0) * below[-1], empty=np.nan)
