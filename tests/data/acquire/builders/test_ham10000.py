"""HAM10000 as Dataverse, Kaggle and the ISIC challenge lay it out: the same rows."""

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.data.acquire.builders.base import Missing
from skinjax.data.acquire.builders.ham10000 import read_ham10000

from .fabricated import HAM10000_METADATA, ham10000, isic2018, jpeg, unpacked

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
IDS = ["ISIC_0000001", "ISIC_0000002", "ISIC_0000003", "ISIC_0000004", "ISIC_0000005"]
LABELS = [5, 5, 4, 2, 3]
GROUPS = ["HAM_0000001", "HAM_0000001", "HAM_0000002", "HAM_0000003", "HAM_0000004"]
DX_TYPES = ["follow_up", "follow_up", "histo", "confocal", "consensus"]


def check_rows(listing) -> None:
    assert listing.classes == CLASSES
    assert listing.columns["image_id"].tolist() == IDS
    assert listing.columns["label"].tolist() == LABELS
    assert listing.columns["label"].dtype == np.int32
    assert listing.columns["group"].tolist() == GROUPS
    assert listing.columns["dx_type"].tolist() == DX_TYPES
    assert [photograph.read() for photograph in listing.photographs] == [jpeg(number) for number in range(1, 6)]


def test_two_archives_and_the_metadata(read):
    listing = read(read_ham10000, ham10000())
    check_rows(listing)
    assert listing.columns["age"].dtype == np.float32
    np.testing.assert_array_equal(listing.columns["age"], [45, 45, 80, np.nan, 0])
    assert listing.columns["sex"].tolist() == ["female", "female", "male", "", "male"]
    assert listing.columns["site"].tolist() == ["back", "back", "scalp", "", "lower extremity"]
    assert "split" not in listing.columns
    assert listing.notes == ()
    assert [file.path for file in listing.tables] == ["HAM10000_metadata"]
    assert listing.photographs[0].path == "HAM10000_images_part_1.zip/ISIC_0000001.jpg"


def test_unpacked_archives(read):
    check_rows(read(read_ham10000, unpacked(ham10000())))


def test_archives_beside_what_was_unpacked_from_them_are_read_once(read):
    listing = read(read_ham10000, ham10000() | unpacked(ham10000()))
    check_rows(listing)
    assert listing.notes == ("5 photographs are there twice and read once",)


def test_the_layout_of_kaggle_with_every_folder_twice(read):
    files = unpacked(ham10000())
    files["HAM10000_metadata.csv"] = files.pop("HAM10000_metadata")
    files |= {path.replace("HAM10000_images", "ham10000_images"): data for path, data in files.items()}
    files |= {"hmnist_28_28_L.csv": b"pixel0000,label\n169,2\n", "hmnist_8_8_RGB.csv": b"pixel0000,label\n172,2\n"}
    check_rows(read(read_ham10000, files))


def test_segmentation_masks_are_no_photographs(read):
    masks = {f"HAM10000_segmentations_lesion_tschandl.zip/{image}_segmentation.png": jpeg(0) for image in IDS}
    listing = read(read_ham10000, ham10000() | masks)
    check_rows(listing)
    assert listing.notes == ()


TAB = HAM10000_METADATA.replace(",", "\t")
QUOTED = "\n".join("\t".join(f'"{cell}"' for cell in line.split(",")) for line in HAM10000_METADATA.splitlines())
FORMS = {
    "csv": ("HAM10000_metadata.csv", HAM10000_METADATA),
    "no extension, tabs": ("HAM10000_metadata", TAB),
    "tab": ("HAM10000_metadata.tab", TAB),
    "tab, quoted": ("HAM10000_metadata.tab", QUOTED),
    "CRLF": ("HAM10000_metadata.csv", HAM10000_METADATA.replace("\n", "\r\n")),
    "whole years": ("HAM10000_metadata", HAM10000_METADATA.replace(".0,", ",")),
    "no last line end": ("HAM10000_metadata", HAM10000_METADATA.rstrip()),
    "byte order mark": ("HAM10000_metadata.csv", "\ufeff" + HAM10000_METADATA),
    "a column more": (
        "HAM10000_metadata",
        HAM10000_METADATA.replace("\n", ",modern\n").replace("modern", "dataset", 1),
    ),
    "in a folder": ("metadata/ham10000_metadata.CSV", HAM10000_METADATA),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_the_metadata(form, read):
    name, text = FORMS[form]
    files = ham10000()
    del files["HAM10000_metadata"]
    listing = read(read_ham10000, {**files, name: text.encode()})
    check_rows(listing)
    np.testing.assert_array_equal(listing.columns["age"], [45, 45, 80, np.nan, 0])


def test_the_training_files_of_isic_2018_give_the_same_rows(read):
    listing = read(read_ham10000, isic2018())
    check_rows(listing)
    assert "age" not in listing.columns
    assert listing.notes == ("3 photographs are in no table and left aside, such as ISIC_0000010",)
    assert [file.name for file in listing.tables] == [
        "ISIC2018_Task3_Training_GroundTruth.csv",
        "ISIC2018_Task3_Training_LesionGroupings.csv",
    ]


def test_photographs_that_are_not_there_keep_their_rows(read):
    files = {path: data for path, data in ham10000().items() if "part_2" not in path}
    listing = read(read_ham10000, files)
    assert listing.columns["image_id"].tolist() == IDS
    assert listing.photographs[3:] == [Missing("ISIC_0000004.jpg"), Missing("ISIC_0000005.jpg")]


def metadata(*replacement: str) -> dict[str, bytes]:
    return {**ham10000(), "HAM10000_metadata": HAM10000_METADATA.replace(*replacement).encode()}


MISTAKES = {
    "diagnosis": (metadata("mel,", "melanoma,"), "HAM10000_metadata line 2: dx 'melanoma' is none of akiec, bcc, bkl"),
    "kind": (
        metadata("follow_up", "guess", 1),
        "line 3: dx_type 'guess' is none of consensus, follow_up, confocal, hi",
    ),
    "age": (metadata("80.0", "old"), "line 2: age 'old' is no number of years"),
    "negative age": (metadata("80.0", "-80"), "line 2: age '-80' is no number of years"),
    "twice": (metadata("0003,mel", "0002,mel"), "line 3: image_id 'ISIC_0000002' is already on line 2"),
    "no id": (metadata("ISIC_0000003", ""), "line 2: image_id is empty"),
    "column": (metadata("lesion_id", "lesion"), "line 1 lacks the column lesion_id; it has lesion, image_id, dx"),
    "no table": ({"a.jpg": jpeg(1)}, "holds no HAM10000_metadata: download HAM10000_images_part_1.zip, HAM10000_im"),
    "two tables": (
        {**ham10000(), "old/HAM10000_metadata.csv": b"lesion_id"},
        "HAM10000_metadata and old/HAM10000_metadata.csv differ, and both are HAM10000_metadata: remove one of them",
    ),
    "two photographs": (
        {**ham10000(), "other/ISIC_0000001.png": jpeg(9)},
        "part_1.zip/ISIC_0000001.jpg and other/ISIC_0000001.png are two photographs of one name: remove one of them",
    ),
    "archive in an archive": (
        {"dataverse_files.zip/HAM10000_images_part_1.zip": b"PK"},
        "holds no HAM10000_metadata: dataverse_files.zip/HAM10000_images_part_1.zip is an archive in an archive, so "
        "unpack the outer one",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told(mistake, read):
    files, sentence = MISTAKES[mistake]
    with pytest.raises(UserError) as raised:
        read(read_ham10000, files)
    assert sentence in str(raised.value)
