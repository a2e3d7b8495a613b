"""How sure figures are: closed intervals where there are good ones, for the rest a bootstrap over groups (lesions).

Images of one lesion are not independent evidence, so groups are resampled, never images.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy.special import expit, logit, stdtrit

from skinjax.core.errors import UserError, lookup
from skinjax.evaluation.confusion import METRICS, PER_CLASS, confusion_matrix
from skinjax.evaluation.metrics import SENSITIVITY, SMALL, SPECIFICITY, evaluate, summary
from skinjax.evaluation.predictions import Predictions, align
from skinjax.evaluation.proportions import (
    Interval,
    auc_interval,
    class_shares,
    json_number,
    macro_recall_interval,
    normal_quantile,
)
from skinjax.evaluation.scores import SCORE_METRICS, Scored, auc, sensitivity_at

Array = np.ndarray

CHUNK_ELEMENTS = 2**22  # of the largest array held per chunk of replicates: 32 MiB
FEW_POSITIVES = 30  # groups of a class below which its AUC is not bootstrapped
FEW_GROUPS = 5  # groups of a class below which its figures are hardly known


@dataclasses.dataclass(frozen=True)
class Difference(Interval):
    """metric(b) - metric(a) with its interval, and twice the smaller share of replicates on one side of zero (<= 1)."""

    p_value: float


def bootstrap(
    predictions: Predictions, metric: str, *, replicates: int = 2000, seed: int = 0, level: float = 0.95
) -> Interval:
    """Percentile bootstrap of a metric: all groups are drawn with replacement, `replicates` times.

    The draw is not stratified by class, which would claim to know the figures of a small class, and errs on the wide
    side (docs/intervals.md has its coverage). Below about five groups in a class no draw helps: see its Wilson
    interval. A table of one group alone is refused.
    """
    normal_quantile(level)  # or it is refused
    values = replicate_values(predictions, [metric], replicates, seed)[metric]
    return _percentile_interval(predictions, evaluate(predictions, metric), values, level)


def paired_difference(
    a: Predictions, b: Predictions, metric: str, *, replicates: int = 2000, seed: int = 0, level: float = 0.95
) -> Difference:
    """metric(b) - metric(a) on the same images, every replicate drawing the same groups for both tables.

    Rows are joined on `image_id`, classes by name; tables of other images, labels or groups are refused. The p-value
    counts the observed table as one more replicate and is therefore never 0.
    """
    normal_quantile(level)
    b = align(b, like=a)
    a = dataclasses.replace(a, groups=b.groups)
    before = replicate_values(a, [metric], replicates, seed)[metric]
    differences = replicate_values(b, [metric], replicates, seed)[metric] - before
    value = evaluate(b, metric) - evaluate(a, metric)
    interval = _percentile_interval(a, value, differences, level)
    if not differences.any():  # the same answers: there is no difference, and no doubt about it
        interval = dataclasses.replace(interval, low=0.0, high=0.0)
    known = differences[~np.isnan(differences)]
    fewer = 1 + min(np.sum(known <= 0), np.sum(known >= 0))
    p_value = min(1.0, 2 * fewer / (1 + len(known))) if len(known) else np.nan
    return Difference(**dataclasses.asdict(interval), p_value=float(p_value))


def summary_with_intervals(
    predictions: Predictions,
    *,
    replicates: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    small: Sequence[int] = SMALL,
    training_counts: Sequence[int] | None = None,
) -> dict[str, Any]:
    """`metrics.summary` in which figures are {value, low, high}, as `intervals` says; undefined ones have no bounds.

    Shares of images of a class have Wilson intervals on what these are worth, macro recall what those of the recalls
    leave it; the AUC of a class of few groups has Newcombe's, and everything else is bootstrapped. A class of very few
    groups is `few`: its figures are hardly known. The calibration error has no interval, as a bootstrap would cover it
    half of the time at best.
    """
    result = summary(predictions, small, training_counts)
    obstacle, drawn = _obstacle(predictions), dict[str, Array]()
    scalars = [name for name in (*METRICS, *SCORE_METRICS) if name != "macro_recall"]
    if not obstacle:
        drawn = replicate_values(predictions, [*scalars, "f1", "auc", SENSITIVITY], replicates, seed)
    result["macro_recall"] = macro_recall_interval(predictions, level).as_dict()
    for name in scalars:
        result[name] = _bounded(result[name], *percentiles(drawn.get(name), level))
    groups = class_groups(predictions)
    for number, name in enumerate(predictions.classes):
        figures = result["per_class"][name]
        for figure, found in class_shares(predictions, number, level).items():
            # The figure itself follows the rules of confusion.py: 0 for a class never predicted, None if absent.
            figures[figure] = _bounded(figures[figure], found.low, found.high)
        of_class = {figure: drawn[figure][:, number] if drawn else None for figure in ("f1", "auc", SENSITIVITY)}
        for figure in ("f1", SENSITIVITY):
            figures[figure] = _bounded(figures[figure], *percentiles(of_class[figure], level))
        parted = (int(groups[number]), result["groups"] - int(groups[number]))
        bounds = (np.nan, np.nan) if obstacle else auc_bounds(figures["auc"], *parted, of_class["auc"], level)
        figures["auc"] = _bounded(figures["auc"], *bounds)
        figures |= {"groups": int(groups[number]), "few": bool(0 < groups[number] < FEW_GROUPS)}
    result["intervals"] = {
        "level": level,
        "replicates": replicates,
        "seed": seed,
        "headline": f"no bootstrap: {obstacle}" if obstacle else _method(predictions, replicates),
        "macro_recall": "MOVER of the recalls' Wilson intervals",
        "per_class": f"Wilson, effective images; AUC by its logit, of fewer than {FEW_POSITIVES} groups Newcombe's",
    }
    return result


def bootstrapped(
    predictions: Predictions, names: Sequence[str], *, replicates: int = 2000, seed: int = 0, level: float = 0.95
) -> dict[str, dict[str, float | None]]:
    """Some metrics as {value, low, high}, as `summary_with_intervals` bootstraps them."""
    drawn = {} if _obstacle(predictions) else replicate_values(predictions, names, replicates, seed)
    values = {name: json_number(evaluate(predictions, name)) for name in names}
    return {name: _bounded(value, *percentiles(drawn.get(name), level)) for name, value in values.items()}


def drawn_of(groups: Array, figure: Callable[[Array], Array], replicates: int = 2000, seed: int = 0) -> Array | None:
    """Replicates of a figure of rows of these `groups`, a function of how often each counts [N, replicates]."""
    if len(np.unique(groups)) < 2:
        return None
    chunk = max(1, CHUNK_ELEMENTS // len(groups))
    return np.concatenate([figure(weights.T) for weights in _row_weights(groups, replicates, seed, chunk)])


def auc_bounds(
    auc: float | None, positives: int, negatives: int, drawn: Array | None, level: float = 0.95
) -> tuple[float, float]:
    """The bounds of a class's AUC: by the deviation of its replicates' logits, t(positive groups - 1) of them.

    Percentiles cover too seldom near 1. Newcombe's where so few groups are positive, or the classes are apart.
    """
    if auc is None or drawn is None:
        return np.nan, np.nan
    if positives < FEW_POSITIVES or not 0 < auc < 1:
        return auc_interval(auc, positives, negatives, level)
    step = 1 / (positives * negatives)  # of an AUC; a replicate without an error is half a step from 1
    known = np.clip(drawn[~np.isnan(drawn)], step / 2, 1 - step / 2)
    reach = stdtrit(positives - 1, (1 + level) / 2) * logit(known).std(ddof=1)
    return float(expit(logit(auc) - reach)), float(expit(logit(auc) + reach))


def class_groups(predictions: Predictions) -> Array:
    """How many groups have an image of each class [classes]."""
    known = predictions.labelled
    distinct, codes = np.unique(predictions.groups[known], return_inverse=True)
    pairs = np.unique(predictions.labels[known] * len(distinct) + codes)
    return np.bincount(pairs // max(len(distinct), 1), minlength=len(predictions.classes))


def _bounded(value: float | None, low: float, high: float) -> dict[str, float | None]:
    """A figure with its bounds for JSON; what is undefined has none."""
    if value is None:
        return dict.fromkeys(("value", "low", "high"))
    return {"value": value, "low": json_number(low), "high": json_number(high)}


def _obstacle(predictions: Predictions) -> str:
    """Why the groups of the labelled images cannot be drawn with replacement; empty if they can."""
    groups = np.unique(predictions.groups[predictions.labelled])
    if len(groups) == 0:
        return "no image of the table is labelled; an interval needs labelled images"
    if len(groups) == 1:
        return f"all labelled images are of one group ({str(groups[0])!r}); a bootstrap needs at least two"
    return ""


def replicate_values(
    predictions: Predictions, metrics: Sequence[str], replicates: int, seed: int, groups: Array | None = None
) -> dict[str, Array]:
    """Each figure of each replicate [replicates], or [replicates, classes].

    The draws depend on the seed and the names of the groups alone; tables that share some draw those alike where
    `groups` are the names of all of them.
    """
    figures_of_classes = {**METRICS, **PER_CLASS}
    of_scores = {**SCORE_METRICS, "auc": auc, SENSITIVITY: lambda scored: sensitivity_at(scored, SPECIFICITY)}
    for name in metrics:
        lookup("metric", name, {**figures_of_classes, **of_scores})
    if replicates < 1:
        raise UserError(f"replicates is {replicates}; the bootstrap needs at least 1, better 2000")
    if obstacle := _obstacle(predictions):
        raise UserError(obstacle)
    known, classes = predictions.labelled, len(predictions.classes)
    labels, predicted = predictions.labels[known], predictions.predicted[known]
    probabilities = predictions.probabilities[known]
    chunk = max(1, CHUNK_ELEMENTS // max(len(labels), classes**2))
    parts: dict[str, list[Array]] = {name: [] for name in metrics}
    for weights in _row_weights(predictions.groups[known], replicates, seed, chunk, groups):
        confusions = confusion_matrix(labels, predicted, classes, weights)
        scored = Scored(labels, probabilities, weights)
        for name in metrics:
            if name in figures_of_classes:
                parts[name].append(figures_of_classes[name](confusions))
            else:
                parts[name].append(of_scores[name](scored))
    return {name: np.concatenate(values) for name, values in parts.items()}


def _row_weights(
    groups: Array, replicates: int, seed: int, chunk: int, everywhere: Array | None = None
) -> Iterator[Array]:
    """How often each row counts [<= chunk, N] in successive replicates; the draws do not depend on `chunk`."""
    names = np.unique(groups if everywhere is None else everywhere)
    codes, G = np.searchsorted(names, groups), len(names)
    rng = np.random.default_rng(seed)
    for start in range(0, replicates, chunk):
        draws = [np.bincount(rng.integers(G, size=G), minlength=G) for _ in range(min(chunk, replicates - start))]
        yield np.stack(draws).astype(np.float64)[:, codes]


def _percentile_interval(predictions: Predictions, value: float, values: Array, level: float) -> Interval:
    images, groups = int(predictions.labelled.sum()), len(np.unique(predictions.groups[predictions.labelled]))
    return Interval(value, *percentiles(values, level), level, _method(predictions, len(values)), images, groups)


def percentiles(values: Array | None, level: float = 0.95) -> tuple[float, float]:
    """The bounds between which `level` of the known values lie; nan where there are none, or all are one."""
    known = np.zeros(0) if values is None else values[~np.isnan(values)]
    if not len(known) or known.min() == known.max():
        return np.nan, np.nan
    low, high = np.quantile(known, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _method(predictions: Predictions, replicates: int) -> str:
    groups = len(np.unique(predictions.groups[predictions.labelled]))
    return f"percentile bootstrap of {groups} groups, {replicates} replicates"
