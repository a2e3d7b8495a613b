"""Paper 000: auxiliary decoder and twin classifier (CD, CDC), on the synthetic set and on the paper's two data sets.

| --config=configs/cdc.py | what | aims at | cost |
|---|---|---|---|
| `:demo` | narrow ResNet, 96 px, synthetic set | macro recall >= 0.35 (chance 0.14) | 4 minutes on 2 cores |
| `:skin7` | ResNet-50, 224 px, HAM10000, fold 0 of 5 | macro F1 86.75, recall 84.81 | 200 epochs, 8,010 images |
| `:skin7_vgg16`, `:skin7_densenet121` | the same with these networks | "similar", without numbers | the same |
| `:skin198` | ResNet-50, 224 px, SD-198, fold 0 of 5 | macro F1 67.97, recall 69.16 | 200 epochs, 5,270 images |

All but the demo start from ImageNet weights, which are fetched from the hub at the first start (docs/weights.md);
`--config.model.weights=` starts from scratch. `--config.method.beta=0.0` is CD. Printed numbers are means over the five
folds of an image-level split, at the last epoch: `--config.split.fold=0` ... `4`.
"""

from skinjax.core.errors import lookup
from skinjax.recipe import defaults


def get_config(variant="demo"):
    config = lookup("variant of configs/cdc.py", variant, RECIPES)("cdc", variant)
    config.method = {"name": "decoder_classifier"}
    if variant == "demo":
        config.method.decoder = {"channels": 64}  # as narrow as the network
    return config


def demo(name, variant):
    """How every method is trained on the synthetic set; chosen on its validation part."""
    config = defaults(name, variant)
    config.dataset.arguments = {"images": 1500, "height": 96, "width": 128}
    config.stored_size.update(height=112, width=112)
    config.views.size = (96, 96)
    config.model.backbone = "resnet_narrow"
    config.sampler = "balanced_batches"
    config.optimizer.update(name="adam", learning_rate=2e-3)
    config.phases.train = {"duration": 16.0, "schedule": "cosine", "warmup": 1.0}
    config.evaluations.every = 4.0
    config.checkpoints.every = 4.0
    return config


def skin7(name, variant, dataset="ham10000", backbone="resnet50", weights="timm/resnet50.tv_in1k"):
    """How the paper trains, every encoder from ImageNet; what it leaves open is as its group's code has it."""
    config = defaults(name, variant)
    config.dataset.name = dataset
    config.model.update(backbone=backbone, weights=weights)
    config.split.update(protocol="image_stratified", test=0.0, validation=0.0, folds=5)
    config.stored_size.update(height=300, width=300)
    config.views.train = "skin7_group"
    config.batch = 96
    config.phases.train = {"duration": 200.0, "schedule": "step", "milestones": (100.0,)}
    return config


def skin7_vgg16(name, variant):
    return skin7(name, variant, backbone="vgg16", weights="timm/vgg16.tv_in1k")


def skin7_densenet121(name, variant):
    return skin7(name, variant, backbone="densenet121", weights="timm/densenet121.tv_in1k")


def skin198(name, variant):
    return skin7(name, variant, dataset="sd198")


RECIPES = {
    "demo": demo,
    "skin7": skin7,
    "skin7_vgg16": skin7_vgg16,
    "skin7_densenet121": skin7_densenet121,
    "skin198": skin198,
}
