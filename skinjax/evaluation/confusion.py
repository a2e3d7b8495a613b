"""Figures of a confusion matrix [..., truth, predicted], vectorised over its leading axes.

Definitions follow the five papers and agree with scikit-learn. One rule holds throughout: a class that is absent from
the truth has no figures (nan) and enters no macro average; images wrongly given to it count against their own class.
"""

from collections.abc import Callable, Sequence

import numpy as np

from skinjax.core.errors import UserError

Array = np.ndarray


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
    share = ratio(negatives - false_positives, negatives, empty=np.nan)
    return np.where(support(confusion) > 0, share, np.nan)


def negative_predictive_value(confusion: Array) -> Array:
    """Share of the images not given to each class that do not belong there [..., classes]; nan where there are none."""
    refused = confusion.sum(axis=(-2, -1))[..., None] - confusion.sum(axis=-2)
    missed = support(confusion) - _hits(confusion)
    return np.where(support(confusion) > 0, ratio(refused - missed, refused, empty=np.nan), np.nan)


def accuracy(confusion: Array) -> Array:
    """Share of images whose most probable class is the true one [...]."""
    return ratio(_hits(confusion).sum(axis=-1), confusion.sum(axis=(-2, -1)), empty=np.nan)


def macro_recall(confusion: Array) -> Array:
    """Mean recall of the classes present in the truth [...].

    Also called balanced accuracy, MC-sensitivity (paper 003) and average recall (paper 001).
    """
    return mean_of_known(recall(confusion))


def macro_f1(confusion: Array) -> Array:
    """Mean F1 of the classes present in the truth [...]; the MF1 of paper 000.

    It is scikit-learn's `f1_score(..., average='macro', labels=<classes present>, zero_division=0)`. Without `labels`,
    scikit-learn also averages in a 0 for each class that was predicted but is absent from the truth.
    """
    return mean_of_known(f1(confusion))


def cohens_kappa(confusion: Array) -> Array:
    """Agreement beyond what the two margins would give by chance [...]; nan where chance alone is perfect."""
    total = confusion.sum(axis=(-2, -1))
    chance = ratio((support(confusion) * confusion.sum(axis=-2)).sum(axis=-1), total * total, empty=np.nan)
    return ratio(accuracy(confusion) - chance, np.where(chance < 1, 1 - chance, 0), empty=np.nan)


def matthews_correlation(confusion: Array) -> Array:
    """The correlation of truth and prediction over all classes [...]; 0 where either is constant, as scikit-learn's."""
    truth, predicted = support(confusion), confusion.sum(axis=-2)
    total, hits = confusion.sum(axis=(-2, -1)).astype(float), _hits(confusion).sum(axis=-1)
    together = hits * total - (truth * predicted).sum(axis=-1)
    spread = [total**2 - np.square(margin, dtype=float).sum(axis=-1) for margin in (truth, predicted)]
    found = ratio(together, np.sqrt(np.maximum(spread[0] * spread[1], 0)), empty=0)
    return np.where(total > 0, found, np.nan)


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
    chosen = smallest_classes(class_sizes(confusion, training_counts), k)
    figures = {"recall": recall, "precision": precision, "f1": f1}
    return {name: mean_of_known(figure(confusion)[..., chosen]) for name, figure in figures.items()}


# Metrics [...] of a confusion matrix, by name; macro averages run over the classes present in the truth.
METRICS: dict[str, Callable[[Array], Array]] = {
    "accuracy": accuracy,
    "macro_recall": macro_recall,
    "macro_precision": lambda confusion: mean_of_known(precision(confusion)),
    "macro_f1": macro_f1,
    "mc_specificity": lambda confusion: mean_of_known(specificity(confusion)),  # of paper 003
    # F1 weighted by the true class counts, scikit-learn's `average='weighted'`, and by the predicted ones: what paper
    # 003 printed, its code swapping the arguments.
    "f1_weighted_true": lambda confusion: _weighted_f1(confusion, support(confusion)),
    "f1_weighted_pred": lambda confusion: _weighted_f1(confusion, confusion.sum(axis=-2)),
    "cohens_kappa": cohens_kappa,
    "matthews_correlation": matthews_correlation,
}

# Figures [..., classes] of each class, by name.
PER_CLASS: dict[str, Callable[[Array], Array]] = {
    "recall": recall,  # sensitivity
    "precision": precision,  # positive predictive value, at the table's prevalence
    "f1": f1,
    "specificity": specificity,
    "npv": negative_predictive_value,
}


def class_sizes(confusion: Array, training_counts: Sequence[int] | Array | None) -> Array:
    """The sizes by which classes are small [classes]; if the table decides, absent classes are infinitely large."""
    classes = confusion.shape[-1]
    if training_counts is None:
        counts = support(confusion).reshape(-1, classes).sum(axis=0)
        return np.where(counts > 0, counts, np.inf)
    if len(training_counts) != classes:
        raise UserError(f"{len(training_counts)} training counts for {classes} classes; give one per class, in order")
    return np.asarray(training_counts, dtype=float)


def _weighted_f1(confusion: Array, weights: Array) -> Array:
    counts = support(confusion) + confusion.sum(axis=-2)
    per_class = ratio(2 * _hits(confusion), counts, empty=0)
    return ratio((per_class * weights).sum(axis=-1), weights.sum(axis=-1), empty=np.nan)


def _ratio_of_present(confusion: Array, numerator: Array, denominator: Array) -> Array:
    """numerator / denominator [..., classes], 0 for 0 / 0, and nan for a class absent from the truth."""
    return np.where(support(confusion) > 0, ratio(numerator, denominator, empty=0), np.nan)


def mean_of_known(values: Array) -> Array:
    """Mean over the last axis of what is not nan; nan where nothing is."""
    known = ~np.isnan(values)
    return ratio(np.where(known, values, 0).sum(axis=-1), known.sum(axis=-1), empty=np.nan)


def ratio(numerator: Array, denominator: Array, *, empty: float) -> Array:
    """numerator / denominator in float64, and `empty` where the denominator is 0."""
    result = np.full(np.broadcast_shapes(np.shape(numerator), np.shape(denominator)), empty, dtype=np.float64)
    return np.divide(numerator, denominator, out=result, where=np.asarray(denominator) > 0)


def _hits(confusion: Array) -> Array:
    return np.diagonal(confusion, axis1=-2, axis2=-1)
