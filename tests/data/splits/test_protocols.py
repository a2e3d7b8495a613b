"""Protocols by name: each gives the parts it promises, of labelled images only, and says what it left out."""

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.data.dataset import Dataset
from skinjax.data.splits.protocols import SplitSettings, split_dataset
from skinjax.data.splits.split import Split, check, image_stratified, lesion_grouped, remarks


def parted(dataset: Dataset, protocol: str, test: float = 0.0, validation: float = 0.0, **named) -> Split:
    """The data set in parts, of which by default none is held out."""
    return split_dataset(dataset, SplitSettings(protocol, test, validation, **named))


def small_set(official: list[str] | None = None) -> Dataset:
    """24 images, two per lesion: 16 of nv, 6 of mel, and a lesion that nobody labelled."""
    columns = {
        "image_id": np.array([f"i{number:02d}" for number in range(24)]),
        "group": np.array([f"g{number // 2:02d}" for number in range(24)]),
        "label": np.array([0] * 16 + [1] * 6 + [-1] * 2, np.int32),
    }
    if official is not None:
        columns["split"] = np.array(official)
    return Dataset("small", ("nv", "mel"), columns, [b""] * 24, fingerprint="f" * 16)


@pytest.mark.parametrize("protocol", [lesion_grouped, image_stratified])
def test_the_drawn_protocols_see_labelled_images_only(protocol):
    dataset = small_set()
    split = parted(dataset, protocol.__name__, seed=3, test=0.3, validation=0.3)
    ids, groups = (dataset.columns[name][:22].tolist() for name in ("image_id", "group"))
    expected = protocol(ids, groups, ["nv"] * 16 + ["mel"] * 6, seed=3, test=0.3, validation=0.3)
    np.testing.assert_array_equal(split.image_ids, expected.image_ids)
    np.testing.assert_array_equal(split.parts, expected.parts)
    assert split.protocol == expected.protocol | {
        "dataset": "small",
        "fingerprint": "f" * 16,
        "unlabelled": 2,
        "left_out": 0,
    }
    assert "unlabelled images, in no part of the split: 2" in remarks(split)


OFFICIAL = ["train"] * 10 + ["test"] * 4 + [""] * 2 + ["train"] * 4 + ["test"] * 4


def test_official_parts_are_the_data_sets_own():
    split = parted(small_set(OFFICIAL), "official", test=0.2)
    assert split.parts.tolist() == OFFICIAL[:14] + OFFICIAL[16:22]
    assert split.folds.tolist() == [-1] * 20
    assert split.protocol == {
        "name": "official",
        "fold": 0,
        "dataset": "small",
        "fingerprint": "f" * 16,
        "unlabelled": 2,
        "left_out": 2,
    }


def test_official_parts_without_validation_give_some_of_training_by_group_and_seed():
    splits = [parted(small_set(OFFICIAL), "official", seed=seed, validation=0.4) for seed in range(8)]
    for split in splits:
        check(split)
        np.testing.assert_array_equal(split.parts == "test", np.array(OFFICIAL[:14] + OFFICIAL[16:22]) == "test")
        for label, images in {"nv": 4, "mel": 2}.items():
            assert np.sum((split.labels == label) & (split.parts == "validation")) == images
    assert len({tuple(split.parts) for split in splits}) > 1
    assert splits[3].protocol["validation"] == 0.4
    assert splits[3].protocol["seed"] == 3
    again = parted(small_set(OFFICIAL), "official", seed=3, validation=0.4)
    np.testing.assert_array_equal(again.parts, splits[3].parts)


def test_a_published_validation_part_can_be_trained_on():
    """derm7pt in paper 003: trained on the official training and validation parts."""
    parts = ["train"] * 12 + ["validation"] * 6 + ["test"] * 6
    split = parted(small_set(parts), "official", published_validation="trained_on")
    assert split.parts.tolist() == ["train"] * 18 + ["test"] * 4  # the last two have no label
    assert (split.folds == -1).all()
    assert split.protocol["published_validation"] == "trained_on"


def test_validation_may_be_drawn_by_image_in_place_of_the_published_part():
    """Paper 001: a fifth of ISIC 2018's training photographs, and its test part."""
    parts = ["train"] * 14 + ["validation"] * 4 + ["test"] * 6
    asked = {"published_validation": "left_out", "validation": 0.3, "validation_by": "image", "allow_leak": True}
    split = parted(small_set(parts), "official", **asked)
    assert len(split.parts) == 18  # without the published part and two images that have no label
    assert len(split.rows("validation")) == 4
    assert split.protocol["leak_percent"]["validation"] > 0
    assert split.protocol["validation_by"] == "image"
    with pytest.raises(UserError, match=r"this official split leaks: .* set split\.allow_leak"):
        check(parted(small_set(parts), "official", **asked | {"allow_leak": False}))


def test_official_validation_parts_stay_as_they_are():
    parts = ["validation" if part == "" else part for part in OFFICIAL]
    split = parted(small_set(parts), "official", validation=0.4)
    assert split.parts.tolist() == parts[:22]
    assert split.folds.tolist() == [-1] * 14 + [0] * 2 + [-1] * 6
    assert "validation" not in split.protocol


@pytest.mark.parametrize(
    ("official", "sentence"),
    [
        (None, "small has no official training part: choose one of lesion_grouped, image_stratified, file"),
        ([""] * 24, "has no official training part"),
        ([""] * 22 + ["train"] * 2, "has no labelled training image"),
        (["train"] * 23 + ["dev"], "has the part 'dev'; known: train, validation, test"),
    ],
)
def test_a_set_without_official_parts_is_refused(official, sentence):
    with pytest.raises(UserError, match=sentence):
        parted(small_set(official), "official")


def test_official_parts_have_one_fold():
    with pytest.raises(UserError, match=r"set split\.fold to 0"):
        parted(small_set(OFFICIAL), "official", folds=5, fold=2)


def test_official_parts_that_leak_are_refused_unless_it_is_allowed():
    official = ["train", "test"] + ["train"] * 22
    split = parted(small_set(official), "official")
    with pytest.raises(UserError, match=r"this official split leaks: 1 group is in both test and train .*'g00'"):
        check(split)
    allowed = parted(small_set(official), "official", allow_leak=True)
    check(allowed)
    assert allowed.protocol["leak_percent"] == {"test": 100.0}


def test_a_file_gives_its_fold_and_what_it_leaves_out(tmp_path):
    path = tmp_path / "folds.csv"
    path.write_text("image_id,test_fold\n" + "".join(f"i{n:02d},{1 + n // 2 % 2}\n" for n in range(2, 22)))
    split = parted(small_set(), "file", test=0.2, fold=1, file=str(path))
    assert split.parts.tolist() == ["test", "test", "train", "train"] * 5
    assert split.protocol["left_out"] == 2
    assert split.protocol["fold"] == 1
    check(split)
    assert remarks(split) == [
        "unlabelled images, in no part of the split: 2",
        "images that the file split leaves out: 2",
    ]
    some = parted(small_set(), "file", validation=0.4, fold=1, file=str(path))
    check(some)
    np.testing.assert_array_equal(some.parts == "test", split.parts == "test")
    assert np.sum(some.parts == "validation") == 4


def test_an_image_level_file_is_an_error_unless_its_leak_is_allowed(tmp_path):
    path = tmp_path / "folds.csv"
    path.write_text("image_id,test_fold\n" + "".join(f"i{n:02d},{1 + n % 2}\n" for n in range(22)))
    with pytest.raises(UserError, match=r"file split leaks: 11 groups are in both test and train .* 100\.0 % of test"):
        check(parted(small_set(), "file", file=str(path)))
    allowed = parted(small_set(), "file", file=str(path), allow_leak=True)
    check(allowed)
    assert "LEAK: 100.0 % of the test images share a group with a training image" in remarks(allowed)


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (
            {"protocol": "by_eye"},
            "unknown split protocol 'by_eye'; known: file, image_stratified, lesion_grouped, offi",
        ),
        ({"protocol": "file"}, "the split protocol 'file' needs a file"),
        ({"protocol": "official", "file": "a.csv"}, "split.file is 'a.csv', split.protocol 'official'"),
        ({"published_validation": "left_out"}, r"lesion_grouped draws its own: leave it at 'kept'"),
        ({"validation_by": "image"}, r"lesion_grouped draws its own: leave it at 'group'"),
        ({"test": 1.0}, "SplitSettings.test is 1.0; it must be a number from 0 to less than 1"),
        ({"test": -0.1}, "SplitSettings.test is -0.1"),
        ({"test": 0.5, "validation": 0.5}, "leave some for training"),
        ({"folds": 3, "fold": 3, "validation": 0}, "fold 3 is not one of the 3 folds"),
        ({"folds": 0}, "SplitSettings.folds is 0"),
        ({"folds": 3, "test": 0.2, "validation": 0.2}, "set validation or test to 0"),
        ({"folds": 2, "test": 0, "validation": 0.5}, "leaves nothing to train on"),
        ({"seed": -1}, "SplitSettings.seed is -1"),
    ],
)
def test_impossible_requests_say_so(request_, sentence):
    with pytest.raises(UserError, match=sentence):
        SplitSettings(**request_)
