import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from skinjax.data.synthetic.photographs import Painter, encode
from skinjax.data.synthetic.settings import GENERATOR_VERSION, Settings


def test_draw_is_a_function_of_the_row_alone():
    settings = Settings(images=12, height=40, width=48)
    one, other = Painter(settings), Painter(settings)
    backwards = [one.draw(row) for row in reversed(range(12))][::-1]
    with ThreadPoolExecutor(3) as threads:
        threaded = list(threads.map(other.draw, range(12)))
    np.testing.assert_array_equal(threaded, backwards)
    assert len({image.tobytes() for image in threaded}) == 12


def test_a_larger_set_contains_the_smaller_one():
    def pictures(images):
        painter = Painter(Settings(images=images, height=32, width=32, imbalance=1.0))
        return {hashlib.sha256(painter.draw(row).tobytes()).digest() for row in range(images)}

    assert pictures(21) < pictures(63)


def test_another_seed_draws_other_pictures():
    first, second = (Painter(Settings(images=7, height=32, width=32, seed=seed)) for seed in (0, 1))
    assert not np.array_equal(first.draw(0), second.draw(0))


def test_the_generator_is_frozen():
    """Whoever changes what is drawn raises GENERATOR_VERSION, measures every table again, and then these numbers."""
    painter = Painter(Settings(images=7, imbalance=1.0))
    assert GENERATOR_VERSION == 1
    means = [painter.draw(row).mean((0, 1)) for row in np.argsort(painter.columns["label"])]
    expected = [
        [187.9, 132.4, 121.8],
        [221.5, 148.3, 125.4],
        [106.5, 67.5, 48.1],
        [230.3, 207.1, 183.3],
        [107.6, 64.9, 59.0],
        [211.8, 141.3, 120.3],
        [175.4, 128.3, 115.5],
    ]
    np.testing.assert_allclose(means, expected, atol=0.2)


@pytest.mark.parametrize(
    ("settings", "pictures", "columns"),
    [
        (Settings(images=28, height=32, width=40, imbalance=1.0), "c93104d7255651a4", "05dc975d3d4c22e9"),
        (Settings(images=28, height=48, width=33, imbalance=1.0, seed=5), "5b7de2c3722e5018", "c7c58811c4f6f10b"),
        (
            Settings(images=24, height=40, width=40, classes=8, imbalance=3, seed=2),
            "a5dcc4aa9c6960c9",
            "f49a3b032155f35b",
        ),
    ],
)
def test_every_picture_stays_as_it_is(settings, pictures, columns):
    """Small ones, averaged from larger: what another processor's matrix product rounds otherwise does not show."""
    painter = Painter(settings)
    drawn = b"".join(painter.draw(row).tobytes() for row in range(settings.images))
    table = b"".join(column.tobytes() for column in painter.columns.values())
    assert [hashlib.sha256(data).hexdigest()[:16] for data in (drawn, table)] == [pictures, columns]


@pytest.mark.parametrize("size", [(32, 32), (33, 57), (120, 40), (450, 600)])
def test_any_size(size):
    image = Painter(Settings(images=7, height=size[0], width=size[1])).draw(0)
    assert image.shape == (*size, 3)
    assert image.dtype == np.uint8
    assert image.std() > 5


@pytest.mark.parametrize(("size", "factor"), [((336, 448), 2), ((672, 896), 4)])
def test_a_large_picture_made_small_is_the_small_picture(size, factor):
    small = Painter(Settings(images=7)).draw(1)
    large = Painter(Settings(images=7, height=size[0], width=size[1])).draw(1)
    difference = np.asarray(Image.fromarray(large).reduce(factor), float) - small
    assert np.abs(difference).mean() < 2.5


def test_encode_keeps_the_picture():
    image = Painter(Settings(images=7)).draw(2)
    decoded = simplejpeg.decode_jpeg(encode(image))
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(float) - image).mean() < 3
