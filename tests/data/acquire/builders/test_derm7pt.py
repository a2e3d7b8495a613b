"""derm7pt: paper 003's six classes or all diagnoses, and the authors' split."""

import pytest

from skinjax.core.errors import UserError
from skinjax.data.acquire.builders.base import Missing
from skinjax.data.acquire.builders.derm7pt import read_derm7pt, read_derm7pt_diagnoses, six_classes

from .fabricated import DERM7PT_META, derm7pt, jpeg, unpacked

META, TRAIN = ("release_v0.zip/release_v0/meta/" + name for name in ("meta.csv", "train_indexes.csv"))


@pytest.mark.parametrize("form", [derm7pt, lambda: unpacked(derm7pt())], ids=["archive", "folders"])
def test_six_classes(form, read):
    listing = read(read_derm7pt, form())
    columns = listing.columns
    assert listing.classes == ("bcc", "mel", "nv")
    assert columns["image_id"].tolist() == ["NEL/Nel026", "NEL/Nel028", "NGL/Ngl004"]
    assert columns["label"].tolist() == [0, 2, 1]
    assert columns["split"].tolist() == ["train", "test", "validation"]
    assert columns["group"].tolist() == ["case_1", "case_2", "case_4"]
    assert columns["diagnosis"].tolist() == ["basal cell carcinoma", "blue nevus", "melanoma (in situ)"]
    assert columns["streaks"].tolist() == ["absent", "absent", "irregular"]
    assert columns["notes"].tolist() == ["", "", "thin, flat"]
    assert [photograph.read() for photograph in listing.photographs] == [jpeg(1), jpeg(3), jpeg(7)]
    assert listing.notes == ("1 case is in none of the classes and left aside: melanosis",)
    assert len(listing.tables) == 4


def test_all_diagnoses(read):
    listing = read(read_derm7pt_diagnoses, derm7pt())
    assert listing.classes == ("basal cell carcinoma", "blue nevus", "melanoma (in situ)", "melanosis")
    assert listing.columns["label"].tolist() == [0, 1, 3, 2]
    assert listing.columns["split"].tolist() == ["train", "test", "train", "validation"]
    assert listing.notes == ()


@pytest.mark.parametrize(
    ("diagnosis", "name"),
    [
        ("basal cell carcinoma", "bcc"),
        ("clark nevus", "nv"),
        ("reed or spitz nevus", "nv"),
        ("dermatofibroma", "df"),
        ("lentigo", "bkl"),
        ("lentigo maligna melanoma", "bkl"),  # the order of the words decides, as in paper 003's code
        ("melanoma (0.76 to 1.5 mm)", "mel"),
        ("melanoma metastasis", "mel"),
        ("seborrheic keratosis", "bkl"),
        ("vascular lesion", "vasc"),
        ("melanosis", ""),
        ("miscellaneous", ""),
    ],
)
def test_the_class_of_a_diagnosis(diagnosis, name):
    assert six_classes(diagnosis) == name


def test_a_table_without_cases_and_split_files(read):
    rows = [line.split(",") for line in DERM7PT_META.splitlines()]
    meta = "\n".join(",".join([row[1], row[6]]) for row in rows[:4])
    images = {path: data for path, data in derm7pt().items() if "/images/" in path}
    listing = read(read_derm7pt, {**images, "meta.csv": meta.encode()})
    assert listing.columns["group"].tolist() == listing.columns["image_id"].tolist() == ["NEL/Nel026", "NEL/Nel028"]
    assert "split" not in listing.columns
    assert (
        listing.notes[0] == "no official split: train_indexes.csv, valid_indexes.csv and test_indexes.csv are not there"
    )


def test_a_photograph_that_is_not_there_keeps_its_row(read):
    files = {path: data for path, data in derm7pt().items() if "Nel026" not in path}
    listing = read(read_derm7pt, files)
    assert listing.photographs[0] == Missing("NEL/Nel026.jpg")
    assert len(listing.photographs) == 3


MISTAKES = {
    "index": ({TRAIN: b"indexes\n0\n4\n"}, f"{TRAIN} line 3: indexes '4' is no row number from 0 to 3"),
    "word": ({TRAIN: b"indexes\n0\nx\n"}, f"{TRAIN} line 3: indexes 'x' is no row number from 0 to 3"),
    "twice": ({TRAIN: b"indexes\n0\n0\n"}, f"{TRAIN} line 3: indexes '0' is already on line 2"),
    "two parts": ({TRAIN: b"indexes\n0\n2\n3\n"}, "valid_indexes.csv line 2: case 3 is in the train part too"),
    "column": (
        {META: b"diagnosis,clinic\nnevus,a.jpg\n"},
        f"{META} line 1 lacks the column derm; it has diagnosis, cl",
    ),
    "same photograph": (
        {META: b"diagnosis,derm\nnevus,NEL/Nel026.jpg\nnevus,NEL/nel026.JPG\n"},
        f"{META} line 3: derm 'nel/nel026' is already on line 2",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told(mistake, read):
    files, sentence = MISTAKES[mistake]
    with pytest.raises(UserError) as raised:
        read(read_derm7pt, derm7pt() | files)
    assert sentence in str(raised.value)


def test_half_a_split_is_told(read):
    files = derm7pt()
    del files[TRAIN]
    with pytest.raises(UserError, match=r"holds no train_indexes.csv: download release_v0 of derm7pt"):
        read(read_derm7pt, files)
