"""The smallest of every family answers as the network of that name that the field knows (tools/parity.py, goldens/)."""

import jax
import parity
import pytest

from skinjax.models import BACKBONES, make_backbone
from tests.models.test_backbones import OUR_OWN, PARAMETERS, SMALLEST

# The smallest of each family, and the platform whose choice of lowerings evaluates it here; in training mode one by
# each platform's. `make parity`, which .ci/run calls, takes every backbone through both modes.
EVALUATED_BY = {
    "convnext_tiny": "cpu",
    "densenet121": "gpu",
    "efficientnet_b0": "gpu",
    "inception_v3": "gpu",
    "legacy_seresnext50_32x4d": "gpu",
    "mobilenetv1_100": "gpu",
    "mobilenetv2_100_same": "cpu",
    "resnet18": "gpu",
    "unet": "gpu",
    "vgg16": "cpu",
    "vgg16_bn": "gpu",
}
TRAINED_BY = {"resnet18": "cpu", "mobilenetv2_100_same": "gpu"}


def test_every_backbone_has_a_golden():
    assert {path.stem for path in parity.GOLDENS.glob("*.npz")} | OUR_OWN == set(BACKBONES)


def test_the_smallest_of_every_family_is_compared():
    assert {type(make_backbone(name)): PARAMETERS[name] for name in EVALUATED_BY} == {
        family: PARAMETERS[name] for family, name in SMALLEST.items()
    }


def check(platform, name, measure, limits, monkeypatch):
    """The outputs of `measure`, by a platform's choice of lowerings, are within their limits of the golden ones."""
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    found = parity.errors(name, measure)
    assert found.keys() == limits.keys()
    assert all(found[key] <= limits[key] for key in found), found


@pytest.mark.parametrize("name", EVALUATED_BY)
def test_evaluation_mode_is_the_references(name, monkeypatch):
    check(EVALUATED_BY[name], name, parity.evaluation_outputs, parity.EVALUATION, monkeypatch)


@pytest.mark.parametrize("name", TRAINED_BY)
def test_training_mode_is_the_references(name, monkeypatch):
    check(TRAINED_BY[name], name, parity.training_outputs, parity.TRAINING, monkeypatch)
