import dataclasses
import functools
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from skinjax.core.errors import UserError
from skinjax.images import views
from skinjax.images.colour import NORMALISATIONS
from tests.devices import environment_of_devices

IMAGES = np.random.default_rng(0).integers(0, 256, (7, 44, 52, 3), dtype=np.uint8)
KEYS = views.example_keys(jax.random.key(3), jnp.arange(7))
SIZE = (28, 36)


@pytest.mark.parametrize("name", sorted(views.VIEWS))
def test_a_picture_is_augmented_the_same_in_any_batch(name):
    show = jax.jit(views.train_view(views.VIEWS[name], SIZE, NORMALISATIONS["imagenet"]))
    together = np.asarray(show(KEYS, IMAGES))
    patches = (9,) if views.VIEWS[name].ordered else ()
    assert together.shape == (7, *patches, *SIZE, 3)
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    np.testing.assert_array_equal(show(KEYS[2:5], IMAGES[2:5]), together[2:5])


def test_compilation_changes_no_pixel():
    """Compilers recompute numbers with other roundings; no pixel may then fall to another neighbour or hue."""
    show = views.train_view(views.VIEWS["skin7_group"], SIZE, NORMALISATIONS["unit"])
    np.testing.assert_allclose(jax.jit(show)(KEYS[:4], IMAGES[:4]), show(KEYS[:4], IMAGES[:4]), atol=1e-3)


def test_keys_belong_to_positions():
    key = jax.random.key(3)
    np.testing.assert_array_equal(
        jax.random.key_data(views.example_keys(key, jnp.array([5, 2]))), jax.random.key_data(KEYS[jnp.array([5, 2])])
    )
    assert len(np.unique(jax.random.key_data(KEYS), axis=0)) == 7


def test_plain_is_a_flipped_slice():
    show = views.train_view(views.VIEWS["plain"], SIZE, NORMALISATIONS["unit"])
    for picture, shown in zip(IMAGES, np.asarray(show(KEYS, IMAGES)), strict=True):
        bytes_shown = np.round(shown * 255).astype(np.uint8)
        windows = [
            flipped[top : top + SIZE[0], left : left + SIZE[1]]
            for flipped in (picture, picture[::-1], picture[:, ::-1], picture[::-1, ::-1])
            for top in range(17)
            for left in range(17)
        ]
        assert any(np.array_equal(bytes_shown, window) for window in windows)


def test_the_view_none_is_the_evaluation_view_squash():
    trained = views.train_view(views.VIEWS["none"], SIZE, NORMALISATIONS["imagenet"])(KEYS, IMAGES)
    np.testing.assert_array_equal(trained, views.evaluation_view("squash", SIZE, NORMALISATIONS["imagenet"])(IMAGES))


def test_downsampling_flips_the_squashed_picture():
    shown = np.asarray(
        views.train_view(views.View((views.flips(1.0, 0.0),)), SIZE, NORMALISATIONS["unit"])(KEYS, IMAGES)
    )
    squashed = np.asarray(views.evaluation_view("squash", SIZE, NORMALISATIONS["unit"])(IMAGES))
    np.testing.assert_array_equal(shown, squashed[:, :, ::-1])


@pytest.mark.parametrize("stored", [(44, 52), (20, 26)])
def test_a_window_is_stretched_as_pillow_does(stored):
    """Flipped, and the whole picture: the only window of its area and ratio."""
    images = np.ascontiguousarray(IMAGES[:, : stored[0], : stored[1]])
    window = views.resized_crop((1.0, 1.0), (stored[1] / stored[0], stored[1] / stored[0]))
    shown = views.train_view(views.View((views.flips(1.0, 0.0),), window), (22, 24), NORMALISATIONS["unit"])(
        KEYS, images
    )
    pillow = [
        np.asarray(Image.fromarray(image[:, ::-1]).resize((24, 22), Image.Resampling.BILINEAR)) for image in images
    ]
    np.testing.assert_allclose(np.asarray(shown) * 255, pillow, atol=1.01)


def test_what_is_turned_and_shrunk_is_antialiased():
    stripes = np.broadcast_to(np.where(np.arange(52) % 2, 200, 0)[:, None], (7, 44, 52, 3)).astype(np.uint8)
    view = views.View((views.rotation(180.0), views.affine(0.0, scale=(0.5, 0.5))), views.RANDOM_CROP)
    shown = np.asarray(views.train_view(view, (44, 52), NORMALISATIONS["unit"])(KEYS, stripes)) * 255
    np.testing.assert_allclose(shown[:, 18:26, 20:32], 100, atol=1e-3)


def test_turns_and_flips_turns_by_ten_degrees_at_most_and_flips_either_way():
    """The place of a bright dot, 24 pixels right of the centre and 8 above it, says by how much and whether."""
    image = np.zeros((1, 65, 65, 3), np.uint8)
    image[0, 23:26, 55:58] = 255
    images = np.repeat(image, 200, axis=0)
    keys = views.example_keys(jax.random.key(3), jnp.arange(200))
    show = views.train_view(views.VIEWS["turns_and_flips"], (65, 65), NORMALISATIONS["unit"])
    shown = np.asarray(jax.jit(show)(keys, images))
    light = shown.sum(axis=-1)
    y, x = (np.sum(light * axis, axis=(1, 2)) / light.sum(axis=(1, 2)) - 32 for axis in np.mgrid[:65, :65])
    off = np.degrees(np.arctan2(np.abs(y), np.abs(x)) - np.arctan2(8, 24))
    assert np.abs(off).max() < 10.5
    assert np.abs(off).max() > 8
    assert {(a, b) for a, b in zip(np.sign(x), np.sign(y), strict=True)} == {(-1, -1), (-1, 1), (1, -1), (1, 1)}


def test_side_on_is_the_picture_or_its_mirror_image_where_nothing_else_is_drawn():
    """At the stored size a quarter are not turned and a quarter not zoomed; the light is left out."""
    view = dataclasses.replace(views.VIEWS["side_on"], colour=views.colour_jitter)
    pictures = np.broadcast_to(IMAGES[:1, :, :44], (400, 44, 44, 3))
    keys = views.example_keys(jax.random.key(0), jnp.arange(400))
    shown = np.round(
        np.asarray(jax.jit(views.train_view(view, (44, 44), NORMALISATIONS["unit"]))(keys, pictures)) * 255
    )
    upright, mirrored = ((shown == picture).all((1, 2, 3)).mean() for picture in (pictures[0], pictures[0, :, ::-1]))
    assert upright == pytest.approx(1 / 32, abs=0.02)
    assert mirrored == pytest.approx(1 / 32, abs=0.02)


def test_side_on_lights_a_grey_picture_evenly_and_shows_nothing_black():
    """Its mean is moved by at most .05 of the range, and its corners are no darker than its middle."""
    grey = np.full((200, 50, 60, 3), 128, np.uint8)
    keys = views.example_keys(jax.random.key(1), jnp.arange(200))
    shown = np.asarray(jax.jit(views.train_view(views.VIEWS["side_on"], (20, 20), NORMALISATIONS["unit"]))(keys, grey))
    np.testing.assert_allclose(shown, np.broadcast_to(shown[:, 10:11, 10:11], shown.shape), atol=1e-5)
    light = shown.mean((1, 2, 3)) - 128 / 255
    assert -0.0501 < light.min() < -0.047
    assert 0.047 < light.max() < 0.0501


def test_colour_does_not_depend_on_the_geometry():
    jitter = functools.partial(views.colour_jitter, brightness=0.4)
    white = np.full((7, 44, 52, 3), 128, np.uint8)
    still = views.train_view(views.View((), None, jitter), SIZE, NORMALISATIONS["unit"])(KEYS, white)
    moved = views.train_view(views.View((views.flips(),), views.RANDOM_CROP, jitter), SIZE, NORMALISATIONS["unit"])(
        KEYS, white
    )
    np.testing.assert_array_equal(still, moved)
    assert len(np.unique(np.asarray(still)[:, 0, 0, 0])) == 7


def test_squash_shows_the_whole_picture():
    mean, std = NORMALISATIONS["imagenet"]
    pillow = np.stack(
        [np.asarray(Image.fromarray(image).resize((36, 28), Image.Resampling.BILINEAR)) for image in IMAGES]
    )
    shown = views.evaluation_view("squash", SIZE, NORMALISATIONS["imagenet"])(IMAGES)
    np.testing.assert_allclose(np.asarray(shown) * std + mean, pillow / 255, atol=1.01 / 255)


def test_centre_crop_shows_the_middle():
    shown = views.evaluation_view("centre_crop", SIZE, NORMALISATIONS["unit"])(IMAGES)
    np.testing.assert_allclose(shown, IMAGES[:, 8:36, 8:44] / 255, atol=1e-7)
    cut = views.evaluation_view("centre_crop", (14, 18), NORMALISATIONS["unit"], crop=SIZE)(IMAGES)
    middle = np.ascontiguousarray(IMAGES[:, 8:36, 8:44])
    np.testing.assert_array_equal(cut, views.evaluation_view("squash", (14, 18), NORMALISATIONS["unit"])(middle))


def test_mistakes_name_what_is_known():
    with pytest.raises(UserError, match="known: half, imagenet, skin7, unit"):
        views.ViewSettings(normalisation="imagnet")
    with pytest.raises(UserError, match="known: centre_crop, ordered_crop, squash"):
        views.evaluation_view("center", SIZE, NORMALISATIONS["unit"])
    with pytest.raises(UserError, match=r"64x64 .* stored at 44x52"):
        views.train_view(views.VIEWS["plain"], (64, 64), NORMALISATIONS["unit"])(KEYS, IMAGES)


ON_FOUR_DEVICES = """
from skinjax.images.colour import NORMALISATIONS
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from skinjax.images import views

images = np.random.default_rng(0).integers(0, 256, (8, 20, 22, 3), dtype=np.uint8)
keys = views.example_keys(jax.random.key(0), jnp.arange(8))
spread = NamedSharding(jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,)), PartitionSpec("data"))
sharded = jax.device_put((keys, images), spread)
for name in ("skin7_group", "single_crop"):
    show = jax.jit(views.train_view(views.VIEWS[name], (12, 12), NORMALISATIONS["imagenet"]))
    program = show.lower(*sharded).compile().as_text()
    assert not [word for word in ("all-gather", "all-reduce", "all-to-all", "collective-permute") if word in program]
    assert show(*sharded).sharding.is_equivalent_to(spread, 4)
    np.testing.assert_array_equal(show(*sharded), show(keys, images))
"""


def test_on_four_devices_each_keeps_its_pictures():
    result = subprocess.run(
        [sys.executable, "-c", ON_FOUR_DEVICES],
        env=environment_of_devices(4),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr[-2000:]
