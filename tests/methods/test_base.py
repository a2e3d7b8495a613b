"""What a phase may ask of a method."""

import pytest

from skinjax.core.errors import UserError
from skinjax.methods.base import Objective
from skinjax.methods.classifier import Classifier
from skinjax.methods.decoder_classifier import DecoderClassifier
from skinjax.methods.patches import Patches

BODY = ("stem", "stage1", "stage2", "stage3")


def test_stored_features_are_of_a_trunk_that_is_frozen_whole(make):
    classifier = make(Classifier)
    assert Objective(("backbone",), stored_features=True).resolved(classifier, "head").stored_features
    message = (
        r"phase 'head' trains on stored features, which every step would change, as backbone/features is not frozen: "
        r"set phases.head.frozen to \('backbone',\), or phases.head.features to computed"
    )
    with pytest.raises(UserError, match=message):
        Objective(BODY, stored_features=True).resolved(classifier, "head")
    Objective(BODY).resolved(classifier, "head")


@pytest.mark.parametrize("kind", [DecoderClassifier, Patches])
def test_stored_features_are_refused_of_a_method_that_reads_more_of_a_picture(make, kind):
    method = make(kind, **({"decoder": None} if kind is DecoderClassifier else {}))
    message = "phase 'head' trains on stored features, and its method takes more .*: set phases.head.features to comp"
    with pytest.raises(UserError, match=message):
        Objective(("backbone",), stored_features=True).resolved(method, "head")
    Objective(("backbone",)).resolved(method, "head")
