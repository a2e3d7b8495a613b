"""The record numbers of the parts, and the split that a run keeps."""

from dataclasses import replace

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.data.pipeline import StoredSize
from skinjax.data.splits.parts import in_parts, keep_split, training_records
from skinjax.data.splits.split import Split, read_split


@pytest.fixture
def split(photographs) -> Split:
    """Four photographs, in another order than that of the data set."""
    rows = np.array([40, 7, 21, 3])
    ids, groups = (photographs.columns[name][rows] for name in ("image_id", "group"))
    parts = np.array(["train", "test", "train", "train"])
    return Split(ids, groups, photographs.label_names()[rows], np.full(4, -1), parts, {"name": "file"})


def test_records_ascend_in_any_order_of_the_split(photographs, split):
    data = in_parts(photographs, split, StoredSize(24, 20))
    assert {part: records.tolist() for part, records in data.records.items()} == {
        "train": [3, 21, 40],
        "validation": [],
        "test": [7],
    }
    assert data.labels("train").tolist() == photographs.columns["label"][[3, 21, 40]].tolist()
    assert data.training_counts().sum() == 3


def test_a_phase_may_train_on_some_classes(photographs, split):
    data = in_parts(photographs, split, StoredSize(24, 20))
    name = photographs.classes[photographs.columns["label"][21]]
    records, classes = training_records(data, [name])
    assert set(data.dataset.columns["label"][records]) == {photographs.columns["label"][21]}
    assert classes is None
    assert training_records(data, [])[1] == photographs.classes
    with pytest.raises(UserError, match="unknown class 'mole'; known: "):
        training_records(data, ["mole"])


def test_a_run_keeps_its_split(split, tmp_path):
    path = tmp_path / "split.csv"
    keep_split(path, split)
    keep_split(path, split)
    assert read_split(path).image_ids.tolist() == split.image_ids.tolist()
    for other in (replace(split, parts=split.parts[::-1]), replace(split, protocol={"name": "official"})):
        with pytest.raises(UserError, match=r"split.csv is not the split of this config and data set any more"):
            keep_split(path, other)
