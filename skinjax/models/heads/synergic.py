"""The synergic head of paper 004: whether two images are of one class, from their embeddings."""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from skinjax.models.layers import Dense, relu, uniform_within

_small = uniform_within(0.05)


class SynergicHead(nn.Module):
    """Embeddings of a pair side by side [batch, 2 * features] to the logit [batch] of their being of one class.

    A layer of 1024 with ReLU and the last one, both drawn from U(-0.05, 0.05); the paper does not say how wide it is.
    """

    @nn.compact
    def __call__(self, pairs: Array, *, train: bool = False) -> Array:
        dense = partial(Dense, kernel_init=_small, bias_init=_small, dtype=jnp.promote_types(pairs.dtype, jnp.float32))
        return dense(1, name="synergy")(relu(dense(1024, name="hidden")(pairs)))[:, 0]
