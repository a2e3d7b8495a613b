"""EfficientNet B0 to B7 (Tan and Le 2019): symmetric padding and epsilon 1e-5 as trained in PyTorch, `tf_` as Google's.

Dropout, stochastic depth and the scaling of width and depth are the authors'; momentum of BatchNorm is PyTorch's.
"""

import functools
import math
from collections.abc import Callable
from typing import ClassVar

import jax

from skinjax.models.families.inverted_residual import MobileNetwork, Run


class EfficientNet(MobileNetwork):
    """Inverted residuals with squeeze-and-excitation and swish, and a 1x1 convolution on top."""

    stages: ClassVar[tuple[str, ...]] = ("stem", *(f"stage{number}" for number in range(1, 8)), "features")
    late: ClassVar[str] = "stage4"
    squeeze: ClassVar[bool] = True


B0 = (
    Run(depth=1, kernel=3, stride=1, expansion=1, width=16),
    Run(depth=2, kernel=3, stride=2, expansion=6, width=24),
    Run(depth=2, kernel=5, stride=2, expansion=6, width=40),
    Run(depth=3, kernel=3, stride=2, expansion=6, width=80),
    Run(depth=3, kernel=5, stride=1, expansion=6, width=112),
    Run(depth=4, kernel=5, stride=2, expansion=6, width=192),
    Run(depth=1, kernel=3, stride=1, expansion=6, width=320),
)

# (width, depth, dropout), the first two as multiples of B0's
SCALES = {
    "b0": (1.0, 1.0, 0.2),
    "b1": (1.0, 1.1, 0.2),
    "b2": (1.1, 1.2, 0.3),
    "b3": (1.2, 1.4, 0.3),
    "b4": (1.4, 1.8, 0.4),
    "b5": (1.6, 2.2, 0.4),
    "b6": (1.8, 2.6, 0.5),
    "b7": (2.0, 3.1, 0.5),
}


def scaled(width: float, depth: float, dropout: float) -> Callable[..., EfficientNet]:
    """B0 with `depth` times as many blocks in each stage, rounded up, and `width` times as many channels."""
    runs = tuple(run._replace(depth=math.ceil(depth * run.depth), width=multiple_of_8(width * run.width)) for run in B0)
    stem, head = multiple_of_8(width * 32), multiple_of_8(width * 1280)
    return functools.partial(EfficientNet, runs, jax.nn.silu, stem, head, dropout=dropout, drop_path=0.2)


def multiple_of_8(channels: float) -> int:
    """The nearest multiple of 8, or the next one where that would take away more than a tenth.

    >>> multiple_of_8(1.1 * 24), multiple_of_8(1.4 * 24), multiple_of_8(11)
    (24, 32, 16)
    """
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


EFFICIENTNETS: dict[str, Callable[..., EfficientNet]] = {
    **{f"efficientnet_{name}": scaled(*scale) for name, scale in SCALES.items()},
    **{
        f"tf_efficientnet_{name}": functools.partial(scaled(*scale), padding="same", epsilon=1e-3)
        for name, scale in SCALES.items()
    },
}
