"""Probabilities for other class frequencies than a network was trained for (paper 003's question, after training).

A network's probabilities contain the prior that its training had: what share of the loss each class was expected to
be, under the sampler, the weights and the reduction. A run keeps it in the protocol of its tables as `training_prior`:
{class: share}, of paper 001's two stages one of each, whose first calls the classes of the second `rest`.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import softmax

from skinjax.core.errors import UserError
from skinjax.evaluation.calibration import logits_of
from skinjax.evaluation.metrics import evaluate
from skinjax.evaluation.predictions import Predictions

Array = np.ndarray

TAUS = tuple(round(0.1 * step, 1) for step in range(16))  # from 0, no correction, over 1, the exact one, to 1.5
DIFFERENT = "different"  # instead of the training prior, in the protocol of tables of several
Shares = Mapping[str, float]


def training_prior(predictions: Predictions) -> list[Shares]:
    """The `training_prior` of a table's protocol, a stage at a time."""
    kept = predictions.protocol.get("training_prior")
    if kept == DIFFERENT:
        raise UserError("the tables of the ensemble had different training priors: correct each by itself")
    stages = kept.get("stages") if isinstance(kept, dict) else None
    if not isinstance(stages, list) or not stages or not all(_is_shares(of) for of in stages):
        raise UserError("the table's protocol has no training_prior: without it nobody knows what to correct")
    missing = set(predictions.classes) - {name for of in stages for name in of}
    if missing:
        raise UserError(f"the training_prior of the table's protocol lacks the class {sorted(missing)[0]!r}")
    return stages


def _is_shares(of: object) -> bool:
    return isinstance(of, dict) and all(isinstance(share, float | int) and share > 0 for share in of.values())


def frequencies(predictions: Predictions) -> Array:
    """The share of each class among the labelled images [classes]; one that is absent counts as half an image."""
    counts = np.bincount(predictions.labels[predictions.labelled], minlength=len(predictions.classes))
    counts = np.maximum(counts, 0.5)
    return counts / counts.sum()


def with_prior(predictions: Predictions, prior: Sequence[Shares], target: Array, tau: float) -> Predictions:
    """The table for a `target` prior [classes]: the logarithm of that is added, tau times that of the prior taken off.

    Of two stages each is corrected by its own prior, and they are multiplied again.
    """
    logits, classes = logits_of(predictions), predictions.classes
    found = np.zeros_like(logits)
    share = np.ones((len(predictions), 1))
    for number, of_stage in enumerate(prior):
        own = [place for place, name in enumerate(classes) if name in of_stage]
        later = [place for place, name in enumerate(classes) if any(name in of for of in prior[number + 1 :])]
        parts = [logits[:, [place]] for place in own]
        shares, wanted = [of_stage[classes[place]] for place in own], [target[place] for place in own]
        if later:  # the rest, which the next stage divides
            parts.append(np.logaddexp.reduce(logits[:, later], axis=1, keepdims=True))
            shares, wanted = [*shares, of_stage["rest"]], [*wanted, target[later].sum()]
        corrected = share * softmax(np.concatenate(parts, axis=1) + np.log(wanted) - tau * np.log(shares), axis=1)
        found[:, own] = corrected[:, : len(own)]
        share = corrected[:, len(own) :]
    return dataclasses.replace(predictions, probabilities=found, scores=None)


def choose_tau(validation: Predictions, prior: Sequence[Shares], target: Array, metric: str = "macro_recall") -> float:
    """The tau of TAUS at which the metric of the validation table is best; of equals, that nearest to 1."""
    found = {tau: evaluate(with_prior(validation, prior, target, tau), metric) for tau in TAUS}
    best = max(found.values())
    if np.isnan(best):
        raise UserError("no image of the validation table is labelled: tau is chosen on labelled ones")
    return min((tau for tau, value in found.items() if value == best), key=lambda tau: abs(tau - 1))
