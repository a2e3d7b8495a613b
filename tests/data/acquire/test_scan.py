"""Scanning: each kind of finding from a fabricated file."""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skinjax.core.errors import UserError
from skinjax.data.acquire import decoding
from skinjax.data.acquire.scan import KINDS, Finding, Report, scan
from skinjax.data.acquire.sources import open_source


def photograph(seed: int, side: int = 96) -> Image.Image:
    """Smooth random colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, format_: str = "JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def scanned(path: Path, labels_file: Path | None = None, min_side: int = 64) -> Report:
    with open_source(path) as source:
        return scan(source, labels_file, min_side)


def found(path: Path, **options) -> list[tuple[str, str, str]]:
    return [tuple(finding) for finding in scanned(path, **options).findings]


GOOD = {
    f"{name}/{number}.jpg": encoded(photograph(10 * n + number))
    for n, name in enumerate(("mel", "nv"))
    for number in (1, 2)
}
JPEG = encoded(photograph(7))


def test_nothing_is_wrong_with_whole_photographs(tmp_path):
    write(tmp_path, GOOD | {"README.txt": b"photographs", "licence.pdf": b"%PDF-1.4"})
    assert scanned(tmp_path) == Report(images=4, other_files=2, labels="2 class folders", findings=[])


@pytest.mark.parametrize(
    ("name", "data", "kind", "detail"),
    [
        ("x.jpg", b"", "empty", "it is empty"),
        ("x.jpg", JPEG[:900], "truncated", "Premature end of JPEG file"),
        ("x.jpg", b"<html><body>404</body></html>", "unreadable", "it is a web page"),
        ("x.jpg", encoded(photograph(7), "GIF"), "unsupported", "it is a GIF"),
        ("x.heic", b"\0\0\0\x18ftypheic" + bytes(99), "unsupported", "it is a HEIC picture"),
        ("x.png", JPEG, "wrong extension", "it is a JPEG"),
        ("x.TIFF", encoded(photograph(7), "PNG"), "wrong extension", "it is a PNG"),
        (
            "x.webp",
            encoded(photograph(7), "WEBP", save_all=True, append_images=[photograph(8)]),
            "several frames",
            "only the first is used",
        ),
        ("x.png", encoded(photograph(7).resize((300, 20)), "PNG"), "tiny", "300x20 pixels"),
    ],
)
def test_a_file_that_is_not_right_is_found(tmp_path, name, data, kind, detail):
    write(tmp_path, GOOD | {f"nv/{name}": data})
    assert found(tmp_path) == [(kind, f"nv/{name}", detail)]


def test_a_file_of_more_bytes_than_the_limit_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("skinjax.data.acquire.scan.MOST_BYTES", 10_000)
    write(tmp_path, GOOD | {"nv/x.jpg": bytes(12_000)})
    assert found(tmp_path) == [("huge", "nv/x.jpg", "12 kB are more than 10 kB")]


def test_more_pixels_than_the_limit_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "MOST_PIXELS", 96 * 96)
    write(tmp_path, GOOD | {"nv/x.jpg": encoded(photograph(7, side=100))})
    assert found(tmp_path) == [("huge", "nv/x.jpg", "its 100x100 pixels are more than the limit of 9216")]


def test_min_side_says_what_is_tiny(tmp_path):
    write(tmp_path, GOOD)
    assert found(tmp_path, min_side=96) == []
    assert [kind for kind, _, _ in found(tmp_path, min_side=97)] == ["tiny"] * 4


def test_duplicates_are_found_once_and_named_with_the_first(tmp_path):
    write(tmp_path, GOOD | {"nv/3.jpg": GOOD["nv/1.jpg"], "nv/4.jpg": GOOD["nv/1.jpg"]})
    detail = "the same file as nv/1.jpg"
    assert found(tmp_path) == [("duplicate", "nv/3.jpg", detail), ("duplicate", "nv/4.jpg", detail)]


def test_one_photograph_in_two_class_folders_is_an_error(tmp_path):
    write(tmp_path, GOOD | {"nv/3.jpg": GOOD["mel/1.jpg"]})
    assert found(tmp_path) == [("two labels", "nv/3.jpg", "the same file as mel/1.jpg (nv here, mel there)")]


def test_a_photograph_encoded_anew_is_a_near_duplicate(tmp_path):
    again = encoded(photograph(1).resize((80, 80), Image.Resampling.BICUBIC), quality=60)
    write(tmp_path, GOOD | {"nv/3.jpg": again})
    [(kind, path, detail)] = found(tmp_path)
    assert (kind, path) == ("near-duplicate", "nv/3.jpg")
    assert re.fullmatch(r"looks like mel/1\.jpg, similarity (0\.9[0-9]|1\.00) \(nv here, mel there\)", detail)


def test_a_folder_of_broken_photographs_has_no_duplicates(tmp_path):
    write(tmp_path, {"mel/1.jpg": b"", "nv/2.jpg": b""})
    assert [(kind, path) for kind, path, _ in found(tmp_path)] == [("empty", "mel/1.jpg"), ("empty", "nv/2.jpg")]


TABLE = {
    "all/1.jpg": encoded(photograph(1)),
    "all/2.jpg": encoded(photograph(2)),
    "all/3.png": encoded(photograph(3), "PNG"),
}


def test_labels_and_photographs_that_miss_each_other_are_found(tmp_path):
    rows = b"image,label\n1.jpg,nv\n2,mel\n4.jpg,nv\n"
    write(tmp_path, TABLE | {"all/labels.csv": rows})
    report = scanned(tmp_path)
    assert (report.labels, report.other_files) == ("all/labels.csv (3 rows)", 1)
    assert report.findings == [
        Finding("label without image", "all/4.jpg", "all/labels.csv line 4"),
        Finding("image without label", "all/3.png", "in no row of all/labels.csv"),
    ]


def test_rows_that_contradict_each_other_are_found(tmp_path):
    rows = b"image,label\nall/1.jpg,nv\n2.jpg,mel\nall/1.jpg,mel\n2,mel\n3,\n../4.jpg,nv\n"
    write(tmp_path, TABLE | {"labels.csv": rows})
    assert found(tmp_path) == [
        ("two labels", "all/1.jpg", "mel in labels.csv line 4, nv in labels.csv line 2"),
        ("bad row", "labels.csv line 5", "all/2.jpg is already in labels.csv line 3"),
        ("bad row", "labels.csv line 7", f"image '../4.jpg' leads out of {tmp_path}: give a path below it"),
        ("image without label", "all/3.png", "labels.csv line 6"),
    ]


def test_one_photograph_under_two_labels_of_a_table_is_an_error(tmp_path):
    rows = b"image,label\n1.jpg,nv\n2.jpg,mel\n3.png,nv\ncopy.jpg,mel\n"
    write(tmp_path, TABLE | {"all/copy.jpg": TABLE["all/1.jpg"], "labels.csv": rows})
    assert found(tmp_path) == [("two labels", "all/copy.jpg", "the same file as all/1.jpg (mel here, nv there)")]


@pytest.mark.parametrize("inside", [True, False])
def test_the_user_names_the_table(tmp_path, inside):
    photographs = write(tmp_path / "photographs", TABLE | {"labels.csv": b"image,label\n1,a\n2,b\n3,a\n"})
    mine = (photographs if inside else tmp_path) / "mine.csv"
    mine.write_bytes(b"image,label\nall/1.jpg,a\nall/2.jpg,b\n")
    report = scanned(photographs, labels_file=mine)
    assert report.findings == [Finding("image without label", "all/3.png", f"in no row of {mine}")]


def test_a_table_may_name_what_is_in_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "photographs.zip", "w") as archive:
        for name, data in TABLE.items():
            archive.writestr(name, data)
        archive.writestr("broken.jpg", JPEG[:900])
    labels = (
        write(tmp_path, {"labels.csv": b"image,label\nall/1.jpg,a\nall/2.jpg,b\nall/3.png,a\nbroken,b\n"})
        / "labels.csv"
    )
    expected = [("truncated", "photographs.zip/broken.jpg", "Premature end of JPEG file")]
    assert found(tmp_path / "photographs.zip", labels_file=labels) == expected


def test_folders_are_no_classes_where_another_table_has_the_labels(tmp_path):
    write(
        tmp_path, {"part_1/1.jpg": JPEG, "part_2/1.jpg": JPEG, "HAM10000_metadata": b"lesion_id,image_id,dx\nl,1,nv\n"}
    )
    report = scanned(tmp_path)
    assert report.labels == "none were found (HAM10000_metadata is no .csv)"
    assert report.findings == [Finding("duplicate", "part_2/1.jpg", "the same file as part_1/1.jpg")]


def test_a_photograph_in_no_class_folder_has_no_label(tmp_path):
    write(tmp_path, GOOD | {"loose.jpg": JPEG})
    assert found(tmp_path) == [("image without label", "loose.jpg", "in no class folder")]


def test_two_tables_of_labels_are_one_too_many(tmp_path):
    write(tmp_path, TABLE | {"a.csv": b"image,label\n1,nv\n", "b.csv": b"image,label\n1,nv\n"})
    with pytest.raises(UserError, match=r"a\.csv and b\.csv are both tables of labels: give one as --labels"):
        scanned(tmp_path)


def test_a_table_without_labels_is_refused(tmp_path):
    write(tmp_path, GOOD | {"labels.csv": b"image,diagnosis\n1,nv\n"})
    assert scanned(tmp_path).labels.startswith("none were found (labels.csv line 1 lacks the column label")
    with pytest.raises(UserError, match=r"labels\.csv line 1 lacks the column label; it has image, diagnosis"):
        scanned(tmp_path, labels_file=tmp_path / "labels.csv")


def test_a_table_of_labels_that_cannot_be_read_is_an_error(tmp_path):
    write(tmp_path, GOOD | {"labels.csv": b"image,label\n1\n"})
    assert found(tmp_path) == [
        ("bad row", "labels.csv", "line 2 has 1 cell for 2 columns: write all, those with commas in quotes")
    ]


def test_a_folder_without_photographs_is_refused(tmp_path):
    write(tmp_path, {"notes.txt": b"none"})
    with pytest.raises(UserError, match="none of the photographs"):
        scanned(tmp_path)


def test_every_fault_of_the_decoder_is_a_kind():
    assert set(decoding.REMEDIES) <= set(KINDS)
