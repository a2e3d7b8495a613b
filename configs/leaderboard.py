"""The honest leaderboard: what usual networks reach on the official test part of ISIC 2018, trained alike.

| --config=configs/leaderboard.py | what | cost |
|---|---|---|
| `:demo` | a head on features that are computed once, synthetic | 1 minute on 2 cores |
| `:isic2018_NETWORK_linear` | ImageNet's features once, and a linear head | 30 epochs of the head, 224 px |
| `:isic2018_NETWORK_linear_balanced` | the same on balanced batches | the same |
| `:isic2018_NETWORK_fine_tuned`, `_fine_tuned_balanced` | the whole network | 15 epochs of 10,015 images, 224 px |
| `:ham10000_copies_linear`, ... | MobileNet-v2 at 96 px on five folds of HAM10000 | 1 to 3 minutes on 2 cores |

Networks: mobilenetv2_100, efficientnet_b0, resnet50, densenet121, convnext_tiny. `skinjax reproduce leaderboard` trains
all of them and judges them on the 1,511 images, plain, on balanced batches and with the prior corrected after training;
the challenge's 193 images validate, and choose that correction. No paper prints these numbers. The networks start from
ImageNet weights, which are fetched from the hub at the first start (docs/weights.md); those of the copies start from
`--config.model.weights=FILE`. On accelerators they compute in bfloat16 (`--config.model.dtype=float32` turns that off).
"""

from cdc import small
from schedules import on_two_cores

from skinjax.core.errors import lookup
from skinjax.recipe import defaults

WEIGHTS = {
    "mobilenetv2_100": "timm/mobilenetv2_100.ra_in1k",
    "efficientnet_b0": "timm/efficientnet_b0.ra_in1k",
    "resnet50": "timm/resnet50.a1_in1k",
    "densenet121": "timm/densenet121.ra_in1k",
    "convnext_tiny": "timm/convnext_tiny.fb_in1k",
}


def get_config(variant="demo"):
    make, arguments = lookup("variant of configs/leaderboard.py", variant, VARIANTS)
    return make("leaderboard", variant, **arguments)


def trained(config, linear, balanced, epochs):
    """The head alone on features that are computed once, or everything."""
    config.phases.train = {"duration": epochs, "schedule": "cosine", "warmup": epochs / 10}
    if linear:
        config.phases.train.update(frozen=("early", "late"), augment=False, features="stored")
        config.optimizer.update(name="adam", learning_rate=1e-3)
    else:
        config.optimizer.update(name="adamw", learning_rate=1e-4, weight_decay=0.01)
    if balanced:
        config.sampler = "balanced_batches"
        config.batch = 63  # as many of each class
    for section in (config.evaluations, config.checkpoints):
        section.every = 0.0
    return config


def isic2018(name, variant, network, linear, balanced):
    config = defaults(name, variant)
    config.dataset.name = "isic2018"
    config.split.protocol = "official"
    config.stored_size.update(height=256, width=256, filter="bicubic")
    config.views.update(train="side_on", size=(224, 224), normalisation="weights")
    config.model.update(backbone=network, weights=WEIGHTS[network], head="linear")
    config.batch = 64
    return trained(config, linear, balanced, 30.0 if linear else 15.0)


def copies(name, variant, linear, balanced):
    """What two cores can train."""
    config = on_two_cores(name, variant)
    return trained(config, linear, balanced, 20.0 if linear else 1.5)


def demo(name, variant):
    config = trained(small(name, variant), linear=True, balanced=True, epochs=20.0)
    config.dataset.arguments = {"images": 1500, "height": 96, "width": 128}
    return config


KINDS = {
    f"{kind}{ending}": {"linear": kind == "linear", "balanced": bool(ending)}
    for kind in ("linear", "fine_tuned")
    for ending in ("", "_balanced")
}
VARIANTS = {"demo": (demo, {})}
VARIANTS |= {f"ham10000_copies_{kind}": (copies, how) for kind, how in KINDS.items()}
VARIANTS |= {
    f"isic2018_{network}_{kind}": (isic2018, {"network": network, **how})
    for network in WEIGHTS
    for kind, how in KINDS.items()
}
