"""The registry of backbones, by the names that the field uses."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from skinjax.core.errors import UserError, lookup
from skinjax.core.settings import BELOW_ONE, FieldError, Settings, choice, number
from skinjax.models.backbone import Backbone
from skinjax.models.families.convnext import CONVNEXTS
from skinjax.models.families.densenet import DENSENETS, DenseNet
from skinjax.models.families.efficientnet import EFFICIENTNETS
from skinjax.models.families.inception import INCEPTIONS
from skinjax.models.families.mobilenet import MOBILENETS
from skinjax.models.families.resnet import RESNETS
from skinjax.models.families.unet import UNETS
from skinjax.models.families.vgg import VGGS
from skinjax.models.heads.classifiers import HEADS, with_rate

BACKBONES = {**CONVNEXTS, **DENSENETS, **EFFICIENTNETS, **INCEPTIONS, **MOBILENETS, **RESNETS, **UNETS, **VGGS}

DTYPES = {"auto": "bfloat16 on accelerators, float32 on CPUs", "float32": None, "bfloat16": jnp.bfloat16}


@dataclasses.dataclass(frozen=True)
class ModelSettings(Settings):
    """The network: backbone, head, and the weights that it starts from."""

    backbone: str = choice("resnet50", "backbone", BACKBONES)
    dtype: str = choice("auto", "dtype", DTYPES)
    head: str = choice("original", "head", HEADS)  # `original` is the backbone's own
    dropout: float | None = number(None, 0, BELOW_ONE)  # in the head; unset, the network's own rate
    drop_path: float | None = number(None, 0, BELOW_ONE)  # stochastic depth in the backbone; unset, its own rate
    final_relu: bool = True  # of a DenseNet; off in paper 003's attention and GRU models and in fastai's
    remat: tuple[str, ...] = ()  # stages whose inner maps are computed again in the backward pass, to save memory
    weights: str = ""  # to start from: a safetensors file of timm, timm/NAME on the hub, or a finished run
    weights_sha256: str = ""  # the digest that this file must have

    def check(self) -> None:
        if not re.fullmatch("([0-9a-f]{64})?", self.weights_sha256):
            reason = f" is {self.weights_sha256!r}; it must be the 64 hex digits of a sha256"
            raise FieldError("model.weights_sha256", reason)
        if self.weights_sha256 and not self.weights:
            raise FieldError("model.weights_sha256", f" is {self.weights_sha256!r}: set model.weights too")

    @property
    def compute_dtype(self) -> Any:
        """The dtype that the backbone computes in; None is that of its input."""
        if self.dtype == "auto":
            return None if jax.default_backend() == "cpu" else jnp.bfloat16
        return DTYPES[self.dtype]


def make_backbone(
    name: str, dtype: Any = None, drop_path: float | None = None, remat: Sequence[str] = (), final_relu: bool = True
) -> Backbone:
    """The backbone `name` computing in `dtype`; its parameters stay float32.

    With its own rate of stochastic depth unless `drop_path` is given; the stages in `remat` keep no inner maps for the
    backward pass and compute them again, which takes less memory and more time. A DenseNet may end without its ReLU.
    """
    backbone = lookup("backbone", name, BACKBONES)(dtype=dtype, remat=tuple(remat))
    for stage in remat:
        if stage not in backbone.stages:
            raise UserError(f"model.remat names {stage!r}; the stages of {name} are {', '.join(backbone.stages)}")
    if not final_relu:
        if not isinstance(backbone, DenseNet):
            raise UserError(f"model.final_relu is off and {name} is no DenseNet, whose last ReLU can be left out")
        backbone = backbone.clone(final_relu=False)
    return with_rate(backbone, "drop_path", drop_path)
