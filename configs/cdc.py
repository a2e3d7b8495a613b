"""Paper 000: auxiliary decoder and twin classifier (CD, CDC), on the synthetic set and on the paper's two data sets.

| --config=configs/cdc.py | what | cost |
|---|---|---|
| `:demo` | CDC, narrow ResNet, 96 px, synthetic set: macro recall >= 0.68, accuracy >= 0.63 | 4 minutes on 2 cores |
| `:skin7` | CDC, ResNet-50, 224 px, HAM10000, fold 0 of 5 | 200 epochs, 8,012 images |
| `:skin7_vgg16`, `:skin7_densenet121` | the same with these networks: "similar", without numbers | the same |
| `:skin198` | CDC, ResNet-50, 224 px, SD-198, fold 0 of 5 | 200 epochs, 5,267 images |
| `:skin7_cd`, `:demo_cd`, ... | CD: the decoder without the twin classifier | less |
| `:skin7_fl`, `:skin7_cd_fl`, ... | CDC+FL, CD+FL: with focal loss instead of cross-entropy | the same |

Printed in percent: means over the five folds (`--config.split.fold=0` ... `4`) of an image-level split, at the last
epoch. Table 3 is of the smallest classes alone.

| Tables 1 and 2: MF1, Precision, Recall | skin7 | skin198 |
|---|---|---|
| `:SET_cd` | 85.93, 88.58, 83.92 | 67.69, 67.67, 68.62 |
| `:SET` | 86.75, 89.26, 84.81 | 67.97, 67.96, 69.16 |
| `:SET_cd_fl` | 86.35, 88.56, 84.59 | 67.33, 67.35, 68.21 |
| `:SET_fl` | 86.92, 89.62, 84.84 | 67.52, 67.52, 68.61 |

| Table 3: MF1, Precision, Recall | skin7 | skin198 |
|---|---|---|
| `:SET_cd` | 78.02, 88.20, 70.61 | 69.32, 71.53, 73.37 |
| `:SET` | 80.28, 90.25, 72.78 | 69.05, 75.09, 75.33 |

All but the demos start from ImageNet weights, which are fetched from the hub at the first start (docs/weights.md);
`--config.model.weights=` starts from scratch. On accelerators networks compute in bfloat16
(`--config.model.dtype=float32` turns that off).
"""

from skinjax.core.errors import lookup
from skinjax.recipe import defaults


def get_config(variant="demo"):
    recipe, changes = lookup("variant of configs/cdc.py", variant, VARIANTS)
    config = recipe("cdc", variant)
    config.method = config.method.to_dict() | {"name": "decoder_classifier"}
    config.update(changes)
    if recipe is demo:
        # as narrow as the network, whose statistics are of photographs alone
        config.method.update(decoder={"channels": 64}, twin_batch_norm="batch_stats_no_update")
    return config


def demo(name, variant):
    """How every method is trained on the synthetic set; chosen on its validation part (docs/demo_table.md)."""
    config = small(name, variant)
    config.dataset.arguments = {"images": 12000, "height": 96, "width": 128}
    config.split.update(test=0.35, validation=0.1)
    config.views.evaluation = "centre_crop"  # as large as the random windows of training, where "squash" is smaller
    # Balanced batches teach that no class is rarer than others: a tenth of the log prior comes back.
    config.method.logit_adjustment = -0.1
    config.phases.train = {"duration": 4.0, "schedule": "cosine", "warmup": 0.5}
    for section in (config.evaluations, config.checkpoints):
        section.every = 2.25
    return config


def small(name, variant):
    """What two cores train in minutes: a narrow network on 96 pixels, every class as often as the others."""
    config = defaults(name, variant)
    config.stored_size.update(height=112, width=112)
    config.views.size = (96, 96)
    config.model.backbone = "resnet_narrow"
    config.sampler = "balanced_batches"
    config.optimizer.update(name="adam", learning_rate=2e-3)
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
    config.phases.train = {"duration": 200.0, "schedule": {"name": "step", "milestones": (100.0,)}}
    return config


def skin7_vgg16(name, variant):
    return skin7(name, variant, backbone="vgg16", weights="timm/vgg16.tv_in1k")


def skin7_densenet121(name, variant):
    return skin7(name, variant, backbone="densenet121", weights="timm/densenet121.tv_in1k")


def skin198(name, variant):
    config = skin7(name, variant, dataset="sd198")
    config.evaluations.small = (40, 1)  # Table 3 is of the 40 smallest classes
    return config


RECIPES = {
    "demo": demo,
    "skin7": skin7,
    "skin7_vgg16": skin7_vgg16,
    "skin7_densenet121": skin7_densenet121,
    "skin198": skin198,
}
METHODS = {
    "": {},
    "_cd": {"method": {"beta": 0.0}},
    "_fl": {"loss": {"name": "focal"}},
    "_cd_fl": {"method": {"beta": 0.0}, "loss": {"name": "focal"}},
}
VARIANTS = {name + ending: (RECIPES[name], METHODS[ending]) for name in RECIPES for ending in METHODS}
