"""Paper 002: warm restarts, differential rates and a fit in two phases, on photographs taken by users.

| --config=configs/schedules.py | what | cost |
|---|---|---|
| `:demo` | cycles that double, a rate for each group of depth; synthetic, 10 classes | 2 minutes on 2 cores |
| `:demo_sgd`, `:demo_sgdr`, `:demo_sgdr_multiplied` | the ladder: one rate, restarts, doubling cycles | the same |
| `:demo_unbalanced`, `:demo_static`, `:demo_dynamic` | balanced in no way, by fixed copies, by batches | the same |
| `:folder_resnet34`, ... | the paper's recipe on photographs of yours | 10 epochs, 224 px |
| `:folder_resnet34_as_printed`, ... | judged by the part that it stops on, as the slides seem to be | the same |
| `:ham10000_one_phase`, `:ham10000_two_phases` | MobileNet-v2 at 96 px (docs/phases.md) | 2 minutes on 2 cores |

The paper's photographs (DermAI: 7,264 in 10 classes) are private: its recipe runs on a set of yours, by
`--config.dataset.name=NAME`. Head first, three cycles of one epoch; then everything, cycles of 1, 2 and 4 epochs, with
a hundredth and a tenth of the rate in the early and late layers; patience of one cycle, best state. What the slides
leave open is as fastai 0.7 has it. `skinjax lr-range` finds the rate for your photographs (docs/lr_range.md). The
recipes of HAM10000 start from `--config.model.weights=FILE`. The head that trains first is fastai's, the paper's "last
few" layers; with `--config.model.head=linear` it is the last one alone.

Printed in percent, single runs:

| Table DermAI: Accuracy | NETWORK |
|---|---|
| `:folder_resnet34` | 88.9 |
| `:folder_resnet50` | 89.7 |
| `:folder_resnet101` | 88.2 |
| `:folder_resnet152` | 89.8 |

Balancing is printed as two confusion matrices (skinjax/papers/paper_002.py), whose test parts differ as well: that of
the balanced network has as many photographs of each class. docs/balanced_judging.md judges both ways.

The networks start from ImageNet weights, which are fetched from the hub at the first start (docs/weights.md). On
accelerators they compute in bfloat16 (`--config.model.dtype=float32` turns that off).
"""

from cdc import small

from skinjax.core.errors import lookup
from skinjax.recipe import defaults

NETWORKS = ("resnet34", "resnet50", "resnet101", "resnet152")
RATES_BY_DEPTH = (("early", 0.01), ("late", 0.1), ("top", 1.0))
# A network that starts from random numbers needs more in its early layers than a hundredth.
RATES_FROM_SCRATCH = (("early", 0.1), ("late", 0.3), ("top", 1.0))
RESTARTS = {"name": "warm_restarts", "cycle": 1.0}
MULTIPLIED = RESTARTS | {"multiplier": 2.0}
LADDER = {
    "_sgd": {"schedule": "constant"},
    "_sgdr": {"schedule": RESTARTS},
    "_sgdr_multiplied": {"schedule": MULTIPLIED},
    "": {"schedule": MULTIPLIED, "learning_rate_multipliers": RATES_FROM_SCRATCH},
}
SAMPLERS = {"_unbalanced": "natural", "_static": "statically_balanced", "_dynamic": "balanced_batches"}


def get_config(variant="demo"):
    make, arguments = lookup("variant of configs/schedules.py", variant, VARIANTS)
    return make("schedules", variant, **arguments)


def demo(name, variant, sampler="balanced_batches", **phase):
    config = small(name, variant)
    config.dataset.arguments = {"images": 4000, "height": 96, "width": 128, "classes": 10}
    config.loss.name = "bce_with_logits"
    config.sampler = sampler
    config.batch = 30  # as many of each class
    config.optimizer.update(name="sgd", learning_rate=0.2)
    config.phases.train = {"duration": 7.0, **phase}
    return config


def folder(name, variant, network, as_printed=False):
    config = fine_tuned(name, variant, network)
    config.dataset.name = "dermai"
    # As printed the sixth that a run stops on is the one that it is judged by.
    held_out = {"test": 0.0, "validation": 1 / 6} if as_printed else {"test": 1 / 6, "validation": 5 / 36}
    config.split.update(protocol="image_stratified", **held_out)
    return config


def fine_tuned(name, variant, network):
    """The paper's whole recipe: the head alone, then everything by depth, in cycles."""
    config = defaults(name, variant)
    config.stored_size.update(height=256, width=256, fit="cover")
    config.views.update(train="side_on", normalisation="weights")
    config.model.update(backbone=network, weights=f"timm/{network}.tv_in1k", head="concat_pool")
    if network.startswith("densenet"):
        config.model.final_relu = False
    config.loss.name = "bce_with_logits"
    config.batch = 64
    config.optimizer.learning_rate = 0.01
    config.phases = {
        "head": {"duration": 3.0, "schedule": RESTARTS, "frozen": ("early", "late")},
        "all": {
            "duration": 7.0,
            "schedule": MULTIPLIED,
            "learning_rate_multipliers": RATES_BY_DEPTH,
            "evaluations": {"patience": 1},
        },
    }
    config.phase_order = ("head", "all")
    config.evaluations.metric = "accuracy"
    config.evaluate = "best"
    return config


def ham10000(name, variant, images=10000.0, head_share=0.0):
    """Head first or everything at once; a head that trains alone does so on stored features."""
    config = on_two_cores(name, variant)
    config.sampler = "balanced_batches"
    last = {"duration": (1 - head_share) * images, "unit": "examples", "schedule": "cosine", "warmup": images / 10}
    config.phases = {"all": last}
    if head_share:
        head = {"duration": head_share * images, "frozen": ("early", "late"), "augment": False, "features": "stored"}
        config.phases = {"head": last | head, "all": last}
    config.phase_order = tuple(config.phases)
    return config


def on_two_cores(name, variant):
    """HAM10000 in five lesion-grouped folds, as two cores can fine-tune a network for it."""
    config = defaults(name, variant)
    config.dataset.name = "ham10000"
    config.split.update(folds=5, test=0.0, validation=0.1)
    config.stored_size.update(height=112, width=112, filter="bicubic")
    config.views.update(train="plain", size=(96, 96), normalisation="half")
    config.model.backbone = "mobilenetv2_100_same"
    config.cache = "host"
    for section in (config.evaluations, config.checkpoints):
        section.every = 0.0
    return config


VARIANTS = {f"demo{step}": (demo, phase) for step, phase in LADDER.items()}
VARIANTS |= {f"demo{name}": (demo, LADDER[""] | {"sampler": sampler}) for name, sampler in SAMPLERS.items()}
VARIANTS |= {"ham10000_one_phase": (ham10000, {}), "ham10000_two_phases": (ham10000, {"head_share": 0.2})}
VARIANTS |= {f"folder_{network}": (folder, {"network": network}) for network in NETWORKS}
VARIANTS |= {f"folder_{network}_as_printed": (folder, {"network": network, "as_printed": True}) for network in NETWORKS}
