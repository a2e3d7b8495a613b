"""`skinjax scan`: the table, the CSV, the exit status, and what users get wrong."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skinjax import cli


def jpeg(seed: int) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def photographs(tmp_path) -> Path:
    """Two classes of two photographs, among them a copy, and a text."""
    folder = tmp_path / "photographs"
    files = {"mel/1.jpg": jpeg(1), "mel/2.jpg": jpeg(2), "nv/3.jpg": jpeg(3), "nv/4.jpg": jpeg(3), "notes.txt": b"mine"}
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def test_warnings_alone_are_no_failure(photographs, capsys):
    assert cli.main(["scan", str(photographs)]) == 0
    assert (
        capsys.readouterr().out
        == f"""\
{photographs}: 4 photographs, 1 other file
labels: 2 class folders

     1  duplicate  warning

duplicate:
  nv/4.jpg: the same file as nv/3.jpg
"""
    )


def test_errors_come_first_and_all_findings_go_to_the_csv(photographs, capsys, tmp_path):
    for number in range(12):
        (photographs / "mel" / f"empty {number:02}.jpg").touch()
    (photographs / "nv" / "cut.jpg").write_bytes(jpeg(4)[:900])
    table = tmp_path / "findings.csv"
    assert cli.main(["scan", str(photographs), f"--csv={table}"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[3:6] == ["    12  empty      error", "     1  truncated  error", "     1  duplicate  warning"]
    assert lines[7:9] == ["empty:", "  mel/empty 00.jpg: it is empty"]
    assert lines[18:20] == [f"  and 2 more: see {table}", ""]
    assert lines[21] == "  nv/cut.jpg: Premature end of JPEG file"
    with table.open(newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 15
    assert rows[0] == ["severity", "kind", "path", "detail"]
    assert rows[-2] == ["error", "truncated", "nv/cut.jpg", "Premature end of JPEG file"]
    assert rows[-1] == ["warning", "duplicate", "nv/4.jpg", "the same file as nv/3.jpg"]


def test_a_csv_of_an_earlier_scan_is_written_anew(photographs, tmp_path, capsys):
    table = photographs / "findings.csv"
    for _ in range(2):
        assert cli.main(["scan", str(photographs), f"--csv={table}"]) == 0
        assert "labels: 2 class folders" in capsys.readouterr().out
    assert len(table.read_text().splitlines()) == 2


def test_cells_of_a_table_do_not_steer_the_terminal(photographs, capsys):
    (photographs / "labels.csv").write_bytes(b"image,label\n\x1b[31mred.jpg,nv\n")
    assert cli.main(["scan", str(photographs)]) == 1
    assert r"  \x1b[31mred.jpg: labels.csv line 2" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "the following arguments are required: DIR"),
        (["{tmp}/nowhere"], "there is no folder or archive"),
        (["{tmp}/photographs/notes.txt"], "neither a folder nor a zip or tar archive"),
        (["{tmp}/photographs", "--labels={tmp}/nowhere.csv"], "nowhere.csv cannot be read: No such file"),
        (
            ["{tmp}/photographs", "--labels={tmp}/photographs/notes.txt"],
            "notes.txt line 1 lacks the columns image, label",
        ),
        (
            ["{tmp}/photographs", "--csv={tmp}/photographs/notes.txt"],
            "is there and does not begin with severity,kind,path,detail: give another --csv",
        ),
        (["{tmp}/photographs", "--csv={tmp}/nowhere/findings.csv"], "/nowhere: make it, or give another --csv"),
        (["{tmp}/photographs", "--min_side=-1"], "--min_side: -1 is no number from 0"),
        (["{tmp}/photographs", "--min_side=big"], "invalid number value: 'big'"),
    ],
)
def test_mistakes_are_one_sentence(photographs, tmp_path, capsys, arguments, sentence):
    before = (photographs / "notes.txt").read_bytes()
    assert cli.main(["scan", *(argument.format(tmp=tmp_path) for argument in arguments)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert sentence in error
    assert error.count("\n") == 1
    assert (photographs / "notes.txt").read_bytes() == before
