"""The fixed augmented copies of static balancing: pictures made once, here made again whenever they come.

A copy is its picture flipped, turned by any angle, zoomed and recoloured a little, by amounts that its numbers alone
decide, and rounded to bytes at the stored size: what a program that augments a folder of images would have left on
disk. Paper 002 balances "statically" and leaves the augmentation open; this one is ours.
"""

import jax
import jax.numpy as jnp
from jax import Array

from skinjax.images.colour import colour_jitter
from skinjax.images.geometry import compose, random_affine, random_flips
from skinjax.images.resampling import warp


def fixed_copies(images: Array, index: Array, copy: Array) -> Array:
    """Each picture as its copy shows it; copy 0 is the picture itself, bit for bit.

    images: [batch, H, W, 3] uint8; index, copy: [batch] int32, the record and which copy of it; returns like images
    """
    keys = jax.vmap(lambda record, number: jax.random.fold_in(jax.random.fold_in(jax.random.key(0), record), number))(
        index, copy
    )
    flips, turns, colours = jax.vmap(jax.random.split, (0, None), 1)(keys, 3)
    size = (images.shape[1], images.shape[2])
    moved = compose(random_flips(flips, size), random_affine(turns, size, degrees=180, scale=(0.9, 1.1)))
    changed = colour_jitter(colours, warp(images, moved, size), brightness=0.1, contrast=0.1, saturation=0.1, hue=0.02)
    return jnp.where(copy[:, None, None, None] == 0, images, jnp.round(changed).astype(images.dtype))
