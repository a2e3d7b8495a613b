"""Bundles of drawn networks."""

import pytest

from skinjax.deploy import unlike
from skinjax.deploy.bundle import write_bundle
from skinjax.deploy.decisions import Decisions, Question
from skinjax.deploy.making import drawn_examples
from skinjax.deploy.manifest import Figure
from skinjax.deploy.origins import Origin
from tests.test_model import drawn, photographs

DECISIONS = Decisions(
    temperature=2.0,
    prior=({"mel": 0.2, "nv": 0.5, "bcc": 0.3},),
    usual=(0.1, 0.8, 0.1),
    tau=0.5,
    farthest=(0.9, 0.5, 2.0),
    lesions=(20, 30, 5),
    question=Question(positive=("mel", "bcc"), threshold=0.6),
)


@pytest.fixture(scope="package")
def model():
    return drawn()


@pytest.fixture(scope="package")
def bundle_file(model, tmp_path_factory):
    """A bundle with all that there can be."""
    path = tmp_path_factory.mktemp("bundle") / "model.skinjax"
    write_bundle(
        path,
        model,
        decisions=DECISIONS,
        reference=unlike.reference(model.features(photographs(6))),
        unlike_from=0.01,
        origins={"ham10000": Origin(name="ham10000", licence="CC BY-NC 4.0", citation="Tschandl")},
        figures={"macro_recall": Figure(value=0.5, low=0.4, high=0.6), "macro_auc": Figure(value=0.7)},
        judged="20 images",
        card="# Model card\n",
        examples=drawn_examples()[:2],
    )
    return path


@pytest.fixture
def pixels():
    return photographs(5)
