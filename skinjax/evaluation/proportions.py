"""Closed intervals: of shares, of their mean over the classes, and of an AUC that few positives speak for.

Images of one lesion are not independent evidence: a share counts as many images as its groups are worth, and few groups
are worth less still. How often these intervals cover is measured in docs/intervals.md.
"""

import dataclasses
import statistics

import numpy as np
from scipy.special import stdtrit

from skinjax.core.errors import UserError
from skinjax.evaluation.predictions import Predictions

Array = np.ndarray


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
        """`value`, `low` and `high`, JSON-ready: None where there is none."""
        return {name: json_number(getattr(self, name)) for name in ("value", "low", "high")}


def json_number(value: Array | float) -> float | None:
    """A scalar for JSON, which has no nan: None instead."""
    return None if np.isnan(value) else float(value)


def wilson(successes: float, trials: float, level: float = 0.95) -> tuple[float, float]:
    """(low, high) of a share by Wilson's score; `trials` may be fractional (see `effective_trials`); nan for none.

    >>> [round(bound, 3) for bound in wilson(28, 28)]
    [0.879, 1.0]
    """
    if trials == 0:
        return np.nan, np.nan
    z = normal_quantile(level)
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


def share_of_few(groups: int, level: float) -> float:
    """What remains of the evidence of so many groups, whose variance is itself a guess: (z / t(groups - 1))^2."""
    return float((normal_quantile(level) / stdtrit(groups - 1, (1 + level) / 2)) ** 2)


def proportion_interval(correct: Array, groups: Array, level: float = 0.95) -> Interval:
    """The share of `correct` (bool [n]) with a Wilson interval on what the images are worth; none for one group."""
    distinct, images = len(np.unique(groups)), len(correct)
    share = float(np.mean(correct)) if images else np.nan
    if distinct < 2:
        return Interval(
            share, np.nan, np.nan, level, f"none: {distinct} group{'s' * (distinct != 1)}", images, distinct
        )
    trials = effective_trials(correct, groups) * share_of_few(distinct, level)
    low, high = wilson(share * trials, trials, level)
    return Interval(share, low, high, level, f"Wilson, {trials:.4g} effective images", images, distinct)


def class_shares(predictions: Predictions, number: int, level: float = 0.95) -> dict[str, Interval]:
    """The figures of a class that are shares of images: of its own, of those given to it, and of the others."""
    known = predictions.labelled
    labels, groups = predictions.labels[known] == number, predictions.groups[known]
    given = predictions.predicted[known] == number
    right = labels == given
    rows = {"recall": labels, "precision": given, "specificity": ~labels, "npv": ~given}
    return {name: proportion_interval(right[row], groups[row], level) for name, row in rows.items()}


def macro_recall_interval(predictions: Predictions, level: float = 0.95) -> Interval:
    """Macro recall with the interval that the recalls' own leave it (MOVER, Zou and Donner 2008).

    Classes are independent, as a lesion is of one: the reach below is the root of the sum of the squared reaches of the
    classes, over their number, and so is that above. A class of one group could have any recall.
    """
    right = predictions.predicted == predictions.labels
    of_class = [predictions.labels == number for number in range(len(predictions.classes))]
    parts = [proportion_interval(right[rows], predictions.groups[rows], level) for rows in of_class if rows.any()]
    values = np.array([part.value for part in parts])
    low = np.array([0.0 if np.isnan(part.low) else part.low for part in parts])
    high = np.array([1.0 if np.isnan(part.high) else part.high for part in parts])
    groups = len(np.unique(predictions.groups[predictions.labelled]))
    images = sum(part.images for part in parts)
    if groups < 2:
        value = float(values.mean()) if len(parts) else np.nan
        return Interval(value, np.nan, np.nan, level, f"none: {groups} group{'s' * (groups != 1)}", images, groups)
    value = float(values.mean())
    below, above = (float(np.sqrt(np.sum(np.square(reach)))) / len(parts) for reach in (values - low, high - values))
    return Interval(value, value - below, value + above, level, "MOVER of Wilson intervals", images, groups)


def auc_interval(auc: float, positives: int, negatives: int, level: float = 0.95) -> tuple[float, float]:
    """(low, high) of an AUC of so many independent positives and negatives: Newcombe's method 5 (2006).

    A bound is the theta at which the AUC is z standard errors away, by Hanley and McNeil's variance with
    (positives + negatives) / 2 - 1 in place of both counts less one.
    """
    if np.isnan(auc) or not positives or not negatives:
        return np.nan, np.nan
    z, extra = normal_quantile(level), (positives + negatives) / 2 - 1

    def beyond(theta: float) -> bool:
        """Whether the AUC is further from theta than z standard errors."""
        inner = 1 + extra * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return (auc - theta) ** 2 > z**2 * theta * (1 - theta) * inner / (positives * negatives)

    bounds = []
    for outside in (0.0, 1.0):
        inside = auc
        if not beyond(outside):  # an AUC of 0 or 1
            bounds.append(outside)
            continue
        for _ in range(60):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if beyond(middle) else (middle, outside)
        bounds.append(outside)
    return bounds[0], bounds[1]


def normal_quantile(level: float) -> float:
    """How many deviations a two-sided interval of this level reaches."""
    if not 0 < level < 1:
        raise UserError(f"level is {level}; a confidence level lies between 0 and 1, such as 0.95")
    return statistics.NormalDist().inv_cdf((1 + level) / 2)
