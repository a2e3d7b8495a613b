"""Paper 001's second pretext: a U-Net puts patches back in their places, and a classifier reads what it restored.

| --config=configs/restoration.py | what | cost |
|---|---|---|
| `:demo` | joint: both losses at once, a quarter of the U-Net and a narrow ResNet, synthetic | 4 minutes on 2 cores |
| `:demo_sequential` | first the pretext, then the classes, with as many images each | 7 minutes |
| `:ham10000_joint` | the U-Net and MobileNet-v1 from scratch, 20 epochs, patches of 8 | 2,504 steps of 64 |
| `:ham10000_sequential` | 30 epochs of the pretext, then 20 | 6,260 steps |
| `:ham10000_patch_16` | patches of 16, joint | as joint |
| `:ham10000_mobilenetv2` | MobileNet-v2, joint | as joint |
| `:ham10000_unlabelled_90_epochs` | 90 epochs of the pretext on ISIC 2019 as well, then 20 | 14 times joint |

Twenty times two patches of the grid change places, on the device; the error is the mean square of normalised pixels.
In evaluation pictures are whole. Settings are those of configs/focal.py. `:ham10000_unlabelled_90_epochs` reads ISIC
2019's photographs without their labels, less those of lesions that are held out. What the paper leaves open: what the
classifier reads, here the restored picture, and which of the two trainings its table is of.

Printed as shares, single runs:

| Table Self-supervised: Accuracy, Average Recall | ham10000 |
|---|---|
| `:SET_sequential` | 0.782, 0.541 |

On accelerators networks compute in bfloat16 (`--config.model.dtype=float32` turns that off).
"""

import focal
from rotation import in_turn

from skinjax.core.errors import lookup

PRETEXT = {"metric": "restoration"}


def get_config(variant="demo"):
    make, arguments = lookup("variant of configs/restoration.py", variant, VARIANTS)
    return make("restoration", variant, **arguments)


def demo(name, variant, sequential=False):
    config = focal.demo(name, variant)
    config.method = {"name": "restoration", "width": 8}
    config.phases.train.update(duration=12000.0, warmup=1200.0)
    return in_turn(config, "restoration", PRETEXT, 12000.0) if sequential else config


def ham10000(name, variant, pretext=0.0, patch=8, backbone="mobilenetv1_100", others=""):
    config = focal.ham10000(name, variant)
    config.model.update(backbone=backbone, head="linear")
    config.method = {"name": "restoration", "patch": patch}
    if pretext:
        config = in_turn(config, "restoration", PRETEXT, pretext)
    if others:
        config.phases.pretext["dataset"] = {"name": others}
    return config


VARIANTS = {
    "demo": (demo, {}),
    "demo_sequential": (demo, {"sequential": True}),
    "ham10000_joint": (ham10000, {}),
    "ham10000_sequential": (ham10000, {"pretext": 30.0}),
    "ham10000_patch_16": (ham10000, {"patch": 16}),
    "ham10000_mobilenetv2": (ham10000, {"backbone": "mobilenetv2_100"}),
    "ham10000_unlabelled_90_epochs": (ham10000, {"pretext": 90.0, "others": "isic2019"}),
}
