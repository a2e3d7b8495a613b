"""Anybody's folders: which folder is a class, and what each photograph is called."""

from pathlib import PurePosixPath

import pytest

from skinjax.core.errors import UserError
from skinjax.data.acquire.builders.folder import read_folder, unique_ids

from .fabricated import jpeg


def photographs(*paths: str) -> dict[str, bytes]:
    return {path: jpeg(number) for number, path in enumerate(paths)}


def rows(listing) -> dict[str, str]:
    """{image id: class}, with the part before the class where there are parts."""
    columns = listing.columns
    parts = [f"{part} " for part in columns["split"]] if "split" in columns else [""] * len(columns["label"])
    names = [listing.classes[label] for label in columns["label"]]
    return {image: part + name for image, part, name in zip(columns["image_id"].tolist(), parts, names, strict=True)}


def test_a_folder_per_class(read):
    listing = read(
        read_folder, photographs("nv/b.jpg", "mel/a.JPG", "nv/a.png") | {"nv/readme.txt": b"", "Thumbs.db": b""}
    )
    assert listing.classes == ("mel", "nv")
    assert rows(listing) == {"mel/a": "mel", "nv/a": "nv", "nv/b": "nv"}
    assert [photograph.read() for photograph in listing.photographs] == [jpeg(1), jpeg(2), jpeg(0)]
    assert listing.columns["group"].tolist() == ["mel/a", "nv/a", "nv/b"]
    assert listing.notes == ()


def test_deeper_photographs_belong_to_the_class_above_them(read):
    listing = read(read_folder, photographs("nv/2019/anna/a.jpg", "nv/b.jpg", "mel/x/c.jpg"))
    assert rows(listing) == {"mel/x/c": "mel", "nv/2019/anna/a": "nv", "nv/b": "nv"}


def test_classes_are_in_natural_order(read):
    assert read(read_folder, photographs("10/a.jpg", "2/b.jpg", "1/c.jpg")).classes == ("1", "2", "10")


def test_parts_with_a_folder_per_class(read):
    listing = read(read_folder, photographs("train/nv/a.jpg", "train/mel/b.jpg", "Valid/nv/c.jpg", "test/mel/d.jpg"))
    assert rows(listing) == {
        "Valid/nv/c": "validation nv",
        "test/mel/d": "test mel",
        "train/mel/b": "train mel",
        "train/nv/a": "train nv",
    }
    assert listing.notes == ()


@pytest.mark.parametrize("word", ["val", "valid", "validation", "dev", "VAL"])
def test_words_for_validation(word, read):
    listing = read(read_folder, photographs("training/nv/a.jpg", f"{word}/mel/b.jpg", "testing/mel/c.jpg"))
    assert sorted(listing.columns["split"].tolist()) == ["test", "train", "validation"]


def test_a_class_that_some_part_lacks_keeps_its_number(read):
    listing = read(read_folder, photographs("train/b/1.jpg", "train/c/2.jpg", "test/a/3.jpg", "test/c/4.jpg"))
    assert listing.classes == ("a", "b", "c")
    assert listing.columns["image_id"].tolist() == ["test/a/3", "test/c/4", "train/b/1", "train/c/2"]
    assert listing.columns["label"].tolist() == [0, 2, 1, 2]
    assert listing.notes == ("the class a has no training photographs",)


def test_folders_that_wrap_everything_are_no_classes(read):
    listing = read(read_folder, photographs("set/v2/nv/a.jpg", "set/v2/mel/b.jpg", "set/v2/cover.jpg", "logo.png"))
    assert rows(listing) == {"mel/b": "mel", "nv/a": "nv"}
    assert listing.notes == ("2 photographs are in no class folder and left aside, such as logo.png",)


def test_photographs_in_no_folder_have_no_labels(read):
    listing = read(read_folder, photographs("b.jpg", "a.jpg"))
    assert listing.classes == ()
    assert listing.columns["image_id"].tolist() == ["a", "b"]
    assert listing.columns["label"].tolist() == [-1, -1]
    assert listing.notes == ("2 photographs are in no class folder: they have no labels",)


def test_archives_are_the_folders_that_unpacking_makes(read):
    expected = {"mel/b": "mel", "nv/a": "nv"}
    assert rows(read(read_folder, photographs("photos.zip/nv/a.jpg", "photos.zip/mel/b.jpg"))) == expected
    assert rows(read(read_folder, photographs("nv.zip/a.jpg", "mel.tar.gz/mel/b.jpg"))) == expected
    listing = read(read_folder, photographs("train.zip/train/nv/a.jpg", "test.zip/mel/b.jpg"))
    assert rows(listing) == {"test/mel/b": "test mel", "train/nv/a": "train nv"}


def test_an_archive_beside_what_was_unpacked_from_it_is_read_once(read):
    files = photographs("nv/a.jpg", "mel/b.jpg")
    listing = read(
        read_folder, {f"{top}/{path}": data for path, data in files.items() for top in ("photos", "photos.zip")}
    )
    assert rows(listing) == {"mel/b": "mel", "nv/a": "nv"}
    assert listing.notes == ("2 photographs are there twice and read once",)
    with pytest.raises(UserError, match=r"photos.zip/nv/a.jpg and photos/nv/a.jpg are two photographs of one name"):
        read(read_folder, {**files, "photos/nv/a.jpg": jpeg(8), "photos.zip/nv/a.jpg": jpeg(9)})


def test_photographs_in_formats_that_are_not_read_are_not_passed_over(read):
    listing = read(
        read_folder, photographs("nv/a.jpg", "mel/b.jpg", "mel/IMG_2041.HEIC", "mel/scan.dcm", "mel/notes.txt")
    )
    assert [photograph.path for photograph in listing.photographs] == [
        *("mel/IMG_2041.HEIC", "mel/b.jpg", "mel/scan.dcm", "nv/a.jpg")
    ]


def test_photographs_that_differ_in_their_extension_only_keep_it():
    paths = [PurePosixPath(path) for path in ("nv/a.jpg", "nv/a.png", "nv/b.jpg", "nv/a.jpg.png")]
    assert unique_ids(paths) == ["nv/a.jpg", "nv/a.png", "nv/b", "nv/a.jpg.png"]


MISTAKES = {
    "nothing": ({}, "none of the photographs (such as nv/photograph.jpg) is in"),
    "archives in an archive": (
        {"all.zip/nv.zip": b"PK"},
        ": all.zip/nv.zip is an archive in an archive, so unpack the outer one",
    ),
    "parts beside classes": (
        photographs("train/nv/a.jpg", "test/nv/b.jpg", "mel/c.jpg"),
        "holds parts (test, train) beside other folders (mel): make it a folder of photographs per class, or train",
    ),
    "part without classes": (
        photographs("train/nv/a.jpg", "test/b.jpg"),
        "test/b.jpg lies in a part but in no class folder: make it a folder of photographs per class, or train",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told(mistake, read):
    files, sentence = MISTAKES[mistake]
    with pytest.raises(UserError) as raised:
        read(read_folder, {"readme.txt": b"", **files})
    assert sentence in str(raised.value)
