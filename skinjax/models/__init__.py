"""The registry of backbones, by the names that the field uses."""

from typing import Any

import flax.linen as nn

from skinjax.errors import lookup
from skinjax.models.resnet import RESNETS

BACKBONES = {**RESNETS}


def make_backbone(name: str, dtype: Any = None) -> nn.Module:
    """The backbone `name` computing in `dtype`; its parameters stay float32."""
    return lookup("backbone", name, BACKBONES)(dtype=dtype)
