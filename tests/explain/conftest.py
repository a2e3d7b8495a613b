"""The network of tests/explain/goldens, filled by tools/parity.py, as a method that is shown what it is given."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import parity
import pytest

from skinjax.images.views import ViewSettings
from skinjax.methods.classifier import Classifier
from skinjax.methods.parts import Classification, Network, Parts, Pictures
from skinjax.objectives.losses import ClassificationLoss


class Reference(NamedTuple):
    """A network, what it is shown, the classes that are explained, and what pytorch-grad-cam says of them."""

    method: Classifier
    variables: dict
    images: np.ndarray
    classes: np.ndarray
    golden: dict[str, np.ndarray]


def as_it_is(images):
    return images


@pytest.fixture(scope="session")
def reference():
    """Of tools/make_explain_goldens.py."""
    backbone, head, variables = parity.network("resnet_tiny", 64, 2.0, parity.EVALUATION_BIAS)
    task = Classification(tuple("abcdefghij"), ClassificationLoss())
    method = Classifier(Parts(Network(backbone, head), Pictures(None, as_it_is), task, ViewSettings()))
    golden = dict(np.load(Path(__file__).parent / "goldens" / "resnet_tiny.npz"))
    return Reference(method, variables, parity.images(2, 64), np.array([0, 5], np.int32), golden)
