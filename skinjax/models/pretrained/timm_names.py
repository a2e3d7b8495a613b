"""What timm calls the tensors of every family: the architecture's own paths, rewritten row by row.

A path is `stage/module/...` without its leaf, or `head/...`; rows are (pattern, replacement) of `re.sub`, applied in
order, and slashes become dots at the end. Leaves and their layouts are the same for all (weights.py).
"""

from skinjax.models.families.convnext import ConvNeXt
from skinjax.models.families.densenet import DenseNet
from skinjax.models.families.efficientnet import EfficientNet
from skinjax.models.families.inception import InceptionV3
from skinjax.models.families.mobilenet import MobileNetV1, MobileNetV2
from skinjax.models.families.resnet import LegacySEResNeXt, ResNet
from skinjax.models.families.unet import UNet
from skinjax.models.families.vgg import VGG, NormalisedVGG

Rows = tuple[tuple[str, str], ...]

RESNET: Rows = (
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
LEGACY_SERESNEXT: Rows = (
    *RESNET,
    ("^(conv1|bn1)$", r"layer0/\1"),
    ("/se/", "/se_module/"),
    ("^fc$", "last_linear"),
)

CONVNEXT: Rows = (
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

INCEPTION: Rows = (
    ("^stem/", "Conv2d_"),
    ("^features/", "mixed7/"),
    (r"^mixed(\d)/", r"Mixed_\1"),
    ("norm", "bn"),
    ("^head/classifier$", "fc"),
)

MOBILE: Rows = (
    ("^stem/conv$", "conv_stem"),
    ("^stem/norm$", "bn1"),
    ("^features/conv$", "conv_head"),
    ("^features/norm$", "bn2"),
    *((f"^stage{number}/", f"blocks/{number - 1}/") for number in range(1, 8)),
    (r"/block(\d+)", r"/\1"),
    ("squeeze/", "se/conv_"),
    ("^head/", ""),
)
# timm counts a block's norms from its first convolution, and without an expansion that is the depthwise one.
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
MOBILENETV1: Rows = (("^features/", "stage5/"), *MOBILE, *SEPARABLE)
MOBILENETV2: Rows = (*MOBILE, *((f"^(blocks/0/.*){ours}", rf"\1{theirs}") for ours, theirs in SEPARABLE), *INVERTED)

DENSENET: Rows = (
    ("^stem/(conv|norm)$", r"features/\g<1>0"),
    ("^features/norm$", "features/norm5"),
    *((f"^{stage}/transition/", f"features/transition{n}/") for n, stage in ((1, "block2"), (2, "block3"))),
    ("^features/transition/", "features/transition3/"),
    (r"^features/layer(\d+)/", r"features/denseblock4/denselayer\1/"),
    (r"^block(\d)/layer(\d+)/", r"features/denseblock\1/denselayer\2/"),
    ("^head/", ""),
)


def _vgg(depths: tuple[int, ...], entries: int) -> Rows:
    """All of a stage's convolutions, of so many `entries` each, and its pool stand in one list there."""
    rows, place = [], 0
    for stage, depth in zip(VGG.stages, depths, strict=True):
        for number in range(depth):
            rows += [(f"^{stage}/conv{number}$", f"features/{place}")]
            rows += [(f"^{stage}/norm{number}$", f"features/{place + 1}")]
            place += entries
        place += 1
    return (*rows, ("^head/hidden", "pre_logits/fc"), ("^head/classifier$", "head/fc"))


# Nobody publishes weights of this one; the names are our own.
UNET: Rows = (("^head/", ""),)

NAMES: dict[type, Rows] = {
    ConvNeXt: CONVNEXT,
    DenseNet: DENSENET,
    EfficientNet: MOBILENETV2,
    InceptionV3: INCEPTION,
    LegacySEResNeXt: LEGACY_SERESNEXT,
    ResNet: RESNET,
    MobileNetV1: MOBILENETV1,
    MobileNetV2: MOBILENETV2,
    NormalisedVGG: _vgg((2, 2, 3, 3, 3), entries=3),
    VGG: _vgg((2, 2, 3, 3, 3), entries=2),
    UNet: UNET,
}
"""By family."""

UNUSED: dict[type, tuple[str, ...]] = {InceptionV3: ("AuxLogits.",)}
"""What a family's published files hold beside the network, by the beginning of the tensors' names."""
