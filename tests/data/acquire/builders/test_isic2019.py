"""ISIC 2019: eight classes, lesions of most photographs, a test part with a class of its own."""

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.data.acquire.builders.isic import read_isic2019

from .fabricated import isic2019, jpeg, unpacked

CLASSES = ("ak", "bcc", "bkl", "df", "mel", "nv", "scc", "vasc")
IDS = ["ISIC_0000001", "ISIC_0000002_downsampled", "ISIC_0000003", "ISIC_0000011", "ISIC_0000012"]
TRUTH, METADATA = "ISIC_2019_Training_GroundTruth.csv", "ISIC_2019_Training_Metadata.csv"


@pytest.mark.parametrize("form", [isic2019, lambda: unpacked(isic2019())], ids=["archives", "folders"])
def test_both_parts(form, read):
    listing = read(read_isic2019, form())
    columns = listing.columns
    assert listing.classes == CLASSES
    assert columns["image_id"].tolist() == IDS
    assert columns["label"].tolist() == [5, 4, 6, 0, -1]
    assert columns["group"].tolist() == ["BCN_0000001", IDS[1], "BCN_0000001", IDS[3], IDS[4]]
    assert columns["split"].tolist() == ["train", "train", "train", "test", "test"]
    np.testing.assert_array_equal(columns["age"], [55, np.nan, 60, 85, np.nan])
    assert columns["sex"].tolist() == ["female", "", "male", "female", ""]
    assert columns["site"].tolist() == ["anterior torso", "", "head/neck", "lower extremity", "palms/soles"]
    assert [photograph.read() for photograph in listing.photographs] == [jpeg(number) for number in (1, 2, 3, 11, 12)]
    assert listing.notes == ("1 photograph is of the class UNK and unlabelled here",)
    assert len(listing.tables) == 4


def test_the_training_part_alone(read):
    files = {path: data for path, data in isic2019().items() if "Test" not in path}
    listing = read(read_isic2019, files)
    assert listing.columns["label"].tolist() == [5, 4, 6]
    assert listing.notes == ()


def changed(name: str, *replacement: bytes) -> dict[str, bytes]:
    files = isic2019()
    return {**files, name: files[name].replace(*replacement)}


MISTAKES = {
    "no metadata": (
        {path: data for path, data in isic2019().items() if path != METADATA},
        f"holds no {METADATA}: download ISIC_2019_Training_Input.zip",
    ),
    "image without": (
        changed(METADATA, b"ISIC_0000003", b"ISIC_0000004"),
        f"{TRUTH} line 4: image 'ISIC_0000003' is not in {METADATA}",
    ),
    "two classes": (changed(TRUTH, b"0.0,1.0", b"1.0,1.0", 1), f"{TRUTH} line 3: 2 of the columns AK, BCC, BKL, DF"),
    "age": (changed(METADATA, b"55.0", b"x"), f"{METADATA} line 2: age_approx 'x' is no number of years"),
    "column": (
        changed(METADATA, b"age_approx", b"age"),
        f"{METADATA} line 1 lacks the column age_approx; it has image",
    ),
    "lesions": (changed(METADATA, b"lesion_id", b"lesion"), f"{METADATA} line 1 lacks the column lesion_id; it has"),
    "two parts": (
        {
            name: data.replace(b"ISIC_0000011", b"ISIC_0000001") if name.endswith(".csv") else data
            for name, data in isic2019().items()
        },
        "ISIC_2019_Test_GroundTruth.csv line 2: image 'ISIC_0000001' is in the training table too",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told(mistake, read):
    files, sentence = MISTAKES[mistake]
    with pytest.raises(UserError) as raised:
        read(read_isic2019, files)
    assert sentence in str(raised.value)
