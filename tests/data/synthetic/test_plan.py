from collections import Counter

import numpy as np
import pytest

from skinjax.data.synthetic.plan import plan
from skinjax.data.synthetic.settings import Settings, class_names


def test_plan_columns():
    columns = plan(Settings(images=1500))[0]
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
    columns = plan(Settings(images=1500, seed=3))[0]
    described = zip(*(columns[name] for name in ("group", "label", "dx_type", "age", "sex", "site")), strict=True)
    assert len(set(described)) == len(set(columns["group"]))


def test_lesions_have_one_to_four_photographs_about_as_often_as_in_ham10000():
    photographs = Counter(plan(Settings(images=10015))[0]["group"].tolist())
    assert set(photographs.values()) == {1, 2, 3, 4}
    assert len(photographs) == pytest.approx(7470, rel=0.03)


@pytest.mark.parametrize("settings", [Settings(images=21), Settings(images=60, classes=20), Settings(images=1500)])
def test_every_class_has_three_lesions(settings):
    columns = plan(settings)[0]
    for label in range(settings.classes):
        assert len(set(columns["group"][columns["label"] == label])) >= 3


def test_dx_type_follows_ham10000():
    columns = plan(Settings(images=10015))[0]
    shares = {}
    for label, name in enumerate(class_names(7)):
        of_class = columns["dx_type"][columns["label"] == label]
        shares[name] = {str(kind): count / len(of_class) for kind, count in Counter(of_class).items()}
    assert shares["akiec"] == shares["bcc"] == shares["mel"] == {"histo": 1.0}
    assert shares["nv"] == pytest.approx({"follow_up": 0.55, "histo": 0.37, "consensus": 0.08}, abs=0.03)
    assert shares["bkl"] == pytest.approx({"histo": 0.70, "consensus": 0.24, "confocal": 0.06}, abs=0.06)
    assert set(shares["df"]) == set(shares["vasc"]) == {"histo", "consensus"}


def test_row_order_says_nothing_about_the_class():
    labels = plan(Settings(images=1400, imbalance=1.0))[0]["label"]
    for half in (labels[:700], labels[700:]):
        assert np.bincount(half).tolist() == pytest.approx([100] * 7, abs=25)
