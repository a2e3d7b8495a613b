"""What MobileNets and EfficientNets are built of: a depthwise convolution between 1x1 ones (Sandler et al. 2018).

With symmetric padding they are PyTorch's networks, with padding 'same' TensorFlow's.
"""

import functools
from collections.abc import Callable
from typing import Any, ClassVar, Literal, NamedTuple

import flax.linen as nn
from jax import Array

from skinjax.models.backbone import Backbone, Rows
from skinjax.models.heads.classifiers import LinearHead
from skinjax.models.layers import Conv, DropPath, SqueezeExcitation, kaiming_normal_fan_out
from skinjax.models.normalisation import BatchNorm

# A depthwise input feeds one output, so its fan out is kernel^2, which the initialiser calls the fan in.
depthwise_kaiming_normal = nn.initializers.variance_scaling(2.0, "fan_in", "normal")

# timm counts a block's norms from its first convolution, and without an expansion that is the depthwise one.
OUTER: Rows = (
    ("^stem/conv$", "conv_stem"),
    ("^stem/norm$", "bn1"),
    ("^features/conv$", "conv_head"),
    ("^features/norm$", "bn2"),
    *((f"^stage{number}/", f"blocks/{number - 1}/") for number in range(1, 8)),
    (r"/block(\d+)", r"/\1"),
    ("squeeze/", "se/conv_"),
    ("^head/", ""),
)
SEPARABLE: Rows = (
    ("depthwise/conv", "conv_dw"),
    ("depthwise/norm", "bn1"),
    ("project/conv", "conv_pw"),
    ("project/norm", "bn2"),
)
INVERTED: Rows = (
    ("expand/conv", "conv_pw"),
    ("expand/norm", "bn1"),
    ("depthwise/conv", "conv_dw"),
    ("depthwise/norm", "bn2"),
    ("project/conv", "conv_pwl"),
    ("project/norm", "bn3"),
)


class ConvNorm(nn.Module):
    """A convolution, batch normalisation and, unless it is None, an activation."""

    features: int
    kernel: int
    stride: int = 1
    depthwise: bool = False
    activation: Callable[[Array], Array] | None = None
    padding: Literal["same"] | None = None
    epsilon: float = 1e-5
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        groups, init = (self.features, depthwise_kaiming_normal) if self.depthwise else (1, kaiming_normal_fan_out)
        conv = functools.partial(Conv, groups=groups, kernel_init=init, dtype=self.dtype, name="conv")
        x = conv(self.features, self.kernel, self.stride, self.padding)(x)
        x = BatchNorm(epsilon=self.epsilon, dtype=self.dtype, name="norm")(x, use_running_average=not train)
        return x if self.activation is None else self.activation(x)


class Run(NamedTuple):
    """A stage in numbers: `depth` blocks to `width` channels, of which the first carries the stride."""

    depth: int
    kernel: int
    stride: int
    expansion: int
    width: int


class InvertedResidual(nn.Module):
    """1x1 to `expansion` times the channels, a depthwise convolution, 1x1 to `width`; a shortcut where shapes agree.

    Without expansion the first 1x1 is absent. `squeeze` scales the depthwise channels by a gate that is reduced to a
    quarter of the block's inputs. `linear` is the bottleneck of v2; v1 activates its outputs and has no shortcuts.
    """

    conv_norm: Callable[..., ConvNorm]  # with its padding, epsilon and dtype
    activation: Callable[[Array], Array]
    width: int
    kernel: int
    stride: int
    expansion: int
    squeeze: bool
    linear: bool
    drop_path: float
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        act, inner = self.activation, x.shape[-1] * self.expansion
        y = x
        if self.expansion > 1:
            y = self.conv_norm(inner, 1, activation=act, name="expand")(y, train)
        y = self.conv_norm(inner, self.kernel, self.stride, depthwise=True, activation=act, name="depthwise")(y, train)
        if self.squeeze:
            y = SqueezeExcitation(x.shape[-1] // 4, act, dtype=self.dtype, name="squeeze")(y)
        y = self.conv_norm(self.width, 1, activation=None if self.linear else act, name="project")(y, train)
        if self.linear and x.shape == y.shape:
            return x + DropPath(self.drop_path, name="drop_path")(y, train)
        return y


class Stage(nn.Module):
    """The blocks of a run, in training dropped at `drop_paths`."""

    block: Callable[..., InvertedResidual]
    run: Run
    drop_paths: tuple[float, ...]

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        run = self.run
        for number, rate in enumerate(self.drop_paths):
            stride = run.stride if number == 0 else 1
            size = {"width": run.width, "kernel": run.kernel, "stride": stride, "expansion": run.expansion}
            x = self.block(**size, drop_path=rate, name=f"block{number}")(x, train)
        return x


class MobileNetwork(Backbone):
    """A 3x3 stem, a stage for each of `runs` and, unless `head` is 0, a 1x1 to that many channels.

    The rate of stochastic depth grows evenly over the blocks, from 0 to just below `drop_path`.
    """

    runs: tuple[Run, ...]
    activation: Callable[[Array], Array]
    stem: int = 32
    head: int = 0
    padding: Literal["same"] | None = None
    epsilon: float = 1e-5
    dropout: float = 0.0
    drop_path: float = 0.0
    squeeze: ClassVar[bool] = False
    linear: ClassVar[bool] = True
    timm_names: ClassVar[Rows] = (
        *OUTER,
        *((f"^(blocks/0/.*){ours}", rf"\1{theirs}") for ours, theirs in SEPARABLE),
        *INVERTED,
    )

    def layers(self) -> list[nn.Module]:
        conv_norm = functools.partial(ConvNorm, padding=self.padding, epsilon=self.epsilon, dtype=self.dtype)
        block = functools.partial(
            InvertedResidual, conv_norm, self.activation, squeeze=self.squeeze, linear=self.linear, dtype=self.dtype
        )
        layers: list[nn.Module] = [conv_norm(self.stem, 3, 2, activation=self.activation, name="stem")]
        blocks = sum(run.depth for run in self.runs)
        rates = iter([self.drop_path * number / blocks for number in range(blocks)])
        for name, run in zip(self.stages[1:], self.runs, strict=not self.head):
            layers.append(Stage(block, run, tuple(next(rates) for _ in range(run.depth)), name=name))
        if self.head:
            layers.append(conv_norm(self.head, 1, activation=self.activation, name="features"))
        return layers

    @nn.nowrap
    def original_head(self, classes: int) -> LinearHead:
        return LinearHead(classes, self.dropout)
