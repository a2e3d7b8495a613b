import pytest

from skinjax.core.errors import UserError
from skinjax.data.synthetic.settings import Settings, class_counts, class_names


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
        ({"height": 31}, "height is 31"),
        ({"width": 0}, "width is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"imbalance": "ham"}, "imbalance is 'ham'"),
        ({"imbalance": 0.5}, "imbalance is 0.5"),
        ({"imbalance": float("nan")}, "imbalance is nan"),
    ],
)
def test_bad_settings_are_named(change, words):
    with pytest.raises(UserError, match=words):
        Settings(**change)
