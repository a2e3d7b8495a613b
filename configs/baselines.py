"""Paper 000's baselines, trained exactly as configs/cdc.py trains: the loss alone differs.

| --config=configs/baselines.py | loss |
|---|---|
| `:demo`, `:skin7`, `:skin198` | BCE, the paper's word for plain cross-entropy |
| `:demo_wce`, `:skin7_wce`, ... | WCE, class-weighted cross-entropy |
| `:demo_fl`, ... | FL, focal loss |
| `:demo_wfl`, ... | WFL, class-weighted focal loss |

Printed in percent, as in configs/cdc.py:

| Tables 1 and 2: MF1, Precision, Recall | skin7 | skin198 |
|---|---|---|
| `:SET` | 84.44, 86.78, 82.92 | 65.75, 65.72, 66.85 |
| `:SET_wce` | 84.53, 86.12, 83.52 | 65.45, 65.45, 66.31 |
| `:SET_fl` | 85.34, 87.94, 82.97 | 65.33, 65.33, 66.11 |
| `:SET_wfl` | 86.48, 89.37, 84.22 | 65.46, 65.41, 66.37 |

| Table 3: MF1, Precision, Recall | skin7 | skin198 |
|---|---|---|
| `:SET` | 75.13, 83.26, 69.22 | 64.16, 65.63, 68.58 |
| `:SET_wce` | 75.40, 83.09, 70.58 | 65.78, 69.13, 69.87 |

`:skin7_vgg16`, `:skin7_densenet121_wfl` and so on are the same with other networks; the paper prints none of them.
`demo` takes 2 minutes on 2 cores and aims at no printed number; the others take 200 epochs of ResNet-50 at 224 px:
8,012 images of HAM10000, 5,267 of SD-198, in bfloat16 on accelerators (`--config.model.dtype=float32` turns that off).
"""

from cdc import RECIPES

from skinjax.core.errors import lookup

LOSSES = {
    "": {},
    "_wce": {"class_weights": "odds_normalised"},
    "_fl": {"name": "focal"},
    "_wfl": {"name": "focal", "class_weights": "odds_normalised"},
}
VARIANTS = {recipe + loss: (RECIPES[recipe], LOSSES[loss]) for recipe in RECIPES for loss in LOSSES}


def get_config(variant="demo"):
    recipe, loss = lookup("variant of configs/baselines.py", variant, VARIANTS)
    config = recipe("baselines", variant)
    config.loss.update(loss)
    return config
