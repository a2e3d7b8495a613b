"""Figures of a predictions table: functions of the confusion matrix [..., truth, predicted], and one-vs-rest AUC.

Definitions follow the five papers and agree with scikit-learn. One rule holds throughout: a class that is absent from
the truth has no figures (nan) and enters no macro average; images wrongly given to it count against their own class.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skinjax.core.errors import UserError, lookup
from skinjax.evaluation.predictions import Predictions

Array = np.ndarray

SMALL = (1, 2, 3)  # over how many of the smallest classes a summary averages, by default


def confusion_matrix(labels: Array, predicted: Array, classes: int, weights: Array | None = None) -> Array:
    """Counts [..., truth, predicted] of `labels`, `predicted` [N]; rows with a label of -1 are left out.

    `weights` [..., N] says how often each row counts (a bootstrap gives one row of weights per replicate).

    >>> confusion_matrix(np.array([0, 0, 1, -1]), np.array([0, 1, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    known = labels >= 0
    cells = labels[known] * classes + predicted[known]
    if weights is None:
        return np.bincount(cells, minlength=classes**2).reshape(classes, classes)
    rows = weights[..., known].reshape(-1, len(cells))
    counts = np.stack([np.bincount(cells, weights=row, minlength=classes**2) for row in rows])
    return counts.reshape(*weights.shape[:-1], classes, classes)


def support(confusion: Array) -> Array:
    """Images of each true class [..., classes]."""
    return confusion.sum(axis=-1)


def recall(confusion: Array) -> Array:
    """Share of each class that was found [..., classes]."""
    return _ratio_of_present(confusion, _hits(confusion), support(confusion))


def precision(confusion: Array) -> Array:
    """Share of the images given to each class that belong there [..., classes]; 0 for a class never predicted."""
    return _ratio_of_present(confusion, _hits(confusion), confusion.sum(axis=-2))


def f1(confusion: Array) -> Array:
    """Harmonic mean of precision and recall [..., classes]."""
    return _ratio_of_present(confusion, 2 * _hits(confusion), support(confusion) + confusion.sum(axis=-2))


def specificity(confusion: Array) -> Array:
    """Share of the other classes' images that were not given to each class [..., classes]; nan where there are none."""
    negatives = confusion.sum(axis=(-2, -1))[..., None] - support(confusion)
    false_positives = confusion.sum(axis=-2) - _hits(confusion)
    share = _ratio(negatives - false_positives, negatives, empty=np.nan)
    return np.where(support(confusion) > 0, share, np.nan)


def accuracy(confusion: Array) -> Array:
    """Share of images whose most probable class is the true one [...]."""
    return _ratio(_hits(confusion).sum(axis=-1), confusion.sum(axis=(-2, -1)), empty=np.nan)


def macro_recall(confusion: Array) -> Array:
    """Mean recall of the classes present in the truth [...].

    Also called balanced accuracy, MC-sensitivity (paper 003) and average recall (paper 001).
    """
    return _mean_of_known(recall(confusion))


def macro_f1(confusion: Array) -> Array:
    """Mean F1 of the classes present in the truth [...]; the MF1 of paper 000.

    It is scikit-learn's `f1_score(..., average='macro', labels=<classes present>, zero_division=0)`. Without `labels`,
    scikit-learn also averages in a 0 for each class that was predicted but is absent from the truth.
    """
    return _mean_of_known(f1(confusion))


def smallest_classes(counts: Sequence[int] | Array, k: int) -> Array:
    """Numbers [k] of the k classes with the lowest `counts` [classes], smallest first, ties in class order.

    >>> smallest_classes([327, 514, 1099, 115, 1113, 6705, 142], 2)
    array([3, 6])
    """
    if not 1 <= k <= len(counts):
        raise UserError(f"the {k} smallest of {len(counts)} classes do not exist; ask for 1 to {len(counts)}")
    return np.argsort(np.asarray(counts), kind="stable")[:k]


def small_classes(confusion: Array, k: int, training_counts: Sequence[int] | Array | None = None) -> dict[str, Array]:
    """Mean recall, precision and F1 [...] of the k smallest classes (paper 000, table 3: 40 of Skin-198, 1 of Skin-7).

    Smallest by `training_counts` [classes], else by the support in the confusion matrix (summed over leading axes),
    where absent classes do not compete. An absent class chosen by its training count is left out of the means.
    """
    chosen = smallest_classes(_class_sizes(confusion, training_counts), k)
    figures = {"recall": recall, "precision": precision, "f1": f1}
    return {name: _mean_of_known(figure(confusion)[..., chosen]) for name, figure in figures.items()}


def one_vs_rest_auc(labels: Array, probabilities: Array, weights: Array | None = None) -> Array:
    """Area under the ROC curve of each class against the rest [..., classes]; nan without positives or negatives.

    labels: [N], -1 left out; probabilities: [N, classes]; weights: how often each row counts [..., N].
    """
    return _one_vs_rest(_auc, labels, probabilities, weights)


def macro_auc(labels: Array, probabilities: Array, weights: Array | None = None) -> Array:
    """Mean one-vs-rest AUC of the classes that have both positives and negatives [...] (paper 003)."""
    return _mean_of_known(one_vs_rest_auc(labels, probabilities, weights))


def average_precision(
    labels: Array, probabilities: Array, weights: Array | None = None, *, trapezoids: bool = False
) -> Array:
    """Average precision [...] of the second of two classes, else the mean of all classes that have positives.

    Steps are scikit-learn's definition; `trapezoids` are that before its release 0.19, which paper 004's leaderboard
    has: it rewards ties, and gives a constant score (1 + share of positives) / 2.
    """
    found = _one_vs_rest(functools.partial(_average_precision, trapezoids=trapezoids), labels, probabilities, weights)
    return found[..., 1] if found.shape[-1] == 2 else _mean_of_known(found)


# Metrics [...] of a confusion matrix, by name; macro averages run over the classes present in the truth.
METRICS: dict[str, Callable[[Array], Array]] = {
    "accuracy": accuracy,
    "macro_recall": macro_recall,
    "macro_precision": lambda confusion: _mean_of_known(precision(confusion)),
    "macro_f1": macro_f1,
    "mc_specificity": lambda confusion: _mean_of_known(specificity(confusion)),  # of paper 003
    # F1 weighted by the true class counts, scikit-learn's `average='weighted'`, and by the predicted ones: what paper
    # 003 printed, its code swapping the arguments.
    "f1_weighted_true": lambda confusion: _weighted_f1(confusion, support(confusion)),
    "f1_weighted_pred": lambda confusion: _weighted_f1(confusion, confusion.sum(axis=-2)),
}

# Metrics of (labels, probabilities, weights), by name.
SCORE_METRICS: dict[str, Callable[[Array, Array, Array | None], Array]] = {
    "macro_auc": macro_auc,
    "average_precision": average_precision,
    "average_precision_old": functools.partial(average_precision, trapezoids=True),
}


def evaluate(predictions: Predictions, metric: str) -> float:
    """The metric of that name for a table; nan where it is undefined (no labelled image)."""
    lookup("metric", metric, {**METRICS, **SCORE_METRICS})
    if metric in METRICS:
        return float(METRICS[metric](table_confusion(predictions)))
    return float(SCORE_METRICS[metric](predictions.labels, predictions.probabilities, None))


def table_confusion(predictions: Predictions) -> Array:
    """Confusion matrix [classes, classes] of a table's labelled rows."""
    return confusion_matrix(predictions.labels, predictions.predicted, len(predictions.classes))


def summary(
    predictions: Predictions, small: Sequence[int] = SMALL, training_counts: Sequence[int] | None = None
) -> dict[str, Any]:
    """Every figure of a table, JSON-ready (nan becomes None), with the protocol it was measured under.

    `small` says how many smallest classes to average over (more than there are classes is left out); `training_counts`
    [classes] says which those are, otherwise the table's own class counts do.
    """
    confusion = table_confusion(predictions)
    labelled = predictions.labelled
    sizes = _class_sizes(confusion, training_counts)
    candidates = int(np.isfinite(sizes).sum())
    return {
        "images": int(labelled.sum()),
        "unlabelled": int((~labelled).sum()),
        "groups": len(np.unique(predictions.groups[labelled])),
        **{name: json_number(evaluate(predictions, name)) for name in (*METRICS, *SCORE_METRICS)},
        "per_class": _per_class(predictions, confusion),
        "small_classes": {
            str(k): {
                "classes": [predictions.classes[number] for number in smallest_classes(sizes, k)],
                **{name: json_number(value) for name, value in small_classes(confusion, k, training_counts).items()},
            }
            for k in small
            if k <= candidates
        },
        "classes": list(predictions.classes),
        "confusion": confusion.tolist(),
        "protocol": predictions.protocol,
    }


def json_number(value: Array | float) -> float | None:
    """A scalar for JSON, which has no nan: None instead."""
    return None if np.isnan(value) else float(value)


def _per_class(predictions: Predictions, confusion: Array) -> dict[str, dict[str, float | None]]:
    columns = {
        "recall": recall(confusion),
        "precision": precision(confusion),
        "f1": f1(confusion),
        "specificity": specificity(confusion),
        "auc": one_vs_rest_auc(predictions.labels, predictions.probabilities),
    }
    return {
        name: {
            **{column: json_number(values[number]) for column, values in columns.items()},
            "support": int(support(confusion)[number]),
            "predicted": int(confusion[:, number].sum()),
        }
        for number, name in enumerate(predictions.classes)
    }


def _class_sizes(confusion: Array, training_counts: Sequence[int] | Array | None) -> Array:
    """The sizes by which classes are small [classes]; if the table decides, absent classes are infinitely large."""
    classes = confusion.shape[-1]
    if training_counts is None:
        counts = support(confusion).reshape(-1, classes).sum(axis=0)
        return np.where(counts > 0, counts, np.inf)
    if len(training_counts) != classes:
        raise UserError(f"{len(training_counts)} training counts for {classes} classes; give one per class, in order")
    return np.asarray(training_counts, dtype=float)


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
    rises, precisions = np.diff(hits, axis=0, prepend=0), _ratio(hits, taken, empty=1)
    if trapezoids and len(last):
        precisions = (precisions + np.concatenate([np.ones_like(precisions[:1]), precisions[:-1]])) / 2
    return _ratio((rises * precisions).sum(axis=0), ups.sum(axis=0), empty=np.nan)


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
    return _ratio((ups * wins).sum(axis=0), ups.sum(axis=0) * below[-1], empty=np.nan)


def _weighted_f1(confusion: Array, weights: Array) -> Array:
    counts = support(confusion) + confusion.sum(axis=-2)
    per_class = _ratio(2 * _hits(confusion), counts, empty=0)
    return _ratio((per_class * weights).sum(axis=-1), weights.sum(axis=-1), empty=np.nan)


def _ratio_of_present(confusion: Array, numerator: Array, denominator: Array) -> Array:
    """numerator / denominator [..., classes], 0 for 0 / 0, and nan for a class absent from the truth."""
    return np.where(support(confusion) > 0, _ratio(numerator, denominator, empty=0), np.nan)


def _mean_of_known(values: Array) -> Array:
    """Mean over the last axis of what is not nan; nan where nothing is."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1), empty=np.nan)


def _ratio(numerator: Array, denominator: Array, *, empty: float) -> Array:
    """numerator / denominator in float64, and `empty` where the denominator is 0."""
    result = np.full(np.broadcast_shapes(np.shape(numerator), np.shape(denominator)), empty, dtype=np.float64)
    return np.divide(numerator, denominator, out=result, where=np.asarray(denominator) > 0)


def _hits(confusion: Array) -> Array:
    return np.diagonal(confusion, axis1=-2, axis2=-1)
