"""VGG-16 (Simonyan and Zisserman 2015), plain and with batch normalisation, and its fully connected head."""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from skinjax.models.backbone import Backbone, Rows
from skinjax.models.layers import Conv, Dense, Dropout, relu
from skinjax.models.normalisation import BatchNorm
from skinjax.models.pooling import adaptive_average_pool, max_pool

STAGES = ("stage1", "stage2", "stage3", "stage4", "features")
SIXTEEN = (2, 2, 3, 3, 3)  # convolutions, and three layers in the head


def timm_rows(depths: tuple[int, ...], entries: int) -> Rows:
    """The rows of `timm_names`: timm numbers all layers in one list, in which a convolution takes `entries` places."""
    rows, place = [], 0
    for stage, depth in zip(STAGES, depths, strict=True):
        for number in range(depth):
            rows += [(f"^{stage}/conv{number}$", f"features/{place}")]
            rows += [(f"^{stage}/norm{number}$", f"features/{place + 1}")]
            place += entries
        place += 1
    return (*rows, ("^head/hidden", "pre_logits/fc"), ("^head/classifier$", "head/fc"))


class Stage(nn.Module):
    """A run of 3x3 convolutions at one resolution and the max-pool that ends it."""

    depth: int
    width: int
    normalised: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        for number in range(self.depth):
            x = Conv(self.width, 3, use_bias=True, dtype=self.dtype, name=f"conv{number}")(x)
            if self.normalised:
                x = BatchNorm(dtype=self.dtype, name=f"norm{number}")(x, use_running_average=not train)
            x = relu(x)
        return max_pool(x, 2, 2)


class VGG(Backbone):
    """Five stages, each of half the side of the one before."""

    depths: tuple[int, int, int, int, int]
    widths: tuple[int, int, int, int, int] = (64, 128, 256, 512, 512)
    normalised: ClassVar[bool] = False
    stages: ClassVar[tuple[str, ...]] = STAGES
    late: ClassVar[str] = "stage4"
    timm_names: ClassVar[Rows] = timm_rows(SIXTEEN, entries=2)

    def layers(self) -> list[nn.Module]:
        rows = zip(self.depths, self.widths, self.stages, strict=True)
        return [Stage(depth, width, self.normalised, self.dtype, name=name) for depth, width, name in rows]

    @nn.nowrap
    def original_head(self, classes: int) -> nn.Module:
        return VGGHead(classes)


class NormalisedVGG(VGG):
    """VGG with batch normalisation after every convolution, whose bias stays."""

    normalised: ClassVar[bool] = True
    timm_names: ClassVar[Rows] = timm_rows(SIXTEEN, entries=3)


class VGGHead(nn.Module):
    """Two layers of `width` with ReLU and dropout, drawn as torchvision draws them, and the classifier.

    The first layer is a convolution that needs a map of 7x7. As in timm a smaller one is brought to it by adaptive
    pooling, and a larger one gives several vectors, whose mean is classified.
    """

    classes: int
    dropout: float = 0.5
    width: int = 4096

    @nn.compact
    def __call__(self, features: Array, *, train: bool = False) -> Array:
        dtype, normal = jnp.promote_types(features.dtype, jnp.float32), nn.initializers.normal(0.01)
        conv = functools.partial(Conv, self.width, padding=0, use_bias=True, kernel_init=normal, dtype=dtype)
        height, width = features.shape[1:3]
        if min(height, width) < 7:
            features = adaptive_average_pool(features.astype(dtype), max(height, 7), max(width, 7))
        x = relu(conv(kernel=7, name="hidden1")(features))
        x = Dropout(self.dropout)(x, train)
        x = relu(conv(kernel=1, name="hidden2")(x))
        pooled = x.mean(axis=(1, 2))
        self.sow("intermediates", "pooled", pooled)
        pooled = Dropout(self.dropout)(pooled, train)
        return Dense(self.classes, dtype=dtype, name="classifier")(pooled)


VGGS: dict[str, Callable[..., VGG]] = {
    "vgg16": functools.partial(VGG, SIXTEEN),
    "vgg16_bn": functools.partial(NormalisedVGG, SIXTEEN),
}
