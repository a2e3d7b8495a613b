"""What a pixel becomes: pictures seen through the matrices of `geometry`, antialiased where they shrink.

`warp` follows any map, by four pixels; `low_pass` before it takes out what a smaller picture cannot show. `stretch` and
`resize`, for windows that keep upright and for whole pictures, weigh pixels exactly as Pillow does.
"""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from skinjax.core.portable import is_portable
from skinjax.images.geometry import Size, product


@functools.partial(jax.jit, static_argnames=("size", "mirrored"))
def warp(images: Array, matrices: Array, size: Size, fill: float = 0.0, mirrored: bool = False) -> Array:
    """The pictures seen through affine maps, interpolated bilinearly from four pixels.

    Inside a picture's area [0, W] x [0, H] the border pixels are replicated, so that a resize or a flip darkens no
    border; beyond it the picture fades to `fill` within half a pixel, so that whole pixels outside are exactly `fill`,
    or is `mirrored`, as far as its own size.
    Identity, flips, quarter turns and whole-pixel crops copy bit for bit. There is no antialiasing: where maps shrink,
    give them the pictures after `low_pass`.

    images: [batch, H, W, channels], uint8 or float, 0..255
    matrices: [batch, 2, 3] or [2, 3] float32, output point -> input point
    size: (h, w) of the output
    returns: [batch, h, w, channels] float32, 0..255
    """
    batch, height, width, channels = images.shape
    m = jnp.broadcast_to(matrices, (batch, 2, 3)).astype(jnp.float32)[..., None, None]
    # One gather per image, not one over the flattened batch: a batch sharded over devices then stays where it is.
    pixels = images.reshape(batch, height * width, channels)
    take = jax.vmap(lambda image, index: image.at[index].get(mode="promise_in_bounds"))

    def output_rows(y: Array) -> Array:
        x = jnp.arange(size[1], dtype=jnp.float32) + 0.5
        u = product(m[:, 0, 0], x) + (product(m[:, 0, 1], y) + m[:, 0, 2])
        v = product(m[:, 1, 0], x) + (product(m[:, 1, 1], y) + m[:, 1, 2])
        if mirrored:
            u, v = (jnp.where(x > most, 2 * most - x, abs(x)) for x, most in ((u, width), (v, height)))
        left, right, across = _neighbours(u, width)
        top, bottom, down = _neighbours(v, height)

        def between_columns(row: Array) -> Array:
            first, second = (take(pixels, row * width + column).astype(jnp.float32) for column in (left, right))
            return first + across * (second - first)

        upper = between_columns(top)
        value = upper + down * (between_columns(bottom) - upper)
        inside = jnp.minimum(jnp.minimum(u, width - u), jnp.minimum(v, height - v))
        cover = jnp.clip(1 + 2 * inside, 0, 1)[..., None]
        return fill + cover * (value - fill)

    # In two halves, because XLA on CPU stores what a loop makes and computes anything else anew for each of its uses.
    half = (size[0] + 1) // 2
    y = jnp.arange(half, dtype=jnp.float32)[:, None] + 0.5

    def add_half(i: Array, rows: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(rows, output_rows(y + i * half), i * half, 1)

    rows = jnp.zeros((batch, 2 * half, size[1], channels), jnp.float32)
    return jax.lax.fori_loop(0, 2, add_half, rows)[:, : size[0]]


def low_pass(images: Array, matrices: Array, shrink: float) -> Array:
    """The pictures, each as much blurred as `warp` by its matrix needs to shrink it without aliasing.

    Where a map does not shrink, pixels stay bit for bit. Where it shrinks by a whole number, this and `warp` together
    are Pillow's antialiasing filter; between two such numbers, a mixture of their filters. On a turned picture it is as
    wide along each axis as the turned filter.

    images: [batch, H, W, channels], 0..255
    matrices: [batch, 2, 3], output point -> input point
    shrink: by how much they shrink at most; at 1 nothing is done
    returns: [batch, H, W, channels], float32 unless nothing is done
    """
    reach = math.ceil(shrink) - 1
    if reach < 1:
        return images
    offset = np.arange(-reach, reach + 1)[:, None]

    def triangle(half: Array) -> Array:
        return jnp.maximum(0, half - abs(offset)) / half**2

    def weights(row: Array) -> Array:
        width = jnp.clip(jnp.sqrt(product(row[:, 0], row[:, 0]) + product(row[:, 1], row[:, 1])), 1, shrink)
        half = jnp.floor(width)
        return product(half + 1 - width, triangle(half)) + product(width - half, triangle(half + 1))

    return convolve(convolve(images, 2, weights(matrices[:, 0])), 1, weights(matrices[:, 1]))


def convolve(images: Array, axis: int, weights: Array) -> Array:
    """Along one axis, each pixel's weighted sum of itself and its neighbours, borders replicated.

    images: [batch, H, W, channels]; weights: [taps] or [taps, batch], an odd number of taps
    returns: [batch, H, W, channels] float32
    """
    taps = len(weights)
    padding = [(0, 0)] * images.ndim
    padding[axis] = (taps // 2, taps // 2)
    # Stored as it is, and a few taps written out: XLA on CPU then takes half the time.
    padded = jax.lax.optimization_barrier(jnp.pad(images, padding, mode="edge"))
    weights = weights.reshape(taps, -1, 1, 1, 1)

    def add(tap: Array, total: Array) -> Array:
        taken = jax.lax.dynamic_slice_in_dim(padded, tap, total.shape[axis], axis)
        return total + weights[tap] * taken.astype(jnp.float32)

    return jax.lax.fori_loop(0, taps, add, jnp.zeros(images.shape, jnp.float32), unroll=taps <= 5)


@functools.partial(jax.jit, static_argnames="size")
def stretch(images: Array, matrices: Array, size: Size) -> Array:
    """Upright windows of the pictures at another size, perhaps mirrored: what Pillow's BILINEAR makes of each cut out.

    images: [batch, H, W, channels], 0..255
    matrices: [batch, 2, 3], output point -> input point, without turns, and of windows within the picture
    returns: [batch, h, w, channels] float32, 0..255
    """
    for axis in (2, 1):  # columns first, which leaves less to the slower pass
        stored, length = images.shape[axis], size[axis - 1]
        step, start = matrices[:, 2 - axis, 2 - axis, None], matrices[:, 2 - axis, 2, None]
        centre = product(step, jnp.arange(length, dtype=jnp.float32) + 0.5) + start
        end = product(step, length) + start
        taps = math.ceil(2 * max(stored / length, 1.0))
        edges = jnp.minimum(start, end), jnp.maximum(start, end)
        taken, share = _triangle(centre, jnp.maximum(1.0, abs(step)), edges, taps)
        images = _weigh(images, axis, taken.clip(0, stored - 1).astype(jnp.int32), share)
    return images


def resize(images: Array, size: Size) -> Array:
    """The whole picture at another size, antialiased as Pillow's BILINEAR is, and equal to it within its rounding.

    images: [batch, H, W, channels], 0..255
    returns: [batch, h, w, channels] float32, 0..255
    """
    return _resize_by_products(images, size) if is_portable() else _resize(images, size)


@functools.partial(jax.jit, static_argnames="size")
def _resize(images: Array, size: Size) -> Array:
    for axis in (1, 2):
        stored, length = images.shape[axis], size[axis - 1]
        if stored != length:
            images = _weigh(images, axis, *_places(stored, length))
    return images.astype(jnp.float32)


def _resize_by_products(images: Array, size: Size) -> Array:
    """The same as products with matrices [length, stored], where a loop over taps cannot be exported."""
    images = images.astype(jnp.float32)
    for axis, formula in ((1, "bhwc,yh->bywc"), (2, "bhwc,xw->bhxc")):
        stored, length = images.shape[axis], size[axis - 1]
        if stored != length:
            matrix = np.zeros((length, stored), np.float32)
            for taken, share in zip(*_places(stored, length), strict=True):
                matrix[np.arange(length), taken] += share
            images = jnp.einsum(formula, images, matrix, precision="highest")
    return images


def _places(stored: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels from which each of a resized axis is made, and their shares: both [taps, length]."""
    support = max(stored / length, 1.0)
    centre = (np.arange(length) + 0.5) * stored / length
    taken, share = _triangle(centre, support, (0, stored), math.ceil(2 * support))
    return taken.clip(0, stored - 1).astype(np.int32), share


def _neighbours(position: Array, length: int) -> tuple[Array, Array, Array]:
    """The two pixels around each position, and the second one's weight [..., 1]."""
    index = jnp.clip(position - 0.5, 0, length - 1)
    # Clipped again as integers: a matrix with NaN must not send the unchecked gather out of the picture.
    first = jnp.clip(index.astype(jnp.int32), 0, length - 1)
    return first, jnp.minimum(first + 1, length - 1), (index - first)[..., None]


def _triangle(centre: Any, support: Any, edges: tuple[Any, Any], taps: int) -> tuple[Any, Any]:
    """The pixels under a triangle about each centre, and their shares, none beyond the edges: both [taps, ..., length].

    centre: [..., length], NumPy's or the device's; support: half of the triangle's base
    """
    first = (centre - support + 0.5) // 1
    taken = first + np.arange(taps, dtype=np.float32).reshape(-1, *[1] * centre.ndim)
    inside = (taken + 0.5 > edges[0]) & (taken + 0.5 < edges[1])
    weight = (1 - abs(taken + 0.5 - centre) / support).clip(0) * inside
    return taken, weight / weight.sum(0)


def _weigh(images: Array, axis: int, index: Array | np.ndarray, share: Array | np.ndarray) -> Array:
    """Along one axis, weighted sums of the pixels at some places.

    index, share: [taps, length] or [taps, batch, length]
    """
    index, share = jnp.asarray(index), jnp.asarray(share, jnp.float32)
    share = share.reshape(len(share), -1, *[1] * (axis - 1), share.shape[-1], *[1] * (images.ndim - axis - 1))
    take = jax.vmap(lambda image, place: image.take(place, axis - 1, mode="clip"), (0, 0 if index.ndim == 3 else None))

    def add(tap: Array, total: Array) -> Array:
        return total + take(images, index[tap]).astype(jnp.float32) * share[tap]

    # A loop, because XLA on CPU would otherwise compute this axis anew for every tap of whatever reads it.
    shape = (*images.shape[:axis], index.shape[-1], *images.shape[axis + 1 :])
    return jax.lax.fori_loop(0, len(index), add, jnp.zeros(shape, jnp.float32))
