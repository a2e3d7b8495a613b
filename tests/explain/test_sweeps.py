"""Corrections over their settings."""

import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.explain.sweeps import SWEEPS, sweep
from skinjax.images.correction import CORRECTIONS, even_illumination, zoom
from tests.test_model import drawn, photographs

PICTURES = np.random.default_rng(0).integers(0, 256, (2, 32, 40, 3), np.uint8)


def test_every_correction_can_be_swept():
    assert SWEEPS.keys() == {*CORRECTIONS, "zoom"}


@pytest.mark.parametrize("name", SWEEPS)
def test_a_value_that_changes_nothing_is_among_them_and_the_last_changes_something(name):
    of = SWEEPS[name]
    assert list(of.values) == sorted(set(of.values))
    assert of.unchanged in of.values
    np.testing.assert_array_equal(of.correct(jnp.asarray(PICTURES), of.unchanged), PICTURES)
    framed = np.pad(PICTURES[:, 3:-3, 3:-3], ((0, 0), (3, 3), (3, 3), (0, 0)))  # a black frame, to be cropped
    hairy = np.full_like(PICTURES, 200)
    hairy[:, :, 20] = 20
    pictures = {"field_of_view_crop": framed, "remove_hair": hairy}.get(name, PICTURES)
    last = np.asarray(of.correct(jnp.asarray(pictures), of.values[-1]))
    assert last.dtype == np.uint8
    assert (last != pictures).any()


def test_a_strength_of_one_is_the_correction():
    found = SWEEPS["even_illumination"].correct(jnp.asarray(PICTURES), 1.0)
    np.testing.assert_array_equal(found, even_illumination(jnp.asarray(PICTURES)))


def test_answers_by_setting_begin_with_the_networks_own():
    model, images = drawn(), photographs(3)
    of, found = sweep(model, images, "zoom")
    assert found.shape == (3, len(of.values), 3)
    np.testing.assert_array_equal(found[:, 0], model.predict(images)["probabilities"])
    zoomed = np.asarray(zoom(jnp.asarray(images), 3.0))
    np.testing.assert_array_equal(found[:, -1], model.predict(zoomed)["probabilities"])
    assert (found[:, -1] != found[:, 0]).any()


def test_an_unknown_correction_lists_the_known():
    with pytest.raises(UserError, match=r"unknown correction 'gama' .*did you mean 'gamma'"):
        sweep(drawn(), photographs(1), "gama")
