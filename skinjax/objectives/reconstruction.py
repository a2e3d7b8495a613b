"""The class-weighted reconstruction error L_r = sum_k w_k L_k: paper 000, eq. (2).

The paper's sum runs over K + 1 terms for K classes; there are K. It does not say what L_k is of a batch.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array

from skinjax.core.errors import lookup
from skinjax.objectives.class_weights import class_weights

RECONSTRUCTION_NORMS = {"l1": jnp.abs, "l2": jnp.square}
RECONSTRUCTION_REDUCTIONS = {
    # A class that a batch lacks is made up for by the batches that have it: the expectation is eq. (2) at any batch
    # size. With the formula `none` every image weighs one: the plain mean over images.
    "per_image": "the mean over images of w_y e / q_y, with q_y the expected share of the image's class in a batch",
    # As eq. (2) reads for one batch. Rare classes are in few batches and lose most of their weight: of HAM10000 at a
    # batch of 96, 0.78 of the whole term is left.
    "class_means": "the sum over classes of w_k times the mean of e over the batch's images of class k, 0 without any",
}


def reconstruction_weights(
    formula: str, reduction: str, counts: np.ndarray, shares: np.ndarray, classes: Sequence[str]
) -> np.ndarray:
    """What each class weighs in `reconstruction` [classes], for training `counts` and a sampler's class `shares`.

    The w are scaled to sum to one, so that alpha means the same for every formula.
    """
    weights = class_weights(formula, counts, classes)
    weights = weights / weights.sum()
    if reduction == "class_means":
        return weights
    if formula == "none":
        return np.ones(len(weights))
    return np.divide(weights, shares, out=np.zeros(len(weights)), where=shares > 0)


def reconstruction(
    rebuilt: Array, images: Array, targets: Array, weights: Array, example_weights: Array, norm: str, reduction: str
) -> tuple[Array | float, Array, Array]:
    """(coefficients, sums, counts) of L_r for a batch of which `example_weights` [batch] are 0 where masked.

    The error e of an image is the mean over its pixels and channels of the squared (`l2`) or absolute (`l1`)
    difference. targets: [batch, classes], where a mixed image has the mixture of its classes' weights; weights:
    [classes], of `reconstruction_weights`
    """
    difference = rebuilt.astype(jnp.promote_types(rebuilt.dtype, jnp.float32)) - images
    error = lookup("reconstruction norm", norm, RECONSTRUCTION_NORMS)(difference).mean(axis=(1, 2, 3))
    membership = targets * example_weights[:, None]
    if reduction == "class_means":
        return weights, jnp.sum(membership * error[:, None], axis=0), jnp.sum(membership, axis=0)
    labelled = (example_weights > 0) * targets.sum(axis=-1)
    return 1.0, jnp.sum(membership * weights * error[:, None]), labelled.sum()
