"""Every backbone answers as the network that the field knows under its name (tools/parity.py, goldens/)."""

import jax
import parity
import pytest

from skinjax.models import BACKBONES
from tests.models.test_backbones import OUR_OWN

GOLDENS = sorted(path.stem for path in parity.GOLDENS.glob("*.npz"))
# By platform, whose choice of lowerings runs on this machine: the smallest and the largest of each family between them.
# `make parity` runs all.
WITH_GRADIENTS = {
    "cpu": (
        "convnext_tiny",
        "densenet121",
        "efficientnet_b0",
        "inception_v3",
        "legacy_seresnext50_32x4d",
        "mobilenetv1_100",
        "resnet18",
        "unet",
        "vgg16_bn",
    ),
    "gpu": ("densenet161", "efficientnet_b7", "mobilenetv2_100_same", "resnet152", "vgg16"),
}
GRADIENTS = [(platform, name) for platform, names in WITH_GRADIENTS.items() for name in names]
# By a CPU's choice every one, but for those that a relative of theirs stands for; by a GPU's those whose pools and
# groups no gradient above has.
RELATIVES = ("densenet121", "densenet161", "efficientnet_b0", "efficientnet_b7", "resnet18", "resnet152", "vgg16")
EVALUATED = [
    *(("cpu", name) for name in GOLDENS if name not in RELATIVES),
    *(("gpu", name) for name in ("inception_v3", "legacy_seresnext50_32x4d")),
]


def test_every_backbone_has_a_golden():
    assert set(GOLDENS) | OUR_OWN == set(BACKBONES)


def check(platform, name, measure, limits, monkeypatch):
    """The outputs of `measure`, by a platform's choice of lowerings, are within their limits of the golden ones."""
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    found = parity.errors(name, measure)
    assert found.keys() == limits.keys()
    assert all(found[key] <= limits[key] for key in found), found


@pytest.mark.parametrize(("platform", "name"), EVALUATED)
def test_evaluation_mode_is_the_references(platform, name, monkeypatch):
    check(platform, name, parity.evaluation_outputs, parity.EVALUATION, monkeypatch)


@pytest.mark.parametrize(("platform", "name"), GRADIENTS)
def test_training_mode_is_the_references(platform, name, monkeypatch):
    check(platform, name, parity.training_outputs, parity.TRAINING, monkeypatch)
