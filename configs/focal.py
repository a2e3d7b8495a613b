"""Paper 001: focal loss, mixup and down-sampling on HAM10000, from scratch and from ImageNet.

| --config=configs/focal.py | what | cost |
|---|---|---|
| `:demo` | focal loss with gamma 1, narrow ResNet, synthetic | 2 minutes on 2 cores |
| `:demo_gamma_0`, `:demo_gamma_5`, `:demo_downsampled` | the same with these | the same |
| `:demo_mixup`, `:demo_cutmix` | the same with these | the same |
| `:ham10000_scratch_gamma_0`, `_1`, `_1.5`, `_2`, `_5` | ResNet-50, 128 px | 2,504 steps of 64 |
| `:ham10000_scratch_gamma_0_downsampled`, ... | every class cut to the smallest, as many steps | the same |
| `:ham10000_scratch_gamma_0_squash` | "downsampling" read as the whole picture, made smaller | the same |
| `:ham10000_scratch_gamma_1_alpha_inverse` | alpha, the inverse of a class's frequency | the same |
| `:ham10000_scratch_gamma_1_mixup` | 0.7 of a picture and 0.3 of another | the same |
| `:ham10000_scratch_gamma_0_256`, `_1_256` | at 256 px | four times that |
| `:ham10000_scratch_gamma_0_literal_crop` | 128 pixels of 600, as the text has it | the same |
| `:ham10000_pretrained_gamma_0`, `_1` | Table "Pretrained": ResNet-50 with two hidden layers | the same |
| `:ham10000_efficientnet_b7`, `_discount` | one stage, mixup; with half the loss of nevi | b7 |

A fifth of HAM10000 validates, image by image: 40 % of it shows a lesion that is trained on, and every figure says so.
`--config.split.protocol=lesion_grouped` is the split to believe. What the paper leaves open: batches of 64, a constant
rate, crops of 35 % and more of a picture, the mean over images and not over weights (which would undo alpha), hidden
layers of 512 and 128. "Imagenette", its word for the weights, is taken for ImageNet.

Printed as shares, single runs:

| Table Unpretrained: Accuracy, Average Recall | ham10000 |
|---|---|
| `:SET_scratch_gamma_0` | 0.748, 0.422 |
| `:SET_scratch_gamma_1` | 0.540, 0.561 |
| `:SET_scratch_gamma_1.5` | 0.549, 0.560 |
| `:SET_scratch_gamma_2` | 0.534, 0.531 |
| `:SET_scratch_gamma_5` | 0.521, 0.525 |

| Table Pretrained: Accuracy, Average Recall | ham10000 |
|---|---|
| `:SET_pretrained_gamma_0` | 0.862, 0.753 |
| `:SET_pretrained_gamma_1` | 0.843, 0.727 |
| `:SET_efficientnet_b7` | 0.901, 0.800 |

Networks from ImageNet fetch their weights from the hub at the first start (docs/weights.md). On accelerators they
compute in bfloat16 (`--config.model.dtype=float32` turns that off).
"""

from cdc import small

from skinjax.core.errors import lookup
from skinjax.recipe import defaults

GAMMAS = ("0", "1", "1.5", "2", "5")
STEPS = 2504.0  # 20 epochs of 8,012 photographs
RESNET = {"model.backbone": "resnet50", "model.head": "original"}
PRETRAINED = {"model.backbone": "resnet50", "model.weights": "timm/resnet50.tv_in1k", "model.head": "mlp"}
EFFICIENTNET = {
    "model.backbone": "tf_efficientnet_b7",
    "model.weights": "timm/tf_efficientnet_b7.aa_in1k",
    "model.head": "mlp",
    "method.mixup_share": 0.7,
}
DISCOUNT = {"loss.class_factors": (("nv", 0.5),)}
LARGER = {"stored_size.height": 450, "stored_size.width": 600, "views.size": (256, 256), "views.window": (394, 394)}


def get_config(variant="demo"):
    make, changes = lookup("variant of configs/focal.py", variant, VARIANTS)
    config = make("focal", variant)
    config.update_from_flattened_dict(changes)
    return config


def demo(name, variant):
    config = small(name, variant)
    config.dataset.arguments = {"images": 12000, "height": 96, "width": 128}
    config.split.update(test=0.3, validation=0.1)
    config.sampler = "natural"
    config.loss.update(name="focal", gamma=1.0, reduction="batch_mean")
    config.phases.train = {"duration": 28000.0, "unit": "examples", "schedule": "cosine", "warmup": 2800.0}
    for section in (config.evaluations, config.checkpoints):
        section.update(every=7000.0, unit="examples")
    return config


def ham10000(name, variant):
    """As the paper trains: 20 epochs of Adam on crops of 128 pixels."""
    config = defaults(name, variant)
    config.dataset.name = "ham10000"
    config.split.update(protocol="image_stratified", test=0.0, validation=0.2)
    config.stored_size.update(height=225, width=300)
    # The middle of a picture whose shorter side is shown as 146 pixels.
    config.views.update(train="resized_crop", size=(128, 128), evaluation="centre_crop", window=(197, 197))
    config.loss.update(name="focal", gamma=1.0, reduction="batch_mean")
    config.batch = 64
    config.optimizer.update(name="adam", learning_rate=1e-3)
    config.phases.train = {"duration": 20.0}
    return config


VARIANTS = {
    "demo": (demo, {}),
    "demo_gamma_0": (demo, {"loss.gamma": 0.0}),
    "demo_gamma_5": (demo, {"loss.gamma": 5.0}),
    "demo_mixup": (demo, {"method.mixup_share": 0.7}),
    "demo_cutmix": (demo, {"method.cutmix_beta": 1.0}),
    "demo_downsampled": (demo, {"sampler": "downsampled"}),
}
SCRATCH = {f"ham10000_scratch_gamma_{gamma}": RESNET | {"loss.gamma": float(gamma)} for gamma in GAMMAS}
FEWER = {"sampler": "downsampled", "phases.train.duration": STEPS, "phases.train.unit": "steps"}
OTHERS = {
    "0_squash": {"views.train": "downsampling", "views.evaluation": "squash", "views.window": None},
    "1_alpha_inverse": {"loss.class_weights": "inverse"},
    "1_mixup": {"method.mixup_share": 0.7},
    "0_256": LARGER,
    "1_256": LARGER,
    "0_literal_crop": {
        "stored_size.height": 450,
        "stored_size.width": 600,
        "views.train": "plain",
        "views.window": (128, 128),
    },
}
VARIANTS |= {name: (ham10000, changes) for name, changes in SCRATCH.items()}
VARIANTS |= {f"{name}_downsampled": (ham10000, changes | FEWER) for name, changes in SCRATCH.items()}
VARIANTS |= {
    f"ham10000_scratch_gamma_{name}": (ham10000, SCRATCH[f"ham10000_scratch_gamma_{name[0]}"] | changes)
    for name, changes in OTHERS.items()
}
VARIANTS |= {
    f"ham10000_pretrained_gamma_{gamma}": (ham10000, PRETRAINED | {"loss.gamma": float(gamma)}) for gamma in (0, 1)
}
VARIANTS |= {
    "ham10000_efficientnet_b7": (ham10000, EFFICIENTNET),
    "ham10000_efficientnet_b7_discount": (ham10000, EFFICIENTNET | DISCOUNT),
}
