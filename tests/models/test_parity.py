"""Every backbone answers as the network that the field knows under its name (tools/parity.py, goldens/)."""

import parity
import pytest

from skinjax.models import BACKBONES
from tests.models.test_backbones import OUR_OWN

GOLDENS = sorted(path.stem for path in parity.GOLDENS.glob("*.npz"))
# The smallest and the largest of each family; `make parity` runs all.
WITH_GRADIENTS = (
    "convnext_tiny",
    "densenet121",
    "densenet161",
    "efficientnet_b0",
    "efficientnet_b7",
    "inception_v3",
    "legacy_seresnext50_32x4d",
    "mobilenetv1_100",
    "mobilenetv2_100_same",
    "resnet18",
    "resnet152",
    "unet",
    "vgg16",
    "vgg16_bn",
)


def test_every_backbone_has_a_golden():
    assert set(GOLDENS) | OUR_OWN == set(BACKBONES)


@pytest.mark.parametrize("name", GOLDENS)
def test_evaluation_mode_is_the_references(name):
    found = parity.errors(name, parity.evaluation_outputs)
    assert found.keys() == parity.EVALUATION.keys()
    assert all(found[key] <= parity.EVALUATION[key] for key in found), found


@pytest.mark.parametrize("name", WITH_GRADIENTS)
def test_training_mode_is_the_references(name):
    found = parity.errors(name, parity.training_outputs)
    assert found.keys() == parity.TRAINING.keys()
    assert all(found[key] <= parity.TRAINING[key] for key in found), found
