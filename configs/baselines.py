"""Paper 000's baselines, trained exactly as configs/cdc.py trains: the loss alone differs.

| --config=configs/baselines.py | loss | Skin-7: macro F1, recall | Skin-198 |
|---|---|---|---|
| `:demo`, `:skin7`, `:skin198` | BCE, the paper's word for plain cross-entropy | 84.44, 82.92 | 65.75, 66.85 |
| `:demo_wce`, `:skin7_wce`, ... | WCE, class-weighted cross-entropy | 84.53, 83.52 | 65.45, 66.31 |
| `:demo_fl`, ... | FL, focal loss | 85.34, 82.97 | 65.33, 66.11 |
| `:demo_wfl`, ... | WFL, class-weighted focal loss | 86.48, 84.22 | 65.46, 66.37 |

`:skin7_vgg16`, `:skin7_densenet121_wfl` and so on are the same with other networks; the paper prints none of them.
`demo` takes 2 minutes on 2 cores and aims at no printed number; the others take 200 epochs of ResNet-50 at 224 px.
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
