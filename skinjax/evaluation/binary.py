"""A clinical question made of classes: is it one of these? Its score is the sum of their probabilities.

Thresholds are fixed on validation; a point that is read off the curve it is judged on flatters, and says so.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.special import expit, logit

from skinjax.core.errors import UserError, lookup
from skinjax.evaluation.confusion import ratio
from skinjax.evaluation.predictions import Predictions
from skinjax.evaluation.proportions import Interval, proportion_interval

Array = np.ndarray

TARGETS = (0.9, 0.95)  # sensitivities, and specificities, for which thresholds are fixed
RISKS = (0.05, 0.1, 0.2, 0.3, 0.5)  # above which somebody would act, of a decision curve
SMALL_STEP = 1e-9  # of Newton's method, at which it has arrived
EDGE = 1e-9  # how near to 0 and 1 a score may come before its logit


@dataclasses.dataclass(frozen=True)
class Answers:
    """Of the labelled photographs: whether each is positive, its score, and its group."""

    positive: Array
    scores: Array
    groups: Array


@dataclasses.dataclass(frozen=True)
class Point:
    """What a threshold (at which, and above, the answer is yes) comes to; `chosen` says how it was."""

    chosen: str
    threshold: float
    sensitivity: Interval
    specificity: Interval
    ppv: float
    npv: float
    prevalence: float


def answers(predictions: Predictions, positive: Sequence[str]) -> Answers:
    """The question whether a photograph is of one of the `positive` classes."""
    for name in positive:
        lookup("class in --positive:", name, dict.fromkeys(predictions.classes))
    numbers = [predictions.classes.index(name) for name in positive]
    if not 0 < len(set(numbers)) < len(predictions.classes):
        raise UserError(f"--positive names {len(set(numbers))} of {len(predictions.classes)} classes: leave one out")
    known = predictions.labelled
    if not known.any():
        raise UserError("--positive asks what is true, and no photograph of the table has a label: leave it out")
    scores = predictions.probabilities[known][:, numbers].astype(float).sum(axis=1)
    return Answers(np.isin(predictions.labels[known], numbers), scores, predictions.groups[known])


def roc(positive: Array, scores: Array, weights: Array | None = None) -> tuple[Array, Array, Array]:
    """(false positive rate, true positive rate, threshold) [points, ...] of all thresholds, from none upwards.

    weights: [N, ...]; rows with one score come at once
    """
    weights = np.ones(len(scores)) if weights is None else weights
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    mask = positive[order].reshape(-1, *[1] * (weights.ndim - 1))
    rates = []
    for of in (np.where(mask, 0, weights[order]), np.where(mask, weights[order], 0)):
        sums = np.cumsum(of, axis=0)
        found = ratio(sums[last], np.broadcast_to(sums[-1], sums[last].shape), empty=np.nan)
        rates.append(np.concatenate([np.zeros_like(found[:1]), found]))
    return rates[0], rates[1], np.concatenate([[np.inf], scores[order][last]])


def auc(positive: Array, scores: Array, weights: Array | None = None) -> Array:
    """The area [...] under the ROC curve."""
    return partial_area(positive, scores, weights, least=0.0)


def partial_area(positive: Array, scores: Array, weights: Array | None = None, least: float = 0.8) -> Array:
    """The area [...] between the ROC curve and the right edge where sensitivity is at least `least`: at most 1 - least.

    ISIC 2024's measure, raw.
    """
    false, true, _ = roc(positive, scores, weights)
    low, high = np.maximum(true[:-1], least), np.maximum(true[1:], least)
    slope = ratio(np.diff(false, axis=0), np.diff(true, axis=0), empty=0)
    middle = false[:-1] + slope * ((low + high) / 2 - true[:-1])
    return np.sum((high - low) * (1 - middle), axis=0)


def threshold_for(found: Answers, target: float, of_sensitivity: bool) -> float:
    """The highest threshold with that sensitivity, or the lowest with that specificity."""
    false, true, thresholds = roc(found.positive, found.scores)
    if np.isnan(false).any() or np.isnan(true).any():
        raise UserError("a threshold is fixed on photographs that are positive and on some that are not: one lacks")
    if of_sensitivity:
        return float(thresholds[np.flatnonzero(true >= target - 1e-12)[0]])
    return float(thresholds[np.flatnonzero(1 - false >= target - 1e-12)[-1]])


def point(found: Answers, threshold: float, chosen: str, prevalence: float | None = None, level: float = 0.95) -> Point:
    """The figures at a threshold; the predictive values are of the given prevalence, else of the table's."""
    says_yes = found.scores >= threshold
    sensitivity, specificity = (
        proportion_interval(right[rows], found.groups[rows], level)
        for right, rows in ((says_yes, found.positive), (~says_yes, ~found.positive))
    )
    share = float(found.positive.mean()) if prevalence is None else prevalence
    hit, kept = sensitivity.value, specificity.value
    right = np.array([share * hit, (1 - share) * kept])
    wrong = np.array([(1 - share) * (1 - kept), share * (1 - hit)])
    ppv, npv = ratio(right, right + wrong, empty=np.nan).tolist()
    return Point(chosen, threshold, sensitivity, specificity, ppv, npv, share)


def net_benefit(found: Answers, risk: float, prevalence: float | None = None) -> tuple[float, float]:
    """(of acting where the risk is at least `risk`, of acting always), per photograph (Vickers and Elkin 2006).

    The risk is the score; where another prevalence than the table's is stated, it is moved there by Bayes' rule.
    """
    own = float(found.positive.mean())
    share, scores = own, found.scores
    if prevalence is not None:
        share = prevalence
        scores = expit(logit(np.clip(scores, EDGE, 1 - EDGE)) + logit(share) - logit(own))
    says_yes = scores >= risk
    hits, false = says_yes[found.positive].mean(), says_yes[~found.positive].mean()
    odds = risk / (1 - risk)
    return float(share * hits - (1 - share) * false * odds), share - (1 - share) * odds


def calibration_line(found: Answers) -> tuple[float, float]:
    """(slope, intercept) of the truth on the logit of the score: 1 and 0 of a calibrated one.

    The slope is that of a logistic regression; the intercept is of one whose slope is held at 1, calibration in the
    large. nan where one kind lacks, or where the scores part the two without error.
    """
    x, truth = logit(np.clip(found.scores, EDGE, 1 - EDGE)), found.positive.astype(float)
    if truth.min() == truth.max():
        return np.nan, np.nan
    one = np.ones_like(x)
    slope = _logistic(np.stack([one, x], axis=1), truth, 0 * x)[1]
    return float(slope), float(_logistic(one[:, None], truth, x)[0])


def _logistic(columns: Array, truth: Array, offset: Array) -> Array:
    """The coefficients of a logistic regression by Newton's method; nan where they grow without end."""
    coefficients = np.zeros(columns.shape[1])
    for _ in range(100):
        chance = expit(columns @ coefficients + offset)
        curvature = (columns * (chance * (1 - chance))[:, None]).T @ columns
        gradient = columns.T @ (truth - chance)
        if np.linalg.cond(curvature) > 1e12:
            break
        step = np.linalg.solve(curvature, gradient)
        coefficients = coefficients + step * min(1.0, 5 / max(np.abs(step).max(), SMALL_STEP))
        if np.abs(step).max() < SMALL_STEP:
            return coefficients
    return np.full(columns.shape[1], np.nan)
