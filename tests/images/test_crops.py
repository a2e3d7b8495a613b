"""Where ordered crops lie, as paper 003's code has it, and what they show."""

import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.images import views
from skinjax.images.colour import NORMALISATIONS
from skinjax.images.crops import cut, grid_of, ordered_corners

PAPER = (450, 600), (224, 224)


def test_five_are_the_corners_and_the_centre():
    assert ordered_corners(*PAPER, grid_of(5)) == [(0, 0), (0, 376), (226, 0), (226, 376), (113, 188)]


@pytest.mark.parametrize(
    ("crops", "tops", "lefts"),
    [(9, (0, 113, 226), (0, 188, 376)), (16, (0, 75, 150, 226), (0, 125, 250, 376)), (1, (113,), (188,))],
)
def test_squares_go_row_by_row(crops, tops, lefts):
    assert ordered_corners(*PAPER, grid_of(crops)) == [(top, left) for top in tops for left in lefts]


def test_any_grid_and_any_size():
    assert grid_of(9, (2, 3)) == (2, 3)
    assert ordered_corners((10, 12), (4, 4), (2, 3)) == [(0, 0), (0, 4), (0, 8), (6, 0), (6, 4), (6, 8)]
    assert ordered_corners((5, 7), (4, 4), None)[-1] == (0, 1)  # halves are cut off
    assert ordered_corners((4, 4), (4, 4), (2, 2)) == [(0, 0)] * 4


@pytest.mark.parametrize("crops", [0, 2, 7, 8, -9])
def test_what_makes_no_square_is_refused(crops):
    with pytest.raises(UserError, match=f"{crops} crops make no square"):
        grid_of(crops)


def test_crops_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="does not fit in images stored at 100x600"):
        ordered_corners((100, 600), (224, 224), None)


def test_cut_keeps_bytes():
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, (2, 9, 11, 3), np.uint8))
    windows = cut(images, [(0, 0), (5, 7)], (4, 4))
    assert windows.dtype == jnp.uint8
    np.testing.assert_array_equal(windows[:, 0], images[:, :4, :4])
    np.testing.assert_array_equal(windows[:, 1], images[:, 5:, 7:])


def test_the_views_show_every_crop_of_the_flipped_picture():
    images = np.random.default_rng(0).integers(0, 256, (2, 12, 14, 3), np.uint8)
    keys = views.example_keys(views.jax.random.key(0), jnp.arange(2))
    mirrored = views.View((views.flips(1.0, 0.0),), ordered=True)
    shown = views.train_view(mirrored, (8, 8), NORMALISATIONS["unit"], grid=None)(keys, images)
    still = views.evaluation_view("ordered_crop", (8, 8), NORMALISATIONS["unit"], grid=None)(images[:, :, ::-1])
    assert shown.shape == (2, 5, 8, 8, 3)
    np.testing.assert_array_equal(shown, still)
    np.testing.assert_allclose(still[:, 4], images[:, 2:10, ::-1][:, :, 3:11] / 255, rtol=1e-6)
