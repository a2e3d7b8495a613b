"""ISIC 2018 task 3: three parts, with whatever labels are there."""

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.data.acquire.builders.ham10000 import read_isic2018

from .fabricated import (
    GROUND_TRUTH,
    GROUPINGS,
    TEST_METADATA,
    VALIDATION_TRUTH,
    ham10000,
    isic2018,
    jpeg,
    unpacked,
)

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
IDS = [f"ISIC_00000{number:02d}" for number in (1, 2, 3, 4, 5, 10, 11, 20)]
PARTS = ["train"] * 5 + ["validation"] * 2 + ["test"]
GROUPS = ["HAM_0000001", "HAM_0000001", "HAM_0000002", "HAM_0000003", "HAM_0000004", *IDS[5:]]
TRUTH = "ISIC2018_Task3_{0}_GroundTruth.zip/ISIC2018_Task3_{0}_GroundTruth/ISIC2018_Task3_{0}_GroundTruth.csv"


def check_rows(listing, labels) -> None:
    assert listing.classes == CLASSES
    assert listing.columns["image_id"].tolist() == IDS
    assert listing.columns["split"].tolist() == PARTS
    assert listing.columns["label"].tolist() == labels
    numbers = (1, 2, 3, 4, 5, 10, 11, 20)
    assert [photograph.read() for photograph in listing.photographs] == [jpeg(number) for number in numbers]


@pytest.mark.parametrize("form", [isic2018, lambda: unpacked(isic2018())], ids=["archives", "folders"])
def test_three_labelled_parts(form, read):
    listing = read(read_isic2018, form())
    check_rows(listing, [5, 5, 4, 2, 3, 0, 6, 1])
    assert listing.columns["group"].tolist() == GROUPS
    assert listing.columns["dx_type"].tolist() == [
        "follow_up",
        "follow_up",
        "histo",
        "confocal",
        "consensus",
        "",
        "",
        "",
    ]
    assert listing.notes == ()
    assert len(listing.tables) == 4


def test_parts_without_ground_truth_are_unlabelled(read):
    files = isic2018()
    del files[TRUTH.format("Validation")], files[TRUTH.format("Test")]
    listing = read(read_isic2018, files)
    check_rows(listing, [5, 5, 4, 2, 3, -1, -1, -1])
    assert listing.columns["group"].tolist() == GROUPS
    assert listing.notes == ()


def test_the_training_part_alone(read):
    files = {path: data for path, data in isic2018().items() if "Training" in path}
    assert read(read_isic2018, files).columns["split"].tolist() == ["train"] * 5


def test_the_labels_of_the_test_part_in_the_form_of_dataverse(read):
    files = isic2018()
    del files[TRUTH.format("Test")]
    listing = read(read_isic2018, {**files, "ISIC2018_Task3_Test_GroundTruth.tab": TEST_METADATA.encode()})
    check_rows(listing, [5, 5, 4, 2, 3, 0, 6, 1])
    assert listing.columns["group"].tolist() == [*GROUPS[:-1], "HAMTEST_0000001"]
    assert listing.columns["dx_type"][-1] == "histo"
    np.testing.assert_array_equal(listing.columns["age"], [np.nan] * 7 + [70])


def test_all_that_dataverse_has(read):
    name = "ISIC2018_Task3_Test_Images"
    files = {**ham10000(), f"{name}.zip/{name}/ISIC_0000020.jpg": jpeg(20)}
    labelled = read(read_isic2018, {**files, "ISIC2018_Task3_Test_GroundTruth.csv": TEST_METADATA.encode()})
    assert labelled.columns["label"].tolist() == [5, 5, 4, 2, 3, 1]
    assert labelled.columns["split"].tolist() == ["train"] * 5 + ["test"]
    np.testing.assert_array_equal(labelled.columns["age"], [45, 45, 80, np.nan, 0, 70])
    assert read(read_isic2018, files).columns["label"].tolist() == [5, 5, 4, 2, 3, -1]


def replaced(path: str, text: str, *replacement: str) -> dict[str, bytes]:
    files = isic2018()
    assert path in files
    return {**files, path: text.replace(*replacement).encode()}


TRAINING, VALIDATION = TRUTH.format("Training"), TRUTH.format("Validation")
GROUPING = "ISIC2018_Task3_Training_LesionGroupings.csv"
MISTAKES = {
    "two classes": (
        replaced(TRAINING, GROUND_TRUTH, "0.0,1.0", "1.0,1.0", 1),
        "GroundTruth.csv line 2: 2 of the columns AKIEC, BCC, BKL, DF, MEL, NV, VASC hold 1: just one must",
    ),
    "no class": (
        replaced(VALIDATION, VALIDATION_TRUTH, "1.0", "0.0", 1),
        "Task3_Validation_GroundTruth.csv line 2: 0 of the columns",
    ),
    "a probability": (replaced(TRAINING, GROUND_TRUTH, "1.0", "0.9", 1), "line 2: NV is '0.9', neither 0 nor 1"),
    "column": (replaced(TRAINING, GROUND_TRUTH, "AKIEC", "AK", 1), "line 1 lacks the column AKIEC; it has image, MEL"),
    "lesion": (
        replaced(GROUPING, GROUPINGS, "ISIC_0000004", "ISIC_0000099"),
        f"{GROUPING} lacks image 'ISIC_0000004', which {TRAINING} has: download both again",
    ),
    "confirmation": (
        replaced(GROUPING, GROUPINGS, "histopathology", "a guess"),
        f"{GROUPING} line 4: diagnosis_confirm_type 'a guess' names not just one of single, serial, confocal, histopa",
    ),
    "two parts": (
        replaced(VALIDATION, VALIDATION_TRUTH, "ISIC_0000010", "ISIC_0000002"),
        "image 'ISIC_0000002' of the validation part is in the train part too",
    ),
    "no groupings": (
        {path: data for path, data in isic2018().items() if path != GROUPING},
        "holds no ISIC2018_Task3_Training_LesionGroupings.csv: download input and ground truth of task 3",
    ),
    "nothing": (
        {"a.jpg": jpeg(1)},
        "download input and ground truth of task 3 (training, validation, test) and the tr",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told(mistake, read):
    files, sentence = MISTAKES[mistake]
    with pytest.raises(UserError) as raised:
        read(read_isic2018, files)
    assert sentence in str(raised.value)


def test_the_photograph_that_the_challenge_does_not_score_is_no_test_photograph(read):
    files = isic2018()
    files[TRUTH.format("Test")] += b"ISIC_0035068,0.0,1.0,0.0,0.0,0.0,0.0,0.0\n"
    name = "ISIC2018_Task3_Test_Input"
    files[f"{name}.zip/{name}/ISIC_0035068.jpg"] = jpeg(20)
    listing = read(read_isic2018, files)
    check_rows(listing, [5, 5, 4, 2, 3, 0, 6, 1])
    assert listing.notes[-1] == "ISIC_0035068 is no test photograph here, as the challenge does not score it"
