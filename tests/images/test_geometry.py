import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.images import geometry, resampling
from tests.images.pictures import IDENTITY, keys, noise, warp_one

rotation = jax.jit(geometry.rotation, static_argnums=0)
affine = jax.jit(geometry.affine, static_argnums=0)
random_affine = jax.jit(geometry.random_affine, static_argnums=range(1, 5))
random_flips = jax.jit(geometry.random_flips, static_argnums=range(1, 4))
random_resized_crop = jax.jit(geometry.random_resized_crop, static_argnums=range(1, 5))


def apply(matrix, x, y):
    return tuple(np.asarray(matrix, np.float64) @ [x, y, 1])


def test_compose_applies_the_first_matrix_to_the_picture_first():
    image = noise(1, 12, 12)[0]
    flip = jnp.array([[[-1, 0, 12], [0, 1, 0]]], jnp.float32)
    crop = jnp.array([[1, 0, 3], [0, 1, 2]], jnp.float32)
    turn = rotation((12, 12), jnp.array([90.0]))
    expected = np.rot90(image[:, ::-1])[2:8, 3:8]
    np.testing.assert_array_equal(warp_one(image, geometry.compose(flip, turn, crop), (6, 5)), expected)


def test_affine_has_torchvisions_conventions():
    """Hand-computed for a picture 4 high and 6 wide (centre x=3, y=2); the last from torchvision's own function."""
    zero, one = jnp.zeros((1, 2)), jnp.ones(1)

    def matrix(size=(4, 6), degrees=0.0, translate=zero, scale=one, shear=zero):
        return np.asarray(affine(size, jnp.array([degrees]), translate, scale, shear))[0]

    np.testing.assert_array_equal(matrix(), IDENTITY)
    np.testing.assert_array_equal(matrix(degrees=90.0), [[0, 1, 1], [-1, 0, 5]])  # clockwise
    np.testing.assert_array_equal(matrix(translate=jnp.array([[2.0, 1.0]])), [[1, 0, -2], [0, 1, -1]])
    np.testing.assert_array_equal(matrix(scale=2 * one), [[0.5, 0, 1.5], [0, 0.5, 1]])
    np.testing.assert_allclose(matrix(shear=jnp.array([[45.0, 0.0]])), [[1, 1, -2], [0, 1, 0]], atol=1e-6)
    np.testing.assert_allclose(
        matrix((40, 52), -77.0, jnp.array([[0.0, 2.0]]), jnp.array([0.8]), jnp.array([[12.0, -7.0]])),
        TORCHVISION_AFFINE,
        atol=1e-5,
    )


TORCHVISION_AFFINE = [[0.532736, -1.126407, 36.929812], [1.183437, 0.430736, -20.245548]]


def test_flips_take_their_probabilities():
    chosen = np.asarray(random_flips(keys(2000), (20, 30), 0.5, 0.25))
    horizontal, vertical = chosen[:, 0, 0] == -1, chosen[:, 1, 1] == -1
    assert abs(horizontal.mean() - 0.5) < 0.05
    assert abs(vertical.mean() - 0.25) < 0.05
    assert abs((horizontal & vertical).mean() - 0.125) < 0.04
    np.testing.assert_array_equal(chosen[horizontal & ~vertical][0], [[-1, 0, 30], [0, 1, 0]])
    np.testing.assert_array_equal(random_flips(keys(3), (5, 5), 0.0, 0.0), [IDENTITY] * 3)


def test_random_crops_are_slices_and_reach_every_place():
    image = noise(1, 7, 9)[0]
    matrices = geometry.random_crop(keys(300), (7, 9), (5, 6))
    left, top = np.asarray(matrices[:, 0, 2], int), np.asarray(matrices[:, 1, 2], int)
    assert {(t, c) for t, c in zip(top, left, strict=True)} == {(t, c) for t in range(3) for c in range(4)}
    windows = np.asarray(resampling.warp(jnp.asarray(image[None]).repeat(300, 0), matrices, (5, 6)))
    for window, t, c in zip(windows, top, left, strict=True):
        np.testing.assert_array_equal(window, image[t : t + 5, c : c + 6])


def test_centre_crop_is_the_middle():
    assert geometry.centre_corner((450, 600), (224, 224)) == (113, 188)


@pytest.mark.parametrize("crop", [lambda *sizes: geometry.random_crop(keys(1), *sizes), geometry.centre_corner])
def test_a_crop_larger_than_the_picture_is_refused(crop):
    with pytest.raises(UserError, match=r"224x224 .* stored at 300x200"):
        crop((300, 200), (224, 224))


def torchvisions_windows(draws, stored, scale, ratio):
    """RandomResizedCrop.get_params by these numbers of [0, 1): for each picture left, top, width, height, and tries."""
    height, width = stored
    for draw in np.asarray(draws, np.float64):
        for attempt in range(10):
            area = height * width * (scale[0] + draw[2 * attempt] * (scale[1] - scale[0]))
            low, high = np.log(ratio)
            aspect = np.exp(low + draw[2 * attempt + 1] * (high - low))
            w, h = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                yield int(draw[20] * (width - w + 1)), int(draw[21] * (height - h + 1)), w, h, attempt + 1
                break
        else:
            w, h = width, height
            if width / height < ratio[0]:
                h = round(w / ratio[0])
            elif width / height > ratio[1]:
                w = round(h * ratio[1])
            yield (width - w) // 2, (height - h) // 2, w, h, 11


def windows(matrices, size):
    """Left, top, width and height of the windows that upright matrices show."""
    m = np.asarray(matrices, np.float64)
    return np.stack([m[:, 0, 2], m[:, 1, 2], m[:, 0, 0] * size[1], m[:, 1, 1] * size[0]], -1)


PAPER_003 = ((450, 600), (0.08, 1.0), (3 / 4, 4 / 3))


@pytest.mark.parametrize(
    ("stored", "scale", "ratio", "fallbacks"),
    [
        (*PAPER_003, 0),
        ((112, 112), (0.35, 1.0), (3 / 4, 4 / 3), 0),
        ((41, 90), (0.65, 1.0), (3 / 4, 4 / 3), 400),  # no window is large enough: 55 of 90 columns
        ((90, 40), (0.5, 0.9), (3 / 4, 4 / 3), 200),
        ((50, 50), (0.9, 1.0), (1 / 3, 3.0), 50),
    ],
)
def test_resized_crops_are_torchvisions_windows(stored, scale, ratio, fallbacks):
    drawn = windows(random_resized_crop(keys(400), stored, (32, 24), scale, ratio), (32, 24))
    *expected, tries = zip(
        *torchvisions_windows(geometry.per_example_uniform(keys(400), 22), stored, scale, ratio), strict=True
    )
    np.testing.assert_allclose(drawn, np.stack(expected, -1), atol=1e-4)
    assert sum(attempt == 11 for attempt in tries) >= fallbacks


def test_resized_crops_are_distributed_as_torchvisions():
    stored, scale, ratio = PAPER_003
    draws = np.random.default_rng(0).random((4000, 22))
    expected = np.array(list(torchvisions_windows(draws, stored, scale, ratio)))[:, :4]
    drawn = windows(random_resized_crop(keys(4000), stored, (224, 224), scale, ratio), (224, 224))

    def facts(left, top, width, height):
        return width * height / (450 * 600), np.log(width / height), left / 600, top / 450

    for own, theirs in zip(facts(*drawn.T), facts(*expected.T), strict=True):
        parts = np.linspace(0.05, 0.95, 10)
        np.testing.assert_allclose(np.quantile(own, parts), np.quantile(theirs, parts), atol=0.02)


def test_a_resized_crop_of_everything_is_the_whole_picture():
    whole = random_resized_crop(keys(2), (30, 30), (15, 10), (1.0, 1.0), (1.0, 1.0))
    np.testing.assert_allclose(whole, [[[3, 0, 0], [0, 2, 0]]] * 2, atol=1e-5)


def test_random_affine_stays_within_its_limits():
    matrices = np.asarray(random_affine(keys(500), (40, 60), 20, (0.1, 0.2), (0.5, 2.0)), np.float64)
    zoom = 1 / np.sqrt(np.linalg.det(matrices[:, :, :2]))
    angle = np.degrees(np.arctan2(matrices[:, 0, 1], matrices[:, 0, 0]))
    assert 0.5 <= zoom.min() < 0.53
    assert 1.97 < zoom.max() <= 2.0001
    assert -20.001 <= angle.min() < -19
    assert 19 < angle.max() <= 20.001
    # The point of the output that shows the picture's centre tells the shift.
    back = np.linalg.solve(matrices[:, :, :2], (np.array([30, 20]) - matrices[:, :, 2])[..., None])[..., 0] - [30, 20]
    assert 5.8 < abs(back[:, 0]).max() <= 6.001
    assert 7.7 < abs(back[:, 1]).max() <= 8.001


def test_rotations_and_zooms_come_to_their_share_and_within_their_limits():
    turns = np.asarray(geometry.random_rotation(keys(800), (40, 60), 10, 0.75), np.float64)
    angle = np.degrees(np.arctan2(turns[:, 0, 1], turns[:, 0, 0]))
    assert (angle == 0).mean() == pytest.approx(0.25, abs=0.05)
    np.testing.assert_array_equal(turns[angle == 0][0], IDENTITY)
    assert -10.001 <= angle.min() < -9.8
    assert 9.8 < angle.max() <= 10.001
    left, top, width, height = windows(geometry.random_zoom(keys(800), (40, 60), (20, 20), 1.1, 0.75), (20, 20)).T
    np.testing.assert_array_equal(width, height)
    zoom = 40 / height
    assert (zoom == 1).mean() == pytest.approx(0.25, abs=0.05)
    assert zoom.min() == 1
    assert 1.09 < zoom.max() <= 1.10001
    assert np.quantile(zoom[zoom > 1], 0.5) == pytest.approx(1.05, abs=0.01)
    for corner, room in ((left, 60 - width), (top, 40 - height)):
        assert (corner >= 0).all()
        assert (corner <= room + 1e-4).all()
        assert np.quantile(corner[room > 1] / room[room > 1], [0.1, 0.5, 0.9]) == pytest.approx(
            [0.1, 0.5, 0.9], abs=0.06
        )


def test_rotation_turns_about_the_centre():
    matrix = geometry.random_rotation(keys(1), (40, 60), 180)[0]
    np.testing.assert_allclose(apply(matrix, 30, 20), (30, 20), atol=1e-4)
    assert apply(matrix, 31, 20) != pytest.approx((31, 20))
