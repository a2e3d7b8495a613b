"""What joins the patches of an image: attention between them, or a recurrent network over them (paper 003)."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from skinjax.core.settings import Settings, number
from skinjax.models.layers import Dense, uniform_within


class PatchAttention(nn.Module):
    """Scales every patch by what all patches of its image hold: a = sigmoid(W s + b), s the patches' means.

    Patches are [batch, patches, ...] before and after, whatever a patch is: pixels, a map, a pooled vector. For N
    patches it has N^2 + N parameters, drawn as PyTorch draws a linear layer's; the paper's formula has no b, its code
    does. The weights [batch, patches] are the second output.
    """

    @nn.compact
    def __call__(self, patches: Array) -> tuple[Array, Array]:
        precision = jnp.promote_types(patches.dtype, jnp.float32)
        summary = patches.mean(axis=tuple(range(2, patches.ndim)), dtype=precision)
        weights = jax.nn.sigmoid(Dense(patches.shape[1], name="mix")(summary))
        shape = (*weights.shape, *(1,) * (patches.ndim - 2))
        return patches * weights.reshape(shape).astype(patches.dtype), weights


@dataclasses.dataclass(frozen=True)
class GRUSettings(Settings):
    """A recurrent network over patches."""

    features: int = number(1024, 1, 2**16)
    layers: int = number(1, 1, 64)
    both_directions: bool = False


class GRU(nn.Module):
    """torch.nn.GRU over [batch, steps, inputs]: the last layer's outputs [batch, steps, features].

    Each layer has PyTorch's two biases and draws everything from U(-1/sqrt(features), 1/sqrt(features)). With both
    directions the outputs of the second, which reads the steps backwards, follow the first's: twice as many features.
    """

    features: int = GRUSettings.features
    layers: int = GRUSettings.layers
    both_directions: bool = GRUSettings.both_directions

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for layer in range(self.layers):
            outputs = [self._direction(x, f"layer{layer}")]
            if self.both_directions:
                outputs.append(self._direction(x[:, ::-1], f"layer{layer}_backwards")[:, ::-1])
            x = jnp.concatenate(outputs, axis=-1)
        return x

    def _direction(self, x: Array, name: str) -> Array:
        gates, init = 3 * self.features, uniform_within(self.features**-0.5)
        from_inputs = Dense(gates, init, init, name=f"{name}_inputs")(x)  # of all steps at once
        kernel = self.param(f"{name}_state_kernel", init, (self.features, gates), jnp.float32)
        bias = self.param(f"{name}_state_bias", init, (gates,), jnp.float32)

        def step(state: Array, from_input: Array) -> tuple[Array, Array]:
            reset, update, new = jnp.split(from_input, 3, axis=-1)
            old_reset, old_update, old_new = jnp.split(state @ kernel + bias, 3, axis=-1)
            update = jax.nn.sigmoid(update + old_update)
            new = jnp.tanh(new + jax.nn.sigmoid(reset + old_reset) * old_new)
            state = (1 - update) * new + update * state
            return state, state

        start = jnp.zeros((x.shape[0], self.features), from_inputs.dtype)
        return jax.lax.scan(step, start, from_inputs.swapaxes(0, 1))[1].swapaxes(0, 1)
