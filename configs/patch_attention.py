"""Paper 003: small patches of high resolution with attention between them (Tables II to IV, Fig. 5).

| --config=configs/patch_attention.py | what | cost |
|---|---|---|
| `:demo` | initial attention over 5 crops of 96 px, narrow ResNet, synthetic set of 240x180 | 2 minutes on 2 cores |
| `:demo_downsampling`, `:demo_multi_crop`, ... | another strategy in the same way | less |
| `:ham10000_densenet121_initial` | Table II: HAM10000 at 600x450, 9 crops of 224 px | 50 epochs, 4,993 images x 9 |
| `:ham10000_densenet121_initial_16` | Table III: 5 or 16 crops, of multi_crop and initial | more |
| `:ham10000_densenet121_initial_9_drop_0.3` | Fig. 5: patch dropout from 0.0 to 0.5 | the same |
| `:derm7pt_densenet121_initial` | Table IV: derm7pt, trained on its validation part too | less |

Networks: inception_v3, densenet121, legacy_seresnext50_32x4d. Strategies: downsampling, single_crop, multi_crop, gru,
initial, end, dual. All start from ImageNet weights (docs/weights.md) and weigh the loss by inverse class frequency.

HAM10000 is split as published: --config.split.file is the split of the paper's code, which
`python tools/convert_index_pickle.py indices_tbe.pkl HAM10000_metadata.csv indices_tbe.csv` makes a CSV, and
--config.split.fold is 0, 1 or 2. Printed in percent, means over the three; "-" is a number that is not at hand:

| Tables II and III: MC-Sensitivity, MC-Specificity, F1-Score | inception_v3 | densenet121 | legacy_seresnext50_32x4d |
|---|---|---|---|
| `:ham10000_NETWORK_downsampling` | 63.3, 94.6, 78.7 | 66.6, 95.3, 81.2 | 65.0, 95.1, 79.5 |
| `:ham10000_NETWORK_single_crop` | 67.2, 94.9, 79.8 | 70.1, 95.8, 81.9 | 69.8, 95.4, 77.1 |
| `:ham10000_NETWORK_multi_crop` | 68.4, 95.5, 78.2 | 71.1, 96.1, 82.1 | 70.2, 96.0, 81.2 |
| `:ham10000_NETWORK_gru` | 69.4, 95.6, 82.4 | 72.4, 95.9, 82.5 | 71.6, 95.9, 83.8 |
| `:ham10000_NETWORK_initial` | 72.4, 96.0, 84.0 | 74.8, 96.1, 81.7 | 73.2, 95.8, 82.5 |
| `:ham10000_NETWORK_end` | 73.3, 96.0, 85.3 | 74.0, 96.0, 82.5 | 73.7, 96.1, 83.4 |
| `:ham10000_NETWORK_dual` | 72.0, 96.0, 85.1 | 75.7, 96.0, 82.6 | 73.3, 96.0, 82.6 |
| `:ham10000_NETWORK_multi_crop_5` | 63.5, 95.0, 75.3 | 67.4, 95.7, - | 66.4, 95.4, - |
| `:ham10000_NETWORK_multi_crop_16` | 70.8, 95.9, 80.1 | 73.1, 96.3, 83.7 | 72.2, 96.3, 82.2 |
| `:ham10000_NETWORK_initial_5` | 70.2, 95.4, 82.8 | 72.7, 95.8, 80.9 | 72.0, 95.7, 82.9 |
| `:ham10000_NETWORK_initial_16` | 72.3, 95.8, 83.4 | 75.2, 96.0, 78.0 | 73.6, 95.8, 83.4 |

| Table IV: MC-Sensitivity, MC-Specificity, F1-Score | inception_v3 | densenet121 | legacy_seresnext50_32x4d |
|---|---|---|---|
| `:derm7pt_NETWORK_multi_crop` | 59.7, 91.8, 71.1 | 63.4, 93.0, 75.8 | 63.4, 92.3, 72.4 |
| `:derm7pt_NETWORK_gru` | 62.0, 92.2, 72.4 | 66.4, 92.5, 75.8 | 64.2, 92.2, 71.3 |
| `:derm7pt_NETWORK_initial` | 64.0, 93.1, 75.5 | 67.8, 93.1, 75.2 | 66.9, 93.2, 73.0 |

Of derm7pt the paper prints 616 training and 395 test images, and its code's split has 599 and 387, without those of
other diagnoses; here the parts are the official ones, and one run is printed. What the paper leaves open is as its code
has it, and what that leaves open is marked "ours". On accelerators networks compute in bfloat16
(`--config.model.dtype=float32` turns that off).
"""

import cdc

from skinjax.core.errors import lookup
from skinjax.recipe import defaults

WEIGHTS = {
    "inception_v3": "timm/inception_v3.tv_in1k",
    "densenet121": "timm/densenet121.tv_in1k",
    "legacy_seresnext50_32x4d": "timm/legacy_seresnext50_32x4d.in1k",
}
# strategy: the views that train and are evaluated, and what joins patches
STRATEGIES = {
    "downsampling": ("downsampling", "squash", {}),
    "single_crop": ("single_crop", "centre_crop", {}),
    "multi_crop": ("multi_crop", "ordered_crop", {"join": "probabilities"}),
    "gru": ("ordered_crop", "ordered_crop", {"join": "gru"}),
    "initial": ("ordered_crop", "ordered_crop", {"attention": ("pixels",)}),
    "end": ("ordered_crop", "ordered_crop", {"attention": ("features",)}),
    "dual": ("ordered_crop", "ordered_crop", {"attention": ("pixels", "features")}),
}
PATCH_DROPOUT = {5: 0.1, 9: 0.2, 16: 0.2}  # the shipped configs' for 5 and 9; for 16 ours
SWEEP = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # ours: the figure's text names no values


def get_config(variant="demo"):
    settings = dict(lookup("variant of configs/patch_attention.py", variant, VARIANTS))
    make = settings.pop("make")
    return make("patch_attention", variant, **settings)


def paper(
    name,
    variant,
    network="densenet121",
    strategy="initial",
    crops=9,
    patch_dropout=None,
    dataset="ham10000",
):
    """A run as in the paper; of derm7pt the official validation part is trained on too."""
    config = defaults(name, variant)
    show(config, strategy, crops, patch_dropout)
    several_are_trained = config.views.train == "ordered_crop"
    config.dataset.name = dataset
    if dataset == "ham10000":
        config.split.update(protocol="file", file="indices_tbe.csv", validation=0.0)
    else:
        config.split.update(protocol="official", validation=0.0, published_validation="trained_on")
    config.stored_size.update(height=450, width=600)
    config.views.update(size=(224, 224), window=(336, 336), normalisation="unit")
    config.model.update(backbone=network, weights=WEIGHTS[network], dropout=0.0)
    if network == "densenet121":
        config.model.final_relu = not several_are_trained
    config.loss.class_weights = "inverse"
    if several_are_trained:
        config.batch = 5
        rate = 1.25e-5 * (5 / 3 if crops == 5 else 1)
    else:
        config.batch = 40  # ours, as is the rate: no such config is shipped
        rate = 2.5e-5
    config.optimizer.update(name="adam", learning_rate=rate)
    config.phases.train = {
        "duration": 50.0,
        "schedule": {"name": "step", "milestones": (20.0, 30.0, 40.0), "factor": 0.5},
    }
    config.evaluations.every = 5.0
    config.checkpoints.every = 5.0
    return config


def demo(name, variant, strategy="initial", crops=5):
    """The network of the demo of configs/cdc.py, on pictures in which a crop shows what a smaller picture does not."""
    config = cdc.small(name, variant)
    show(config, strategy, crops)
    config.dataset.arguments = {"images": 1500, "height": 180, "width": 240}
    config.stored_size.update(height=180, width=240)
    config.views.window = (144, 144)
    config.sampler = "natural"
    config.loss.class_weights = "inverse"
    config.batch = 16
    config.phases.train = {"duration": 6.0, "schedule": "cosine", "warmup": 0.5}
    for section in (config.evaluations, config.checkpoints):
        section.every = 2.0
    return config


def show(config, strategy, crops, patch_dropout=None):
    """Set the views and the method of a strategy."""
    train, evaluation, joined = STRATEGIES[strategy]
    config.views.update(train=train, evaluation=evaluation, crops=crops)
    config.method = {"name": "patches"} | joined
    if train == "ordered_crop":
        config.method.patch_dropout = PATCH_DROPOUT[crops] if patch_dropout is None else patch_dropout


def variants():
    """{variant: how it is made} for every row of Tables II to IV and every point of Fig. 5."""
    found = {"demo": {"make": demo}}
    for strategy in STRATEGIES:
        found[f"demo_{strategy}"] = {"make": demo, "strategy": strategy}
        for network in WEIGHTS:
            row = {"make": paper, "network": network, "strategy": strategy}
            found[f"ham10000_{network}_{strategy}"] = row
            if strategy in ("multi_crop", "initial"):
                for crops in (5, 16):
                    found[f"ham10000_{network}_{strategy}_{crops}"] = row | {"crops": crops}
            if strategy in ("multi_crop", "gru", "initial"):
                found[f"derm7pt_{network}_{strategy}"] = row | {"dataset": "derm7pt"}
    for crops in PATCH_DROPOUT:
        for rate in SWEEP:
            point = {"make": paper, "strategy": "initial", "crops": crops, "patch_dropout": rate}
            found[f"ham10000_densenet121_initial_{crops}_drop_{rate}"] = point
    return found


VARIANTS = variants()
