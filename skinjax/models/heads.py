"""Classifier heads: from a backbone's last map to logits, always in float32."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from skinjax.models.layers import Dense

Array = jax.Array


class LinearHead(nn.Module):
    """Global average pooling, dropout and one linear layer."""

    classes: int
    dropout: float = 0.0

    @nn.compact
    def __call__(self, features: Array, *, train: bool = False) -> Array:
        pooled = features.mean(axis=(1, 2))
        self.sow("intermediates", "pooled", pooled)
        pooled = nn.Dropout(self.dropout)(pooled, deterministic=not train)
        return Dense(self.classes, dtype=jnp.promote_types(pooled.dtype, jnp.float32), name="classifier")(pooled)
