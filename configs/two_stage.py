"""Paper 001's two-stage classifier: nevi against the rest, then the rest.

| --config=configs/two_stage.py | what | cost |
|---|---|---|
| `:demo` | two narrow ResNets, half the loss of nevi in the first, synthetic | 2 minutes on 2 cores |
| `:demo_no_discount`, `:demo_shared_trunk` | all losses alike; one network with two heads | the same |
| `:ham10000` | two EfficientNet-b7, gamma 1, mixup, half the loss of nevi; 20 epochs each | 3,332 steps of 64, b7 |
| `:ham10000_no_discount` | all losses alike | the same |
| `:ham10000_shared_trunk` | one network with two heads | 2,504 steps |
| `:isic2018` | the same, and the 1,511 test photographs of the challenge | the same |
| `:ham10000_copies_one`, `:ham10000_copies_two` | MobileNet-v2 at 96 px (docs/stages.md) | 2 minutes on 2 cores |

A network learns the dominant class from all images, and then another one the others from theirs, with their own counts.
The decision is the first stage's, and where that is for the rest, the second's (`predictions_*_hard.csv`, which the
figures are of); `predictions_*_soft.csv` divides the chance of the rest instead, for curves. The two differ where the
first stage is unsure. A fifth of HAM10000 validates, image by image, as in configs/focal.py, whose settings these are.
The value of the discount is not printed; here it is a half, in the first stage.

Printed as shares, single runs:

| Table Pretrained: Accuracy, Average Recall | ham10000 |
|---|---|
| `:SET` | 0.905, 0.806 |

| Table Test: Accuracy, Average Recall | isic2018 |
|---|---|
| `:SET` | 0.891, 0.784 |

The networks start from ImageNet weights, which are fetched from the hub at the first start (docs/weights.md). On
accelerators they compute in bfloat16 (`--config.model.dtype=float32` turns that off).
"""

import focal
from schedules import on_two_cores

from skinjax.core.errors import lookup

REST = ("akiec", "bcc", "bkl", "df", "mel", "vasc")


def get_config(variant="demo"):
    make, arguments = lookup("variant of configs/two_stage.py", variant, VARIANTS)
    return make("two_stage", variant, **arguments)


def staged(config, discount=True):
    """A network for each stage, trained one after the other as the config's phase says, each judged by its own task."""
    config.method.update(name="two_stage", shared_trunk=False)
    plan, config.phases = config.phases.train.to_dict(), {}
    for stage, other in (("dominant", "rest"), ("rest", "dominant")):
        config.phases[stage] = plan | {
            "terms": {other: 0.0},
            "frozen": (f"{other}_backbone", f"{other}_head"),
            "evaluations": {"metric": f"{stage}_macro_recall", "better": "higher"},
        }
    config.phases.rest["classes"] = REST
    config.phase_order = ("dominant", "rest")
    return discounted(config) if discount else config


def shared(config):
    """Both heads on one trunk, trained at once as the config's phase says."""
    config.method.update(name="two_stage", shared_trunk=True)
    return discounted(config)


def discounted(config):
    config.loss.class_factors = (("nv", 0.5),)
    return config


def demo(name, variant, trunk="two", discount=True):
    """As many images as in configs/focal.py:demo, for both networks together."""
    config = focal.demo(name, variant)
    if trunk == "shared":
        return shared(config)
    config.phases.train.update(duration=14000.0, warmup=1400.0)
    return staged(config, discount)


def ham10000(name, variant, dataset="ham10000", trunk="two", discount=True):
    config = focal.ham10000(name, variant)
    config.update_from_flattened_dict(focal.EFFICIENTNET)
    config.dataset.name = dataset
    if dataset == "isic2018":
        # The training photographs are HAM10000's; of the challenge's 193 for validation the paper says nothing.
        config.split.update(
            protocol="official", published_validation="left_out", validation_by="image", allow_leak=True
        )
    return shared(config) if trunk == "shared" else staged(config, discount)


def copies(name, variant, stages):
    """One stage or two, five lesion-grouped folds (tables/ham10000.py), 10,000 images in all."""
    config = on_two_cores(name, variant)
    config.loss.update(name="focal", gamma=1.0, reduction="batch_mean")
    images = 10000.0 / stages
    config.phases.train = {"duration": images, "unit": "examples", "schedule": "cosine", "warmup": images / 10}
    return config if stages == 1 else staged(config, discount=False)


VARIANTS = {
    "demo": (demo, {}),
    "demo_no_discount": (demo, {"discount": False}),
    "demo_shared_trunk": (demo, {"trunk": "shared"}),
    "ham10000": (ham10000, {}),
    "ham10000_no_discount": (ham10000, {"discount": False}),
    "ham10000_shared_trunk": (ham10000, {"trunk": "shared"}),
    "isic2018": (ham10000, {"dataset": "isic2018"}),
    "ham10000_copies_one": (copies, {"stages": 1}),
    "ham10000_copies_two": (copies, {"stages": 2}),
}
