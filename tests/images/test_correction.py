import functools
import subprocess
import sys
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from skinjax.core.errors import UserError
from skinjax.data.synthetic import photographs as synthetic
from skinjax.data.synthetic.settings import Settings
from skinjax.images import correction
from skinjax.images.colour import NORMALISATIONS
from skinjax.images.correction import CORRECTIONS, corrected
from skinjax.images.views import ViewSettings, make_views
from tests.devices import environment_of_devices

RNG = np.random.default_rng(0)
SKIN = np.array([200, 150, 130])


def photographs(*pictures):
    """A batch of pictures [H, W, 3] or values [H, W], as bytes."""
    batch = np.stack(pictures)
    batch = batch if batch.ndim == 4 else np.repeat(batch[..., None], 3, -1)
    return np.clip(np.round(batch), 0, 255).astype(np.uint8)


def skin(height, width):
    return np.broadcast_to(SKIN, (height, width, 3))


def disc(height, width, centre, radius):
    """1 inside a circle, 0 outside: [height, width, 1]."""
    y, x = np.mgrid[:height, :width]
    return (np.hypot(y - centre[0], x - centre[1]) <= radius)[..., None]


# All of them


@functools.cache
def compiled(name):
    """A correction, compiled once for every shape."""
    return jax.jit(CORRECTIONS[name])


@pytest.mark.parametrize("name", CORRECTIONS)
def test_a_picture_is_corrected_the_same_in_any_batch(name):
    pictures = np.stack([with_lines(shaded_skin(40, 51), (50, 30, 20), widths=(1, 1)) for _ in range(5)])
    pictures[:, :, :6] //= 16  # a frame
    together = compiled(name)(pictures)
    assert together.shape == (5, 40, 51, 3)
    assert together.dtype == jnp.uint8
    assert np.all(np.any(together != pictures, (1, 2, 3)))
    np.testing.assert_array_equal(compiled(name)(pictures[2:4]), together[2:4])


@pytest.mark.parametrize("name", CORRECTIONS)
@pytest.mark.parametrize("size", [(8, 8), (1, 7)])
def test_tiny_pictures_keep_their_size(name, size):
    pictures = RNG.integers(0, 256, (2, *size, 3), dtype=np.uint8)
    assert compiled(name)(pictures).shape == (2, *size, 3)


@pytest.mark.parametrize("name", CORRECTIONS)
def test_black_stays_black(name):
    black = np.zeros((2, 40, 51, 3), np.uint8)
    np.testing.assert_array_equal(compiled(name)(black), black)


@pytest.mark.parametrize("name", sorted(set(CORRECTIONS) - {"gamma"}))
def test_an_even_grey_picture_needs_no_correction(name):
    grey = np.full((2, 40, 51, 3), 130, np.uint8)
    np.testing.assert_array_equal(compiled(name)(grey), grey)


def test_corrections_are_applied_in_order():
    pictures = photographs(skin(6, 9) * np.linspace(0.3, 1, 9)[:, None])
    expected = correction.gamma(correction.shades_of_grey(pictures))
    np.testing.assert_array_equal(corrected(["shades_of_grey", "gamma"])(pictures), expected)
    assert not np.array_equal(corrected(["gamma", "shades_of_grey"])(pictures), expected)
    assert corrected(())(pictures) is pictures


def test_an_unknown_correction_lists_the_known():
    with pytest.raises(UserError, match=r"unknown correction 'gama' \(did you mean 'gamma'\?\); known: even_illumin"):
        corrected(["gama"])


# In a run


def test_both_views_see_the_corrected_photographs():
    settings, normalisation = ViewSettings(size=(16, 16), train="none"), NORMALISATIONS["imagenet"]
    pictures = RNG.integers(0, 256, (2, 20, 24, 3), dtype=np.uint8)
    keys = jax.random.split(jax.random.key(0), 2)
    plain_train, plain_evaluation = make_views(settings, normalisation)
    settings = settings.replace(corrections=("shades_of_grey", "gamma"))
    train, evaluation = make_views(settings, normalisation)
    seen = correction.gamma(correction.shades_of_grey(pictures))
    np.testing.assert_array_equal(train(keys, pictures), plain_train(keys, seen))
    np.testing.assert_array_equal(evaluation(pictures), plain_evaluation(seen))
    assert not np.array_equal(evaluation(pictures), plain_evaluation(pictures))


def test_settings_with_a_mistaken_correction_are_refused():
    with pytest.raises(UserError, match="unknown correction 'remove_hairs'"):
        ViewSettings(corrections=("remove_hairs",))
    with pytest.raises(UserError, match=r"ViewSettings.corrections is \(3,\); it must be a tuple of names"):
        ViewSettings(corrections=(3,))


ON_FOUR_DEVICES = """
import jax, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from skinjax.images.correction import CORRECTIONS, corrected

pictures = np.random.default_rng(0).integers(0, 256, (8, 20, 22, 3), dtype=np.uint8)
correct = jax.jit(corrected(list(CORRECTIONS)))
spread = NamedSharding(jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,)), PartitionSpec("data"))
sharded = jax.device_put(pictures, spread)
program = correct.lower(sharded).compile().as_text()
assert not [word for word in ("all-gather", "all-reduce", "all-to-all", "collective-permute") if word in program]
assert correct(sharded).sharding.is_equivalent_to(spread, 4)
np.testing.assert_array_equal(correct(sharded), correct(pictures))
"""


def test_on_four_devices_each_keeps_its_pictures_also_in_64_bits():
    environment = environment_of_devices(4) | {"JAX_ENABLE_X64": "1"}
    result = subprocess.run(
        [sys.executable, "-c", ON_FOUR_DEVICES], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]


# Light and colour


def scipys_gaussian(value, sigma):
    spread = sigma * min(value.shape[1:])
    return gaussian_filter(value.astype(float), (0, spread, spread), mode="nearest")


def test_the_illumination_map_is_scipys_gaussian():
    noise = photographs(*RNG.uniform(0, 255, (2, 24, 20)))
    np.testing.assert_allclose(
        correction.illumination_map(noise, 0.25), scipys_gaussian(noise[..., 0], 0.25), atol=0.01
    )


def test_the_illumination_map_of_a_large_picture_is_nearly_so():
    y, x = np.mgrid[:100, :140]
    waves = photographs(120 + 70 * np.cos(x / 20) + 60 * np.sin((x + y) / 15))
    light, expected = correction.illumination_map(waves, 0.1), scipys_gaussian(waves[..., 0], 0.1)
    np.testing.assert_allclose(light, expected, atol=10)  # the mean of some border pixels is replicated, not the last
    np.testing.assert_allclose(light[:, 30:-30, 30:-30], expected[:, 30:-30, 30:-30], atol=1)


def test_uneven_light_is_made_even_and_keeps_the_hue():
    x, y = np.meshgrid(np.linspace(-1, 1, 120), np.linspace(-1, 1, 90))
    lit = photographs(skin(90, 120) * (0.7 + 0.2 * x - 0.1 * y)[..., None])
    even = np.asarray(correction.even_illumination(lit)).astype(float)
    assert lit[..., 0].std() > 22
    assert even[..., 0].std() < 8
    np.testing.assert_allclose(
        even[..., 1:] / even[..., :1], np.broadcast_to([0.75, 0.65], even[..., 1:].shape), atol=0.02
    )


def test_a_large_picture_in_even_light_stays_as_it_is():
    white = np.full((1, 1500, 1500, 3), 255, np.uint8)  # the sum of its values is beyond 32 bits
    assert np.array_equal(correction.even_illumination(white), white)


def test_light_is_not_evened_beyond_white():
    lit = photographs(np.where(disc(40, 40, (20, 20), 8), [250, 100, 50], [60, 24, 12]))
    even = np.asarray(correction.even_illumination(lit, sigma=0.5)).astype(float)
    np.testing.assert_allclose(even[..., 1] / even[..., 0], 0.4, atol=0.02)


def test_gamma_of_some_levels():
    levels = np.array([0, 1, 64, 128, 255])
    pictures = photographs(np.broadcast_to(levels, (1, 5)))
    assert correction.gamma(pictures, 1.0)[0, 0, :, 0].tolist() == levels.tolist()
    assert correction.gamma(pictures, 2.0)[0, 0, :, 0].tolist() == [0, 16, 128, 181, 255]  # 255 * sqrt(level / 255)
    assert correction.gamma(pictures, 0.5)[0, 0, :, 0].tolist() == [0, 0, 16, 64, 255]  # 255 * (level / 255) ** 2
    assert correction.gamma(pictures)[0, 0, :, 0].tolist() == [0, 4, 92, 153, 255]
    assert [
        correction.gamma(photographs([[32, 64, 128, 192]]), gamma)[0, 0, :, 0].tolist() for gamma in (1.2, 1.35, 1.5)
    ] == [[45, 81, 144, 201], [55, 92, 153, 207], [64, 101, 161, 211]]
    with pytest.raises(UserError, match=r"the gamma is 0; it must be a positive number like 1\.35"):
        correction.gamma(pictures, 0)


@pytest.mark.parametrize("p", [1.0, 6.0, 3.5, np.inf])
def test_shades_of_grey_is_the_formula(p):
    pictures = (
        RNG.integers(0, 256, (3, 30, 41, 3)) * np.array([[1, 1, 1], [1, 0.6, 0.3], [0.1, 0.05, 0.02]])[:, None, None]
    )
    pictures = photographs(*pictures)
    share = pictures / 255
    light = share.max((1, 2)) if np.isinf(p) else (share**p).mean((1, 2)) ** (1 / p)
    gain = np.linalg.norm(light, axis=-1, keepdims=True) / np.sqrt(3) / light
    expected = np.clip(np.round(pictures * gain[:, None, None]), 0, 255)
    np.testing.assert_allclose(correction.shades_of_grey(pictures, p), expected, atol=1)


def test_shades_of_grey_leaves_what_is_neutral_and_mends_a_cast():
    neutral = RNG.integers(0, 200, (1, 30, 40, 1), dtype=np.uint8).repeat(3, -1)
    np.testing.assert_array_equal(correction.shades_of_grey(neutral), neutral)
    mended = np.asarray(correction.shades_of_grey(photographs(*neutral * [1.2, 1.0, 0.8]))).astype(float)
    assert np.abs(mended - mended[..., :1]).max() <= 2
    red = photographs(np.broadcast_to([90, 0, 0], (4, 4, 3)))
    assert correction.shades_of_grey(red)[..., 1:].max() == 0
    with pytest.raises(UserError, match="the p of shades of grey is 0; it must be a number from 1 on"):
        correction.shades_of_grey(red, 0)


# Field of view

FRAMES = {
    "circle": disc(90, 120, (45, 60), 54),
    "circle off the centre": disc(90, 120, (52, 70), 50),
    "letter box": np.pad(np.ones((60, 120, 1)), ((15, 15), (0, 0), (0, 0))),
    "one side": np.pad(np.ones((90, 100, 1)), ((0, 0), (20, 0), (0, 0))),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_a_dark_frame_is_cropped_away(frame):
    lesion = disc(90, 120, (45, 60), 12)
    framed = photographs(np.where(frame, np.where(lesion, [90, 60, 50], SKIN), [8, 6, 7]))
    crop = np.asarray(compiled("field_of_view_crop")(framed))
    assert crop[..., 0].min() >= 80
    enlarged = (crop[..., 0] < 145).sum() / lesion.sum()
    largest = 120 * 90 / (4 / 3 * frame.sum())  # no window of this picture's shape holds more than the field
    assert 1.05 < enlarged < 4
    assert enlarged >= largest * 0.9


@pytest.mark.parametrize(
    "picture",
    [
        skin(90, 120),
        np.where(disc(90, 120, (45, 60), 25), [20, 12, 10], SKIN),  # a black lesion
        np.where(disc(90, 120, (45, 60), 20), SKIN, 0),  # nothing but a keyhole
        RNG.integers(0, 256, (90, 120, 3)),
    ],
    ids=["skin", "lesion", "keyhole", "noise"],
)
def test_without_a_frame_no_bit_changes(picture):
    np.testing.assert_array_equal(compiled("field_of_view_crop")(photographs(picture)), photographs(picture))


def test_each_picture_has_its_own_window():
    framed = photographs(*[np.where(frame, SKIN, 5) for frame in FRAMES.values()], skin(90, 120))
    crops = np.asarray(compiled("field_of_view_crop")(framed))
    np.testing.assert_array_equal(crops[-1], framed[-1])
    assert crops[..., 0].min() > 190


def test_zoom_shows_the_middle():
    pictures = RNG.integers(0, 256, (2, 16, 24, 3), dtype=np.uint8)
    np.testing.assert_array_equal(correction.zoom(pictures, 1), pictures)
    middle = np.asarray(correction.zoom(pictures, 2)).astype(float)
    # The mean of each two by two pixels of a picture enlarged bilinearly, away from its border, is near the pixel.
    small = middle.reshape(2, 8, 2, 12, 2, 3).mean((2, 4))
    blurred = gaussian_filter(pictures.astype(float), (0, 0.5, 0.5, 0))[:, 4:12, 6:18]
    assert np.corrcoef(small.ravel(), blurred.ravel())[0, 1] > 0.98
    with pytest.raises(UserError, match=r"the zoom is 0.5; it must be a number from 1 on"):
        correction.zoom(pictures, 0.5)


# Hairs


def with_lines(picture, colour, widths=(1, 2, 3, 4)):
    """A picture with a bent line of each width across it."""
    image = Image.fromarray(picture)
    height, width = picture.shape[:2]
    for i, thickness in enumerate(widths):
        top = (0.1 + 0.22 * i) * height
        points = [(0, top), (0.4 * width, top + 0.1 * height), (width, top + 0.08 * height)]
        ImageDraw.Draw(image).line(points, fill=colour, width=thickness, joint="curve")
    return np.array(image)


def shaded_skin(height=160, width=200):
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    shade = 0.85 + 0.1 * x - 0.05 * y - 0.4 * np.exp(-3 * (x**2 + y**2))  # a soft lesion in the middle
    return photographs(skin(height, width) * shade[..., None] + RNG.normal(0, 2, (height, width, 3)))[0]


def without_hair(pictures):
    """Four pictures at a time, for which it is compiled once."""
    return np.concatenate([compiled("remove_hair")(four) for four in np.split(pictures, len(pictures) // 4)])


def test_dark_hairs_are_replaced_by_the_skin_around_them():
    bald = shaded_skin()
    hairy = with_lines(bald, (50, 35, 30))
    cleaned = without_hair(np.stack([hairy] * 4))[0].astype(float)
    hairs = np.any(hairy != bald, -1)
    assert np.abs(hairy[hairs] - bald.astype(float)[hairs]).mean() > 70
    assert np.abs(cleaned - bald)[hairs].mean() < 5
    assert np.abs(cleaned - bald)[hairs].max() < 40
    far = ~np.asarray(correction._dilate(correction._dilate(correction._dilate(hairs[None]))))[0]
    np.testing.assert_array_equal(cleaned[far], bald[far])


def test_what_is_no_dark_hair_stays():
    bald = shaded_skin()
    y, x = np.mgrid[:160, :200]
    network = bald * (1 - 0.25 * (np.maximum(np.cos(y), np.cos(x + y / 2)) > 0.6)[..., None])  # a mesh, period 6
    dots = bald * (1 - 0.6 * ((y % 16 < 4) & (x % 16 < 4))[..., None])
    pictures = photographs(bald, with_lines(bald, (250, 240, 235)), dots, network)
    changed = np.any(without_hair(pictures) != pictures, -1).mean((1, 2))
    assert changed[:3].tolist() == [0, 0, 0]
    assert changed[3] < 0.02


@pytest.fixture(scope="module")
def drawn():
    """Synthetic photographs of all classes as they are and without hairs, and which of them have dark hairs."""
    painter = synthetic.Painter(Settings(images=16, height=160, width=200, imbalance=1.0, seed=1))
    hairs_drawn = []

    def draw_none(layers, view, rng):
        as_they_are = {name: layer.copy() for name, layer in layers.items()}
        DRAW_HAIRS(layers, view, rng)  # draws from the same generator what would come after
        hairs_drawn.append(not np.array_equal(layers["melanin"], as_they_are["melanin"]))
        layers.update(as_they_are)

    hairy = np.stack([painter.draw(row) for row in range(16)])
    with mock.patch.object(synthetic, "draw_hairs", draw_none):
        bald = np.stack([painter.draw(row) for row in range(16)])
    return hairy, bald, np.array(hairs_drawn)


DRAW_HAIRS = synthetic.draw_hairs


def test_hairs_of_synthetic_photographs(drawn):
    hairy, bald, dark = drawn
    cleaned = without_hair(hairy).astype(float)
    change = np.abs(hairy.astype(float) - bald).max(-1)
    hairs = (change >= 15) & dark[:, None, None]
    assert hairs.mean(where=dark[:, None, None]) > 0.005
    before, after = (np.abs(pictures - bald)[hairs].mean() for pictures in (hairy.astype(float), cleaned))
    assert after < before / 5
    untouched = change == 0
    assert np.abs(cleaned - bald)[untouched].mean() < 0.4
    # And the lesions keep their networks, ridges and dots.
    assert np.any(without_hair(bald) != bald, -1).mean() < 0.01
