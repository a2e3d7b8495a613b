"""Losses as pure functions: a value per example, then a (sum, count) that the trainer divides once over the batch.

Targets are probabilities [batch, classes]: one-hot rows, mixtures of mixup, or all zero for an unlabelled image, which
then contributes to neither sum nor count.
"""

import dataclasses
from typing import Protocol

import jax
import jax.numpy as jnp

from skinjax.errors import UserError, lookup

Array = jax.Array


class ExampleLoss(Protocol):
    def __call__(self, logits: Array, targets: Array, class_weights: Array, gamma: float) -> Array: ...


def cross_entropy(logits: Array, targets: Array, class_weights: Array, gamma: float = 0.0) -> Array:
    """Class-weighted softmax cross-entropy [batch]; the paper's "BCE" (baseline) is this with weights of one."""
    del gamma
    return -jnp.sum(targets * class_weights * jax.nn.log_softmax(logits), axis=-1)


def focal(logits: Array, targets: Array, class_weights: Array, gamma: float = 2.0) -> Array:
    """Class-weighted softmax focal loss [batch]: -sum_c y_c w_c (1 - p_c)^gamma log p_c.

    The factor is exp(gamma log(1 - p)), finite with its gradient at saturated logits, where (1 - p)**gamma is not.
    """
    factor = jnp.exp(gamma * log_one_minus_softmax(logits))
    return -jnp.sum(targets * class_weights * factor * jax.nn.log_softmax(logits), axis=-1)


def bce_with_logits(logits: Array, targets: Array, class_weights: Array, gamma: float = 0.0) -> Array:
    """One sigmoid per class, mean over classes [batch], weighted by the example's own class (paper 002)."""
    del gamma
    per_class = jax.nn.softplus(logits) - targets * logits
    return jnp.mean(per_class, axis=-1) * jnp.sum(targets * class_weights, axis=-1)


LOSSES: dict[str, ExampleLoss] = {"cross_entropy": cross_entropy, "focal": focal, "bce_with_logits": bce_with_logits}
REDUCTIONS = {
    "torch_weighted_mean": "sum of weighted losses / sum of the weights in the batch",
    "batch_mean": "sum of weighted losses / number of labelled images",
    "sum": "sum of weighted losses",
}


@dataclasses.dataclass(frozen=True)
class ClassificationLoss:
    """A loss by name with its settings; called, it gives the (sum, count) of a batch.

    `torch_weighted_mean` is PyTorch's 'mean' with class weights. It divides by the weights of the batch at hand, which
    in small batches undoes most of the weighting (papers.md, 1.3); `batch_mean` does not. For soft targets, whose
    weight here is the mixture's, PyTorch's 'mean' is `batch_mean`.
    """

    name: str = "cross_entropy"
    gamma: float = 2.0
    label_smoothing: float = 0.0
    reduction: str = "torch_weighted_mean"

    def __post_init__(self):
        lookup("loss", self.name, LOSSES)
        lookup("loss reduction", self.reduction, REDUCTIONS)
        if self.gamma < 0:
            raise UserError(f"loss.gamma is {self.gamma}; the focal loss needs gamma >= 0")
        if not 0 <= self.label_smoothing < 1:
            raise UserError(f"loss.label_smoothing is {self.label_smoothing}; it must lie in [0, 1)")

    def __call__(self, logits: Array, targets: Array, class_weights: Array, example_weights: Array):
        """(sum, count) of `logits`, `targets` [batch, classes]; `example_weights` [batch] are 0 where masked.

        The count is None where nothing is divided.
        """
        logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
        labelled = targets.sum(axis=-1)
        smooth = self.label_smoothing
        smoothed = (1 - smooth) * targets + smooth * labelled[:, None] / logits.shape[-1]
        values = LOSSES[self.name](logits, smoothed, class_weights, self.gamma)
        total = jnp.sum(jnp.where(example_weights > 0, example_weights * values, 0))
        # The count uses the targets before smoothing, as PyTorch does.
        if self.reduction == "sum":
            return total, None
        of_class = jnp.sum(targets * class_weights, axis=-1)
        count = (
            example_weights * of_class if self.reduction == "torch_weighted_mean" else (example_weights > 0) * labelled
        )
        return total, jnp.sum(count).astype(total.dtype)


def reconstruction(reconstructed: Array, images: Array, targets: Array, example_weights: Array, norm: str):
    """(sums, counts) [classes] of the reconstruction error per class: L_k of paper 000, eq. (2).

    The error of an image is the mean over its pixels and channels of the squared (`l2`) or absolute (`l1`) difference.
    The paper's sum runs over K + 1 terms for K classes; there are K.
    """
    difference = reconstructed.astype(jnp.promote_types(reconstructed.dtype, jnp.float32)) - images
    error = lookup("reconstruction norm", norm, RECONSTRUCTION_NORMS)(difference).mean(axis=(1, 2, 3))
    membership = targets * example_weights[:, None]
    return jnp.sum(membership * error[:, None], axis=0), jnp.sum(membership, axis=0)


RECONSTRUCTION_NORMS = {"l1": jnp.abs, "l2": jnp.square}


def log_one_minus_softmax(logits: Array) -> Array:
    """log(1 - softmax(logits)) [..., classes], finite for finite logits.

    For every class but the likeliest p <= 1/2, so log1p(-p) is exact; for that one, 1 - p is the sum over the others.
    """
    log_p = jax.nn.log_softmax(logits)
    top = jax.nn.one_hot(jnp.argmax(logits, axis=-1), logits.shape[-1], dtype=bool)
    of_top = jax.nn.logsumexp(log_p, axis=-1, where=~top, keepdims=True)
    return jnp.where(top, of_top, jnp.log1p(-jnp.where(top, 0, jnp.exp(log_p))))
