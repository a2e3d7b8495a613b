"""Inception-v3 (Szegedy et al. 2015) as torchvision has it, without the auxiliary classifier: epsilon 1e-3, and branch
pools that count their padding as zeros.
"""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from skinjax.core.errors import UserError
from skinjax.models.backbone import Backbone, Rows
from skinjax.models.heads.classifiers import LinearHead
from skinjax.models.layers import Conv, relu
from skinjax.models.normalisation import BatchNorm
from skinjax.models.pooling import average_pool, max_pool

Kernel = int | tuple[int, int]
Step = tuple[int, *tuple[Kernel, ...]]  # channels, kernel; two kernels are two convolutions side by side
Branches = dict[str, tuple[Step, ...]]
Block = tuple[Branches, int | None]  # the arguments of Mixed

SMALLEST = 75  # pixels of a side that leave one pixel of `features`
initial = nn.initializers.normal(0.1)  # torchvision truncates at 20 deviations, TensorFlow's at two


class Unit(nn.Module):
    """A convolution, its normalisation and a ReLU."""

    features: int
    kernel: Kernel
    stride: int = 1
    padding: int | None = None
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        conv = functools.partial(Conv, kernel_init=initial, dtype=self.dtype, name="conv")
        x = conv(self.features, self.kernel, self.stride, self.padding)(x)
        return relu(BatchNorm(epsilon=1e-3, dtype=self.dtype, name="norm")(x, use_running_average=not train))


class Mixed(nn.Module):
    """Branches of convolutions and one of a pool over the same map, side by side.

    The pool is an average and a 1x1 convolution to `pooled` channels; with none it is a maximum, and all branches halve
    the map without padding.
    """

    branches: Branches
    pooled: int | None
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        unit = functools.partial(Unit, dtype=self.dtype)
        outputs = []
        for name, steps in self.branches.items():
            y = x
            for number, (features, *kernels) in enumerate(steps, start=1):
                placed = (2, 0) if self.pooled is None and number == len(steps) else (1, None)  # stride and padding
                numbered = name if len(steps) == 1 else f"{name}_{number}"
                names = [numbered] if len(kernels) == 1 else [f"{numbered}a", f"{numbered}b"]
                units = [unit(features, k, *placed, name=label) for k, label in zip(kernels, names, strict=True)]
                y = jnp.concatenate([layer(y, train) for layer in units], axis=-1)
            outputs.append(y)
        if self.pooled is None:
            outputs.append(max_pool(x, 3, 2))
        else:
            outputs.append(unit(self.pooled, 1, name="branch_pool")(average_pool(x, 3, 1, 1), train))
        return jnp.concatenate(outputs, axis=-1)


def mixed_a(pooled: int) -> Block:
    """A block of the largest maps, with a 5x5 branch (torchvision's InceptionA; the others are named alike)."""
    double: tuple[Step, ...] = ((64, 1), (96, 3), (96, 3))
    return {"branch1x1": ((64, 1),), "branch5x5": ((48, 1), (64, 5)), "branch3x3dbl": double}, pooled


def mixed_c(width: int) -> Block:
    """A block whose 7x7 convolutions are factorised into rows and columns."""
    row: Step = (width, (1, 7))
    column: Step = (width, (7, 1))
    branches: Branches = {
        "branch1x1": ((192, 1),),
        "branch7x7": ((width, 1), row, (192, (7, 1))),
        "branch7x7dbl": ((width, 1), column, row, column, (192, (1, 7))),
    }
    return branches, 192


MIXED_B: Block = {"branch3x3": ((384, 3),), "branch3x3dbl": ((64, 1), (96, 3), (96, 3))}, None
MIXED_D: Block = (
    {"branch3x3": ((192, 1), (320, 3)), "branch7x7x3": ((192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3))},
    None,
)
MIXED_E: Block = (
    {
        "branch1x1": ((320, 1),),
        "branch3x3": ((384, 1), (384, (1, 3), (3, 1))),
        "branch3x3dbl": ((448, 1), (384, 3), (384, (1, 3), (3, 1))),
    },
    192,
)
BLOCKS: dict[str, dict[str, Block]] = {
    "mixed5": {"b": mixed_a(32), "c": mixed_a(64), "d": mixed_a(64)},
    "mixed6": {"a": MIXED_B, "b": mixed_c(128), "c": mixed_c(160), "d": mixed_c(160), "e": mixed_c(192)},
    "features": {"a": MIXED_D, "b": MIXED_E, "c": MIXED_E},
}
"""By stage, under the letters that the authors gave them."""


class Stem(nn.Module):
    """Five convolutions and two max-pools, hardly padded: 299 pixels become 35."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        if min(x.shape[1:3]) < SMALLEST:
            raise UserError(f"Inception-v3 needs {SMALLEST} pixels, not {x.shape[1]}x{x.shape[2]}: raise views.size")
        unit = functools.partial(Unit, padding=0, dtype=self.dtype)
        x = unit(32, 3, 2, name="1a_3x3")(x, train)
        x = unit(32, 3, name="2a_3x3")(x, train)
        x = unit(64, 3, padding=1, name="2b_3x3")(x, train)
        x = unit(80, 1, name="3b_1x1")(max_pool(x, 3, 2), train)
        x = unit(192, 3, name="4a_3x3")(x, train)
        return max_pool(x, 3, 2)


class Stage(nn.Module):
    """The blocks of one resolution."""

    blocks: dict[str, Block]
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        for letter, block in self.blocks.items():
            x = Mixed(*block, self.dtype, name=letter)(x, train)
        return x


class InceptionV3(Backbone):
    """A stem and three stages of mixed blocks."""

    stages: ClassVar[tuple[str, ...]] = ("stem", "mixed5", "mixed6", "features")
    late: ClassVar[str] = "mixed6"
    timm_names: ClassVar[Rows] = (
        ("^stem/", "Conv2d_"),
        ("^features/", "mixed7/"),
        (r"^mixed(\d)/", r"Mixed_\1"),
        ("norm", "bn"),
        ("^head/classifier$", "fc"),
    )
    unused_tensors: ClassVar[tuple[str, ...]] = ("AuxLogits.",)

    def layers(self) -> list[nn.Module]:
        stages = [Stage(blocks, self.dtype, name=name) for name, blocks in BLOCKS.items()]
        return [Stem(self.dtype, name="stem"), *stages]

    @nn.nowrap
    def original_head(self, classes: int) -> LinearHead:
        return LinearHead(classes, dropout=0.5)


INCEPTIONS: dict[str, Callable[..., InceptionV3]] = {"inception_v3": InceptionV3}
