"""Paper 002's baseline and speed-up on CIFAR-10: how much sooner a network is as accurate.

| --config=configs/cifar10.py | what | cost |
|---|---|---|
| `:baseline_NETWORK` | from scratch at 32 px: three rates, each as long as it helps; ends at 90 % | up to 90 epochs |
| `:baseline_NETWORK_224` | the same at 224 px, in case the paper had that | 49 times as much |
| `:speedup_NETWORK` | from ImageNet weights at 224 px, the recipe of configs/schedules.py | 10 epochs |
| `:narrow` | what two cores can train: a narrow ResNet at 32 px (docs/schedules.md) | 7 epochs, 5 minutes |
| `:small_baseline`, `:small_speedup` | both recipes as two cores can run them: MobileNet-v2 at 96 px | 14 minutes |
| `:demo` | `:narrow` on the synthetic set with 10 classes, at 64 px | 1 minute on 2 cores |

`skinjax prepare cifar10 --source=cifar-10-binary.tar.gz` first. A sixth of the training images is the validation part,
on which runs stop; the test part is CIFAR-10's. The slides say "5:1 split", "early stopping", "lower LR restarts" and
"train to 90 %+": read here as phases at 1, 0.1 and 0.01 of the rate, each begun from the best state so far, and an end
at 90 %. They do not say which size. `python tools/time_to_accuracy.py` compares finished runs.

Printed: percent and seconds of single runs, and eta, the baseline's time over the speed-up's.

| Table CIFAR baseline: Accuracy, Time (s) | NETWORK |
|---|---|
| `:baseline_resnet34` | 90.36, 17757 |
| `:baseline_resnet50` | 90.54, 34039 |
| `:baseline_resnet101` | 90.71, 60639 |
| `:baseline_resnet152` | 90.68, 91888 |
| `:baseline_densenet161` | 93.02, 54628 |

| Table CIFAR speed-up: Accuracy, Time (s), eta | NETWORK |
|---|---|
| `:speedup_resnet34` | 96.84, 9565, 1.84 |
| `:speedup_resnet50` | 96.82, 11817, 2.88 |
| `:speedup_resnet101` | 97.61, 6673, 9.09 |
| `:speedup_resnet152` | 97.78, 9012, 10.2 |
| `:speedup_densenet161` | 97.15, 7195, 7.59 |

On accelerators networks compute in bfloat16 (`--config.model.dtype=float32` turns that off).
"""

from schedules import MULTIPLIED, NETWORKS, RATES_BY_DEPTH, fine_tuned

from skinjax.core.errors import lookup
from skinjax.recipe import defaults

ALL_NETWORKS = (*NETWORKS, "densenet161")


def get_config(variant="demo"):
    make, arguments = lookup("variant of configs/cifar10.py", variant, VARIANTS)
    return make("cifar10", variant, **arguments)


def on_cifar10(config):
    config.dataset.name = "cifar10"
    config.split.update(protocol="official", validation=1 / 6)
    config.cache = "device"
    return config


def baseline(name, variant, network, size=32):
    config = on_cifar10(defaults(name, variant))
    config.stored_size.update(height=size, width=size)
    config.views.update(train="side_on", size=(size, size))
    config.model.backbone = network
    config.loss.name = "bce_with_logits"
    config.batch = 64
    config.optimizer.learning_rate = 0.1
    config.evaluations.update(metric="accuracy", target=0.9, patience=5)
    rates = {"first": 1.0, "second": 0.1, "third": 0.01}
    config.phases = {
        phase: {"duration": 30.0, "learning_rate_multipliers": ((".*", rate),), "begin": "best" if rate < 1 else "last"}
        for phase, rate in rates.items()
    }
    config.phase_order = tuple(rates)
    config.evaluate = "best"
    return config


def speedup(name, variant, network):
    config = on_cifar10(fine_tuned(name, variant, network))
    config.cache = "none"  # 60,000 pictures at 256 px are 12 GB
    return config


def narrow(name, variant):
    config = on_cifar10(defaults(name, variant))
    config.stored_size.update(height=32, width=32)
    config.views.update(train="side_on", size=(32, 32))
    config.model.backbone = "resnet_narrow"
    config.batch = 128
    config.optimizer.learning_rate = 0.1
    config.phases.train = {"duration": 7.0, "schedule": MULTIPLIED}
    config.evaluations.metric = "accuracy"
    return config


def small(name, variant, faster):
    """50,000 images of MobileNet-v2 by the baseline's rates, or by the speed-up's phases (tools/eta_table.py)."""
    config = on_cifar10(defaults(name, variant))
    config.stored_size.update(height=96, width=96, filter="bicubic")
    config.views.update(train="side_on", size=(96, 96), normalisation="half")
    config.model.backbone = "mobilenetv2_100_same"
    config.loss.name = "bce_with_logits"
    config.cache = "host"
    every = {"unit": "examples", "evaluations": {"every": 5000.0, "unit": "examples"}, "checkpoints": {"every": 0.0}}
    if faster:
        head = {"duration": 10000.0, "frozen": ("early", "late"), "augment": False, "features": "stored"}
        cycles = MULTIPLIED | {"cycle": 40000 / 3}
        rest = {"duration": 40000.0, "schedule": cycles, "learning_rate_multipliers": RATES_BY_DEPTH}
        config.phases = {"head": every | head, "all": every | rest}
        config.phase_order = ("head", "all")
    else:
        rates = {"name": "step", "milestones": (20000.0, 35000.0)}
        config.phases.train = every | {"duration": 50000.0, "schedule": rates}
    config.evaluations.metric = "accuracy"
    return config


def demo(name, variant):
    config = narrow(name, variant)
    config.dataset.update(name="synthetic", arguments={"images": 3000, "height": 64, "width": 64, "classes": 10})
    config.split.update(protocol="lesion_grouped", validation=0.1)
    config.stored_size.update(height=64, width=64)
    config.views.size = (64, 64)
    config.batch = 32
    return config


VARIANTS = {"demo": (demo, {}), "narrow": (narrow, {})}
VARIANTS |= {"small_baseline": (small, {"faster": False}), "small_speedup": (small, {"faster": True})}
for network in ALL_NETWORKS:
    VARIANTS |= {
        f"baseline_{network}": (baseline, {"network": network}),
        f"baseline_{network}_224": (baseline, {"network": network, "size": 224}),
        f"speedup_{network}": (speedup, {"network": network}),
    }
