"""DenseNet (Huang et al. 2017) with bottlenecks and compression, as torchvision and timm have it.

Numbers of layers and stages begin at one, as there.
"""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from skinjax.models.backbone import Backbone, Rows
from skinjax.models.families.resnet import Stem
from skinjax.models.layers import Conv, kaiming_normal_fan_in, relu
from skinjax.models.normalisation import BatchNorm, batch_statistics
from skinjax.models.pooling import average_pool


class Layer(nn.Module):
    """What one layer adds to the maps before it: normalised, 1x1 to four times the growth, normalised, 3x3.

    The `statistics` are those of `x`, in training.
    """

    growth: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, statistics: tuple[Array, Array] | None, train: bool) -> Array:
        conv = functools.partial(Conv, kernel_init=kaiming_normal_fan_in, dtype=self.dtype)
        norm = functools.partial(BatchNorm, dtype=self.dtype)
        x = relu(norm(name="norm1")(x, use_running_average=not train, statistics=statistics))
        x = conv(4 * self.growth, 1, name="conv1")(x)
        x = relu(norm(name="norm2")(x, use_running_average=not train))
        return conv(self.growth, 3, name="conv2")(x)


class Transition(nn.Module):
    """Half of the channels and of the side."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        x = relu(BatchNorm(dtype=self.dtype, name="norm")(x, use_running_average=not train))
        x = Conv(x.shape[-1] // 2, 1, kernel_init=kaiming_normal_fan_in, dtype=self.dtype, name="conv")(x)
        return average_pool(x, 2, 2)


class DenseBlock(nn.Module):
    """A run of layers, each of which reads all maps before it; first a transition, last a norm where asked for."""

    depth: int
    growth: int
    first: bool
    last: bool
    final_relu: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        if not self.first:
            x = Transition(self.dtype, name="transition")(x, train)
        # All later layers normalise a map by the same statistics, which are computed once.
        statistics = batch_statistics(x) if train else None
        for number in range(1, self.depth + 1):
            new = Layer(self.growth, self.dtype, name=f"layer{number}")(x, statistics, train)
            if statistics is not None:
                (mean, var), (new_mean, new_var) = statistics, batch_statistics(new)
                statistics = jnp.concatenate([mean, new_mean]), jnp.concatenate([var, new_var])
            x = jnp.concatenate([x, new], axis=-1)
        if self.last:
            x = BatchNorm(dtype=self.dtype, name="norm")(x, use_running_average=not train, statistics=statistics)
        return relu(x) if self.last and self.final_relu else x


class DenseNet(Backbone):
    """A stem and four dense blocks; each but the first begins with its transition, the last ends normalised.

    `final_relu` is whether a ReLU follows: not in paper 003's attention and GRU models, and not in fastai (paper 002).
    """

    depths: tuple[int, int, int, int]
    growth: int = 32
    final_relu: bool = True
    stages: ClassVar[tuple[str, ...]] = ("stem", "block1", "block2", "block3", "features")
    late: ClassVar[str] = "block3"
    timm_names: ClassVar[Rows] = (
        ("^stem/(conv|norm)$", r"features/\g<1>0"),
        ("^features/norm$", "features/norm5"),
        ("^block2/transition/", "features/transition1/"),
        ("^block3/transition/", "features/transition2/"),
        ("^features/transition/", "features/transition3/"),
        (r"^features/layer(\d+)/", r"features/denseblock4/denselayer\1/"),
        (r"^block(\d)/layer(\d+)/", r"features/denseblock\1/denselayer\2/"),
        ("^head/", ""),
    )

    def layers(self) -> list[nn.Module]:
        layers: list[nn.Module] = [
            Stem(2 * self.growth, dtype=self.dtype, kernel_init=kaiming_normal_fan_in, name="stem")
        ]
        for depth, name in zip(self.depths, self.stages[1:], strict=True):
            first, last = name == "block1", name == "features"
            layers.append(DenseBlock(depth, self.growth, first, last, self.final_relu, self.dtype, name=name))
        return layers


DENSENETS: dict[str, Callable[..., DenseNet]] = {
    "densenet121": functools.partial(DenseNet, (6, 12, 24, 16)),
    "densenet161": functools.partial(DenseNet, (6, 12, 36, 24), growth=48),
    "densenet169": functools.partial(DenseNet, (6, 12, 32, 32)),
    "densenet201": functools.partial(DenseNet, (6, 12, 48, 32)),
}
