"""Mixup: each picture blended with another of its batch (paper 001, section 3.1: weights 0.7 and 0.3, or Beta(a, a) as fastai).

The partner is drawn over the whole batch, so under sharding pictures travel between devices.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from skinjax.errors import UserError


class Mixed(NamedTuple):
    """A mixed batch, and how it was mixed, for losses that are not linear in the target (focal: mix the losses instead)."""

    images: Array  # [batch, ...]
    targets: Array  # [batch, classes]
    partner: Array  # [batch] int32, the row blended in
    share: Array  # [batch] float32, the part that is the row's own


def mixup(
    key: Array,
    images: Array,
    targets: Array,
    mask: Array,
    *,
    share: float | None = None,
    beta: float | None = None,
) -> Mixed:
    """share * own + (1 - share) * partner, for pictures and targets alike.

    Give either `share`, the same for every row and step (paper 001: 0.7), or `beta`, the `a` of Beta(a, a): then each row draws
    its own share s and keeps max(s, 1 - s), as fastai does. Partners are a random permutation of the usable rows; a row that
    is masked out or has no label (all targets zero) stays as it is and reaches no other row.

    images: [batch, ...] float; targets: [batch, classes]; mask: [batch] bool
    """
    if (share is None) == (beta is None):
        raise UserError(
            f"mixup takes either share or beta, not share={share} and beta={beta}: give exactly one of them"
        )
    permutation_key, share_key = jax.random.split(key)
    partner = usable_partners(permutation_key, mask & (targets > 0).any(-1))
    if beta is None:
        own = jnp.full(partner.shape, share, jnp.float32)
    else:
        own = jax.random.beta(share_key, beta, beta, partner.shape, jnp.float32)
        own = jnp.maximum(own, 1 - own)
    own = jnp.where(partner == jnp.arange(len(partner)), 1.0, own)
    return Mixed(mix(images, partner, own), mix(targets, partner, own), partner, own)


def mix(values: Array, partner: Array, share: Array) -> Array:
    """share * values + (1 - share) * values[partner]. values: [batch, ...]; partner, share: [batch]."""
    share = share.astype(values.dtype).reshape(-1, *[1] * (values.ndim - 1))
    return share * values + (1 - share) * values[partner]


def usable_partners(key: Array, usable: Array) -> Array:
    """A uniformly random permutation of the usable rows that leaves every other row where it is: [batch] bool -> [batch]."""
    ordered = jnp.argsort(~usable)
    shuffled = jnp.argsort(jnp.where(usable, jax.random.uniform(key, usable.shape, jnp.float32), 2.0))
    return jnp.zeros(usable.shape, jnp.int32).at[ordered].set(shuffled.astype(jnp.int32))
