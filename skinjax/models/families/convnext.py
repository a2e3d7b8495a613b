"""ConvNeXt (Liu et al. 2022): 7x7 depthwise convolutions, layer normalisation, GELU and scaled residual branches.

It has no ReLU, so guided backpropagation does not apply to it.
"""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from skinjax.models.backbone import Backbone, Rows
from skinjax.models.layers import Conv, Dense, Dropout, DropPath
from skinjax.models.pooling import global_average

# The authors truncate at +-2, a hundred deviations away.
initial = nn.initializers.normal(0.02)
biased_conv = functools.partial(Conv, use_bias=True, kernel_init=initial)
dense = functools.partial(Dense, kernel_init=initial, bias_init=nn.initializers.zeros)
# flax's fast variance, the mean of squares less the squared mean, loses the digits of maps far from zero.
LayerNorm = functools.partial(nn.LayerNorm, epsilon=1e-6, use_fast_variance=False)


class Block(nn.Module):
    """Depthwise convolution, normalisation, two linear layers with GELU between; the branch's channels are scaled."""

    drop_path: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        channels = x.shape[-1]
        y = biased_conv(channels, 7, groups=channels, dtype=self.dtype, name="depthwise")(x)
        y = LayerNorm(dtype=self.dtype, name="norm")(y)
        y = dense(4 * channels, dtype=self.dtype, name="expand")(y)
        y = dense(channels, dtype=self.dtype, name="project")(jax.nn.gelu(y, approximate=False))
        scale = self.param("gamma", nn.initializers.constant(1e-6), (channels,), jnp.float32)
        return x + DropPath(self.drop_path)(y * scale.astype(y.dtype), train)


class Stem(nn.Module):
    """Patches of 4x4 pixels, normalised."""

    width: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        del train
        x = biased_conv(self.width, 4, 4, 0, dtype=self.dtype, name="conv")(x)
        return LayerNorm(dtype=self.dtype, name="norm")(x)


class Stage(nn.Module):
    """Blocks of one width, in training dropped at `drop_paths`; all but the first stage begin by halving the side."""

    width: int
    halve: bool
    drop_paths: tuple[float, ...]
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        if self.halve:
            x = LayerNorm(dtype=self.dtype, name="halve_norm")(x)
            x = biased_conv(self.width, 2, 2, 0, dtype=self.dtype, name="halve_conv")(x)
        for number, rate in enumerate(self.drop_paths):
            x = Block(rate, self.dtype, name=f"block{number}")(x, train)
        return x


class ConvNeXtHead(nn.Module):
    """Average pooling, normalisation, dropout and one linear layer."""

    classes: int
    dropout: float = 0.0
    pool = staticmethod(global_average)

    @nn.compact
    def __call__(self, features: Array, *, train: bool = False) -> Array:
        x = self.pool(features)
        x = LayerNorm(dtype=jnp.promote_types(x.dtype, jnp.float32), name="norm")(x)
        self.sow("intermediates", "pooled", x)
        x = Dropout(self.dropout)(x, train)
        return Dense(self.classes, dtype=x.dtype, name="classifier")(x)


class ConvNeXt(Backbone):
    """A stem and four stages; the rate of stochastic depth grows evenly over the blocks from 0 to `drop_path`."""

    depths: tuple[int, int, int, int]
    widths: tuple[int, int, int, int]
    drop_path: float
    stages: ClassVar[tuple[str, ...]] = ("stem", "stage1", "stage2", "stage3", "features")
    late: ClassVar[str] = "stage3"
    timm_names: ClassVar[Rows] = (
        ("^stem/conv$", "stem/0"),
        ("^stem/norm$", "stem/1"),
        ("^features/", "stage4/"),
        *((f"^stage{number}/", f"stages/{number - 1}/") for number in range(1, 5)),
        ("halve_norm", "downsample/0"),
        ("halve_conv", "downsample/1"),
        (r"/block(\d+)", r"/blocks/\1"),
        ("depthwise", "conv_dw"),
        ("expand", "mlp/fc1"),
        ("project", "mlp/fc2"),
        ("classifier", "fc"),
    )

    def layers(self) -> list[nn.Module]:
        blocks = sum(self.depths)
        rates = iter([self.drop_path * number / (blocks - 1) for number in range(blocks)])
        layers: list[nn.Module] = [Stem(self.widths[0], self.dtype, name="stem")]
        for name, depth, width in zip(self.stages[1:], self.depths, self.widths, strict=True):
            drop_paths = tuple(next(rates) for _ in range(depth))
            layers.append(Stage(width, name != "stage1", drop_paths, self.dtype, name=name))
        return layers

    @nn.nowrap
    def original_head(self, classes: int) -> ConvNeXtHead:
        return ConvNeXtHead(classes)


CONVNEXTS: dict[str, Callable[..., ConvNeXt]] = {
    "convnext_tiny": functools.partial(ConvNeXt, (3, 3, 9, 3), (96, 192, 384, 768), 0.1)
}
