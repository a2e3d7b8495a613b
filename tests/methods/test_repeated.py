"""Pictures shown several times: the answer is the mean over the pictures, whatever the method."""

import jax
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.images.colour import NORMALISATIONS
from skinjax.images.views import ViewSettings, make_views, repeated_view
from skinjax.methods.base import Objective
from skinjax.methods.classifier import Classifier
from skinjax.methods.repeated import Repeated

HALF = NORMALISATIONS["half"]
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 24, 24, 3), np.uint8)


def pictures(**settings):
    """Every picture that a view shows of IMAGES."""
    view = repeated_view(ViewSettings(size=(16, 16), **settings), HALF)
    return [np.asarray(view.show(np.int32(place), IMAGES)) for place in range(view.places)]


def test_the_eight_pictures_are_the_flips_and_turns_of_one():
    once = np.asarray(make_views(ViewSettings(size=(16, 16)), HALF)[1](IMAGES))
    shown = pictures(repeats="turned")
    expected = [np.rot90(once, turns, axes=(1, 2)) for turns in range(4)]
    expected += [turned[:, :, ::-1] for turned in expected]
    np.testing.assert_array_equal(shown, expected)
    assert len(np.unique(np.stack(shown), axis=0)) == 8
    np.testing.assert_array_equal(pictures(repeats="mirrored"), [once, once[:, :, ::-1]])


def test_the_five_windows_are_the_corners_and_the_middle():
    shown = pictures(repeats="windows")
    whole = IMAGES / 127.5 - 1
    corners = [(0, 0), (0, 8), (8, 0), (8, 8), (4, 4)]
    expected = [whole[:, top : top + 16, left : left + 16] for top, left in corners]
    for of in expected:
        assert min(np.abs(of - one).max() for one in shown) < 1e-6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"repeats": "turned", "size": (16, 24)}, "is not square"),
        ({"repeats": "mirrored", "evaluation": "ordered_crop"}, "shows several"),
        ({"repeats": "twice"}, "unknown value of views.repeats 'twice'"),
    ],
)
def test_what_does_not_go_together_is_refused(settings, message):
    with pytest.raises(UserError, match=message):
        ViewSettings(**settings)


def test_an_answer_is_the_mean_over_the_pictures(make, batch):
    member = make(Classifier)
    view = repeated_view(ViewSettings(size=batch["image"].shape[1:3], repeats="mirrored"), HALF)
    repeated = Repeated(member, view)
    variables = {
        **jax.jit(member.init)(jax.random.key(0, impl="rbg"), batch),
        "constants": {"class_counts": np.ones(3)},
    }
    each = [repeated.shown(place).predict(variables, batch["image"])["probabilities"] for place in (0, 1)]
    found = jax.jit(repeated.predict)(variables, batch["image"])
    assert np.abs(each[0] - each[1]).max() > 1e-3
    np.testing.assert_allclose(found["probabilities"], np.mean(each, axis=0), rtol=1e-5)
    np.testing.assert_allclose(jax.nn.softmax(found["logits"]), found["probabilities"], rtol=1e-5)
    assert (repeated.stages(), repeated.trunks()) == (member.stages(), member.trunks())
    assert (repeated.terms(), repeated.evaluate(variables, batch, Objective())) == ({}, {})
    with pytest.raises(UserError, match="repeated in evaluation alone"):
        repeated.loss(variables, batch, jax.random.key(0), step=0, phase=Objective())
