"""Colour changes drawn per example, and the normalisations that networks expect (papers 000 and 003, ColorJitter).

Pictures are float, 0..255. The four changes are torchvision's, but always in the order brightness, contrast,
saturation, hue, where torchvision draws the order anew for each picture.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import DTypeLike

from skinjax.images.geometry import between, per_example_uniform


class Normalisation(NamedTuple):
    """Mean and standard deviation of red, green and blue, in units of 0..1."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


NORMALISATIONS = {
    "imagenet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "unit": Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "skin7": Normalisation((0.7626, 0.5453, 0.5714), (0.1404, 0.1519, 0.1685)),
}


def normalise(images: Array, mean: tuple[float, ...], std: tuple[float, ...], dtype: DTypeLike = jnp.float32) -> Array:
    """(images / 255 - mean) / std, channel by channel.

    images: [..., 3], 0..255; returns [..., 3] of `dtype`
    """
    return (images.astype(dtype) / 255 - np.asarray(mean, dtype)) / np.asarray(std, dtype)


def to_bytes(images: np.ndarray, normalisation: Normalisation) -> np.ndarray:
    """Normalised pictures as uint8 again; uint8 as it is."""
    if images.dtype == np.uint8:
        return images
    restored = images * np.array(normalisation.std) + np.array(normalisation.mean)
    return np.clip(np.round(255 * restored), 0, 255).astype(np.uint8)


def colour_jitter(
    keys: Array, images: Array, brightness: float = 0, contrast: float = 0, saturation: float = 0, hue: float = 0
) -> Array:
    """Random brightness, contrast, saturation (factors uniform in [max(0, 1 - x), 1 + x]) and hue (shift in [-x, x]).

    A strength of zero builds no operation and does not change what the others draw.

    keys: [batch]; images: [batch, H, W, 3], 0..255; returns the same shape, float32
    """
    draw = per_example_uniform(keys, 4)
    images = images.astype(jnp.float32)
    operations: list[tuple[float, Callable[[Array, Array], Array]]] = [
        (brightness, scale_brightness),
        (contrast, scale_contrast),
        (saturation, scale_saturation),
    ]
    for column, (strength, operation) in enumerate(operations):
        if strength:
            images = operation(images, between(draw[:, column], max(0.0, 1 - strength), 1 + strength))
    return shift_hue(images, between(draw[:, 3], -hue, hue)) if hue else images


def lighting(keys: Array, images: Array, most: float) -> Array:
    """Random contrast about the picture's own mean, then light added to all of it: RandomLighting of fastai 0.7.

    The light is uniform within this part of the full range either way. So is c, for a contrast of 1 + c, below zero of
    1 / (1 - c).

    keys: [batch]; images: [batch, H, W, 3], 0..255; returns the same shape, float32
    """
    light, c = between(per_example_uniform(keys, 2), -most, most).T.reshape(2, -1, 1, 1, 1)
    # A sum of integers, as in `scale_contrast`.
    total = jnp.round(images).astype(jnp.int32).sum((1, 2, 3), dtype=jnp.int32, keepdims=True)
    mean = total.astype(jnp.float32) / math.prod(images.shape[1:])
    return jnp.clip(mean + jnp.where(c < 0, 1 / (1 - c), 1 + c) * (images - mean) + 255 * light, 0, 255)


def scale_brightness(images: Array, factors: Array) -> Array:
    """Blend with black. images: [batch, H, W, 3], 0..255; factors: [batch], 1 = unchanged."""
    return _blend(images, 0.0, factors)


def scale_contrast(images: Array, factors: Array) -> Array:
    """Blend with the picture's mean grey. images: [batch, H, W, 3], 0..255; factors: [batch], 1 = unchanged.

    The greys are rounded before the mean, as Pillow rounds them: a sum of integers does not depend on its order, so the
    result is the same in any batch and on any number of devices.
    """
    height, width = images.shape[1:3]
    total = jnp.round(grey(images)).astype(jnp.int32).sum((1, 2, 3), dtype=jnp.int32, keepdims=True)
    return _blend(images, total.astype(jnp.float32) / (height * width), factors)


def scale_saturation(images: Array, factors: Array) -> Array:
    """Blend with the picture in grey. images: [batch, H, W, 3], 0..255; factors: [batch], 1 = unchanged."""
    return _blend(images, grey(images), factors)


def shift_hue(images: Array, shifts: Array) -> Array:
    """Turn the hue by `shifts` of the colour circle, keeping HSV's value and saturation; greys stay as they are.

    images: [batch, H, W, 3], 0..255; shifts: [batch], 0.5 = the opposite hue
    """
    red, green, blue = images[..., 0], images[..., 1], images[..., 2]
    value = jnp.maximum(jnp.maximum(red, green), blue)
    chroma = value - jnp.minimum(jnp.minimum(red, green), blue)
    slope = 1 / jnp.maximum(chroma, 1e-6)
    # Not `value == red`: a compiler may compute red twice with different last bits, and then no channel is the largest.
    sextant = jnp.where(
        (red >= green) & (red >= blue),
        (green - blue) * slope,
        jnp.where(green >= blue, (blue - red) * slope + 2, (red - green) * slope + 4),
    )
    sextant = sextant + 6 * shifts[:, None, None]

    def channel(offset: int) -> Array:
        place = sextant + offset
        place = place - 6 * jnp.floor(place / 6)
        return value - chroma * jnp.clip(jnp.minimum(place, 4 - place), 0, 1)

    return jnp.stack([channel(5), channel(3), channel(1)], -1)


def grey(images: Array) -> Array:
    """Rec. 601 luma, 0.299 red + 0.587 green + 0.114 blue, exact for greys: [..., 3] -> [..., 1]."""
    red, green, blue = images[..., :1], images[..., 1:2], images[..., 2:]
    return green + 0.299 * (red - green) + 0.114 * (blue - green)


def _blend(images: Array, other: Array | float, factors: Array) -> Array:
    factors = factors[:, None, None, None]
    return jnp.clip(other + factors * (images - other), 0, 255)
