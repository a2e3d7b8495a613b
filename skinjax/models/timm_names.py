"""What timm calls the tensors of every family: the architecture's own paths, rewritten row by row.

A path is `stage/module/...` without its leaf, or `head/...`; rows are (pattern, replacement) of `re.sub`, applied in
order, and slashes become dots at the end. Leaves and their layouts are the same for all (weights.py).
"""

from skinjax.models.resnet import ResNet

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
    ("^head/classifier$", "fc"),
)

NAMES: dict[type, Rows] = {ResNet: RESNET}
"""By family."""
