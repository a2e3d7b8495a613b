import hashlib
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from skinjax.core.errors import UserError
from skinjax.data.synthetic import photographs as synthetic
from skinjax.data.synthetic.photographs import Painter, Settings, class_counts, class_names, encode, plan


def test_class_names():
    assert class_names(7) == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    assert class_names(2) == ("class_000", "class_001")


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        (Settings(images=10015), [327, 514, 1099, 115, 1113, 6705, 142]),
        (Settings(images=1500), [49, 77, 165, 17, 167, 1004, 21]),
        (Settings(images=30), [3, 3, 3, 3, 3, 12, 3]),
        (Settings(images=21), [3, 3, 3, 3, 3, 3, 3]),
        (Settings(images=700, imbalance=1.0), [100] * 7),
        (Settings(images=127, imbalance=64), [4, 7, 15, 3, 31, 64, 3]),
        (Settings(images=15, classes=4, imbalance=8), [6, 3, 3, 3]),
        (Settings(images=150, classes=4, imbalance=8), [80, 40, 20, 10]),
        (Settings(images=3, classes=2), [2, 1]),
    ],
)
def test_class_counts(settings, counts):
    assert class_counts(settings).tolist() == counts


def test_invented_classes_take_the_ratio_of_ham10000():
    counts = class_counts(Settings(images=100_000, classes=20))
    assert counts[0] / counts[-1] == pytest.approx(6705 / 115, rel=0.01)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": 1}, "classes is 1"),
        ({"classes": 257}, "classes is 257"),
        ({"images": 6}, "images is 6"),
        ({"height": 31}, "size is 31x224"),
        ({"width": 0}, "size is 168x0"),
        ({"seed": -1}, "seed is -1"),
        ({"imbalance": "ham"}, "imbalance is 'ham'"),
        ({"imbalance": 0.5}, "imbalance is 0.5"),
        ({"imbalance": float("nan")}, "imbalance is nan"),
    ],
)
def test_bad_settings_are_named(change, words):
    with pytest.raises(UserError, match=words):
        Settings(**change)


def test_plan_columns():
    columns = plan(Settings(images=1500))
    assert {name: column.dtype.kind for name, column in columns.items()} == {
        **dict.fromkeys(("image_id", "group", "dx_type", "sex", "site"), "U"),
        "label": "i",
        "age": "f",
    }
    assert (columns["label"].dtype, columns["age"].dtype) == (np.int32, np.float32)
    assert {len(column) for column in columns.values()} == {1500}
    assert columns["image_id"][[0, 123]].tolist() == ["synthetic_0000000", "synthetic_0000123"]
    assert np.bincount(columns["label"]).tolist() == [49, 77, 165, 17, 167, 1004, 21]


def test_everything_but_the_photograph_belongs_to_the_lesion():
    columns = plan(Settings(images=1500, seed=3))
    described = zip(*(columns[name] for name in ("group", "label", "dx_type", "age", "sex", "site")), strict=True)
    assert len(set(described)) == len(set(columns["group"]))


def test_lesions_have_one_to_four_photographs_about_as_often_as_in_ham10000():
    photographs = Counter(plan(Settings(images=10015))["group"].tolist())
    assert set(photographs.values()) == {1, 2, 3, 4}
    assert len(photographs) == pytest.approx(7470, rel=0.03)


@pytest.mark.parametrize("settings", [Settings(images=21), Settings(images=60, classes=20), Settings(images=1500)])
def test_every_class_has_three_lesions(settings):
    columns = plan(settings)
    for label in range(settings.classes):
        assert len(set(columns["group"][columns["label"] == label])) >= 3


def test_dx_type_follows_ham10000():
    columns = plan(Settings(images=10015))
    shares = {}
    for label, name in enumerate(class_names(7)):
        of_class = columns["dx_type"][columns["label"] == label]
        shares[name] = {str(kind): count / len(of_class) for kind, count in Counter(of_class).items()}
    assert shares["akiec"] == shares["bcc"] == shares["mel"] == {"histo": 1.0}
    assert shares["nv"] == pytest.approx({"follow_up": 0.55, "histo": 0.37, "consensus": 0.08}, abs=0.03)
    assert shares["bkl"] == pytest.approx({"histo": 0.70, "consensus": 0.24, "confocal": 0.06}, abs=0.06)
    assert set(shares["df"]) == set(shares["vasc"]) == {"histo", "consensus"}


def test_row_order_says_nothing_about_the_class():
    labels = plan(Settings(images=1400, imbalance=1.0))["label"]
    for half in (labels[:700], labels[700:]):
        assert np.bincount(half).tolist() == pytest.approx([100] * 7, abs=25)


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
    assert synthetic.GENERATOR_VERSION == 1
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
        (Settings(images=24, height=40, width=40, classes=8, imbalance=3, seed=2), "a5dcc4aa9c6960c9", "f49a3b032155f35b"),
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


@pytest.mark.parametrize("name", ["network", "fine_network", "red_network", "labyrinth", "ridges", "globules"])
def test_fine_structures_vanish_at_a_quarter_of_the_size(name):
    rng = np.random.default_rng(0)
    view = synthetic.View.random(168, 224, rng)
    pattern = synthetic.STRUCTURES[name].pattern(view, 0.3, rng)
    quarter = np.asarray(Image.fromarray(pattern).resize((56, 42), Image.Resampling.BILINEAR))
    assert pattern.std() > 0.3
    assert quarter.std() < 0.45 * pattern.std()


def test_waves_and_blobs_are_what_they_say():
    view = synthetic.View.random(24, 32, np.random.default_rng(0))
    vectors, phases, weights = np.array([[3.0, -5.0], [20.0, 8.0]]), np.array([0.3, 2.0]), np.array([1.0, 0.4])
    photograph = np.stack(np.meshgrid(view.x, view.y), -1)
    position = (photograph - view.shift) @ np.linalg.inv(view.turn).T
    expected = (weights * np.cos(position @ vectors.T + phases)).sum(-1)
    np.testing.assert_allclose(view.waves((vectors, phases, weights)), expected, atol=1e-4)
    centre, radius = np.array([0.1, -0.05]), 0.08
    expected = 0.7 * np.exp(-((position - centre) ** 2).sum(-1) / (2 * radius**2))
    blob = view.blobs(centre[None], np.array([radius]), np.array([0.7]))
    np.testing.assert_allclose(blob, expected, atol=1e-5)


def test_invented_classes_differ():
    recipes = [synthetic._invent(number) for number in range(synthetic.MOST_CLASSES)]
    assert len({repr(recipe) for recipe in recipes}) == synthetic.MOST_CLASSES
    assert Painter(Settings(images=9, classes=3, height=32, width=32)).draw(8).shape == (32, 32, 3)


def test_encode_keeps_the_picture():
    image = Painter(Settings(images=7)).draw(2)
    decoded = simplejpeg.decode_jpeg(encode(image))
    assert decoded.shape == image.shape
    assert np.abs(decoded.astype(float) - image).mean() < 3


def test_drawing_needs_no_jax():
    code = "import sys, skinjax.data.synthetic.photographs; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
