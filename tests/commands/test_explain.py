"""`skinjax explain`: photographs in, sheets and tables out, and what users get wrong."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from skinjax import cli
from skinjax.model import load_run, write_model
from tests.commands.test_predict import picture
from tests.test_model import CLASSES, drawn

TABLES = ("explain", "grad_cam", "randomised")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a model of two stages."""
    folder = tmp_path_factory.mktemp("run")
    write_model(folder, drawn("two_stage"))
    return folder


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Two photographs and one that is none; the working folder is above them."""
    (tmp_path / "photos").mkdir()
    for seed, name in enumerate("ab"):
        (tmp_path / "photos" / f"{name}.png").write_bytes(picture(seed))
    (tmp_path / "photos" / "c.jpg").write_bytes(b"\xff\xd8\xff nothing")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def explain(capsys, *arguments):
    """(status, what was printed, what was said)."""
    return cli.main(["explain", *map(str, arguments)]), *capsys.readouterr()


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_photographs_are_explained_by_the_stage_that_decided(run, photos, capsys):
    status, output, errors = explain(capsys, run, "photos", "--guided", "--stage=stage1", "--out=here", "--data_dir=.")
    assert (status, errors.count("\n")) == (1, 1)
    assert errors.startswith("image 'photos/c.jpg' cannot be decoded")
    sheets = [f"{name}.{suffix}" for suffix in ("png", "svg") for name in ("explain", "randomised")]
    written = [f"here/{name}" for name in (*sheets, *(f"{name}.csv" for name in TABLES))]
    assert sorted(line.removeprefix("wrote ") for line in output.splitlines() if "wrote" in line) == sorted(written)
    for name in written[:2]:
        with Image.open(name) as sheet:
            assert sheet.height > 400
    answers = table(photos.parent / "here" / "explain.csv")
    model = load_run(run)
    found = model.predict(np.stack([model.read(photos / f"{name}.png") for name in "ab"]))
    for row, probabilities in zip(answers, found["probabilities"], strict=True):
        order = np.argsort(-probabilities)
        assert [row["first"], row["second"]] == [CLASSES[number] for number in order[:2]]
        assert float(row["p_first"]) == pytest.approx(probabilities.max(), rel=1e-6)
        assert row["explained"] == row["first"]
        assert row["decided_by"] == ("dominant" if row["explained"] == "nv" else "rest")
    maps = table(photos.parent / "here" / "grad_cam.csv")
    assert len(maps) == 2 * 2 * 4 * 4  # photographs, networks, rows, columns
    decided = {row["photograph"]: row["decided_by"] for row in answers}
    assert all(float(row["value"]) == 0 for row in maps if decided[row["photograph"]] not in row["network"])
    lowest = {row["drawn_anew_down_to"] for row in table(photos.parent / "here" / "randomised.csv")}
    assert lowest == {"head", "features", "stage2", "stem"}
    assert "the map hardly changes when what the network learnt there is thrown away" in output


def test_a_corrections_answers_are_plotted_and_tabled(run, photos, capsys):
    status, output, errors = explain(capsys, run, photos / "b.png", "--correct=zoom", "--out=here", "--data_dir=.")
    assert (status, errors) == (0, "")
    assert output.splitlines() == [f"wrote here/correct_zoom.{suffix}" for suffix in ("png", "svg", "csv")]
    rows = table(photos.parent / "here" / "correct_zoom.csv")
    assert [float(row["zoom"]) for row in rows] == np.linspace(1, 3, 9).tolist()
    model = load_run(run)
    own = model.predict(model.read(photos / "b.png")[None])["probabilities"][0]
    np.testing.assert_array_equal([float(rows[0][f"p_{name}"]) for name in CLASSES], own.astype(np.float64).round(9))


MISTAKES = {
    "no run": (["photos", "photos"], "photos holds no run of skinjax: there is no config.json in it"),
    "goes on": (["going", "photos"], "going has no model.json, so its run has not finished"),
    "stage": (["RUN", "photos", "--stage=layer4"], "unknown stage 'layer4'; known: features, stage1, stage2, stage3, "),
    "class": (["RUN", "photos", "--classes=mel,nev"], "unknown class 'nev' (did you mean 'nv'?); known: bcc, mel, nv"),
    "correction": (["RUN", "photos", "--correct=gama"], "unknown correction 'gama' (did you mean 'gamma'?); known: "),
    "flags of others": (["RUN", "photos", "--correct=zoom", "--signed"], "leave --classes, --guided and --signed out"),
    "nothing readable": (["RUN", "photos/c.jpg"], "image 'photos/c.jpg' cannot be decoded"),
    "no such path": (["RUN", "photos/d.jpg"], "there is no folder or archive 'photos/d.jpg'"),
    "too many": (["RUN", *(["photos/a.png"] * 51)], "51 photographs are asked for; choose 1 to 50"),
    "without a data set": (["RUN"], "holds no run of skinjax"),
    "out": (["RUN", "photos", "--out=photos/a.png"], "photos/a.png is a file, not a folder for figures"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_sentence_and_nothing_is_written(name, run, photos, capsys):
    (photos.parent / "going").mkdir()
    (photos.parent / "going" / "config.json").write_text(json.dumps({"schema": 2, "config": {}, "identity": {}}))
    before = sorted(run.iterdir())
    arguments, message = MISTAKES[name]
    status, output, errors = explain(capsys, *(run if argument == "RUN" else argument for argument in arguments))
    assert (status, output, errors.count("\n")) == (1, "", 1)
    assert message in errors
    assert sorted(run.iterdir()) == before


def test_guided_backpropagation_of_a_network_without_relus_is_refused(photos, tmp_path, capsys):
    (tmp_path / "own").mkdir()
    write_model(tmp_path / "own", drawn(model={"backbone": "efficientnet_b0", "weights": "some.safetensors"}))
    status, output, errors = explain(capsys, tmp_path / "own", photos / "a.png", "--guided", "--data_dir=.")
    assert (status, output, errors.count("\n")) == (1, "", 1)
    assert "cuts the gradient at every ReLU, and efficientnet_b0 has none" in errors
