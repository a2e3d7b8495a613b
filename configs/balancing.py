"""Paper 003's balancing strategies (Tables V and VI), and those that came after it.

| --config=configs/balancing.py | what | cost |
|---|---|---|
| `:demo` | loss weighting, multi-crop on the synthetic set as configs/patch_attention.py has it | 1 minute on 2 cores |
| `:demo_STRATEGY` | another strategy in the same way | 1 to 3 minutes |
| `:ham10000_densenet121_STRATEGY` | Table V: HAM10000, multi-crop with 9 crops | 50 epochs of 4,993 images |
| `:ham10000_densenet121_k_0.5` | Table VI: loss weighting by (N / N_i)^k, k from 0.5 to 1.5 | the same |

Strategies: none, oversampling, balanced_batches, loss_weighting, diagnosis_weighting (the paper's five);
loss_weighting_batch_mean (what diagnosis weighting is without its factors: the comparison that the paper lacks),
diagnosis_weighting_as_released (with the defects of the paper's code); class_balanced, balanced_softmax,
logit_adjusted, logit_adjusted_post_hoc, ldam_drw (two phases: margins alone, then with class-balanced weights).

An epoch of oversampling is 7 x 3,350 images, so that it trains 4.7 times as long as the others, as in the paper's code.
Networks, split and the three folds are as in configs/patch_attention.py. Printed in percent, means over the folds:

| Table V: MC-Sensitivity, MC-Specificity, F1-Score | inception_v3 | densenet121 | legacy_seresnext50_32x4d |
|---|---|---|---|
| `:ham10000_NETWORK_none` | 59.0, 94.5, 84.7 | 65.0, 95.2, 85.5 | 63.7, 95.0, 85.4 |
| `:ham10000_NETWORK_oversampling` | 60.1, 94.9, 83.7 | 65.7, 95.8, 84.5 | 61.3, 95.2, 84.0 |
| `:ham10000_NETWORK_balanced_batches` | 64.8, 95.5, 80.4 | 68.4, 95.9, 82.4 | 68.9, 95.9, 82.3 |
| `:ham10000_NETWORK_loss_weighting` | 68.4, 95.5, 78.2 | 71.1, 96.1, 82.1 | 70.2, 96.0, 81.2 |
| `:ham10000_NETWORK_diagnosis_weighting` | 70.0, 95.4, 77.9 | 72.9, 96.1, 80.2 | 72.4, 95.9, 78.6 |

| Table VI: MC-Sensitivity, MC-Specificity, F1-Score | inception_v3 | densenet121 | legacy_seresnext50_32x4d |
|---|---|---|---|
| `:ham10000_NETWORK_k_0.5` | 65.0, 95.3, 83.9 | 68.7, 95.9, 85.4 | 68.0, 95.7, 84.5 |
| `:ham10000_NETWORK_k_0.75` | 68.4, 95.6, 81.5 | 70.1, 96.0, 84.3 | 69.7, 95.9, 83.7 |
| `:ham10000_NETWORK_k_1.0` | 68.4, 95.5, 78.2 | 71.1, 96.1, 82.1 | 70.2, 96.0, 81.2 |
| `:ham10000_NETWORK_k_1.25` | 69.3, 95.1, 71.1 | 72.2, 95.9, 78.6 | 70.4, 95.4, 74.8 |
| `:ham10000_NETWORK_k_1.5` | 68.9, 93.8, 58.8 | 71.8, 95.4, 71.2 | 70.8, 94.7, 65.5 |

On accelerators networks compute in bfloat16 (`--config.model.dtype=float32` turns that off).
"""

import patch_attention
from patch_attention import WEIGHTS

from skinjax.core.errors import lookup
from skinjax.objectives.diagnosis import PAPERS_FACTORS

CLASSES = 7  # balanced batches are a multiple of them, so that their counts are equal
EXPONENTS = (0.5, 0.75, 1.0, 1.25, 1.5)
# strategy: fields of `loss`
LOSSES = {
    "none": {},
    "oversampling": {},
    "balanced_batches": {},
    "loss_weighting": {"class_weights": "inverse"},
    "diagnosis_weighting": {
        "class_weights": "inverse",
        "reduction": "batch_mean",
        "diagnosis_factors": tuple(PAPERS_FACTORS.items()),
    },
    "loss_weighting_batch_mean": {"class_weights": "inverse", "reduction": "batch_mean"},
    "diagnosis_weighting_as_released": {
        "class_weights": "inverse",
        "reduction": "batch_mean",
        "diagnosis_factors": tuple(PAPERS_FACTORS.items()),
        "diagnosis_as_released": True,
    },
    "class_balanced": {"class_weights": "effective"},
    "balanced_softmax": {"name": "balanced_softmax"},
    "logit_adjusted": {"name": "logit_adjusted"},
    "logit_adjusted_post_hoc": {},
    "ldam_drw": {"name": "ldam"},
}
SAMPLERS = {"oversampling": "oversampled", "balanced_batches": "balanced_batches"}


def get_config(variant="demo"):
    settings = dict(lookup("variant of configs/balancing.py", variant, VARIANTS))
    make, strategy = settings.pop("make"), settings.pop("balancing")
    exponent = settings.pop("exponent", 1.0)
    config = make("balancing", variant, strategy="multi_crop", **settings)
    balance(config, strategy)
    config.loss.weight_exponent = exponent
    return config


def balance(config, strategy):
    """Apply one of the strategies to a config that has none."""
    config.loss.class_weights = "none"
    config.loss.update(LOSSES[strategy])
    config.sampler = SAMPLERS.get(strategy, "natural")
    if strategy == "balanced_batches":
        config.batch = max(1, round(config.batch / CLASSES)) * CLASSES
    if strategy == "logit_adjusted_post_hoc":
        config.method.logit_adjustment = 1.0
    if strategy == "ldam_drw":
        config.model.head = "cosine"
        defer_reweighting(config)


def defer_reweighting(config, share=0.8):
    """Make the last fifth of training a phase with class-balanced weights, at a hundredth of the rate."""
    first = config.phases.train.to_dict()
    length = first["duration"]
    last = first | {
        "duration": (1 - share) * length,
        "schedule": "constant",
        "warmup": 0.0,
        "learning_rate_multipliers": ((".*", 0.01),),
        "loss": {"class_weights": "effective", "effective_beta": 0.9999},
    }
    config.phases = {"train": first | {"duration": share * length}, "reweighted": last}
    config.phase_order = ("train", "reweighted")


def variants():
    """{variant: how it is made} for every row of Tables V and VI."""
    found = {"demo": {"make": patch_attention.demo, "balancing": "loss_weighting"}}
    for strategy in LOSSES:
        found[f"demo_{strategy}"] = {"make": patch_attention.demo, "balancing": strategy}
        for network in WEIGHTS:
            row = {"make": patch_attention.paper, "network": network, "balancing": strategy}
            found[f"ham10000_{network}_{strategy}"] = row
    for network in WEIGHTS:
        for exponent in EXPONENTS:
            row = {"make": patch_attention.paper, "network": network, "balancing": "loss_weighting"}
            found[f"ham10000_{network}_k_{exponent}"] = row | {"exponent": exponent}
    return found


VARIANTS = variants()
