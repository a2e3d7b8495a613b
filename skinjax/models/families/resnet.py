"""ResNet (He et al. 2015) as torchvision has it: a bottleneck's stride in its 3x3, symmetric padding, epsilon 1e-5.

SE-ResNeXt (Xie et al. 2016, Hu et al. 2017) is the same network of another bottleneck. The legacy one is that of the
weights ported from Caffe: its max-pool rounds up instead of padding.
"""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import flax.linen as nn
from jax import Array

from skinjax.models.backbone import Backbone, Rows
from skinjax.models.layers import Conv, Initializer, SqueezeExcitation, kaiming_normal_fan_out, relu
from skinjax.models.normalisation import BatchNorm
from skinjax.models.pooling import max_pool


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    width: int
    stride: int = 1
    dtype: Any = None
    expansion: ClassVar[int] = 1

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        conv = functools.partial(Conv, dtype=self.dtype)
        norm = functools.partial(BatchNorm, dtype=self.dtype)
        y = conv(self.width, 3, self.stride, name="conv1")(x)
        y = relu(norm(name="norm1")(y, use_running_average=not train))
        y = conv(self.width, 3, name="conv2")(y)
        y = norm(name="norm2")(y, use_running_average=not train)
        return relu(y + _shortcut(x, y, self.stride, train, conv, norm))


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1 to four times the width, and a shortcut.

    The 3x3 has `groups` of `group_width` channels at a width of 64; `reduction` excites the outcome's channels.
    """

    width: int
    stride: int = 1
    groups: int = 1
    group_width: int = 64
    reduction: int | None = None
    last_scale_init: Initializer = nn.initializers.ones
    dtype: Any = None
    expansion: ClassVar[int] = 4

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        conv = functools.partial(Conv, dtype=self.dtype)
        norm = functools.partial(BatchNorm, dtype=self.dtype)
        inner = self.groups * (self.group_width * self.width // 64)
        y = conv(inner, 1, name="conv1")(x)
        y = relu(norm(name="norm1")(y, use_running_average=not train))
        y = conv(inner, 3, self.stride, groups=self.groups, name="conv2")(y)
        y = relu(norm(name="norm2")(y, use_running_average=not train))
        y = conv(self.width * self.expansion, 1, name="conv3")(y)
        y = norm(scale_init=self.last_scale_init, name="norm3")(y, use_running_average=not train)
        if self.reduction is not None:
            squeezed = y.shape[-1] // self.reduction
            y = SqueezeExcitation(squeezed, bias_init=None, dtype=self.dtype, name="excitation")(y)
        return relu(y + _shortcut(x, y, self.stride, train, conv, norm))


def _shortcut(x: Array, y: Array, stride: int, train: bool, conv: Callable, norm: Callable) -> Array:
    if x.shape == y.shape:
        return x
    x = conv(y.shape[-1], 1, stride, name="shortcut")(x)
    return norm(name="shortcut_norm")(x, use_running_average=not train)


class Stem(nn.Module):
    """7x7 convolution of stride 2 and a max-pool: a quarter of the side."""

    width: int
    ceil_pool: bool = False
    dtype: Any = None
    kernel_init: Initializer = kaiming_normal_fan_out

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        x = Conv(self.width, 7, 2, kernel_init=self.kernel_init, dtype=self.dtype, name="conv")(x)
        x = relu(BatchNorm(dtype=self.dtype, name="norm")(x, use_running_average=not train))
        return max_pool(x, 3, 2, ceil_mode=True) if self.ceil_pool else max_pool(x, 3, 2, 1)


class Stage(nn.Module):
    """A run of blocks at one resolution; the first one carries the stride."""

    block: Callable[..., nn.Module]
    depth: int
    width: int
    stride: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        for number in range(self.depth):
            stride = self.stride if number == 0 else 1
            x = self.block(self.width, stride, dtype=self.dtype, name=f"block{number}")(x, train)
        return x


class ResNet(Backbone):
    """A stem and four stages, each of twice the width and half the side of the one before."""

    block: Callable[..., nn.Module]
    depths: tuple[int, int, int, int]
    width: int = 64
    ceil_pool: bool = False
    stages: ClassVar[tuple[str, ...]] = ("stem", "stage1", "stage2", "stage3", "features")
    late: ClassVar[str] = "stage3"
    timm_names: ClassVar[Rows] = (
        ("^stem/conv$", "conv1"),
        ("^stem/norm$", "bn1"),
        ("^features/", "layer4/"),
        ("^stage", "layer"),
        (r"/block(\d+)", r"/\1"),
        ("shortcut_norm", "downsample/1"),
        ("shortcut", "downsample/0"),
        ("norm", "bn"),
        ("excitation/reduce", "se/fc1"),
        ("excitation/expand", "se/fc2"),
        ("^head/classifier$", "fc"),
    )

    def layers(self) -> list[nn.Module]:
        layers: list[nn.Module] = [Stem(self.width, self.ceil_pool, self.dtype, name="stem")]
        for number, depth in enumerate(self.depths):
            width, stride, name = self.width * 2**number, 1 if number == 0 else 2, self.stages[number + 1]
            layers.append(Stage(self.block, depth, width, stride, self.dtype, name=name))
        return layers


class LegacySEResNeXt(ResNet):
    """The SE-ResNeXt of Cadene's pretrained models, of which paper 003 took its network."""

    ceil_pool: bool = True
    timm_names: ClassVar[Rows] = (
        *ResNet.timm_names,
        ("^(conv1|bn1)$", r"layer0/\1"),
        ("/se/", "/se_module/"),
        ("^fc$", "last_linear"),
    )


excited = functools.partial(Bottleneck, groups=32, group_width=4, reduction=16)
excited_from_zero = functools.partial(excited, last_scale_init=nn.initializers.zeros)

RESNETS: dict[str, Callable[..., ResNet]] = {
    "resnet_tiny": functools.partial(ResNet, BasicBlock, (1, 1, 1, 1), 4),  # this and the next for tests and demo scale
    **{f"resnet_tiny_{width}": functools.partial(ResNet, BasicBlock, (1, 1, 1, 1), width) for width in (6, 8, 10, 12)},
    "resnet_narrow": functools.partial(ResNet, BasicBlock, (1, 1, 1, 1), 16),
    "resnet18": functools.partial(ResNet, BasicBlock, (2, 2, 2, 2)),
    "resnet34": functools.partial(ResNet, BasicBlock, (3, 4, 6, 3)),
    "resnet50": functools.partial(ResNet, Bottleneck, (3, 4, 6, 3)),
    "resnet101": functools.partial(ResNet, Bottleneck, (3, 4, 23, 3)),
    "resnet152": functools.partial(ResNet, Bottleneck, (3, 8, 36, 3)),
    "seresnext50_32x4d": functools.partial(ResNet, excited_from_zero, (3, 4, 6, 3)),
    "legacy_seresnext50_32x4d": functools.partial(LegacySEResNeXt, excited, (3, 4, 6, 3)),
}
