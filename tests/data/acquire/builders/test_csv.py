"""Anybody's table: how it names photographs, and what its columns mean."""

from dataclasses import replace

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.data.acquire.builders.base import Missing
from skinjax.data.acquire.builders.csv import read_csv
from skinjax.data.acquire.sources import open_source

from .fabricated import folder, jpeg, write


def table(text: str, **files: bytes) -> dict[str, bytes]:
    """Three photographs (nv/a.jpg, nv/b.jpg, mel/c.jpg) and labels.csv."""
    return {**folder(), "labels.csv": text.encode(), **files}


def paths(listing) -> list[str]:
    return [photograph.path for photograph in listing.photographs]


def test_images_and_labels(read):
    listing = read(read_csv, table("image,label\nnv/b.jpg,nv\nmel/c.jpg,mel\nnv/a.jpg,nv\n"))
    assert listing.classes == ("mel", "nv")
    assert listing.columns["image_id"].tolist() == ["nv/b.jpg", "mel/c.jpg", "nv/a.jpg"]
    assert listing.columns["label"].tolist() == [1, 0, 1]
    assert listing.columns["group"].tolist() == ["nv/b.jpg", "mel/c.jpg", "nv/a.jpg"]
    assert sorted(listing.columns) == ["group", "image_id", "label"]
    assert [photograph.read() for photograph in listing.photographs] == [jpeg(2), jpeg(3), jpeg(1)]
    assert [file.path for file in listing.tables] == ["labels.csv"]
    assert listing.notes == ()


def test_every_column_that_means_something(read):
    text = """label,Image,GROUP,Split,weight,age,site
nv,nv/a.jpg,anna,train,2,80.0,back
nv,nv/b.jpg,anna,Training,,unknown,
mel,mel/c.jpg,,test,0.5,7,arm
"""
    listing = read(read_csv, table(text))
    columns = listing.columns
    assert columns["group"].tolist() == ["anna", "anna", "mel/c.jpg"]
    assert columns["split"].tolist() == ["train", "train", "test"]
    np.testing.assert_array_equal(columns["weight"], np.float32([2, 1, 0.5]))
    np.testing.assert_array_equal(columns["age"], np.float32([80, np.nan, 7]))
    assert columns["weight"].dtype == columns["age"].dtype == np.float32
    assert columns["site"].tolist() == ["back", "", "arm"]


def test_a_photograph_that_is_read_goes_before_one_of_its_name_that_is_not(read):
    text = "image,label\nnv/a,nv\nmel/c,mel\nraw,mel\n"
    files = {"nv/a.heic": b"1", "mel/c.dng": b"2", "mel/raw.dng": b"3"}
    listing = read(read_csv, table(text, **files))
    assert paths(listing) == ["nv/a.jpg", "mel/c.jpg", "mel/raw.dng"]
    assert listing.notes == ("3 photographs are in no row and left aside, such as mel/c.dng",)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("nv/a.jpg", "nv/a.jpg"),
        ("nv/a", "nv/a.jpg"),
        ("a.jpg", "nv/a.jpg"),
        ("a", "nv/a.jpg"),
        ("./nv/a.jpg", "nv/a.jpg"),
        (r"nv\a.jpg", "nv/a.jpg"),
        ("mel/c.v2.png", "deep/er/mel/c.v2.png"),
        ("er/mel/c.v2", "deep/er/mel/c.v2.png"),
        ("2024-01-02T10:30", "2024-01-02T10:30.jpg"),
    ],
)
def test_what_a_table_may_call_a_photograph(name, path, read):
    files = {"deep/er/mel/c.v2.png": jpeg(7), "2024-01-02T10:30.jpg": jpeg(8)}
    listing = read(read_csv, table(f"image,label\n{name},x\n", **files))
    assert paths(listing) == [path]
    assert listing.columns["image_id"].tolist() == [name]


def test_paths_begin_at_the_folder_of_the_table(read):
    files = {"nv/nv/a.jpg": jpeg(9), "nv/labels.csv": b"image,label\nb.jpg,x\nnv/a.jpg,y\nmel/c.jpg,y\n"}
    assert paths(read(read_csv, {**folder(), **files})) == ["nv/b.jpg", "nv/nv/a.jpg", "mel/c.jpg"]


def test_a_table_inside_or_beside_an_archive(read):
    packed = {f"photos.zip/{path}": data for path, data in table("image,label\nnv/a.jpg,x\nc,y\n").items()}
    assert paths(read(read_csv, packed)) == ["photos.zip/nv/a.jpg", "photos.zip/mel/c.jpg"]
    beside = {"labels.csv": packed.pop("photos.zip/labels.csv"), **packed}
    assert paths(read(read_csv, beside)) == ["photos.zip/nv/a.jpg", "photos.zip/mel/c.jpg"]


def test_empty_labels_are_unlabelled(read):
    listing = read(read_csv, table("image,label\nnv/a.jpg,nv\nnv/b.jpg,\nmel/c.jpg,mel\n"))
    assert listing.classes == ("mel", "nv")
    assert listing.columns["label"].tolist() == [1, -1, 0]


def test_classes_are_in_natural_order(read):
    assert read(read_csv, table("image,label\na,10\nb,9\nc,none\n")).classes == ("9", "10", "none")


def test_a_photograph_that_is_not_there_keeps_its_row(read):
    listing = read(read_csv, table("image,label\nnv/gone.jpg,nv\nnv/a.jpg,nv\n"))
    assert listing.photographs[0] == Missing("nv/gone.jpg")
    assert listing.notes == ("2 photographs are in no row and left aside, such as mel/c.jpg",)


def test_ages_that_are_no_numbers_stay_text(read):
    assert read(read_csv, table("image,label,age\na,x,40-50\nb,y,60\n")).columns["age"].tolist() == ["40-50", "60"]


def test_columns_with_names_of_our_own_are_left_aside(read):
    listing = read(read_csv, table("image,label,Image_ID,fold\na,x,1,2\nb,y,2,3\nc,y,3,4\n"))
    assert sorted(listing.columns) == ["group", "image_id", "label"]
    assert listing.columns["image_id"].tolist() == ["a", "b", "c"]
    assert listing.notes == (
        "the column image_id is left aside: its name is taken",
        "the column fold is left aside: its name is taken",
    )


def test_other_tables_beside_it_are_no_labels(read):
    assert len(read(read_csv, table("image,label\na,x\n", **{"notes.csv": b"a,b\n1,2\n"})).photographs) == 1


def test_the_table_that_is_named(tmp_path):
    write(tmp_path, table("image,label\na,x\n", **{"second.csv": b"image,label\nb,y\n"}))
    with open_source(tmp_path) as source:
        assert paths(read_csv(replace(source, table="second.csv"))) == ["nv/b.jpg"]
    (tmp_path / "second.csv").write_bytes(b"image,dx\nb,y\n")
    sentence = r"second.csv line 1 lacks the column label; it has image, dx: name them so"
    with open_source(tmp_path) as source, pytest.raises(UserError, match=sentence):
        read_csv(replace(source, table="second.csv"))
    with open_source(tmp_path) as source, pytest.raises(UserError, match=r"/\.csv is hidden, and hidden files are not"):
        read_csv(replace(source, table=".csv"))


MISTAKES = {
    "absolute path": (table("image,label\na,x\n/home/me/a.jpg,x\n"), "labels.csv line 3: image '/home/me/a.jpg' leads"),
    "drive": (table("image,label\nC:\\photos\\a.jpg,x\n"), r"line 2: image 'C:\\photos\\a.jpg' leads out of"),
    "network": (table("image,label\n\\\\server\\a.jpg,x\n"), r"line 2: image '\\\\server\\a.jpg' leads out of"),
    "upwards": (table("image,label\nnv/../../a.jpg,x\n"), "line 2: image 'nv/../../a.jpg' leads out of"),
    "no image": (table("image,label\n,x\n"), "labels.csv line 2: image is empty"),
    "twice": (table("image,label\na,x\nb,x\na,y\n"), "labels.csv line 4: image 'a' is already on line 2"),
    "twice, otherwise": (
        table("image,label\na,x\nnv/a.jpg,x\n"),
        "line 3: image 'nv/a.jpg' is nv/a.jpg, which labels.csv line 2 has already",
    ),
    "two of a name": (
        table("image,label\na,x\n", **{"mel/a.png": jpeg(9)}),
        "line 2: image 'a' is mel/a.png or nv/a.jpg: give the whole path",
    ),
    "two of a path": (
        table("image,label\nnv/a,x\n", **{"nv/a.png": jpeg(9)}),
        "line 2: image 'nv/a' is nv/a.jpg or nv/a.png: give the whole path",
    ),
    "split": (
        table("image,label,split\na,x,train\nb,y,holdout\n"),
        "labels.csv line 3: split 'holdout' is none of train, validation, test (or empty)",
    ),
    "weight": (
        table("image,label,weight\na,x,heavy\n"),
        "labels.csv line 2: weight 'heavy' is no number from 0 to 1,00",
    ),
    "negative weight": (table("image,label,weight\na,x,-1\n"), "line 2: weight '-1' is no number from 0"),
    "no weight": (table("image,label,weight\na,x,nan\n"), "line 2: weight 'nan' is no number from 0"),
    "endless weight": (table("image,label,weight\na,x,inf\n"), "line 2: weight 'inf' is no number from 0"),
    "age": (table("image,label,age\na,x,40\nb,y,400\n"), "labels.csv line 3: age '400' is no number of years"),
    "column": (
        table("picture,label\na,x\n"),
        "holds no .csv with columns image and label (labels.csv line 1 lacks the column image; it has picture, la",
    ),
    "column twice": (table("image,label,Split,SPLIT\na,x,train,test\n"), "names the column 'split' twice: rename one"),
    "no table": (folder(), "holds no .csv with columns image and label: put one beside the images"),
    "two tables": (
        table("image,label\na,x\n", **{"more.csv": b"image,label\nb,y\n"}),
        "labels.csv and more.csv are both tables of labels: give one as --source",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told(mistake, read):
    files, sentence = MISTAKES[mistake]
    with pytest.raises(UserError) as raised:
        read(read_csv, files)
    assert sentence in str(raised.value)
