"""How sure a figure is: bootstrap over groups (lesions) for headline figures, Wilson intervals for per-class shares.

Images of one lesion are not independent evidence, so groups are resampled, never images.
"""

import dataclasses
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from skinjax.core.errors import UserError, lookup
from skinjax.evaluation.metrics import METRICS, SCORE_METRICS, SMALL, confusion_matrix, evaluate, json_number, summary
from skinjax.evaluation.predictions import UNLABELLED, Predictions, align

Array = np.ndarray

CHUNK_ELEMENTS = 2**22  # of the largest array held per chunk of replicates: 32 MiB


@dataclasses.dataclass(frozen=True)
class Interval:
    """A figure with its confidence interval and what it rests on; nan where the figure is undefined."""

    value: float
    low: float
    high: float
    level: float
    method: str
    images: int
    groups: int

    def as_dict(self) -> dict[str, float | None]:
        """`value`, `low` and `high`, JSON-ready."""
        return _bounded(json_number(self.value), self.low, self.high)


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
    return _intervals(predictions, [metric], replicates, seed, level)[metric]


def paired_difference(
    a: Predictions, b: Predictions, metric: str, *, replicates: int = 2000, seed: int = 0, level: float = 0.95
) -> Difference:
    """metric(b) - metric(a) on the same images, every replicate drawing the same groups for both tables.

    Rows are joined on `image_id`, classes by name; tables of other images, labels or groups are refused. The p-value
    counts the observed table as one more replicate and is therefore never 0.
    """
    b = align(b, like=a)
    a = dataclasses.replace(a, groups=b.groups)
    before = _replicate_values(a, [metric], replicates, seed)[metric]
    differences = _replicate_values(b, [metric], replicates, seed)[metric] - before
    value = evaluate(b, metric) - evaluate(a, metric)
    interval = _percentile_interval(a, value, differences, level)
    known = differences[~np.isnan(differences)]
    fewer = 1 + min(np.sum(known <= 0), np.sum(known >= 0))
    p_value = min(1.0, 2 * fewer / (1 + len(known))) if len(known) else np.nan
    return Difference(**dataclasses.asdict(interval), p_value=float(p_value))


def wilson(successes: float, trials: float, level: float = 0.95) -> tuple[float, float]:
    """(low, high) of a share by Wilson's score; `trials` may be fractional (see `effective_trials`); nan for none.

    >>> [round(bound, 3) for bound in wilson(28, 28)]
    [0.879, 1.0]
    """
    _check_level(level)
    if trials == 0:
        return np.nan, np.nan
    z = statistics.NormalDist().inv_cdf((1 + level) / 2)
    share = successes / trials
    centre = share + z**2 / (2 * trials)
    reach = z * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    return max(0.0, float((centre - reach) / scale)), min(1.0, float((centre + reach) / scale))


def effective_trials(correct: Array, groups: Array) -> float:
    """How many independent images `correct` (bool [n]) is worth, given `groups` [n] that share their fate in part.

    n / design effect, which is the variance of the share p with the groups kept whole over that of independent images:
    n_eff = p (1 - p) n^2 / sum_g (h_g - p m_g)^2, with h_g of the m_g images of group g correct, and at most n. It is n
    where every group is one image. Where that variance is zero (all right, all wrong, one group), images of a group are
    taken to agree fully: n_eff = n^2 / sum_g m_g^2.

    How well Wilson intervals on it cover is in docs/intervals.md.
    """
    if not len(correct):
        return 0.0
    _, codes = np.unique(groups, return_inverse=True)
    sizes = np.bincount(codes)
    n, p = len(correct), np.mean(correct)
    residuals = np.bincount(codes, weights=correct - p)
    variance = np.sum(residuals**2)
    # Groups that each reproduce the overall share leave rounding errors, not a variance.
    if variance < 1e-9:
        return float(n**2 / np.sum(sizes**2))
    return float(min(n, p * (1 - p) * n**2 / variance))


def proportion_interval(correct: Array, groups: Array, level: float = 0.95) -> Interval:
    """The share of `correct` (bool [n]) with a Wilson interval on the effective number of images in `groups` [n]."""
    trials = effective_trials(correct, groups)
    share = float(np.mean(correct)) if len(correct) else np.nan
    low, high = wilson(share * trials, trials, level)
    method = f"Wilson, {trials:.4g} effective images"
    return Interval(share, low, high, level, method, len(correct), len(np.unique(groups)))


def summary_with_intervals(
    predictions: Predictions,
    *,
    replicates: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    small: Sequence[int] = SMALL,
    training_counts: Sequence[int] | None = None,
) -> dict[str, Any]:
    """`metrics.summary` in which the headline metrics, and recall and precision per class, are {value, low, high}.

    The headline metrics are bootstrapped over groups, the per-class shares have Wilson intervals; `intervals` says how,
    or why groups cannot be drawn: then the headline metrics have values alone. What is undefined has no bounds.
    """
    result = summary(predictions, small, training_counts)
    names = [*METRICS, *SCORE_METRICS]
    obstacle = _obstacle(predictions)
    if obstacle:
        how = f"no bootstrap: {obstacle}"
        result |= {name: _bounded(result[name]) for name in names}
    else:
        headline = _intervals(predictions, names, replicates, seed, level)
        how = headline["accuracy"].method
        result |= {name: interval.as_dict() for name, interval in headline.items()}
    correct = predictions.predicted == predictions.labels
    given = np.where(predictions.labelled, predictions.predicted, UNLABELLED)
    for number, name in enumerate(predictions.classes):
        figures = result["per_class"][name]
        for figure, classes in (("recall", predictions.labels), ("precision", given)):
            rows = classes == number
            interval = proportion_interval(correct[rows], predictions.groups[rows], level)
            # The figure itself follows the rules of metrics.py: 0 for a class never predicted, None for an absent one.
            figures[figure] = _bounded(figures[figure], interval.low, interval.high)
    result["intervals"] = {"level": level, "replicates": replicates, "seed": seed, "headline": how}
    result["intervals"]["per_class"] = "Wilson, effective images"
    return result


def _bounded(value: float | None, low: float = np.nan, high: float = np.nan) -> dict[str, float | None]:
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


def _intervals(
    predictions: Predictions, metrics: Sequence[str], replicates: int, seed: int, level: float
) -> dict[str, Interval]:
    values = _replicate_values(predictions, metrics, replicates, seed)
    return {
        name: _percentile_interval(predictions, evaluate(predictions, name), values[name], level) for name in metrics
    }


def _replicate_values(predictions: Predictions, metrics: Sequence[str], replicates: int, seed: int) -> dict[str, Array]:
    """Each metric of each replicate [replicates]; the draws depend on the seed and the group names alone."""
    for name in metrics:
        lookup("metric", name, {**METRICS, **SCORE_METRICS})
    if replicates < 1:
        raise UserError(f"replicates is {replicates}; the bootstrap needs at least 1, better 2000")
    if obstacle := _obstacle(predictions):
        raise UserError(obstacle)
    known, classes = predictions.labelled, len(predictions.classes)
    labels, predicted = predictions.labels[known], predictions.predicted[known]
    probabilities = predictions.probabilities[known]
    chunk = max(1, CHUNK_ELEMENTS // max(len(labels), classes**2))
    parts: dict[str, list[Array]] = {name: [] for name in metrics}
    for weights in _row_weights(predictions.groups[known], replicates, seed, chunk):
        confusions = confusion_matrix(labels, predicted, classes, weights)
        for name in metrics:
            if name in METRICS:
                parts[name].append(METRICS[name](confusions))
            else:
                parts[name].append(SCORE_METRICS[name](labels, probabilities, weights))
    return {name: np.concatenate(values) for name, values in parts.items()}


def _row_weights(groups: Array, replicates: int, seed: int, chunk: int) -> Iterator[Array]:
    """How often each row counts [<= chunk, N] in successive replicates; the draws do not depend on `chunk`."""
    codes = np.unique(groups, return_inverse=True)[1]
    G = codes.max() + 1
    rng = np.random.default_rng(seed)
    for start in range(0, replicates, chunk):
        draws = [np.bincount(rng.integers(G, size=G), minlength=G) for _ in range(min(chunk, replicates - start))]
        yield np.stack(draws).astype(np.float64)[:, codes]


def _percentile_interval(predictions: Predictions, value: float, values: Array, level: float) -> Interval:
    _check_level(level)
    known = values[~np.isnan(values)]
    tail = (1 - level) / 2
    low, high = np.quantile(known, [tail, 1 - tail]).tolist() if len(known) else (np.nan, np.nan)
    groups = len(np.unique(predictions.groups[predictions.labelled]))
    method = f"percentile bootstrap of {groups} groups, {len(values)} replicates"
    return Interval(value, low, high, level, method, int(predictions.labelled.sum()), groups)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise UserError(f"level is {level}; a confidence level lies between 0 and 1, such as 0.95")
