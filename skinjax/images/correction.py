"""Photograph correction (paper 002, "Gamma & Illumination" and "Field of View"), and the removal of dark hairs.

Every correction takes and returns uint8 [batch, H, W, 3] and treats each picture by itself. Lengths are parts of the
shorter side, so that a photograph is corrected alike at any size. The paper only shows pictures: formulae and defaults
are ours, measured in docs/correct.md.
"""

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from skinjax.core.errors import UserError, lookup
from skinjax.images.geometry import Size
from skinjax.images.resampling import convolve, resize, warp

Correction = Callable[[Array], Array]


def even_illumination(images: Array, sigma: float = 0.4, most: float = 3.0) -> Array:
    """Uneven light taken back: value times mean(map) / map, hue and saturation kept.

    images: [batch, H, W, 3] uint8; sigma: of `illumination_map`; most: the largest gain, which keeps the noise of a
    black frame from being amplified; returns the same shape, uint8
    """
    light = illumination_map(images, sigma)
    # Whole numbers, whose sum does not depend on its order; rows first, as 32 bits do not hold a large picture's.
    rows = jnp.round(4 * light).astype(jnp.int32).sum(2, keepdims=True, dtype=jnp.int32).astype(jnp.float32)
    total = jnp.round(rows * (64 / light.shape[2])).astype(jnp.int32).sum(1, keepdims=True, dtype=jnp.int32)
    gain = jnp.minimum(total.astype(jnp.float32) / (4 * 64 * light.shape[1]) / jnp.maximum(light, 1), most)
    # No channel may be clipped alone: that would turn the hue.
    gain = jnp.minimum(gain, 255 / jnp.maximum(_value(images), 1).astype(jnp.float32))
    return _bytes(images.astype(jnp.float32) * gain[..., None])


def illumination_map(images: Array, sigma: float = 0.4) -> Array:
    """The light that falls on the skin: the value (largest channel) under a wide Gaussian, borders replicated.

    sigma: standard deviation, a part of the shorter side. Lesions fill a good part of a dermoscopic picture, and
    anything below 0.3 takes them for shadows (measured in docs/correct.md); shadows of clinical photographs want less.

    images: [batch, H, W, 3] uint8; returns [batch, H, W] float32, 0..255
    """
    return _wide_gaussian(_value(images), sigma)


def gamma(images: Array, g: float = 1.35) -> Array:
    """255 * (in / 255) ** (1 / g): g > 1 brightens the shadows, g < 1 darkens them.

    The paper recommends "about 1.2 - 1.5" and does not say in which direction. images: [batch, H, W, 3] uint8
    """
    if not 0 < g < math.inf:
        raise UserError(f"the gamma is {g}; it must be a positive number like 1.35")
    return jnp.asarray(np.round(255 * (np.arange(256) / 255) ** (1 / g)).astype(np.uint8))[images]


def shades_of_grey(images: Array, p: float = 6.0) -> Array:
    """Colour constancy: the Minkowski mean of each channel, mean(in ** p) ** (1 / p), is taken for the light's colour.

    p = 1 is grey world, p = inf max-RGB (Finlayson and Trezzi, 2004). The three gains are |light| / (sqrt(3) * light),
    so that a neutral picture stays as it is. images: [batch, H, W, 3] uint8
    """
    if not p >= 1:
        raise UserError(f"the p of shades of grey is {p}; it must be a number from 1 on")
    levels = np.arange(256) / 255
    counts = _histograms(images)
    if math.isinf(p):
        light = jnp.where(counts > 0, jnp.asarray(levels, jnp.float32), 0).max(-1)
    else:
        powers = counts.astype(jnp.float32) / (images.shape[1] * images.shape[2]) * np.float32(levels**p)
        while powers.shape[-1] > 1:  # halves, so that the order of the sum is fixed
            middle = powers.shape[-1] // 2
            powers = powers[..., :middle] + powers[..., middle:]
        light = powers[..., 0] ** (1 / p)
    red, green, blue = light[:, 0], light[:, 1], light[:, 2]
    strength = jnp.sqrt((red * red + green * green + blue * blue) / 3)[:, None]
    gain = jnp.where(light > 0, strength / jnp.maximum(light, 1e-9), 1)
    # Rounded, because a power may have other last bits in another batch.
    gain = jnp.round(gain * 4096) / 4096
    return _bytes(images.astype(jnp.float32) * gain[:, None, None, :])


def field_of_view_crop(images: Array, darkness: float = 0.25, most: float = 2.0) -> Array:
    """Zoom to the largest window of the picture's aspect ratio that holds nothing of a dark frame or vignette.

    Frame is what is darker than `darkness` of the brightest place and reaches the border in a straight line. A picture
    without a frame, or with less than a window of 1 / `most` of its sides free of it, is returned bit for bit.

    images: [batch, H, W, 3] uint8
    """
    size = images.shape[1], images.shape[2]
    scale, top, left = _largest_free_window(_dark_frame(_value(images), darkness), most)
    zero = jnp.zeros_like(scale)
    rows = [scale, zero, left * size[1]], [zero, scale, top * size[0]]
    return _bytes(warp(images, jnp.stack([jnp.stack(row, -1) for row in rows], -2), size))


def zoom(images: Array, factor: float) -> Array:
    """The middle 1 / factor of each side at full size: the paper's field-of-view experiment.

    images: [batch, H, W, 3] uint8
    """
    if not 1 <= factor < math.inf:
        raise UserError(f"the zoom is {factor}; it must be a number from 1 on")
    size = images.shape[1], images.shape[2]
    corner = (1 - 1 / factor) / 2
    matrix = jnp.array([[1 / factor, 0, corner * size[1]], [0, 1 / factor, corner * size[0]]], jnp.float32)
    return _bytes(warp(images, matrix, size))


def remove_hair(images: Array, contrast: float = 12.0) -> Array:
    """Dark hairs (after DullRazor, Lee et al. 1997) replaced by what lies around them; light hairs stay.

    contrast: how many grey levels a hair is darker than the skin, at least. images: [batch, H, W, 3] uint8
    """
    hairs = hair_mask(images, contrast)[..., None]
    # What a smooth surface through the other pixels has there, by averages of ever larger squares.
    weight = jnp.where(hairs, 0, 1).astype(jnp.float32)
    return jnp.where(hairs, _bytes(_interpolate(images.astype(jnp.float32) * weight, weight)), images)


def hair_mask(images: Array, contrast: float = 12.0) -> Array:
    """Dark lines longer and thinner than the fine structures of a lesion: bool [batch, H, W].

    `thin` is what a closing by a square fills: hairs, but also networks and dots. A closing by lines keeps of these
    only what contains a straight line in one of sixteen directions. Where much is thin all around (a network), a hair
    must stand out from it. images: [batch, H, W, 3] uint8
    """
    value = _value(images)
    side = min(value.shape[1:])
    skin = _square_closing(value, max(3, round(THICKNESS * side)))
    lines = _line_closing(value, max(3, round(LENGTH * side)))
    thin = skin - value
    busy = _wide_gaussian(thin, SURROUNDINGS)
    least = jnp.maximum(contrast, STANDS_OUT * busy)
    hairs = (skin - jnp.minimum(skin, lines)).astype(jnp.float32) >= least
    hairs = hairs & _on_lines(hairs, max(3, round(RUN * side)), FILLED)
    # Along a hair into its fainter parts, then onto its soft edges.
    faint = thin.astype(jnp.float32) >= least / 2
    grown = max(1, round(GROWTH * side))
    hairs = jax.lax.fori_loop(0, grown, lambda _, found: found | (_dilate(found) & faint), hairs)
    return _dilate(hairs)


# In the order in which all of them make sense: what is no skin goes first.
CORRECTIONS: dict[str, Correction] = {
    "field_of_view_crop": field_of_view_crop,
    "remove_hair": remove_hair,
    "even_illumination": even_illumination,
    "shades_of_grey": shades_of_grey,
    "gamma": gamma,
}


def corrected(names: Sequence[str]) -> Correction:
    """The corrections `names` in this order as one function; without names, what goes in comes out.

    >>> corrected(["gama"])
    Traceback (most recent call last):
    skinjax.core.errors.UserError: unknown correction 'gama' (did you mean 'gamma'?); known: even_illumination, ...
    """
    steps = [lookup("correction", name, CORRECTIONS) for name in names]
    return lambda images: functools.reduce(lambda seen, step: step(seen), steps, images)


# Light
GRID = 32  # cells along the shorter side for wide Gaussians


def _value(images: Array) -> Array:
    """HSV's value, the largest channel: [batch, H, W, 3] -> [batch, H, W]."""
    # Not `max(-1)`, which is seven times slower on CPU.
    return jnp.maximum(jnp.maximum(images[..., 0], images[..., 1]), images[..., 2])


def _bytes(images: Array) -> Array:
    return jnp.clip(jnp.round(images), 0, 255).astype(jnp.uint8)


def _wide_gaussian(values: Array, sigma: float) -> Array:
    """A Gaussian of `sigma` parts of the shorter side, computed on a coarse grid: [batch, H, W] -> same, float32."""
    if not 0.03 <= sigma <= 1:
        raise UserError(f"the sigma is {sigma}; it must be from 0.03 to 1, a part of the picture's shorter side")
    height, width = values.shape[1:]
    cell = max(1.0, min(height, width) / GRID)
    grid = max(1, round(height / cell)), max(1, round(width / cell))
    # Going to the grid and coming back are two triangle filters, each of variance cell ** 2 / 6.
    spread = math.sqrt(max((sigma * min(height, width) / cell) ** 2 - (1 / 3 if cell > 1 else 0), 0.01))
    reach = math.ceil(4 * spread)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / spread) ** 2)
    share = jnp.asarray(weights / weights.sum(), jnp.float32)
    blurred = convolve(convolve(resize(values[..., None], grid), 1, share), 2, share)
    return resize(blurred, (height, width))[..., 0]


def _histograms(images: Array) -> Array:
    """How many pixels have each level, channel by channel: [batch, H, W, 3] uint8 -> [batch, 3, 256] int32."""
    channels = jnp.moveaxis(images, -1, 1).reshape(images.shape[0], 3, -1)

    def count(levels: Array) -> Array:
        return jnp.zeros(256, jnp.int32).at[levels].add(1, mode="promise_in_bounds")

    return jax.vmap(jax.vmap(count))(channels.astype(jnp.int32))


# The field of view
FIELD_GRID = 64  # cells along the shorter side in which a dark frame is looked for


def _dark_frame(value: Array, darkness: float) -> Array:
    """Cells that are dark from there to the border, up, down, left or right, and those beside: bool [batch, h, w]."""
    height, width = value.shape[1:]
    cell = max(1.0, min(height, width) / FIELD_GRID)
    cells = resize(value[..., None], (round(height / cell), round(width / cell)))[..., 0]
    dark = (cells < darkness * cells.max((1, 2), keepdims=True)).astype(jnp.int32)
    reaches = [jax.lax.cummin(dark, axis, reverse) for axis in (1, 2) for reverse in (False, True)]
    # And the cells beside them, which hold the frame's soft edge.
    return _dilate(functools.reduce(jnp.maximum, reaches) > 0)


def _largest_free_window(frame: Array, most: float) -> tuple[Array, Array, Array]:
    """The largest window without a cell of `frame`, the one nearest to the centre: scale, top, left, parts of a side.

    frame: bool [batch, rows, columns]; returns three [batch], 1, 0, 0 where there is no such window
    """
    batch, rows, columns = frame.shape
    above = jnp.pad(jnp.cumsum(jnp.cumsum(frame.astype(jnp.int32), 1), 2), ((0, 0), (1, rows), (1, columns)))
    y, x = jnp.arange(rows)[:, None], jnp.arange(columns)

    def corner(down: Array | int, right: Array | int) -> Array:
        return _window(above, down, right, (rows, columns))

    def smaller(step: Array, best: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        h = rows - step
        w = (h * columns + rows - 1) // rows
        inside = corner(h, w) - corner(0, w) - corner(h, 0) + corner(0, 0)
        off_centre = (2 * y + h - rows) ** 2 + (2 * x + w - columns) ** 2
        possible = (inside == 0) & (y <= rows - h) & (x <= columns - w)
        cost = jnp.where(possible, off_centre, 2**30).reshape(batch, -1)
        place = jnp.argmin(cost, 1)
        found = (best[0] == 0) & (cost.min(1) < 2**30)
        here = jnp.full(batch, h), place // columns, place % columns
        h, top, left = (jnp.where(found, new, old).astype(jnp.int32) for new, old in zip(here, best, strict=True))
        return h, top, left

    nothing = (jnp.zeros(batch, jnp.int32),) * 3
    h, top, left = jax.lax.fori_loop(0, rows - math.ceil(rows / most) + 1, smaller, nothing)
    return jnp.where(h == 0, 1, h / rows), top / rows, left / columns


# Hairs
THICKNESS, LENGTH, GROWTH = 7 / 224, 11 / 224, 2 / 224
"""A hair is thinner and has straight pieces longer than these parts of the shorter side; it grows this far."""
RUN, FILLED = 17 / 224, 0.7
"""Of a line this long through a pixel of a hair, this share at least is found to be hair: specks are none."""
SURROUNDINGS, STANDS_OUT = 0.06, 3.0
"""How wide the surroundings of a hair are, and how many times darker than their thin structures it must be."""
DIRECTIONS = 16


def _slide(values: Array, offsets: Array, reach: int, join: Callable[[Array, Array], Array], outside: int) -> Array:
    """The values at `offsets` [count, 2] from each pixel joined by `join`, `outside` beyond the picture."""
    size = values.shape[1], values.shape[2]
    padded = jnp.pad(values, ((0, 0), (reach, reach), (reach, reach)), constant_values=outside)

    def seen_from(i: Array | int) -> Array:
        return _window(padded, reach + offsets[i, 0], reach + offsets[i, 1], size)

    return jax.lax.fori_loop(1, offsets.shape[0], lambda i, joined: join(joined, seen_from(i)), seen_from(0))


def _window(values: Array, top: Array | int, left: Array | int, size: Size) -> Array:
    """[batch, H, W] -> [batch, *size], from a corner that may be computed."""
    corner = [jnp.asarray(place, jnp.int32) for place in (0, top, left)]  # all of one type, also in 64 bits
    return jax.lax.dynamic_slice(values, corner, (values.shape[0], *size))


def _lines(length: int) -> Array:
    """The pixels of a line of `length` in each direction, from its middle: int32 [DIRECTIONS, length, 2]."""
    angles = np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    along = np.arange(length) - (length - 1) / 2
    return jnp.asarray(np.round(along[:, None] * np.stack([np.sin(angles), np.cos(angles)], -1)[:, None]), jnp.int32)


def _line_closing(value: Array, length: int) -> Array:
    """The least of the closings by lines in all directions; a line that leaves the picture is none.

    value: [batch, H, W] uint8
    """
    lines = _lines(length)

    def closing(direction: Array, least: Array) -> Array:
        bright = _slide(value, lines[direction], length, jnp.maximum, 255)
        return jnp.minimum(least, _slide(bright, -lines[direction], length, jnp.minimum, 255))

    return jax.lax.fori_loop(0, DIRECTIONS, closing, jnp.full_like(value, 255))


def _on_lines(mask: Array, length: int, share: float) -> Array:
    """Which pixels lie on a line, in any direction, of which this share is in the mask: bool [batch, H, W]."""
    lines = _lines(length)

    def filled(direction: Array, found: Array) -> Array:
        count = _slide(mask.astype(jnp.uint16), lines[direction], length, jnp.add, 0)
        return found | _slide(count >= share * length, -lines[direction], length, jnp.logical_or, 0)

    return jax.lax.fori_loop(0, DIRECTIONS, filled, jnp.zeros_like(mask))


def _square_closing(value: Array, side: int) -> Array:
    """The closing by a square of `side` pixels: [batch, H, W] uint8."""
    along = np.arange(side) - side // 2
    across = np.zeros_like(along)
    lines = [jnp.asarray(np.stack(pair, -1), jnp.int32) for pair in ((across, along), (along, across))]
    for line in lines:
        value = _slide(value, line, side, jnp.maximum, 255)
    for line in lines:
        value = _slide(value, -line, side, jnp.minimum, 255)
    return value


def _dilate(mask: Array) -> Array:
    """Every pixel within one of the mask, diagonals included: bool [batch, H, W]."""
    for line in (((0, -1), (0, 0), (0, 1)), ((-1, 0), (0, 0), (1, 0))):
        mask = _slide(mask, jnp.array(line, jnp.int32), 1, jnp.logical_or, 0)
    return mask


def _interpolate(total: Array, weight: Array) -> Array:
    """total / weight where the weight is 1, from the next coarser level in parts or in whole where it is less."""
    size: Size = (weight.shape[1], weight.shape[2])
    if size == (1, 1):
        return total / jnp.maximum(weight, 1e-6)
    coarse_total, coarse_weight = _pairs(total), _pairs(weight)
    known = jnp.maximum(coarse_weight, 1)
    coarse = _interpolate(coarse_total / known, coarse_weight / known)
    wide = resize(coarse, (2 * coarse.shape[1], 2 * coarse.shape[2]))
    return total + (1 - weight) * wide[:, : size[0], : size[1]]


def _pairs(values: Array) -> Array:
    """Sums of squares of two by two pixels: [batch, H, W, C] -> [batch, ceil(H / 2), ceil(W / 2), C]."""
    batch, height, width, channels = values.shape
    padded = jnp.pad(values, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)))
    return padded.reshape(batch, (height + 1) // 2, 2, (width + 1) // 2, 2, channels).sum((2, 4))
