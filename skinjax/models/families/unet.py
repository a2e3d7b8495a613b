"""The U-Net of paper 001's context restoration: an encoder that is a backbone, and the restorer that undoes it.

The paper says "U-Net-like" and no more. Here, as Ronneberger et al. (2015) have it but for padded convolutions, batch
normalisation and half the width. A level of odd side is halved upwards and its restored map cut, so that no pixel is
left out and none invented.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from skinjax.models.backbone import Backbone
from skinjax.models.layers import Conv, ConvTranspose, kaiming_normal_fan_in, relu
from skinjax.models.normalisation import BatchNorm
from skinjax.models.pooling import max_pool


class Level(nn.Module):
    """Two 3x3 convolutions, normalised and with ReLU, after a max-pool where the level is to `halve` the side."""

    width: int
    halve: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        x = max_pool(x, 2, 2, ceil_mode=True) if self.halve else x
        for number in range(2):
            x = Conv(self.width, 3, kernel_init=kaiming_normal_fan_in, dtype=self.dtype, name=f"conv{number}")(x)
            x = relu(BatchNorm(dtype=self.dtype, name=f"norm{number}")(x, use_running_average=not train))
        return x


class UNet(Backbone):
    """The encoder: four levels, from the images' own side on, and the bottleneck."""

    widths: tuple[int, ...] = (32, 64, 128, 256, 512)
    stages: ClassVar[tuple[str, ...]] = ("level1", "level2", "level3", "level4", "features")
    late: ClassVar[str] = "features"

    def layers(self) -> list[nn.Module]:
        levels = zip(self.widths, self.stages, strict=True)
        return [Level(width, name != "level1", self.dtype, name=name) for width, name in levels]


class Restorer(nn.Module):
    """The maps of a U-Net's encoder to an image [batch, height, width, 3] of the input's size, linear.

    From the bottleneck up, each level doubles the side and reads the encoder's map of that level beside its own.
    """

    dtype: Any = None

    @nn.compact
    def __call__(self, maps: Mapping[str, Array], *, train: bool) -> Array:
        x = maps["features"]
        for level in ("level4", "level3", "level2", "level1"):
            seen = maps[level]
            height, width, channels = seen.shape[1:]
            x = ConvTranspose(channels, 2, 2, dtype=self.dtype, name=f"{level}_up")(x)[:, :height, :width]
            x = Level(channels, dtype=self.dtype, name=level)(jnp.concatenate([seen, x], axis=-1), train)
        return Conv(3, 1, use_bias=True, kernel_init=kaiming_normal_fan_in, dtype=self.dtype, name="image")(x)


UNETS: dict[str, Callable[..., UNet]] = {"unet": UNet}
