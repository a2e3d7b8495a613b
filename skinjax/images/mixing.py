"""Mixup and CutMix: each picture blended with another of its batch, or with a window of it.

Mixup's shares are fixed (paper 001: 0.7 and 0.3) or from Beta(a, a) (fastai), CutMix's from Beta(a, a).

The partner is drawn over the whole batch, so under sharding pictures travel between devices.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from skinjax.core.errors import UserError


class Mixed(NamedTuple):
    """A mixed batch, and how it was mixed."""

    images: Array  # [batch, ...]
    targets: Array  # [batch, classes]
    partner: Array  # [batch] int32, the row blended in
    share: Array  # [batch] float32, the part that is the row's own


@functools.cache
def make_mixing(share: float, beta: float, cut: float = 0.0) -> Callable | None:
    """Mixup with a fixed share or with shares from Beta(beta, beta), or CutMix from Beta(cut, cut); None for zeros."""
    if sum(map(bool, (share, beta, cut))) > 1:
        told = f"mixup_share is {share}, mixup_beta {beta} and cutmix_beta {cut}"
        raise UserError(f"{told}; give one of them")
    if cut:
        return functools.partial(cutmix, beta=cut)
    if share:
        return functools.partial(mixup, share=share)

    def mix(key: Array, images: Array, targets: Array, mask: Array) -> Mixed:
        share_key, partner_key = jax.random.split(key)
        return mixup(partner_key, images, targets, mask, beta_shares(share_key, beta, len(images)))

    return mix if beta else None


def mixup(key: Array, images: Array, targets: Array, mask: Array, share: Array | float) -> Mixed:
    """share * own + (1 - share) * partner, for pictures and targets alike.

    Partners are a random permutation of the usable rows. A row masked out or without a label (all targets zero), or one
    that meets itself, stays as it is, and an unusable row reaches no other.

    images: [batch, ...] float; targets: [batch, classes]; mask: [batch] bool
    share: one number for all rows (paper 001: 0.7), or [batch] from `beta_shares`
    """
    partner = usable_partners(key, mask & (targets > 0).any(-1))
    share = jnp.where(partner == jnp.arange(len(partner)), 1, jnp.asarray(share, jnp.float32))
    return Mixed(mix(images, partner, share), mix(targets, partner, share), partner, share)


def cutmix(key: Array, images: Array, targets: Array, mask: Array, beta: float) -> Mixed:
    """A window of each picture is its partner's; targets are mixed by area (Yun et al. 2019).

    The window has the picture's shape and 1 - s of its area, s ~ Beta(beta, beta), about a centre anywhere; what of it
    lies beyond the border is lost. Partners, and what stays as it is, are as in `mixup`. images: [batch, ..., H, W, 3]
    """
    partner_key, share_key, place_key = jax.random.split(key, 3)
    partner = usable_partners(partner_key, mask & (targets > 0).any(-1))
    batch, (height, width) = len(partner), images.shape[-3:-1]
    side = jnp.sqrt(1 - jax.random.beta(share_key, beta, beta, (batch,), jnp.float32))
    inside = jnp.ones((batch, height, width), bool)
    for axis, length in ((1, height), (2, width)):
        centre = jax.random.uniform(jax.random.fold_in(place_key, axis), (batch, 1)) * length
        offset = jnp.abs(jnp.arange(length) + 0.5 - centre) < side[:, None] * length / 2
        inside &= jnp.expand_dims(offset, 3 - axis)
    inside &= (partner != jnp.arange(batch))[:, None, None]
    share = 1 - inside.mean(axis=(1, 2), dtype=jnp.float32)
    window = inside.reshape(batch, *[1] * (images.ndim - 4), height, width, 1)
    return Mixed(jnp.where(window, images[partner], images), mix(targets, partner, share), partner, share)


def mix_weights(mixed: Mixed, targets: Array, weights: Array) -> tuple[Array, Array]:
    """(targets, weights) of a mixed batch in whose loss every label keeps the weight of the picture that it came with.

    targets: [batch, classes] and weights: [batch], of the pictures before they were mixed
    """
    total = mix(weights, mixed.partner, mixed.share)
    weighed = mix(weights[:, None] * targets, mixed.partner, mixed.share)
    return jnp.where(total[:, None] > 0, weighed / jnp.where(total > 0, total, 1)[:, None], mixed.targets), total


def beta_shares(key: Array, a: float, batch: int) -> Array:
    """A share for each row, max(s, 1 - s) of s ~ Beta(a, a) as in fastai: [batch] float32 in [0.5, 1]."""
    share = jax.random.beta(key, a, a, (batch,), jnp.float32)
    return jnp.maximum(share, 1 - share)


def mix(values: Array, partner: Array, share: Array) -> Array:
    """share * values + (1 - share) * values[partner]. values: [batch, ...]; partner, share: [batch]."""
    share = share.astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    return share * values + (1 - share) * values[partner]


def usable_partners(key: Array, usable: Array) -> Array:
    """A uniformly random permutation of the usable rows; every other row keeps its place. [batch] bool -> [batch]."""
    ordered = jnp.argsort(~usable)
    shuffled = jnp.argsort(jnp.where(usable, jax.random.uniform(key, usable.shape, jnp.float32), 2.0))
    return jnp.zeros(usable.shape, jnp.int32).at[ordered].set(shuffled.astype(jnp.int32))
