"""Disordered pictures keep every patch, and the circle is where a turn keeps every pixel."""

import jax
import numpy as np
import pytest

from skinjax.images.pretexts import circle, disorder, shuffled
from skinjax.images.views import example_keys

KEYS = example_keys(jax.random.key(0), np.arange(3000))


def patches_of(images, patch):
    """[batch, patches] of bytes."""
    batch, height, width, channels = images.shape
    grid = np.asarray(images).reshape(batch, height // patch, patch, width // patch, patch, channels).swapaxes(2, 3)
    return [[one.tobytes() for one in row] for row in grid.reshape(batch, -1, patch, patch, channels)]


def test_every_patch_is_somewhere_as_it_was():
    images = np.random.default_rng(0).integers(0, 256, (4, 24, 32, 3), np.uint8)
    found = disorder(KEYS[:4], images, 8, 20)
    assert found.dtype == np.uint8
    for before, after in zip(patches_of(images, 8), patches_of(found, 8), strict=True):
        assert sorted(before) == sorted(after)
        assert before != after


def test_an_image_is_disordered_alike_in_any_batch():
    images = np.random.default_rng(1).integers(0, 256, (5, 16, 16, 3), np.uint8)
    together = disorder(KEYS[:5], images, 4, 7)
    np.testing.assert_array_equal(disorder(KEYS[3:4], images[3:4], 4, 7)[0], together[3])


@pytest.mark.parametrize(
    ("places", "moved"),
    [(256, 37.155), (64, 29.953), (1024, 39.266), (144, 35.106)],
    ids=["128/8", "128/16", "256/8", "96/8"],
)
def test_twenty_swaps_move_as_many_patches_as_they_should(places, moved):
    orders = np.asarray(jax.jit(jax.vmap(lambda key: shuffled(key, places, 20)))(KEYS))
    count = (orders != np.arange(places)).sum(axis=1)
    assert count.max() <= 40
    assert count.mean() == pytest.approx(moved, abs=4 * count.std() / len(count) ** 0.5)
    np.testing.assert_array_equal(np.sort(orders, axis=1), np.broadcast_to(np.arange(places), orders.shape))


@pytest.mark.parametrize("swaps", [1, 2, 20])
def test_a_swap_is_of_two_different_places(swaps):
    """One moves two; a permutation of an even number of swaps is even."""
    orders = np.asarray(jax.vmap(lambda key: shuffled(key, 9, swaps))(KEYS[:50]))
    if swaps == 1:
        assert ((orders != np.arange(9)).sum(axis=1) == 2).all()
    signs = [round(np.linalg.det(np.eye(9)[order])) for order in orders]
    assert set(signs) == {(-1) ** swaps}


@pytest.mark.parametrize(("side", "pixels"), [(64, 3228), (96, 7232), (128, 12892), (224, 39428), (256, 51468)])
def test_the_circle_has_as_many_pixels(side, pixels):
    found = circle((side, side))
    assert found.sum() == pixels
    np.testing.assert_array_equal(found, np.rot90(found))
    assert circle((side, side + 10)).sum() == pixels
