"""Published splits: three layouts are told apart, folds are as written, and what does not fit has its line."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.data.splits.published import fold_split, read_published
from skinjax.data.splits.split import PARTS, check, image_stratified, lesion_grouped, write_split

# Six images of five lesions, in the order of a data set, which is not that of their ids.
IDS = np.array(["i3", "i1", "i2", "i5", "i4", "i6"])
GROUPS = np.array(["g3", "g1", "g1", "g5", "g4", "g6"])
LABELS = np.array(["nv", "mel", "mel", "nv", "nv", ""])
COLUMNS = (IDS, GROUPS, LABELS)
OWN = "image_id,group,label,fold,split\n"


def parts_of(path: Path, fold: int) -> dict[str, str]:
    """The part of each image, in the file's order."""
    split = fold_split(read_published(path), fold, COLUMNS)
    return dict(zip(split.image_ids.tolist(), split.parts.tolist(), strict=True))


def written(folder: Path, text: str) -> Path:
    path = folder / "published.csv"
    path.write_text(text)
    return path


def test_test_folds_count_from_1_and_the_other_folds_train(tmp_path):
    path = written(tmp_path, "image_id,test_fold\ni1,1\ni2,1\ni3,2\ni4,3\n")
    assert parts_of(path, 0) == {"i1": "test", "i2": "test", "i3": "train", "i4": "train"}
    assert parts_of(path, 2) == {"i1": "train", "i2": "train", "i3": "train", "i4": "test"}
    split = fold_split(read_published(path), 1, COLUMNS)
    assert split.groups.tolist() == ["g1", "g1", "g3", "g4"]
    assert split.labels.tolist() == ["mel", "mel", "nv", "nv"]
    assert split.folds.tolist() == [0, 0, 1, 2]
    digest = "0" * 64
    assert split.protocol | {"sha256": digest} == {
        "name": "file",
        "file": "published.csv",
        "sha256": digest,
        "folds": 3,
        "fold": 1,
    }


def test_fold_columns_name_the_part_in_each_fold(tmp_path):
    path = written(tmp_path, "fold2,image_id,fold1\ntest,i3,test\ntrain,i1,validation\nvalidation,i4,train\n")
    assert parts_of(path, 0) == {"i3": "test", "i1": "validation", "i4": "train"}
    assert parts_of(path, 1) == {"i3": "test", "i1": "train", "i4": "validation"}
    assert fold_split(read_published(path), 0, COLUMNS).folds.tolist() == [-1, 0, 1]


@pytest.mark.parametrize(
    ("request_", "parts"),
    [
        ({"test": 0.25, "folds": 3}, {"fold": "validation", "rest": "train"}),
        ({"folds": 4}, {"fold": "test", "rest": "train"}),
    ],
)
@pytest.mark.parametrize("protocol", [lesion_grouped, image_stratified])
def test_any_fold_of_a_split_of_ours_can_be_had_from_its_file(tmp_path, protocol, request_, parts):
    ids = [f"i{number}" for number in range(24)]
    columns = (np.array(ids), np.array(ids), np.array(["nv"] * 24))
    made = [protocol(*columns, seed=3, fold=fold, **request_) for fold in range(request_["folds"])]
    write_split(tmp_path / "cv.csv", made[1])
    published = read_published(tmp_path / "cv.csv")
    assert published.parts.shape == (request_["folds"], 24)
    for fold, split in enumerate(made):
        found = fold_split(published, fold, columns)
        np.testing.assert_array_equal(found.parts, split.parts)
        np.testing.assert_array_equal(found.folds, split.folds)
        assert set(found.parts[found.folds == fold]) == {parts["fold"]}
        assert set(found.parts[(found.folds != fold) & (found.folds >= 0)]) == {parts["rest"]}
        check(found)


def test_validation_taken_from_training_is_that_of_the_written_fold_only(tmp_path):
    ids = [f"i{number}" for number in range(20)]
    split = lesion_grouped(ids, ids, ["nv"] * 20, seed=0, folds=2, fold=1, validation=0.2)
    write_split(tmp_path / "cv.csv", split)
    published = read_published(tmp_path / "cv.csv")
    np.testing.assert_array_equal(fold_split(published, 1).parts, split.parts)
    assert set(fold_split(published, 0).parts) == {"train", "test"}
    assert published.made_as == split.protocol


def test_a_hold_out_of_ours_is_one_fold_with_its_own_groups_and_classes(tmp_path):
    path = written(tmp_path, f"{OWN}i3,g3,nv,-1,test\ni1,g1,mel,0,validation\ni4,g4,nv,-1,train\ni6,g6,,-1,train\n")
    published = read_published(path)
    split = fold_split(published, 0)
    assert split.parts.tolist() == ["test", "validation", "train"]  # i6 is unlabelled
    assert split.groups.tolist() == ["g3", "g1", "g4"]
    assert split.labels.tolist() == ["nv", "mel", "nv"]
    assert split.folds.tolist() == [-1, 0, -1]
    np.testing.assert_array_equal(fold_split(published, 0, COLUMNS).parts, split.parts)


def test_every_part_of_a_published_split_is_a_known_one(tmp_path):
    path = written(tmp_path, "image_id,test_fold\ni1,1\ni2,2\n")
    assert read_published(path).parts.tolist() == [
        [PARTS.index("test"), PARTS.index("train")],
        [PARTS.index("train"), PARTS.index("test")],
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id,test_fold\ni1,1\n", "line 1 lacks the column image_id; it has id, test_fold: a split file is a CSV with"),
        ("image_id,part\ni1,test\n", "line 1 has the columns image_id, part: a split file is a CSV with"),
        ("image_id,group,label,split\ni1,g1,mel,train\n", "line 1 lacks the column fold"),
        ("image_id,test_fold\ni1,1\n\ni1,2\n", "line 4: image_id 'i1' is already on line 2"),
        ("image_id,test_fold\ni1,0\n", "line 2: test_fold '0' is not a number from 1"),
        ("image_id,test_fold\ni1,1\ni2,second\n", "line 3: test_fold 'second' is not a number from 1"),
        ("image_id,test_fold\ni1,1\ni2,3\n", "no image has test_fold 2, but one has 3"),
        ("image_id,test_fold\ni1,1\ni2,999999\n", "test_fold goes up to 999999, which is more than 1000 folds"),
        ("image_id,fold1,fold3\ni1,test,test\n", "line 1 has the columns fold1, fold3: number the folds from fold1 on"),
        ("image_id,fold1\ni1,train\ni2,valid\n", "line 3: fold1 'valid' is none of train, validation, test"),
        ("image_id,fold1\ni1,train\ni2,\n", "line 3: fold1 '' is none of"),
        (f"{OWN}i1,g1,mel,0,test\ni2,g1,mel,2,train\n", "no image has fold 1, but one has 2"),
        (f"{OWN}i1,g1,mel,0,test\ni2,g1,mel,1,test\n", "the column split is that of no fold of the column fold"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path, text, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        read_published(written(tmp_path, text))
    assert str(tmp_path / "published.csv") in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("image_id,test_fold\ni1,1\ni9,2\n", "line 3: the data set has no image 'i9'"),
        ("image_id,fold1\ni1,test\ni6,train\n", "has no labelled training image in fold 0"),
        (f"{OWN}i1,g1,mel,-1,train\ni2,g2,mel,-1,test\n", "line 3: image 'i2' has the group 'g2' here and 'g1' in the"),
        (
            f"{OWN}i1,g1,mel,-1,train\ni3,g3,mel,-1,test\n",
            "line 3: image 'i3' has the label 'mel' here and 'nv' in the",
        ),
    ],
)
def test_what_does_not_agree_with_the_data_set_is_named_with_its_line(tmp_path, text, sentence):
    published = read_published(written(tmp_path, text))
    with pytest.raises(UserError, match=sentence) as caught:
        fold_split(published, 0, COLUMNS)
    assert str(tmp_path / "published.csv") in str(caught.value)


@pytest.mark.parametrize("fold", [-1, 2])
def test_a_fold_that_the_file_does_not_have_is_refused(tmp_path, fold):
    published = read_published(written(tmp_path, "image_id,test_fold\ni1,1\ni2,2\n"))
    with pytest.raises(UserError, match=rf"fold {fold} is not one of the 2 of .*published\.csv, which count from 0"):
        fold_split(published, fold, COLUMNS)


def test_files_without_groups_need_the_data_set(tmp_path):
    with pytest.raises(UserError, match="does not say which images show the same lesion: name the data set too"):
        fold_split(read_published(written(tmp_path, "image_id,test_fold\ni1,1\ni2,2\n")), 0)


@pytest.mark.parametrize("name", ["indices.pkl", "indices.csv"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_refused_and_the_program_that_converts_it_is_named(tmp_path, name, protocol):
    path = tmp_path / name
    path.write_bytes(pickle.dumps({"testInd": [1], "trainInd": [0]}, protocol))
    with pytest.raises(UserError, match=rf"^{path} is a pickle, .*tools/convert_index_pickle.py {path} IMAGES.csv"):
        read_published(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"absent\.csv cannot be read: No such file"):
        read_published(tmp_path / "absent.csv")
