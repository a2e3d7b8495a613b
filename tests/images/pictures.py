"""What several tests of pictures begin with."""

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.images import resampling

IDENTITY = [[1, 0, 0], [0, 1, 0]]


def noise(batch, height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (batch, height, width, 3), dtype=np.uint8)


def warp_one(image, matrix, size, **options):
    matrices = jnp.asarray(matrix, jnp.float32).reshape(1, 2, 3)
    return np.asarray(resampling.warp(jnp.asarray(image[None]), matrices, size, **options)[0])


def keys(count, seed=0):
    return jax.random.split(jax.random.key(seed), count)
