"""Classifier heads: from a backbone's last map to logits, always in float32.

A head is called as `head(features, train=...)`. What its last layer, `classifier`, reads is sown as `pooled`, and
`dropout` is the rate there. A head that begins by pooling says how in `pool`, and takes what it pooled as well as maps.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from skinjax.core.errors import UserError, lookup
from skinjax.models.layers import Dense, Dropout, Initializer, kaiming_normal_fan_in, relu, uniform_within
from skinjax.models.normalisation import BatchNorm
from skinjax.models.pooling import global_average, global_maximum_and_average

_small = uniform_within(0.05)


class LinearHead(nn.Module):
    """Global average pooling, `hidden` layers with ReLU, dropout and a last layer; after an earlier one, half of it."""

    classes: int
    dropout: float = 0.0
    hidden: tuple[int, ...] = ()
    drawn: Initializer | None = None  # of kernels and biases; None, that of PyTorch's linear layers
    pool = staticmethod(global_average)

    @nn.compact
    def __call__(self, features: Array, *, train: bool = False) -> Array:
        x = self.pool(features)
        dense = partial(Dense, kernel_init=self.drawn, bias_init=self.drawn, dtype=_precision(x))
        for number, width in enumerate(self.hidden, start=1):
            x = Dropout(self.dropout / 2)(x, train) if number > 1 else x
            x = relu(dense(width, name=f"hidden{number}")(x))
        self.sow("intermediates", "pooled", x)
        x = Dropout(self.dropout)(x, train)
        return dense(self.classes, name="classifier")(x)


class ConcatPoolHead(nn.Module):
    """Paper 002, as fastai 0.7 has it: the maximum and the mean of each channel, then two normalised linear layers.

    Batch normalisation and dropout come before each of them, at half of `dropout` before the first.
    """

    classes: int
    dropout: float = 0.5
    pool = staticmethod(global_maximum_and_average)

    @nn.compact
    def __call__(self, features: Array, *, train: bool = False) -> Array:
        x = self.pool(features)
        dtype = _precision(x)
        dense = partial(Dense, kernel_init=kaiming_normal_fan_in, bias_init=nn.initializers.zeros, dtype=dtype)
        x = BatchNorm(dtype=dtype, name="norm1")(x, use_running_average=not train)
        x = Dropout(self.dropout / 2)(x, train)
        x = relu(dense(512, name="hidden")(x))
        x = BatchNorm(dtype=dtype, name="norm2")(x, use_running_average=not train)
        self.sow("intermediates", "pooled", x)
        x = Dropout(self.dropout)(x, train)
        return dense(self.classes, name="classifier")(x)


class CosineHead(nn.Module):
    """Average pooling, and logits that are `scale` times the cosine between it and a direction of each class.

    LDAM's margins are meant for it: they are angles, whatever the length of the features.
    """

    classes: int
    dropout: float = 0.0
    scale: float = 30.0
    pool = staticmethod(global_average)

    @nn.compact
    def __call__(self, features: Array, *, train: bool = False) -> Array:
        pooled = self.pool(features)
        self.sow("intermediates", "pooled", pooled)
        pooled = Dropout(self.dropout)(pooled.astype(_precision(pooled)), train)
        shape = (pooled.shape[-1], self.classes)
        directions = self.param("directions", uniform_within(1.0), shape, jnp.float32)
        return self.scale * (_unit(pooled, axis=-1) @ _unit(directions, axis=0).astype(pooled.dtype))


# name: the head of a backbone for a number of classes
HEADS: dict[str, Callable[[Any, int], nn.Module]] = {
    "original": lambda backbone, classes: backbone.original_head(classes),
    "linear": lambda backbone, classes: LinearHead(classes),
    # paper 001, which names no sizes: these and the rate are fastai's habit
    "mlp": lambda backbone, classes: LinearHead(classes, 0.5, (512, 128)),
    "concat_pool": lambda backbone, classes: ConcatPoolHead(classes),
    "fc1024": lambda backbone, classes: LinearHead(classes, hidden=(1024,), drawn=_small),  # paper 004
    "cosine": lambda backbone, classes: CosineHead(classes),
}


def make_head(
    name: str, backbone: nn.Module, classes: int, dropout: float | None = None, scale: float = 30.0
) -> nn.Module:
    """The head `name` for the maps of `backbone`, with its own rate of dropout unless another is given.

    scale: of the logits of the cosine head
    """
    head = lookup("head", name, HEADS)(backbone, classes)
    if isinstance(head, CosineHead):
        head = head.clone(scale=scale)
    return with_rate(head, "dropout", dropout)


def with_rate(module: Any, rate: str, value: float | None) -> Any:
    """Set the field `rate` (dropout, drop_path) of a module to `value`; None, or 0 for a missing one, does nothing."""
    if value is None:
        return module
    if hasattr(module, rate):
        return module.clone(**{rate: value})
    if value:
        raise UserError(f"model.{rate} is {value} and {type(module).__name__} has no such rate; leave it unset or at 0")
    return module


def _unit(x: Array, axis: int) -> Array:
    """Vectors of length one; one of no length stays so, and has a gradient."""
    return x * jax.lax.rsqrt(jnp.maximum(jnp.square(x).sum(axis=axis, keepdims=True), 1e-12))


def _precision(x: Array) -> Any:
    return jnp.promote_types(x.dtype, jnp.float32)
