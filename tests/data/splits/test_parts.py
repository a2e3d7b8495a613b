"""The record numbers of the parts, and the split that a run keeps."""

from dataclasses import replace

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.data.pipeline import StoredSize
from skinjax.data.splits.parts import in_parts, keep_split, training_records, with_other
from skinjax.data.splits.split import Split, read_split
from skinjax.runs.starting_weights import hashed_groups


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
    records, classes = training_records(data, "train", [name])
    assert set(data.dataset.columns["label"][records]) == {photographs.columns["label"][21]}
    assert classes is None
    assert training_records(data, "train")[1] == photographs.classes
    with pytest.raises(UserError, match="unknown class 'mole'; known: "):
        training_records(data, "train", ["mole"])


def test_a_phase_may_train_on_images_without_labels_but_not_on_held_out_lesions(photographs, split):
    labels = np.full(len(photographs), -1, np.int32)
    rows = [40, 7, 21, 3]
    labels[rows] = photographs.columns["label"][rows]
    groups = photographs.columns["group"].copy()
    groups[8] = groups[7]  # another photograph of the test lesion
    dataset = replace(photographs, columns=photographs.columns | {"label": labels, "group": groups})
    data = in_parts(dataset, split, StoredSize(24, 20))
    records, classes = training_records(data, "train", unlabelled=True)
    assert classes is None
    assert sorted(records.tolist()) == [n for n in range(len(dataset)) if groups[n] != groups[7]]
    assert training_records(data, "train")[0].tolist() == [3, 21, 40]


def test_a_phase_may_train_on_another_data_set_but_not_on_what_is_held_out(photographs, split):
    """Of a set with the same photographs, the test image's lesion is left out; none of the others has a label."""
    own = replace(photographs, drawn_from="")
    weight = np.linspace(0, 1, len(own), dtype=np.float32)
    data = in_parts(replace(own, columns=own.columns | {"weight": weight}), split, StoredSize(24, 20))
    joined = with_other(data, "pretext", own)
    records, classes = training_records(joined, "pretext")
    assert classes is None
    group = own.columns["group"]
    assert (records - len(own)).tolist() == np.flatnonzero(group != group[7]).tolist()
    assert (joined.dataset.columns["label"][records] == -1).all()
    assert (joined.dataset.columns["weight"][records] == 1).all()
    assert joined.dataset.encoded(int(records[-1])) == own.encoded(int(records[-1]) - len(own))
    assert len(joined.dataset) == len(joined.dataset.records) == 2 * len(own)
    assert joined.dataset.fingerprint != own.fingerprint
    assert training_records(joined, "train")[0].tolist() == [3, 21, 40]


def test_drawn_lesions_are_the_same_by_seed_and_others_by_another(photographs, split):
    """Sets of one seed begin with the same lesions, however many photographs they have."""
    data = in_parts(photographs, split, StoredSize(24, 20))
    group = photographs.columns["group"]
    same, _ = training_records(with_other(data, "pretext", photographs), "pretext")
    assert (same - len(group)).tolist() == np.flatnonzero(group != group[7]).tolist()
    others = replace(photographs, drawn_from="v1-seed1")
    assert len(training_records(with_other(data, "pretext", others), "pretext")[0]) == len(group)


def test_a_lesion_of_the_other_set_is_left_out_whole(photographs, split):
    """One photograph of the test lesion is there by its name, and its sibling belongs to it by the other set's word."""
    own = replace(photographs, drawn_from="")
    ids = np.array([f"other{number}" for number in range(len(own))], dtype="U60")
    groups = ids.copy()
    ids[5] = own.columns["image_id"][7] + "_downsampled"
    groups[[5, 6]] = "theirs"
    other = replace(own, columns=own.columns | {"image_id": ids, "group": groups})
    joined = with_other(in_parts(own, split, StoredSize(24, 20)), "pretext", other)
    left = np.setdiff1d(np.arange(len(own)), training_records(joined, "pretext")[0] - len(own))
    assert left.tolist() == [5, 6]


def test_groups_of_every_set_keep_their_names_in_the_weights(photographs, split):
    """A child that holds out a lesion of the other set finds that its parent has seen it."""
    own, real = photographs, replace(photographs, drawn_from="", columns=dict(photographs.columns))
    joined = with_other(in_parts(own, split, StoredSize(24, 20)), "pretext", real)
    seen = hashed_groups(joined, training_records(joined, "pretext")[0])
    assert seen == hashed_groups(in_parts(real, split, StoredSize(24, 20)), np.arange(len(real)))
    assert not set(seen) & set(hashed_groups(joined, np.arange(len(own))))


def test_a_run_keeps_its_split(split, tmp_path):
    path = tmp_path / "split.csv"
    keep_split(path, split)
    keep_split(path, split)
    assert read_split(path).image_ids.tolist() == split.image_ids.tolist()
    for other in (replace(split, parts=split.parts[::-1]), replace(split, protocol={"name": "official"})):
        with pytest.raises(UserError, match=r"split.csv is not the split of this config and data set any more"):
            keep_split(path, other)
