"""`skinjax predict`: photographs, folders and archives in, a table out, and what users get wrong."""

import csv
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from skinjax import cli
from skinjax.model import load_run, write_model
from tests.test_model import CLASSES, drawn

HEADER = ["path", "image_id", "prediction", "p_mel", "p_nv", "p_bcc", "error"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a model that asks for batches of four."""
    folder = tmp_path_factory.mktemp("run")
    write_model(folder, drawn())
    return folder


def picture(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (30, 40, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Photographs in folders and in a zip, among other files; the working folder is above them."""
    files = {"b.png": picture(0), "a/b.png": picture(1), "a/notes.txt": b"mine", "a/c.png": picture(2)}
    for name, data in files.items():
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    with zipfile.ZipFile(tmp_path / "photos" / "more.zip", "w") as archive:
        for seed, name in enumerate(("in/d.png", "in/e, f.png"), start=3):
            archive.writestr(name, picture(seed))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def predict(capsys, *arguments):
    """(status, rows, what was said)."""
    status = cli.main(["predict", *map(str, arguments)])
    output, errors = capsys.readouterr()
    return status, list(csv.reader(io.StringIO(output))), errors


def test_folders_and_archives_are_read_in_place(run, photos, capsys):
    status, (header, *rows), errors = predict(capsys, run, "photos")
    assert (status, errors, header) == (0, "", HEADER)
    names = ["a/b.png", "a/c.png", "b.png", "more.zip/in/d.png", "more.zip/in/e, f.png"]
    assert [row[0] for row in rows] == [f"photos/{name}" for name in names]
    assert [row[1] for row in rows] == ["b", "c", "b", "d", "e, f"]
    model = load_run(run)
    for row, seed in zip(rows, (1, 2, 0, 3, 4), strict=True):
        probabilities = model.predict(model.read(picture(seed))[None])["probabilities"][0]
        assert np.array_equal(np.array(row[3:6], np.float32), probabilities)
        assert row[2] == CLASSES[probabilities.argmax()]
        assert row[6] == ""


def test_paths_of_every_kind_in_the_order_given(run, photos, capsys):
    paths = ["photos/more.zip", "photos/b.png", photos / "a"]
    status, (_, *rows), _ = predict(capsys, run, *paths)
    names = [
        "photos/more.zip/in/d.png",
        "photos/more.zip/in/e, f.png",
        "photos/b.png",
        *(f"{photos}/a/{x}.png" for x in "bc"),
    ]
    assert (status, [row[0] for row in rows]) == (0, names)


def test_a_bad_photograph_has_a_row_and_the_others_their_answers(run, photos, capsys):
    _, before, _ = predict(capsys, run, "photos")
    (photos / "a" / "bad.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (photos / "a" / "raw.heic").write_bytes(b"something")
    (photos / "empty.png").touch()
    status, rows, errors = predict(capsys, run, "photos")
    assert status == 1
    assert errors == "3 of 8 photographs cannot be read: the column error says why\n"
    assert [row for row in rows if not row[6] or row == HEADER] == before
    bad = {row[1]: row for row in rows if row[6] and row != HEADER}
    assert bad.keys() == {"bad", "raw", "empty"}
    assert bad["empty"][2:] == [
        "",
        "",
        "",
        "",
        "image 'photos/empty.png' cannot be decoded: it is empty; download it again or remove it",
    ]


def test_the_table_can_go_to_a_file(run, photos, capsys, tmp_path):
    cli.main(["predict", str(run), "photos"])
    printed = capsys.readouterr().out
    for _ in range(2):  # its own table is written again
        assert predict(capsys, run, "photos", "--out=table.csv") == (0, [], "")
        assert (tmp_path / "table.csv").read_text() == printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "table.csv"]


MISTAKES = {
    "no such path": (["photos", "nowhere"], "there is no folder or archive 'nowhere'"),
    "no photographs": (["photos/a/notes"], "there are no photographs in photos/a/notes"),
    "another's file": (["photos", "--out=photos/b.png"], "is there and does not begin with path,image_id,prediction"),
    "no folder for the table": (["photos", "--out=nowhere/x.csv"], "there is no folder nowhere"),
    "a way out": (["bad.zip"], "bad.zip holds the path '../x.png', which leads elsewhere: refused"),
    "an archive in an archive": (["twice.zip"], "no photographs in twice.zip, but twice.zip/more.zip: unpack that"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_sentence_and_nothing_is_printed(name, run, photos, capsys):
    (photos / "a" / "notes").mkdir()
    with zipfile.ZipFile("bad.zip", "w") as archive:
        archive.writestr("../x.png", picture(0))
    with zipfile.ZipFile("twice.zip", "w") as archive:
        archive.write("photos/more.zip", "more.zip")
    arguments, message = MISTAKES[name]
    status, rows, errors = predict(capsys, run, *arguments)
    assert (status, rows, errors.count("\n")) == (1, [], 1)
    assert message in errors


def test_a_folder_that_is_no_run(photos, capsys):
    status, rows, errors = predict(capsys, "photos", "photos")
    assert (status, rows) == (1, [])
    assert errors.startswith("error: photos has no model.json")


@pytest.mark.parametrize(("path", "told"), [("~nobody-of-that-name/x", "begins with ~"), ("x" * 5000, "too long")])
def test_paths_that_no_system_has_are_told(run, capsys, path, told):
    for arguments in ((path, "photo.jpg"), (run, path)):
        status, _, errors = predict(capsys, *arguments)
        assert status == 1
        assert errors.startswith("error: ")
        assert told in errors
