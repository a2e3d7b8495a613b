"""Where a pixel comes from: affine matrices, drawn per example, that `resampling` applies.

Convention: a matrix [2, 3] maps the OUTPUT point (x, y, 1) to the INPUT point (x, y), in pixels, the centre of pixel
(row, column) at (column + 0.5, row + 0.5). Matrices of consecutive operations are joined by `compose`, so a picture is
interpolated once, however many operations a view has.
"""

import math

import jax
import jax.numpy as jnp
from jax import Array

from skinjax.core.errors import UserError

Size = tuple[int, int]
Pair = tuple[float, float]
TRIES = 10  # of a random window that does not fit


def compose(*matrices: Array) -> Array:
    """One matrix for several operations, the one applied to the picture first given first.

    matrices: each [..., 2, 3]; returns [..., 2, 3]
    """
    # Written out, because a matrix product may round its operands to bfloat16 or tf32 on accelerators.
    result = matrices[0]
    for then in matrices[1:]:
        linear = product(result[..., 0:1], then[..., 0:1, :]) + product(result[..., 1:2], then[..., 1:2, :])
        result = linear + jnp.concatenate([jnp.zeros_like(result[..., :2]), result[..., 2:]], -1)
    return result


def random_flips(keys: Array, size: Size, horizontal: float = 0.5, vertical: float = 0.5) -> Array:
    """Mirrors left-right and top-bottom, each with its own probability.

    keys: [batch]; size: (H, W) of the picture; returns [batch, 2, 3]
    """
    flip = per_example_uniform(keys, 2) < jnp.array([horizontal, vertical], jnp.float32)
    sign = 1 - 2 * flip.astype(jnp.float32)
    shift = flip * jnp.array([size[1], size[0]], jnp.float32)
    return _matrix(sign[:, 0], 0, shift[:, 0], 0, sign[:, 1], shift[:, 1])


def random_crop(keys: Array, stored: Size, size: Size) -> Array:
    """A window of `size` at a random whole-pixel place of a `stored` picture, every place equally likely.

    keys: [batch]; returns [batch, 2, 3]
    """
    check_crop_fits(stored, size)
    places = jnp.array([stored[1] - size[1] + 1, stored[0] - size[0] + 1])
    corner = jax.vmap(lambda key: jax.random.randint(key, (2,), 0, places, dtype=jnp.int32))(keys)
    return _matrix(1, 0, corner[:, 0], 0, 1, corner[:, 1])


def random_resized_crop(
    keys: Array, stored: Size, size: Size, scale: Pair = (0.08, 1.0), ratio: Pair = (3 / 4, 4 / 3)
) -> Array:
    """A window of whole pixels, of random area and aspect ratio, stretched to `size`.

    As torchvision's RandomResizedCrop: area uniform in `scale` of the picture's, width / height log-uniform in `ratio`;
    both are drawn again while the window does not fit, and after ten tries it is the largest one of an allowed ratio in
    the middle.

    keys: [batch]; returns [batch, 2, 3]
    """
    height, width = stored
    draw = per_example_uniform(keys, 2 * TRIES + 2)
    area = height * width * between(draw[:, 0 : 2 * TRIES : 2], *scale)
    # exp2, not exp: XLA's vectorised exp on CPU gives the remainder of a batch other last bits.
    aspect = jnp.exp2(between(draw[:, 1 : 2 * TRIES : 2], math.log2(ratio[0]), math.log2(ratio[1])))
    drawn = jnp.round(jnp.sqrt(jnp.stack([area * aspect, area / aspect], -1)))  # [batch, tries, 2]: width, height
    last = jnp.array([min(width, round(height * ratio[1])), min(height, round(width / ratio[0]))], jnp.float32)
    whole = jnp.array([width, height], jnp.float32)
    fits = ((drawn > 0) & (drawn <= whole)).all(-1)
    chosen = jnp.take_along_axis(drawn, fits.argmax(1)[:, None, None], 1)[:, 0]
    found = fits.any(1)[:, None]
    window = jnp.where(found, chosen, last)
    room = whole - window
    corner = jnp.where(found, jnp.minimum(jnp.floor(product(draw[:, -2:], room + 1)), room), jnp.floor(room / 2))
    step = window / jnp.array([size[1], size[0]], jnp.float32)
    return _matrix(step[:, 0], 0, corner[:, 0], 0, step[:, 1], corner[:, 1])


def random_zoom(keys: Array, stored: Size, size: Size, most: float, share: float = 1.0) -> Array:
    """The largest window of the shape of `size`, made smaller by a zoom uniform in [1, most], at a random place.

    As fastai's RandomScale and RandomCrop, but for places between pixels. Of all pictures 1 - `share` are not zoomed.

    keys: [batch]; stored: (H, W) of the picture; returns [batch, 2, 3]
    """
    draw = per_example_uniform(keys, 3)
    step = min(stored[0] / size[0], stored[1] / size[1]) / between_at_times(draw[:, 0], share, 1.0, most, 1.0)
    left, top = (product(draw[:, axis], stored[-axis] - product(step, size[-axis])) for axis in (1, 2))
    return _matrix(step, 0, left, 0, step, top)


def random_rotation(keys: Array, size: Size, degrees: float, share: float = 1.0) -> Array:
    """A turn about the centre by an angle uniform in [-degrees, degrees], of this `share` of all pictures.

    keys: [batch]; size: (H, W) of the picture; returns [batch, 2, 3]
    """
    draw = per_example_uniform(keys, 1)[:, 0]
    return rotation(size, between_at_times(draw, share, -degrees, degrees, 0.0))


def random_affine(
    keys: Array, size: Size, degrees: float, translate: Pair = (0, 0), scale: Pair = (1, 1), shear: Pair = (0, 0)
) -> Array:
    """A random turn, shift, zoom and shear about the centre, as torchvision's RandomAffine draws them.

    degrees: the angle is uniform in [-degrees, degrees]; translate: the largest shift as fractions of (width, height),
    not rounded to whole pixels here; scale: the zoom is uniform between these; shear: the largest (x, y) shears, in
    degrees.

    keys: [batch]; size: (H, W) of the picture; returns [batch, 2, 3]
    """
    furthest = (degrees, translate[0] * size[1], translate[1] * size[0], *shear)
    draw = per_example_uniform(keys, 6)
    angle, right, down, x, y = (between(draw[:, i], -limit, limit) for i, limit in enumerate(furthest))
    shift, skew = jnp.stack([right, down], -1), jnp.stack([x, y], -1)
    return affine(size, angle, shift, between(draw[:, 5], *scale), skew)


def rotation(size: Size, degrees: Array) -> Array:
    """A turn about the centre, counter-clockwise for positive angles, exact at multiples of 90 degrees.

    size: (H, W) of the picture; degrees: [batch]; returns [batch, 2, 3]
    """
    still = jnp.zeros((*degrees.shape, 2), jnp.float32)
    return affine(size, -degrees, still, jnp.ones_like(degrees), still)


def affine(size: Size, degrees: Array, translate: Array, scale: Array, shear: Array) -> Array:
    """Shear, then turn, then zoom about the centre, then shift: torchvision's `affine`, with its clockwise angles.

    size: (H, W) of the picture; degrees: [batch]; translate: [batch, 2] as (x, y) pixels; scale: [batch];
    shear: [batch, 2] as (x, y) degrees; returns [batch, 2, 3], the inverse of the map that moves the picture
    """
    cos, sin = _cos_sin(degrees)
    cos_y, sin_y = _cos_sin(degrees - shear[:, 1])
    shear = jnp.deg2rad(shear)
    skew, lift = jnp.tan(shear[:, 0]), jnp.cos(shear[:, 1])
    a, b = cos_y / lift, -cos_y * skew / lift - sin
    c, d = sin_y / lift, -sin_y * skew / lift + cos
    xx, xy, yx, yy = d / scale, -b / scale, -c / scale, a / scale  # the forward matrix has determinant scale ** 2
    centre_x, centre_y = size[1] / 2, size[0] / 2
    x, y = centre_x + translate[:, 0], centre_y + translate[:, 1]
    return _matrix(
        *(xx, xy, centre_x - (product(xx, x) + product(xy, y))),
        *(yx, yy, centre_y - (product(yx, x) + product(yy, y))),
    )


def per_example_uniform(keys: Array, count: int) -> Array:
    """`count` numbers uniform in [0, 1) for every key: [batch] -> [batch, count] float32."""
    return jax.vmap(lambda key: jax.random.uniform(key, (count,), jnp.float32))(keys)


def between(draw: Array, low: float, high: float) -> Array:
    """Numbers of [0, 1) spread over [low, high)."""
    return low + product(draw, high - low)


def between_at_times(draw: Array, share: float, low: float, high: float, otherwise: float) -> Array:
    """Numbers of [0, 1): those below `share` spread over [low, high), and `otherwise` for the others."""
    return jnp.where(draw < share, between(draw / share, low, high), otherwise)


def product(a: Array, b: Array | float) -> Array:
    """a * b, rounded before anything is added to it, for |a * b| < 1e9.

    A compiler may join a product and a sum in one instruction that rounds once, and do so here but not there: the same
    position, computed twice, could then fall between two pairs of pixels, and depend on the size of the batch.
    """
    return jnp.clip(a * b, -1e9, 1e9)


def centre_corner(stored: Size, size: Size) -> tuple[int, int]:
    """The top and left pixel of the middle window, rounded as torchvision's CenterCrop rounds."""
    check_crop_fits(stored, size)
    return round((stored[0] - size[0]) / 2), round((stored[1] - size[1]) / 2)


def check_crop_fits(stored: Size, size: Size) -> None:
    """Refuse a crop that is larger than the stored picture."""
    if stored[0] < size[0] or stored[1] < size[1]:
        raise UserError(
            f"a crop of {size[0]}x{size[1]} (height x width) does not fit in images stored at {stored[0]}x{stored[1]}: "
            "store them larger or ask for a smaller input"
        )


def _matrix(*entries: Array | float) -> Array:
    """Six entries, row by row, each a number or [batch] -> [batch, 2, 3]."""
    columns = jnp.broadcast_arrays(*[jnp.asarray(entry, jnp.float32) for entry in entries])
    return jnp.stack(columns, -1).reshape(*columns[0].shape, 2, 3)


def _cos_sin(degrees: Array) -> tuple[Array, Array]:
    """Cosine and sine of angles in degrees, exactly 0 and +-1 at multiples of 90."""
    quarter = jnp.round(degrees / 90)
    rest = jnp.deg2rad(degrees - 90 * quarter)
    cos, sin = jnp.cos(rest), jnp.sin(rest)
    turn = quarter.astype(jnp.int32)
    odd, sign = turn % 2 == 1, 1 - 2 * (turn // 2 % 2)
    return sign * jnp.where(odd, -sin, cos), sign * jnp.where(odd, cos, sin)
