"""`skinjax predict`: photographs, folders and archives in, a table out, and what users get wrong."""

import csv
import dataclasses
import io
import json
import zipfile

import jax
import numpy as np
import pytest
from PIL import Image

from skinjax import cli, load
from skinjax.deploy.bundle import write_bundle
from skinjax.model import load_run, make_method, variable_shapes, write_model
from tests.test_model import CLASSES, drawn

NOTICE = "Research use only, not a medical device."
HEADER = [
    *("path", "image_id", "prediction", "second", "p_mel", "p_nv", "p_bcc", "entropy"),
    *("flags", "error", "notice"),
]
P = slice(4, 7)
FLAGS, ERROR = HEADER.index("flags"), HEADER.index("error")


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
    return status, list(csv.reader(io.StringIO(output))), errors.removeprefix(f"{NOTICE}\n")


def test_folders_and_archives_are_read_in_place(run, photos, capsys):
    status, (header, *rows), errors = predict(capsys, run, "photos")
    assert (status, errors, header) == (0, "", HEADER)
    names = ["a/b.png", "a/c.png", "b.png", "more.zip/in/d.png", "more.zip/in/e, f.png"]
    assert [row[0] for row in rows] == [f"photos/{name}" for name in names]
    assert [row[1] for row in rows] == ["b", "c", "b", "d", "e, f"]
    model = load_run(run)
    for row, seed in zip(rows, (1, 2, 0, 3, 4), strict=True):
        probabilities = model.predict(model.read(picture(seed))[None])["probabilities"][0]
        assert np.array_equal(np.array(row[P], np.float32), probabilities)
        assert row[2:4] == [CLASSES[label] for label in np.argsort(-probabilities)[:2]]
        assert float(row[7]) == pytest.approx(-(probabilities * np.log(probabilities)).sum() / np.log(3), rel=1e-5)
        assert row[FLAGS:] == ["blurred tiny", "", NOTICE]


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
    assert [row for row in rows if not row[ERROR] or row == HEADER] == before
    bad = {row[1]: row for row in rows if row[ERROR] and row != HEADER}
    assert bad.keys() == {"bad", "raw", "empty"}
    assert bad["empty"][2:ERROR] == [""] * (ERROR - 2)
    assert bad["empty"][ERROR] == (
        "image 'photos/empty.png' cannot be decoded: it is empty; download it again or remove it"
    )


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
    "no such format": (["photos", "--format=xml"], "unknown format 'xml'"),
    "ISIC's classes": (["photos", "--format=isic"], "--format=isic is for the classes of ISIC's challenges"),
    "a prior of a run": (["photos", "--prior=uniform"], "--prior=uniform needs a bundle that knows what"),
    "an unknown prior": (["photos", "--prior=mine"], "unknown prior 'mine'"),
    "a pattern": (["photos/*.tif"], "nothing matches 'photos/*.tif'"),
    "a list that lacks one": (
        ["photos/b.png", "--groups=groups.csv"],
        "groups.csv has no group for 'b' (photos/b.png)",
    ),
    "no list": (["photos/b.png", "--groups=nowhere.csv"], "nowhere.csv"),
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
    (photos.parent / "groups.csv").write_text("image_id,group\nc,x\n")
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


def test_patterns_are_expanded_where_no_file_has_that_name(run, photos, capsys):
    _, (_, *rows), _ = predict(capsys, run, "photos/**/*.png")
    assert [row[0] for row in rows] == ["photos/a/b.png", "photos/a/c.png", "photos/b.png"]


def test_the_lines_of_json_say_what_the_table_says(bundle_file, photos, capsys):
    (photos / "empty.png").touch()
    cli.main(["predict", str(bundle_file), "photos", "--format=jsonl"])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    cli.main(["predict", str(bundle_file), "photos"])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [line["path"] for line in lines] == [row["path"] for row in rows]
    for line, row in zip(lines, rows, strict=True):
        assert line["error"] == row["error"]
        if line["error"]:
            assert "prediction" not in line
            continue
        assert (line["prediction"], line["top"][1][0]) == (row["prediction"], row["second"])
        assert {name: float(row[f"p_{name}"]) for name in CLASSES} == pytest.approx(line["probabilities"])
        assert line["conformal_set"] == row["conformal_set"].split()
        assert (line["unlike"], line["yes"]) == (row["unlike"] == "yes", row["yes"] == "yes")
        assert line["distance"] == pytest.approx(float(row["distance"]))
        assert line["p_yes"] == pytest.approx(line["probabilities"]["mel"] + line["probabilities"]["bcc"])


def test_photographs_of_one_lesion_are_pooled(run, photos, capsys):
    (photos / "empty.png").touch()
    _, (_, *alone), _ = predict(capsys, run, "photos")
    status, (_, *rows), errors = predict(capsys, run, "photos", "--groups=folder")
    assert (status, errors) == (1, "1 of 3 lesions have photographs that cannot be read: the column error says why\n")
    assert [row[1] for row in rows] == ["photos/a", "photos", "photos/more.zip/in"]
    of_a = [np.array(row[P], float) for row in alone if row[0].startswith("photos/a/")]
    np.testing.assert_allclose(np.array(rows[0][P], float), np.mean(of_a, axis=0), rtol=1e-6)
    assert "empty.png" in rows[1][ERROR]
    assert rows[1][2] in CLASSES  # the other photograph of that folder answers
    groups = 'image_id,group\nb,one\nc,two\nd,one\n"e, f",two\nempty,one\n'
    (photos.parent / "groups.csv").write_text(groups)
    _, (_, *rows), _ = predict(capsys, run, "photos", "--groups=groups.csv")
    assert [row[1] for row in rows] == ["one", "two"]


def test_tables_of_isics_challenges(photos, tmp_path, capsys):
    classes = ("nv", "MEL", "bkl", "bcc", "akiec", "vasc", "df")
    small = drawn()
    shapes = variable_shapes(make_method(small.spec, classes, small.facts), small.spec.stored_size, 7)
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: np.float32(rng.uniform(0.01, 0.1, leaf.shape)), shapes)
    write_bundle(tmp_path / "m.skinjax", dataclasses.replace(small, classes=classes, variables=variables))
    (photos / "empty.png").touch()
    assert cli.main(["predict", str(tmp_path / "m.skinjax"), "photos", "--format=isic"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC"
    assert len(lines) == 6
    model, image = load(tmp_path / "m.skinjax"), "photos/a/b.png"
    expected = dict(zip(classes, model.predict(model.read(image)[None])["probabilities"][0], strict=True))
    found = dict(zip(lines[0].split(",")[1:], map(float, lines[1].split(",")[1:]), strict=True))
    assert found == pytest.approx({name.upper(): p for name, p in expected.items()})


def test_what_answers_rest_on_is_drawn(bundle_file, photos, capsys, tmp_path):
    arguments = [bundle_file, "photos/b.png", "photos/a/b.png", "photos/b.png", f"--explain={tmp_path / 'maps'}"]
    (photos / "a" / "bad.jpg").write_bytes(b"nothing")
    assert predict(capsys, *arguments, "photos/a/bad.jpg")[0] == 1
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["photos_a_b.png.png", "photos_b.png.png"]
    with Image.open(tmp_path / "maps" / "photos_b.png.png") as drawn_picture:
        assert len(np.unique(np.asarray(drawn_picture).reshape(-1, 4), axis=0)) > 100
