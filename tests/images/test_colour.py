import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance

from skinjax.images import colour

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 12, 10, 3)).astype(np.float32)
PICTURES[:, :2] = PICTURES[:, :2, :, :1]  # greys
PICTURES[:, 2] = 0
PICTURES[:, 3] = 255
FACTORS = jnp.array([0.4, 1.0, 1.7])


@pytest.mark.parametrize(
    ("change", "enhancer"),
    [
        (colour.scale_brightness, ImageEnhance.Brightness),
        (colour.scale_contrast, ImageEnhance.Contrast),
        (colour.scale_saturation, ImageEnhance.Color),
    ],
)
def test_changes_are_pillows_within_its_rounding(change, enhancer):
    expected = [
        np.asarray(enhancer(Image.fromarray(picture.astype(np.uint8))).enhance(float(factor)))
        for picture, factor in zip(PICTURES, FACTORS, strict=True)
    ]
    changed = np.asarray(change(jnp.asarray(PICTURES), FACTORS))
    np.testing.assert_allclose(changed, expected, atol=1.5)
    np.testing.assert_allclose(changed[1], PICTURES[1], atol=1e-4)


def test_changes_of_one_pixel():
    pixel = jnp.array([100.0, 50.0, 200.0]).reshape(1, 1, 1, 3)  # grey: 29.9 + 29.35 + 22.8 = 82.05
    half = jnp.array([0.5])
    np.testing.assert_allclose(colour.grey(pixel).ravel(), [82.05], rtol=1e-6)
    np.testing.assert_allclose(colour.scale_brightness(pixel, 3 * half).ravel(), [150, 75, 255])
    np.testing.assert_allclose(colour.scale_contrast(pixel, half).ravel(), [91, 66, 141])
    np.testing.assert_allclose(colour.scale_saturation(pixel, half).ravel(), [91.025, 66.025, 141.025], rtol=1e-6)


def test_hue_is_colorsys():
    shifts = np.array([0.23, -0.41, 0.5])
    expected = np.empty(PICTURES.shape)
    for place in np.ndindex(PICTURES.shape[:3]):
        hue, saturation, value = colorsys.rgb_to_hsv(*(PICTURES[place] / 255).tolist())
        expected[place] = colorsys.hsv_to_rgb((hue + shifts[place[0]]) % 1, saturation, value)
    shifted = colour.shift_hue(jnp.asarray(PICTURES), jnp.asarray(shifts, jnp.float32))
    np.testing.assert_allclose(shifted, expected * 255, atol=2e-3)
    np.testing.assert_array_equal(shifted[:, :4], PICTURES[:, :4])


def test_jitter_draws_within_its_limits_for_each_picture():
    keys = jax.random.split(jax.random.key(0), 400)
    white = jnp.full((400, 1, 1, 3), 100.0)
    factors = np.asarray(colour.colour_jitter(keys, white, brightness=0.3))[:, 0, 0, 0] / 100
    assert 0.7 <= factors.min() < 0.71
    assert 1.29 < factors.max() <= 1.3
    assert np.asarray(colour.colour_jitter(keys, white, brightness=1.5)).min() >= 0


def test_jitter_of_strength_zero_is_not_built():
    keys = jax.random.split(jax.random.key(0), 3)
    pictures = jnp.asarray(PICTURES)
    np.testing.assert_array_equal(colour.colour_jitter(keys, pictures), PICTURES)
    alone = colour.colour_jitter(keys, pictures, saturation=0.2)
    tiny = colour.colour_jitter(keys, pictures, brightness=1e-12, saturation=0.2)
    np.testing.assert_allclose(alone, tiny, atol=1e-4)  # the others draw what they drew before


def test_lighting_by_hand():
    """fastai's (im - mean) c + mean + b, in parts of 255: two pixels whose mean is 102, or 0.4."""
    pictures = jnp.broadcast_to(jnp.array([[51.0, 51, 51], [153, 153, 153]]).reshape(1, 1, 2, 3), (400, 1, 2, 3))
    lit = np.asarray(colour.lighting(jax.random.split(jax.random.key(0), 400), pictures, 0.05), np.float64)
    np.testing.assert_array_equal(lit, np.broadcast_to(lit[..., :1], lit.shape))
    dark, bright = lit[:, 0, 0, 0], lit[:, 0, 1, 0]
    light, contrast = (dark + bright) / 2 - 102, (bright - dark) / 102
    assert -12.751 <= light.min() < -12.3
    assert 12.3 < light.max() <= 12.751
    assert 1 / 1.05 - 1e-5 <= contrast.min() < 0.957
    assert 1.045 < contrast.max() <= 1.05001
    assert abs(np.corrcoef(light, contrast)[0, 1]) < 0.15


def test_light_stays_within_the_range():
    pictures = jnp.broadcast_to(jnp.array([0.0, 255.0]).reshape(1, 1, 2, 1), (50, 1, 2, 3))
    lit = colour.lighting(jax.random.split(jax.random.key(0), 50), pictures, 0.05)
    assert (lit.min(), lit.max()) == (0, 255)


def test_normalise():
    images = jnp.array([[[[0, 51, 255]]]], jnp.uint8)
    assert colour.normalise(images, *colour.NORMALISATIONS["unit"]).ravel().tolist() == pytest.approx([0, 0.2, 1])
    assert colour.normalise(images, *colour.NORMALISATIONS["half"]).ravel().tolist() == pytest.approx([-1, -0.6, 1])
    imagenet = colour.normalise(images, *colour.NORMALISATIONS["imagenet"])
    assert imagenet.dtype == jnp.float32
    assert imagenet.ravel().tolist() == pytest.approx([-0.485 / 0.229, (0.2 - 0.456) / 0.224, (1 - 0.406) / 0.225])
    assert colour.normalise(images, *colour.NORMALISATIONS["skin7"], dtype=jnp.bfloat16).dtype == jnp.bfloat16


@pytest.mark.parametrize("name", colour.NORMALISATIONS)
def test_normalised_pictures_come_back_to_their_bytes(name):
    images = np.arange(256 * 3, dtype=np.uint8).reshape(1, 16, 16, 3)
    normalised = np.asarray(colour.normalise(images, *colour.NORMALISATIONS[name]))
    np.testing.assert_array_equal(colour.to_bytes(normalised, colour.NORMALISATIONS[name]), images)
    np.testing.assert_array_equal(colour.to_bytes(images, colour.NORMALISATIONS[name]), images)
