"""MobileNet v1 and v2 (Howard et al. 2017, Sandler et al. 2018): symmetric as PyTorch pads, `_same` as TensorFlow does.

The `_same` networks are for weights trained there, whose epsilon was brought to 1e-5. Dropout is TF-Slim's.
"""

import functools
from collections.abc import Callable
from typing import ClassVar

from skinjax.core.errors import UserError
from skinjax.models.backbone import Rows
from skinjax.models.families.inverted_residual import OUTER, SEPARABLE, MobileNetwork, Run
from skinjax.models.layers import relu6


class MobileNetV1(MobileNetwork):
    """Depthwise separable convolutions without shortcuts."""

    stages: ClassVar[tuple[str, ...]] = ("stem", "stage1", "stage2", "stage3", "stage4", "features")
    late: ClassVar[str] = "stage4"
    linear: ClassVar[bool] = False
    timm_names: ClassVar[Rows] = (("^features/", "stage5/"), *OUTER, *SEPARABLE)

    def __post_init__(self) -> None:
        if self.drop_path:
            raise UserError(f"model.drop_path is {self.drop_path} and MobileNet v1 has no shortcuts: leave it unset")
        super().__post_init__()


class MobileNetV2(MobileNetwork):
    """Inverted residuals with linear bottlenecks, and a 1x1 convolution on top."""

    stages: ClassVar[tuple[str, ...]] = ("stem", *(f"stage{number}" for number in range(1, 8)), "features")
    late: ClassVar[str] = "stage4"


V1 = (
    Run(depth=1, kernel=3, stride=1, expansion=1, width=64),
    Run(depth=2, kernel=3, stride=2, expansion=1, width=128),
    Run(depth=2, kernel=3, stride=2, expansion=1, width=256),
    Run(depth=6, kernel=3, stride=2, expansion=1, width=512),
    Run(depth=2, kernel=3, stride=2, expansion=1, width=1024),
)
V2 = (
    Run(depth=1, kernel=3, stride=1, expansion=1, width=16),
    Run(depth=2, kernel=3, stride=2, expansion=6, width=24),
    Run(depth=3, kernel=3, stride=2, expansion=6, width=32),
    Run(depth=4, kernel=3, stride=2, expansion=6, width=64),
    Run(depth=3, kernel=3, stride=1, expansion=6, width=96),
    Run(depth=3, kernel=3, stride=2, expansion=6, width=160),
    Run(depth=1, kernel=3, stride=1, expansion=6, width=320),
)
mobilenetv1 = functools.partial(MobileNetV1, V1, relu6, dropout=0.001)
mobilenetv2 = functools.partial(MobileNetV2, V2, relu6, head=1280, dropout=0.2)

MOBILENETS: dict[str, Callable[..., MobileNetwork]] = {
    "mobilenetv1_100": mobilenetv1,
    "mobilenetv1_100_same": functools.partial(mobilenetv1, padding="same"),
    "mobilenetv2_100": mobilenetv2,
    "mobilenetv2_100_same": functools.partial(mobilenetv2, padding="same"),
}
