"""Paper 001's first pretext: a network tells by how much a picture was turned, and classifies.

| --config=configs/rotation.py | what | cost |
|---|---|---|
| `:demo` | joint: both losses at once, narrow ResNet, synthetic | 2 minutes on 2 cores |
| `:demo_sequential` | first the pretext, then the classes, with as many images each | 4 minutes |
| `:ham10000_sequential` | EfficientNet-b7 from scratch, 30 epochs and 20, six angles | 6,260 steps of 64, b7 |
| `:ham10000_simultaneous` | both at once, 20 epochs | 2,504 steps |
| `:ham10000_four_angles` | quarter turns | the same |
| `:ham10000_pretext`, `:ham10000_few_labels` | narrow ResNet (docs/self_supervision.md) | 5 minutes on 2 cores |

Pictures are turned within the warp of their crop and shown in a circle, as corners, borders and blur would tell the
angle; the view itself then turns nothing, nor upside down, as nobody could tell the angle. The pretext needs no labels:
`--config.phases.pretext.dataset.name=OTHER` reads another data set, of any size, and
`--config.phases.pretext.unlabelled=True` the run's own photographs without labels as well. Settings are those of
configs/focal.py. What the paper leaves open: which angles, whether pictures are turned while it classifies (here only
where both losses are trained on), and which of the two trainings its table is of.

Printed as shares, single runs:

| Table Self-supervised: Accuracy, Average Recall | ham10000 |
|---|---|
| `:SET_sequential` | 0.753, 0.452 |

On accelerators networks compute in bfloat16 (`--config.model.dtype=float32` turns that off).
"""

import focal
from schedules import on_two_cores

from skinjax.core.errors import lookup

PRETEXT = {"metric": "rotation_accuracy", "better": "higher"}


def get_config(variant="demo"):
    make, arguments = lookup("variant of configs/rotation.py", variant, VARIANTS)
    return make("rotation", variant, **arguments)


def in_turn(config, term, judged, pretext):
    """First the pretext, for its duration, then the classes as the config's phase says."""
    plan, config.phases = config.phases.train.to_dict(), {}
    config.phases.pretext = plan | {"duration": pretext, "terms": {"classification": 0.0}, "evaluations": judged}
    config.phases.classes = plan | {"terms": {term: 0.0}}
    config.phase_order = ("pretext", "classes")
    return config


def demo(name, variant, sequential=False):
    config = focal.demo(name, variant)
    # Where it is trained on turned pictures in a circle, the classifier is judged on circles.
    config.method = {"name": "rotation", "mask": "turned" if sequential else "always"}
    config.phases.train.update(duration=20000.0, warmup=2000.0)
    return in_turn(config, "rotation", PRETEXT, 20000.0) if sequential else config


def ham10000(name, variant, sequential=False, angles="six"):
    config = focal.ham10000(name, variant)
    config.model.update(backbone="tf_efficientnet_b7", weights="", head="linear")
    config.method = {"name": "rotation", "angles": angles, "mask": "turned" if sequential else "always"}
    return in_turn(config, "rotation", PRETEXT, 30.0) if sequential else config


def copies(name, variant, pretext):
    """A narrow ResNet: the pretext alone, or the classes, from the weights of a run (tools/self_supervision.py)."""
    config = on_two_cores(name, variant)
    config.split.update(folds=1, test=0.2)
    config.model.backbone = "resnet_narrow"
    config.optimizer.update(name="adam", learning_rate=1e-3)
    images = 60000.0 if pretext else 20000.0
    config.phases.train = {"duration": images, "unit": "examples", "schedule": "cosine", "warmup": images / 10}
    if pretext:
        config.method = {"name": "rotation"}
        config.phases.train.update(terms={"classification": 0.0}, evaluations=PRETEXT)
    return config


VARIANTS = {
    "demo": (demo, {}),
    "demo_sequential": (demo, {"sequential": True}),
    "ham10000_sequential": (ham10000, {"sequential": True}),
    "ham10000_simultaneous": (ham10000, {}),
    "ham10000_four_angles": (ham10000, {"angles": "four"}),
    "ham10000_pretext": (copies, {"pretext": True}),
    "ham10000_few_labels": (copies, {"pretext": False}),
}
