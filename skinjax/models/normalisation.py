"""Batch normalisation with PyTorch's statistics, never computed in less than float32, and a cheap backward pass."""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from skinjax.models.layers import Initializer, lowering


class BatchNorm(nn.Module):
    """Batch normalisation over the global batch, with PyTorch's momentum of 0.1 and its unbiased running variance."""

    momentum: float = 0.1
    epsilon: float = 1e-5
    scale_init: Initializer = nn.initializers.ones
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, *, use_running_average: bool, statistics: tuple[Array, Array] | None = None) -> Array:
        """`statistics` are `batch_statistics(x)`, from a caller who has them already."""
        features = (x.shape[-1],)
        scale = self.param("scale", self.scale_init, features, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, features, jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, features, jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, features, jnp.float32)
        dtype = self.dtype or jnp.result_type(x, scale)
        if use_running_average:
            return _normalised(x, scale, bias, running_mean.value, running_var.value, self.epsilon).astype(dtype)
        mean, var = batch_statistics(x) if statistics is None else statistics
        if not self.is_initializing():
            count = x.size // x.shape[-1]
            unbiased = var * (count / max(count - 1, 1))
            running_mean.value = (1 - self.momentum) * running_mean.value + self.momentum * mean
            running_var.value = (1 - self.momentum) * running_var.value + self.momentum * unbiased
        return normalised(x, scale, bias, mean, var, self.epsilon).astype(dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def normalised(x: Array, scale: Array, bias: Array, mean: Array, var: Array, epsilon: float) -> Array:
    """x normalised by its statistics [channels], with a backward pass of two sums."""
    return _normalised(x, scale, bias, mean, var, epsilon)


def _normalised(x: Array, scale: Array, bias: Array, mean: Array, var: Array, epsilon: float) -> Array:
    multiplier = scale * jax.lax.rsqrt(var + epsilon)
    return x * multiplier + (bias - mean * multiplier)


def _normalised_backward(epsilon: float, saved: tuple[Array, ...], dy: Array) -> tuple[Array, ...]:
    x, scale, mean, var, dy = lowering("computed_once")((*saved, dy))
    rows, changes = (a.reshape(-1, a.shape[-1]).astype(mean.dtype) for a in (x, dy))
    deviation = jax.lax.rsqrt(var + epsilon)
    multiplier = scale * deviation
    total, about_mean = changes.sum(axis=0), (changes * (rows - mean)).sum(axis=0)
    dx = (multiplier * dy).astype(x.dtype)
    return dx, about_mean * deviation, total, -multiplier * total, -multiplier * deviation**2 * about_mean / 2


normalised.defvjp(
    lambda x, scale, bias, mean, var, epsilon: (normalised(x, scale, bias, mean, var, epsilon), (x, scale, mean, var)),
    _normalised_backward,
)


@jax.custom_vjp
def batch_statistics(x: Array) -> tuple[Array, Array]:
    """Mean and biased variance [channels] over all other axes, the variance about the mean (two passes)."""
    rows = x.reshape(-1, x.shape[-1]).astype(jnp.promote_types(x.dtype, jnp.float32))
    mean = rows.mean(axis=0)
    return mean, jnp.square(rows - mean).mean(axis=0)


def _batch_statistics_forward(x: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    mean, var = batch_statistics(x)
    return (mean, var), (x, mean)


def _batch_statistics_backward(saved: tuple[Array, Array], cotangents: tuple[Array, Array]) -> tuple[Array]:
    (x, mean), (dmean, dvar) = saved, cotangents
    count = x.size // x.shape[-1]
    return (((dmean + 2 * dvar * (x - mean)) / count).astype(x.dtype),)


batch_statistics.defvjp(_batch_statistics_forward, _batch_statistics_backward)
