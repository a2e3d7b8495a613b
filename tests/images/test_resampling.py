import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from skinjax.core.portable import portable
from skinjax.images import geometry, resampling
from tests.images.pictures import IDENTITY, noise, warp_one

rotation = jax.jit(geometry.rotation, static_argnums=0)
low_pass = jax.jit(resampling.low_pass, static_argnums=2)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_copies_are_exact(dtype):
    image = noise(1, 20, 31)[0].astype(dtype)
    np.testing.assert_array_equal(warp_one(image, IDENTITY, (20, 31)), image)
    np.testing.assert_array_equal(warp_one(image, [[1, 0, 7], [0, 1, 4]], (12, 9)), image[4:16, 7:16])
    np.testing.assert_array_equal(warp_one(image, [[-1, 0, 31], [0, 1, 0]], (20, 31)), image[:, ::-1])
    np.testing.assert_array_equal(warp_one(image, [[1, 0, 0], [0, -1, 20]], (20, 31)), image[::-1])
    np.testing.assert_array_equal(warp_one(image, [[0, 1, 0], [1, 0, 0]], (31, 20)), image.swapaxes(0, 1))


@pytest.mark.parametrize("quarter", [-2, -1, 0, 1, 2, 3])
def test_quarter_turns_are_rot90(quarter):
    image = noise(1, 17, 17)[0]
    matrix = rotation((17, 17), jnp.array([90.0 * quarter]))
    np.testing.assert_array_equal(warp_one(image, matrix, (17, 17)), np.rot90(image, quarter))


def test_outside_is_fill_and_the_border_is_not_darkened():
    image = np.full((4, 4, 3), 200, np.uint8)
    shifted = warp_one(image, [[1, 0, -1], [0, 1, 0]], (4, 6), fill=7.0)[0, :, 0]
    np.testing.assert_array_equal(shifted, [7, 200, 200, 200, 200, 7])
    np.testing.assert_array_equal(warp_one(image, [[0.5, 0, 0], [0, 0.5, 0]], (8, 8)), np.full((8, 8, 3), 200))
    quarter_pixel_out = warp_one(image, [[1, 0, -0.75], [0, 1, 0]], (4, 1), fill=100.0)
    np.testing.assert_array_equal(quarter_pixel_out, np.full((4, 1, 3), 150))


def test_beyond_its_border_a_picture_may_go_on_mirrored():
    """As OpenCV's BORDER_REFLECT: cba|abcdef|fed."""
    image = noise(1, 4, 6)[0]
    shifted = warp_one(image, [[1, 0, -3], [0, 1, -2]], (8, 12), mirrored=True)
    np.testing.assert_array_equal(shifted, np.pad(image, ((2, 2), (3, 3), (0, 0)), mode="symmetric"))


def test_pictures_one_pixel_wide_and_matrices_of_nan_stay_inside_the_picture():
    image = noise(1, 5, 1)[0]
    np.testing.assert_array_equal(warp_one(image, IDENTITY, (5, 1)), image)
    assert warp_one(image, np.full((2, 3), np.nan), (5, 4)).shape == (5, 4, 3)


def bilinear_oracle(image, matrix, size):
    """Float64 values and, for each pixel, how deep inside the picture it lies."""
    height, width, _ = image.shape
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    u, v = np.einsum("ij,j...->i...", np.asarray(matrix, np.float64), np.stack([x, y, np.ones_like(x)]))
    column, row = np.clip(u - 0.5, 0, width - 1), np.clip(v - 0.5, 0, height - 1)
    total = np.zeros((*size, 3))
    for c in (np.floor(column), np.ceil(column)):
        for r in (np.floor(row), np.ceil(row)):
            # The hat function; a position on a pixel meets that pixel twice per axis.
            weight = (1 - abs(column - c)) * (1 - abs(row - r))
            weight = weight / np.where(np.floor(column) == np.ceil(column), 2, 1)
            weight = weight / np.where(np.floor(row) == np.ceil(row), 2, 1)
            total += weight[..., None] * image[r.astype(int), c.astype(int)].astype(np.float64)
    return total, np.minimum.reduce([u, width - u, v, height - v])


def test_rotations_equal_a_float64_oracle_at_every_pixel():
    y, x = np.mgrid[:90, :100]
    image = (128 + 60 * np.sin(x / 11) + 50 * np.cos(y / 7))[..., None] + np.array([0, 5, -9])
    image = image.astype(np.uint8)
    # Besides arbitrary angles: turns so small that whole columns of samples lie within rounding of pixel centres.
    degrees = jnp.array([33.3, -171.2, 77.0, 1e-6, 1e-5, 1e-4, 1e-3, 90 + 1e-4, 180 - 1e-4, -90.00002], jnp.float32)
    matrices = rotation((90, 100), degrees)
    warped = np.asarray(resampling.warp(jnp.asarray(image[None]).repeat(len(degrees), 0), matrices, (90, 100)))
    for got, matrix in zip(warped, matrices, strict=True):
        expected, depth = bilinear_oracle(image, matrix, (90, 100))
        np.testing.assert_allclose(got[depth > 1e-3], expected[depth > 1e-3], atol=1e-3)
        np.testing.assert_array_equal(got[depth < -0.501], 0)


@pytest.mark.parametrize(
    ("stored", "size"), [((45, 60), (24, 24)), ((30, 30), (64, 50)), ((37, 53), (37, 20)), ((50, 41), (49, 7))]
)
def test_resize_is_pillows(stored, size):
    images = noise(2, *stored)
    expected = [np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR)) for image in images]
    np.testing.assert_allclose(jax.jit(resampling.resize, static_argnums=1)(images, size), expected, atol=1.0)


def test_resize_in_a_portable_program_is_the_same():
    images = noise(2, 45, 60)
    for size in [(24, 24), (64, 50), (45, 70)]:
        with portable():
            shown = resampling.resize(images, size)
        np.testing.assert_allclose(shown, resampling.resize(images, size), atol=1e-3)
        assert shown.dtype == jnp.float32


def test_resize_to_the_same_size_copies():
    images = noise(2, 9, 8)
    np.testing.assert_array_equal(resampling.resize(jnp.asarray(images), (9, 8)), images)


@pytest.mark.parametrize(
    ("window", "size"),  # left, top, width, height
    [((0, 0, 52, 44), (16, 20)), ((5, 9, 40, 30), (12, 33)), ((3, 2, 11, 13), (26, 33)), ((51, 43, 1, 1), (4, 5))],
)
def test_stretch_is_pillows_resize_of_what_is_cut_out(window, size):
    left, top, width, height = window
    image = noise(1, 44, 52)[0]
    cut = image[top : top + height, left : left + width]
    x, y = width / size[1], height / size[0]
    upright, turned_over = [[x, 0, left], [0, y, top]], [[-x, 0, left + width], [0, -y, top + height]]
    shown = resampling.stretch(jnp.stack([image, image]), jnp.array([upright, turned_over], jnp.float32), size)
    pillow = np.asarray(Image.fromarray(cut).resize(size[::-1], Image.Resampling.BILINEAR))
    np.testing.assert_allclose(shown, [pillow, pillow[::-1, ::-1]], atol=1.0)


def shrunk(images, matrices, size, shrink):
    matrices = jnp.asarray(matrices, jnp.float32)
    return np.asarray(resampling.warp(low_pass(jnp.asarray(images), matrices, shrink), matrices, size))


@pytest.mark.parametrize("factor", [2, 3])
def test_shrunk_by_a_whole_number_low_pass_and_warp_are_pillows_filter(factor):
    images = noise(1, 48, 60)
    size = 48 // factor, 60 // factor
    pillow = np.asarray(Image.fromarray(images[0]).resize(size[::-1], Image.Resampling.BILINEAR))
    shown = shrunk(images, [[[factor, 0, 0], [0, factor, 0]]], size, factor)[0]
    np.testing.assert_allclose(shown[1:-1, 1:-1], pillow[1:-1, 1:-1], atol=1.0)


def test_low_pass_keeps_what_is_not_shrunk():
    images = noise(3, 20, 31)
    turned = rotation((20, 31), jnp.array([33.0, 90.0, 77.0]))
    zoomed = turned * jnp.array([0.99, 1.0, 1.3])[:, None, None]
    seen = low_pass(images, zoomed, 1.5)
    np.testing.assert_array_equal(seen[:2], images[:2])
    assert abs(np.asarray(seen[2]) - images[2]).max() > 20


def fine_pattern(x, y):
    """A picture that is known at every point: waves of 40, 9 and 2.6 pixels."""
    wide = 40 * np.sin(2 * np.pi * (x + y) / 40) + 40 * np.cos(2 * np.pi * (0.8 * x - 0.6 * y) / 9)
    return 128 + wide + 40 * np.sin(2 * np.pi * (0.6 * x + 0.8 * y) / 2.6)


@pytest.mark.parametrize(("factor", "degrees", "at_most"), [(1.43, 33.0, 2.6), (2.0, -60.0, 1.1), (2.7, 10.0, 0.6)])
def test_a_turned_and_shrunk_picture_is_that_of_a_finer_grid(factor, degrees, at_most):
    """The reference: 32 by 32 points of the pattern around each pixel, under Pillow's triangle, turned with it.

    Four pixels alone are 9, 15 and 18 grey levels away from it (root mean square).
    """
    centred = jnp.array([[factor, 0, 40 - 10 * factor], [0, factor, 40 - 10 * factor]], jnp.float32)
    matrices = geometry.compose(rotation((80, 80), jnp.array([degrees])), centred)
    place = ((np.arange(32) + 0.5) / 16 - 1 + np.arange(20)[:, None] + 0.5).ravel()
    share = np.minimum(np.arange(32) + 0.5, 31.5 - np.arange(32)) / 256
    grid = [*np.meshgrid(place, place), np.ones((640, 640))]
    x, y = np.einsum("ij,jrc->irc", np.asarray(matrices[0], np.float64), np.stack(grid))
    reference = np.einsum("aibj,i,j->ab", fine_pattern(x, y).reshape(20, 32, 20, 32), share, share)
    row, column = np.mgrid[:80, :80] + 0.5
    picture = np.round(fine_pattern(column, row)).astype(np.uint8)[None, ..., None]
    difference = shrunk(picture, matrices, (20, 20), factor)[0, ..., 0] - reference
    assert np.sqrt((difference**2).mean()) < at_most
