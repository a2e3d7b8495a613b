"""Pooling with the windows, the padding and the counts of PyTorch's, and of whole maps."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from skinjax.models.layers import lowering


def global_average(features: Array) -> Array:
    """Maps [batch, height, width, channels] to the mean of each channel [batch, channels]; vectors are so already."""
    return features if features.ndim == 2 else features.mean(axis=(1, 2))


def global_maximum_and_average(features: Array) -> Array:
    """Maps to the maximum and then the mean of each channel [batch, 2 * channels]; vectors are so already."""
    if features.ndim == 2:
        return features
    return jnp.concatenate([features.max(axis=(1, 2)), features.mean(axis=(1, 2))], axis=-1)


def max_pool(x: Array, window: int, stride: int, padding: int = 0, ceil_mode: bool = False) -> Array:
    """Max pooling of [batch, height, width, channels] as torch.nn.MaxPool2d."""
    high, wide = (_pool_padding(size, window, stride, padding, ceil_mode) for size in x.shape[1:3])
    return lowering("max_pool")(x, window, stride, (high, wide))


def average_pool(x: Array, window: int, stride: int, padding: int = 0) -> Array:
    """Average pooling of [batch, height, width, channels] as torch.nn.AvgPool2d, which counts the padding."""
    if padding:  # written out, as jax2onnx leaves a pooling's own padding away
        x = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    return nn.avg_pool(x, window_shape=(window, window), strides=(stride, stride), padding="VALID")


def adaptive_average_pool(x: Array, height: int, width: int) -> Array:
    """[batch, height, width, channels] to any height and width, smaller or larger, as torch.nn.AdaptiveAvgPool2d."""
    down, right = (_shares(old, new, x.dtype) for old, new in zip(x.shape[1:3], (height, width), strict=True))
    return jnp.einsum("bhwc,yh,xw->byxc", x, down, right)


def _shares(old: int, new: int, dtype: Any) -> Array:
    """[new, old] what every old pixel is of a new one: the mean of those that the new one touches."""
    pixel, place = jnp.arange(old), jnp.arange(new)[:, None]
    touched = (pixel >= place * old // new) & (pixel < -(-(place + 1) * old // new))
    return (touched / touched.sum(axis=1, keepdims=True)).astype(dtype)


def _pool_padding(size: int, window: int, stride: int, padding: int, ceil_mode: bool) -> tuple[int, int]:
    if not ceil_mode:
        return padding, padding
    outputs = -(-(size + 2 * padding - window) // stride) + 1
    if (outputs - 1) * stride >= size + padding:  # a window must begin inside the map or its left padding
        outputs -= 1
    return padding, max(padding, (outputs - 1) * stride + window - size - padding)
