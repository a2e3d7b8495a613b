"""How far probabilities can be taken at their word, and what is fitted on validation for it.

Everything is fitted on one table and applied to another: fitted on the table that it is judged by, it flatters.
"""

import dataclasses

import numpy as np
from scipy.special import ndtr, softmax

from skinjax.core.errors import UserError
from skinjax.evaluation.confusion import ratio
from skinjax.evaluation.predictions import Predictions
from skinjax.evaluation.scores import Scored, log_loss

Array = np.ndarray

BINS = 15
SMALLEST = 1e-12  # below which a probability is taken for this, where its logarithm is needed
TEMPERATURES = (0.05, 20.0)


@dataclasses.dataclass(frozen=True)
class Reliability:
    """Bins of as many rows each, by confidence: their mean confidence, their accuracy, and how many rows they have."""

    confidence: Array
    accuracy: Array
    rows: Array

    @property
    def error(self) -> float:
        """The expected calibration error, less what it would be on average by chance: sum_b share_b |gap_b|.

        A bin of n rows with accuracy a has a gap that errs by sqrt(a (1 - a) / n), so that |gap| is too large on
        average even of a perfect classifier: the excess (of a folded normal) is taken off, as Kumar, Liang and Ma do
        (2019) by simulation. Never below 0.
        """
        gap = np.abs(self.confidence - self.accuracy)
        spread = np.sqrt(self.accuracy * (1 - self.accuracy) / np.maximum(self.rows, 1))
        steps = ratio(gap, spread, empty=0)
        folded = spread * np.sqrt(2 / np.pi) * np.exp(-np.square(steps) / 2) + gap * (1 - 2 * ndtr(-steps))
        expected = np.where(spread > 0, folded, gap)
        share = self.rows / max(self.rows.sum(), 1)
        return max(0.0, float(np.sum(share * (2 * gap - expected))))


def reliability(confidence: Array, right: Array, bins: int = BINS) -> Reliability:
    """The bins of rows with a confidence [N] that are right or not [N]; rows of one confidence share a bin."""
    places = np.searchsorted(np.sort(confidence), confidence)
    number = places * bins // max(len(places), 1)
    rows = np.bincount(number)
    means = [ratio(np.bincount(number, of, len(rows)), rows, empty=np.nan) for of in (confidence, right)]
    kept = rows > 0
    return Reliability(means[0][kept], means[1][kept], rows[kept])


def top_label_reliability(predictions: Predictions) -> Reliability:
    """Of the likeliest class: its probability against how often it is the true one."""
    known = predictions.labelled
    right = predictions.predicted[known] == predictions.labels[known]
    return reliability(predictions.probabilities[known].max(axis=1), right)


def calibration_error(predictions: Predictions) -> float:
    """The debiased expected calibration error of the likeliest class; nan without a labelled image."""
    return top_label_reliability(predictions).error if predictions.labelled.any() else np.nan


def logits_of(predictions: Predictions) -> Array:
    """Logarithms of the probabilities [N, classes]."""
    return np.log(np.clip(predictions.probabilities.astype(float), SMALLEST, None))


def fit_temperature(validation: Predictions) -> float:
    """The temperature at which the probabilities of a table have the least log loss."""
    if not validation.labelled.any():
        raise UserError("no image of the validation table is labelled: a temperature is fitted on labelled ones")
    from scipy.optimize import minimize_scalar  # takes long to import

    logits = logits_of(validation)

    def loss(log_temperature: float) -> float:
        return float(log_loss(Scored(validation.labels, softmax(logits / np.exp(log_temperature), axis=1))))

    return float(np.exp(minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def with_temperature(predictions: Predictions, temperature: float) -> Predictions:
    """The table with the probabilities softmax(log p / temperature)."""
    return dataclasses.replace(
        predictions, probabilities=softmax(logits_of(predictions) / temperature, axis=1), scores=None
    )
