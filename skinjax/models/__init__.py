"""The registry of backbones, by the names that the field uses."""

from collections.abc import Sequence
from typing import Any

from skinjax.core.errors import UserError, lookup
from skinjax.models.backbone import Backbone
from skinjax.models.families.convnext import CONVNEXTS
from skinjax.models.families.densenet import DENSENETS, DenseNet
from skinjax.models.families.efficientnet import EFFICIENTNETS
from skinjax.models.families.inception import INCEPTIONS
from skinjax.models.families.mobilenet import MOBILENETS
from skinjax.models.families.resnet import RESNETS
from skinjax.models.families.unet import UNETS
from skinjax.models.families.vgg import VGGS
from skinjax.models.heads.classifiers import with_rate

BACKBONES = {**CONVNEXTS, **DENSENETS, **EFFICIENTNETS, **INCEPTIONS, **MOBILENETS, **RESNETS, **UNETS, **VGGS}


def make_backbone(
    name: str,
    dtype: Any = None,
    drop_path: float | None = None,
    remat: Sequence[str] = (),
    final_relu: bool = True,
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
