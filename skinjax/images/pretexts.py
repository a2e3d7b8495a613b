"""Paper 001's pretexts: pictures whose patches changed places, and the circle that a turn leaves whole."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from skinjax.images.geometry import Size


def circle(size: Size) -> np.ndarray:
    """Whether the middle of a pixel is within the largest circle about the centre [H, W]."""
    y, x = (np.arange(length) + 0.5 - length / 2 for length in size)
    return y[:, None] ** 2 + x**2 <= (min(size) / 2) ** 2


def disorder(keys: Array, images: Array, patch: int, swaps: int) -> Array:
    """Pictures in which two patches of the grid changed places, and so again, so many times.

    keys: [batch]; images: [batch, H, W, C] of any type, whose sides are multiples of `patch`
    """
    batch, height, width, channels = images.shape
    rows, columns = height // patch, width // patch
    order = jax.vmap(lambda key: shuffled(key, rows * columns, swaps))(keys)
    grid = images.reshape(batch, rows, patch, columns, patch, channels).swapaxes(2, 3)
    patches = grid.reshape(batch, rows * columns, patch, patch, channels)
    moved = jnp.take_along_axis(patches, order[:, :, None, None, None], axis=1)
    return moved.reshape(batch, rows, columns, patch, patch, channels).swapaxes(2, 3).reshape(images.shape)


def shuffled(key: Array, places: int, swaps: int) -> Array:
    """The numbers of `places` after so many swaps of two different ones: int32 [places]."""
    one_key, other_key = jax.random.split(key)
    one = jax.random.randint(one_key, (swaps,), 0, places)
    other = (one + jax.random.randint(other_key, (swaps,), 1, places)) % places

    def swap(number: Array, order: Array) -> Array:
        a, b = one[number], other[number]
        return order.at[jnp.stack([a, b])].set(order[jnp.stack([b, a])])

    return jax.lax.fori_loop(0, swaps, swap, jnp.arange(places, dtype=jnp.int32))
