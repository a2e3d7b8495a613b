"""Paper 004: synergic networks (SDL) on ISIC 2016's melanomas, and on a synthetic set of two classes.

| --config=configs/synergic.py | what | cost |
|---|---|---|
| `:demo` | two narrow networks and their synergic head, 96 px, synthetic, 2 classes | 3 minutes on 2 cores |
| `:demo_ensemble` | two that are trained apart, on streams of their own | the same |
| `:isic2016_resnet50` | one network | 100,000 steps of 32 |
| `:isic2016_ensemble` | ResNet-50^2: two that are trained apart | twice that |
| `:isic2016_sdl` | SDL: two networks, lambda 3 | twice that |
| `:isic2016_sdl3`, `:isic2016_sdl4` | Figure 5: three and four networks | three and four times that |
| `:isic2016_resnet50_da`, ... | any of these on pictures that are turned by up to 10 degrees, and flipped | the same |
| `:isic2016_lambda_0` to `:isic2016_lambda_6` | Figure 4: lambda, validated on a tenth of the training part | as SDL |
| `:isic2016_sdl_total_loss` | lambda as the weight of a term, which moves the synergic head as much faster | as SDL |
| `:isic2016_sdl_partner` | pairs of a natural batch and its partners, with more melanomas | as SDL |
| `:isic2016_sdl_momentum` | momentum 0.9 and a tenth of the steps | a tenth of SDL |
| `:melanomas_sdl`, `:melanomas_ensemble` | the demo on 900 drawn photographs (docs/synergy.md) | a minute |
| `:ham10000_sdl`, `:ham10000_ensemble` | MobileNet-v2 at 96 px (docs/synergic.md) | 3 minutes on 2 cores |

All train on ISIC 2016's 900 photographs (727 benign, 173 malignant), but those of Figure 4 on 810, and are judged on
the 379 of its test part. What the paper leaves open: hidden layers have ReLU, the synergic one is 1024 wide, momentum
and weight decay are 0 (its formula of the rate and its uniform draws are the defaults of its time), and the validation
part is a tenth of each class. Pairs are drawn at random, in batches of which 45 to 55 % are of one class; this raises
the share of melanomas in training from 19 to 28 %, with three networks to 30 and with four to 32 %.

Printed as shares, single runs; AP is as scikit-learn defined it before 0.19 (`average_precision_old`).

| Table 1: AP, Acc, AUC | isic2016 |
|---|---|
| `:SET_resnet50` | 0.6102, 0.8496, 0.7742 |
| `:SET_resnet50_da` | 0.6224, 0.8522, 0.7829 |
| `:SET_ensemble` | 0.6115, 0.8443, 0.7826 |
| `:SET_ensemble_da` | 0.6308, 0.8549, 0.7968 |
| `:SET_sdl` | 0.6536, 0.8522, 0.8139 |
| `:SET_sdl_da` | 0.6644, 0.8575, 0.8179 |

One of 379 photographs is 0.0026 of accuracy, and 75 are malignant: from draw to draw an AP deviates by 0.05. The
challenge's leaderboard (Table 2) is data in skinjax/papers/paper_004.py.

The networks start from ImageNet weights, which are fetched from the hub at the first start (docs/weights.md). On
accelerators they compute in bfloat16 (`--config.model.dtype=float32` turns that off).
"""

from cdc import small
from schedules import on_two_cores

from skinjax.core.errors import lookup
from skinjax.recipe import defaults

APART = {"name": "synergic", "synergy": None}
SYNERGIC = {"name": "synergic", "synergy": 3.0}
STEPS = 100000.0


def get_config(variant="demo"):
    make, arguments = lookup("variant of configs/synergic.py", variant, VARIANTS)
    config = make("synergic", variant)
    arguments = dict(arguments)
    config.method = arguments.pop("method", APART)
    # Networks that learn from pairs see controlled ones, the others what there is.
    config.sampler = arguments.pop("sampler", "natural" if config.method.get("synergy") is None else "tuples")
    config.update_from_flattened_dict(arguments)
    return config


def demo(name, variant):
    config = small(name, variant)
    config.dataset.arguments = {"images": 4000, "height": 96, "width": 128, "classes": 2, "imbalance": 4.2}
    config.split.update(test=0.5, validation=0.1)
    config.model.head = "fc1024"
    config.batch = 32
    config.optimizer.learning_rate = 1e-3
    config.phases.train = {"duration": 10.0, "schedule": "cosine", "warmup": 1.0}
    config.evaluations.update(every=2.5, metric="average_precision")
    config.checkpoints.every = 2.5
    return config


def melanomas(name, variant):
    """As the demo at 64 px, on 900 drawn photographs, as ISIC 2016 has them (tools/drawn_sets.py)."""
    config = demo(name, variant)
    config.dataset = {"name": "synthetic_melanomas", "arguments": {}}
    config.split.update(protocol="official", validation=0.0)
    config.stored_size.update(height=74, width=74)
    config.views.size = (64, 64)
    config.cache = "host"
    config.phases.train.update(duration=20000.0, unit="examples", warmup=2000.0)
    for section in (config.evaluations, config.checkpoints):
        section.every = 0.0
    return config


def isic2016(name, variant):
    config = defaults(name, variant)
    config.dataset.name = "isic2016"
    config.split.update(protocol="official", validation=0.0)
    config.stored_size.update(filter="bicubic")
    config.views.update(train="none", normalisation="weights")
    config.model.update(backbone="resnet50", weights="timm/resnet50.tv_in1k", head="fc1024")
    config.batch = 32
    config.optimizer.update(name="sgd", learning_rate=1e-4, momentum=0.0)
    fall = {"name": "inverse_time", "half_after": 10000.0}
    config.phases.train = {"duration": STEPS, "unit": "steps", "schedule": fall}
    for section in (config.evaluations, config.checkpoints):
        section.update(every=5000.0, unit="steps")
    config.evaluations.metric = "average_precision_old"
    return config


def ham10000(name, variant):
    """What two cores can fine-tune (tables/ham10000.py)."""
    config = on_two_cores(name, variant)
    config.model.head = "fc1024"
    config.optimizer.update(name="adam", learning_rate=1e-3)
    config.phases.train = {"duration": 8000.0, "unit": "examples", "schedule": "cosine", "warmup": 800.0}
    return config


ONE, THREE, FOUR = ({"members": members} for members in (1, 3, 4))
AUGMENTED = {"views.train": "turns_and_flips"}
RUNS = {
    "resnet50": APART | ONE,
    "ensemble": APART,
    "sdl": SYNERGIC,
    "sdl3": SYNERGIC | THREE,
    "sdl4": SYNERGIC | FOUR,
}
VARIANTS = {
    "demo": (demo, {"method": SYNERGIC}),
    "demo_ensemble": (demo, {}),
    "melanomas_sdl": (melanomas, {"method": SYNERGIC}),
    "melanomas_ensemble": (melanomas, {}),
}
VARIANTS |= {f"isic2016_{run}": (isic2016, {"method": method}) for run, method in RUNS.items()}
VARIANTS |= {f"isic2016_{run}_da": (isic2016, {"method": method} | AUGMENTED) for run, method in RUNS.items()}
VARIANTS |= {
    f"isic2016_lambda_{weight}": (isic2016, {"method": SYNERGIC | {"synergy": float(weight)}, "split.validation": 0.1})
    for weight in range(7)
}
VARIANTS |= {
    "isic2016_sdl_total_loss": (isic2016, {"method": SYNERGIC | {"gradient": "total_loss"}}),
    "isic2016_sdl_partner": (isic2016, {"method": SYNERGIC, "sampler": {"name": "tuples", "pairs": "partner"}}),
    "isic2016_sdl_momentum": (
        isic2016,
        {"method": SYNERGIC, "optimizer.momentum": 0.9, "phases.train.duration": STEPS / 10},
    ),
    "ham10000_sdl": (ham10000, {"method": SYNERGIC}),
    "ham10000_ensemble": (ham10000, {}),
}
