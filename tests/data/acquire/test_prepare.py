"""Preparing: one checked pass from a source to a data set that is whole, or a sentence and nothing on disk."""

import csv
import hashlib
import io
import json
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skinjax.core.errors import UserError
from skinjax.core.files import check_room
from skinjax.data.acquire.builders.base import Missing, PhotographBuilder
from skinjax.data.acquire.prepare import bytes_needed, check_name, default_name, prepare
from skinjax.data.dataset import open_dataset, prepared, read_dataset, read_manifest, write_records
from tests.disks import small_disk


def photograph(number: int, size: tuple[int, int] = (24, 16)) -> bytes:
    """A JPEG of smooth random colours, another for each number."""
    coarse = np.random.default_rng(number).integers(0, 256, (3, 4, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture
def clinic(tmp_path) -> Path:
    """Two classes of three photographs, of which the last is the first again."""
    for number, path in enumerate(("mel/a.jpg", "mel/b.jpg", "nv/c.jpg", "nv/d.jpg", "nv/e.jpg", "mel/copy of a.jpg")):
        file = tmp_path / "clinic" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(photograph(number % 5))
    return tmp_path / "clinic"


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "data"


def left_behind(root: Path) -> list[str]:
    return sorted(path.name for path in root.glob("*")) if root.exists() else []


def test_a_folder_becomes_a_data_set_with_its_bytes_unchanged(clinic, root):
    dataset = prepare("folder", clinic, root)
    assert (dataset.name, dataset.classes, dataset.synthetic) == ("clinic", ("mel", "nv"), False)
    assert dataset.columns["image_id"].tolist() == ["mel/a", "mel/b", "mel/copy of a", "nv/c", "nv/d", "nv/e"]
    assert dataset.columns["label"].tolist() == [0, 0, 0, 1, 1, 1]
    for record, image_id in enumerate(dataset.columns["image_id"]):
        assert dataset.records[record] == (clinic / f"{image_id}.jpg").read_bytes()
    again = open_dataset("clinic", {}, root)
    assert again.fingerprint == dataset.fingerprint
    with pytest.raises(UserError, match=r"takes no arguments, and 'images' is given: .* configs/own\.py:clinic"):
        open_dataset("clinic", {"images": 3}, root)


def test_identical_files_are_one_group_so_that_no_split_can_part_them(clinic, root):
    dataset = prepare("folder", clinic, root)
    assert dataset.columns["group"].tolist() == ["mel/a", "mel/b", "mel/a", "nv/c", "nv/d", "nv/e"]
    assert read_manifest(root / "clinic")["notes"] == ["1 photograph is byte-identical to others"]


def test_an_identical_file_without_a_group_joins_the_group_of_the_other_in_any_order(clinic, root):
    for name in ("first", "second"):
        (clinic / f"nv/{name}.jpg").write_bytes((clinic / "nv/c.jpg").read_bytes())
    table = "image,label,group\nnv/first,nv,\nnv/second,nv,\nnv/c,nv,anna\nnv/d,nv,anna\nmel/a,mel,\n"
    (clinic / "labels.csv").write_text(table)
    groups = prepare("csv", clinic / "labels.csv", root).columns["group"].tolist()
    assert groups == ["anna", "anna", "anna", "anna", "mel/a"]
    assert read_manifest(root / "labels")["notes"][-1] == "2 photographs are byte-identical to others"


def test_a_group_that_is_named_after_an_identical_file_joins_as_a_whole(clinic, root):
    (clinic / "nv/first.jpg").write_bytes((clinic / "nv/c.jpg").read_bytes())
    (clinic / "labels.csv").write_text("image,label,group\nnv/first,nv,\nnv/c,nv,nv/c\nnv/d,nv,nv/c\nmel/a,mel,\n")
    groups = prepare("csv", clinic / "labels.csv", root).columns["group"].tolist()
    assert groups == ["nv/first", "nv/first", "nv/first", "mel/a"]


def test_the_manifest_says_what_it_is_and_how_it_was_made(clinic, root):
    prepare("folder", clinic, root, name="mine", skip_bad=True)
    manifest = json.loads((root / "mine" / "manifest.json").read_text())
    assert manifest["images_per_class"] == {"mel": 3, "nv": 3}
    assert (manifest["images"], manifest["groups"], manifest["licence"]) == (6, 5, "yours")
    assert manifest["made_with"] == {
        "kind": "folder",
        "source": str(clinic),
        "max_side": 0,
        "skip_bad": True,
        "files": manifest["made_with"]["files"],
    }
    assert manifest["made_by"].keys() == {"skinjax", "decoder"}
    with open(root / "mine" / "sources.csv") as file:
        rows = list(csv.DictReader(file))
    assert {row["file"]: (int(row["bytes"]), row["sha256"]) for row in rows} == {
        path.relative_to(clinic).as_posix(): (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in clinic.rglob("*.jpg")
    }
    assert manifest["sources"]["rows"] == 6


def test_an_archive_is_hashed_as_one_file_and_gives_the_same_data_set(clinic, root, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted(clinic.rglob("*.jpg")):
            archive.write(path, path.relative_to(tmp_path))
    packed, loose = prepare("folder", tmp_path / "photos.zip", root), prepare("folder", clinic, root)
    assert packed.name == "photos"
    assert packed.fingerprint == loose.fingerprint
    lines = (root / "photos" / "sources.csv").read_text().splitlines()
    digest = hashlib.sha256((tmp_path / "photos.zip").read_bytes()).hexdigest()
    assert lines == ["file,bytes,sha256", f"photos.zip,{(tmp_path / 'photos.zip').stat().st_size},{digest}"]
    monkeypatch.chdir(tmp_path)
    assert prepare("folder", Path("photos.zip"), root, name="from_here").fingerprint == loose.fingerprint
    assert (root / "from_here" / "sources.csv").read_text().splitlines() == lines


def test_max_side_makes_larger_photographs_smaller_and_leaves_the_others(clinic, root):
    (clinic / "nv" / "large.jpg").write_bytes(photograph(9, (64, 48)))
    dataset = prepare("folder", clinic, root, max_side=32)
    sizes = [Image.open(io.BytesIO(dataset.records[record])).size for record in range(7)]
    assert sizes == [(24, 16)] * 6 + [(32, 24)]
    assert dataset.records[0] == (clinic / "mel" / "a.jpg").read_bytes()
    exact = Image.open(clinic / "nv" / "large.jpg").resize((32, 24), Image.Resampling.BICUBIC)
    stored = np.asarray(Image.open(io.BytesIO(dataset.records[6])), int)
    assert np.abs(stored - np.asarray(exact, int)).mean() < 2


# Again


def test_preparing_again_is_done_at_once_and_anything_else_is_refused(clinic, root):
    first = prepare("folder", clinic, root)
    written = (root / "clinic" / "manifest.json").stat().st_mtime_ns
    assert prepare("folder", clinic, root).fingerprint == first.fingerprint
    assert (root / "clinic" / "manifest.json").stat().st_mtime_ns == written
    with pytest.raises(UserError, match=r"clinic was prepared before, with max_side 0, not 64: delete it"):
        prepare("folder", clinic, root, max_side=64)
    (clinic / "nv" / "new.jpg").write_bytes(photograph(8))
    with pytest.raises(UserError, match=r"prepared before, the files in its source have changed since: .*--name"):
        prepare("folder", clinic, root)
    assert len(prepare("folder", clinic, root, name="clinic2")) == 7
    assert list(prepared(root)) == ["clinic", "clinic2"]


def test_a_folder_of_that_name_that_is_no_data_set_is_left_alone(clinic):
    with pytest.raises(UserError, match=r"clinic is there and no data set: give another --name"):
        prepare("folder", clinic, clinic.parent)
    assert len(list(clinic.rglob("*"))) == 8


def test_what_skinjax_made_in_the_source_is_no_part_of_the_source(clinic):
    (clinic / "pixels" / "clinic-16x16").mkdir(parents=True)
    (clinic / "pixels" / "clinic-16x16" / "pixels.uint8").write_bytes(b"1")
    first = prepare("folder", clinic, clinic)
    assert len(first) == 6
    assert prepare("folder", clinic, clinic).fingerprint == first.fingerprint


def test_what_a_killed_preparation_left_is_never_taken_for_a_data_set(clinic, root):
    unfinished = root / ".clinic.unfinished"
    (unfinished / "records").mkdir(parents=True)
    (unfinished / "manifest.json").write_text("{}")
    assert prepared(root) == {}
    assert len(prepare("folder", clinic, root)) == 6
    assert left_behind(root) == [".clinic.lock", "clinic"]


# What cannot be used


def spoil(clinic: Path) -> None:
    (clinic / "mel" / "b.jpg").write_bytes(b"")
    (clinic / "nv" / "d.jpg").write_bytes(photograph(3)[:-40])


def test_bad_photographs_refuse_the_whole_set(clinic, root):
    spoil(clinic)
    with pytest.raises(UserError, match=r"2 photographs cannot be used, the first: .*'mel/b.jpg'.* empty.*--skip_bad"):
        prepare("folder", clinic, root)
    assert left_behind(root) == [".clinic.lock"]
    (clinic / "nv" / "d.jpg").unlink()
    with pytest.raises(UserError, match=r"^image 'mel/b.jpg' cannot be decoded: it is empty"):
        prepare("folder", clinic, root)


def test_photographs_in_a_format_that_is_not_read_refuse_the_set_too(clinic, root):
    (clinic / "nv" / "IMG_1.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(99))
    with pytest.raises(UserError, match=r"^image 'nv/IMG_1.heic' cannot be decoded: it is a HEIC picture; convert it"):
        prepare("folder", clinic, root)
    assert len(prepare("folder", clinic, root, skip_bad=True)) == 6


def test_skip_bad_leaves_them_out_and_records_it(clinic, root):
    spoil(clinic)
    dataset = prepare("folder", clinic, root, skip_bad=True)
    assert dataset.columns["image_id"].tolist() == ["mel/a", "mel/copy of a", "nv/c", "nv/e"]
    for record, image_id in enumerate(dataset.columns["image_id"]):
        assert dataset.records[record] == (clinic / f"{image_id}.jpg").read_bytes()
    with open(root / "clinic" / "left_out.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["mel/b.jpg", "nv/d.jpg"]
    assert "empty" in rows[0]["reason"]
    manifest = read_manifest(root / "clinic")
    assert manifest["left_out"]["rows"] == 2
    assert manifest["images_per_class"] == {"mel": 2, "nv": 2}


def test_a_source_without_one_good_photograph_is_refused_even_then(clinic, root):
    for path in clinic.rglob("*.jpg"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match="6 photographs cannot be used"):
        prepare("folder", clinic, root, skip_bad=True)
    assert left_behind(root) == [".clinic.lock"]


def test_the_same_photograph_with_and_without_a_label_is_none(clinic, root):
    (clinic / "labels.csv").write_text("image,label\nmel/a,mel\nmel/copy of a,\nnv/c,nv\n")
    dataset = prepare("csv", clinic / "labels.csv", root)
    assert dataset.columns["label"].tolist() == [0, -1, 1]
    assert dataset.columns["group"].tolist() == ["mel/a", "mel/a", "nv/c"]


def test_the_same_photograph_under_two_labels_is_an_error(clinic, root):
    (clinic / "nv" / "z.jpg").write_bytes(photograph(0))
    with pytest.raises(UserError, match=r"nv/z.jpg is the same file as mel/a.jpg, which has another label"):
        prepare("folder", clinic, root)
    assert len(prepare("folder", clinic, root, skip_bad=True)) == 6


def test_a_row_without_its_photograph_is_an_error_or_left_out(clinic, root):
    (clinic / "labels.csv").write_text("image,label\nmel/a,mel\nnv/c.jpg,nv\nnv/gone.jpg,nv\n")
    with pytest.raises(
        UserError, match=r"^nv/gone.jpg is not in .*: add what is missing, or leave out with --skip_bad what"
    ):
        prepare("csv", clinic, root)
    dataset = prepare("csv", clinic / "labels.csv", root, skip_bad=True)
    assert dataset.name == "labels"
    assert dataset.columns["image_id"].tolist() == ["mel/a", "nv/c.jpg"]
    note = "4 photographs are in no row and left aside, such as mel/b.jpg"
    assert read_manifest(root / "labels")["notes"] == [note]


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("nv", "NV"), "the classes 'NV' and 'nv' in .* differ in case only"),
        (("nv", " mel"), "has the class name ' mel': rename it"),
        (("nv", "m\nel"), "control characters: rename it"),
        (("nv",), "photographs of 1 class; a data set needs two"),
    ],
)
def test_names_that_tables_could_not_hold_are_refused(tmp_path, root, names, sentence):
    for number, name in enumerate(names):
        (tmp_path / "set" / name).mkdir(parents=True)
        (tmp_path / "set" / name / "a.jpg").write_bytes(photograph(number))
    with pytest.raises(UserError, match=sentence):
        prepare("folder", tmp_path / "set", root)


# Names and room


@pytest.mark.parametrize(
    ("name", "kind", "sentence"),
    [
        ("../up", "folder", "cannot name a data set"),
        ("", "folder", "cannot name a data set"),
        ("a" * 81, "folder", "up to 80 letters"),
        ("ham10000", "folder", "is taken"),
        ("synthetic-v1", "folder", "is taken"),
        ("pixels", "csv", "is taken"),
        ("demo", "folder", "is taken"),
        ("folder", "folder", "is taken"),
    ],
)
def test_names_that_a_set_cannot_have(name, kind, sentence):
    with pytest.raises(UserError, match=sentence):
        check_name(name, kind)


def test_a_set_of_the_catalogue_may_be_called_anything_else_or_itself():
    assert check_name("ham10000", "ham10000") == "ham10000"
    assert check_name("ham-300.v2", "ham10000") == "ham-300.v2"
    assert check_name("demographics", "folder") == "demographics"


@pytest.mark.parametrize(
    ("path", "name"),
    [("My Photos (new)", "My_Photos_new"), ("photos.zip", "photos"), ("set.tar.gz", "set"), ("labels.csv", "labels")],
)
def test_default_names(tmp_path, path, name):
    assert default_name(tmp_path / path) == name


def test_arguments_that_cannot_be(clinic, root):
    with pytest.raises(UserError, match=r"unknown data set 'foldr' \(did you mean 'folder'\?\)"):
        prepare("foldr", clinic, root)
    with pytest.raises(UserError, match="max_side is 5; give 16 pixels or more, or 0"):
        prepare("folder", clinic, root, max_side=5)
    with pytest.raises(UserError, match="max_side is -1"):
        prepare("folder", clinic, root, max_side=-1)
    with pytest.raises(UserError, match="there is no folder or archive"):
        prepare("folder", clinic / "none", root)


def test_a_set_may_be_larger_than_memory(root):
    names = np.array([str(row) for row in range(40)])
    columns = {"image_id": names, "group": names, "label": np.zeros(40, np.int32)}

    def megabytes():
        return ((row, bytes([row]) * 10**6) for row in range(40))

    builder = PhotographBuilder(["mole"], columns, megabytes, str(root / "records"))
    tracemalloc.start()
    try:
        write_records(builder, root, {})
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()
    records = read_dataset(root, "moles").records
    assert [records[row] == bytes([row]) * 10**6 for row in range(40)] == [True] * 40


def test_what_another_process_prepares_meanwhile_under_the_name_is_not_taken_for_ones_own(clinic, root, monkeypatch):
    def meanwhile(*_arguments):
        monkeypatch.undo()
        prepare("folder", clinic, root, max_side=16)

    monkeypatch.setattr("skinjax.data.acquire.prepare.check_room", meanwhile)
    with pytest.raises(UserError, match="clinic was prepared before, with max_side 16, not 0: delete it"):
        prepare("folder", clinic, root)


def test_room_is_checked_before_anything_is_written(clinic, root, monkeypatch):
    assert bytes_needed([Missing("a.jpg", 10**6), Missing("b.jpg", 100)], 0) == 10**6 + 100 + 512
    assert bytes_needed([Missing("a.jpg", 10**6)], max_side=100) == 15000 + 256
    with pytest.raises(UserError, match=r"the photographs need 1e\+06 TB in .*/data and .* are free: make room or"):
        check_room(root, 10**18, "the photographs")
    check_room(root, 0, "nothing")
    assert not root.exists()


def test_a_disk_that_fills_up_half_way_leaves_nothing(clinic, root, monkeypatch):
    root.mkdir()
    (clinic / "nv" / "large.jpg").write_bytes(photograph(9, (3000, 2000)))
    monkeypatch.setattr(
        "skinjax.data.acquire.prepare.check_room", lambda *arguments: None
    )  # as if others fill it meanwhile
    with small_disk(root, "120k"):
        with pytest.raises(
            UserError, match=r"cannot write data sets to .*: (the disk is full|No space left on device)"
        ):
            prepare("folder", clinic, root)
        assert left_behind(root) == [".clinic.lock"]


def test_too_small_a_disk_is_told_before_anything_is_written(clinic, root):
    root.mkdir()
    (clinic / "nv" / "large.jpg").write_bytes(photograph(9, (3000, 2000)))
    with small_disk(root, "120k"):
        with pytest.raises(
            UserError, match=r"the photographs of clinic need .* kB in .* and 123 kB are free: make room or"
        ):
            prepare("folder", clinic, root)
        assert left_behind(root) == []
