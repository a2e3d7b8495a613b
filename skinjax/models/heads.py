"""Classifier heads: from a backbone's last map to logits."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from skinjax.models.layers import uniform_fan_in

Array = jax.Array


class LinearHead(nn.Module):
    """Global average pooling and one linear layer with PyTorch's default initialisation; logits in float32."""

    classes: int

    @nn.compact
    def __call__(self, features: Array) -> Array:
        pooled = features.mean(axis=(1, 2))
        kernel = self.param("kernel", uniform_fan_in, (pooled.shape[-1], self.classes))
        bound = pooled.shape[-1] ** -0.5

        def uniform_bias(key, shape):
            return jax.random.uniform(key, shape, jnp.float32, -bound, bound)

        bias = self.param("bias", uniform_bias, (self.classes,))
        pooled = pooled.astype(jnp.promote_types(pooled.dtype, jnp.float32))
        return pooled @ kernel + bias
