"""`skinjax bundle`: from finished runs to one file, and what users get wrong."""

import json

import pytest

import skinjax
from skinjax import cli
from skinjax.deploy.bundle import open_bundle
from skinjax.model import write_model
from tests.test_model import drawn


def test_check_tells_what_is_in_a_bundle(bundle_file, capsys):
    assert cli.main(["bundle", "check", str(bundle_file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "Research use only, not a medical device.",
        "Made from ham10000 (CC BY-NC 4.0): no commercial use without leave.",
    ]
    assert lines[-1].endswith("2 examples differ by 0")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_model(_made(tmp_path / "run"), drawn())
    write_model(_made(tmp_path / "other"), drawn(stored_size={"height": 24, "width": 24}))
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "mine.skinjax").write_text("mine")
    return tmp_path


def _made(path):
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "--out says which file to write"),
        (["run", "--out=nowhere/x.skinjax"], "there is no folder nowhere"),
        (["run", "--out=mine.txt"], "mine.txt does not end in .skinjax"),
        (["nowhere", "--out=x.skinjax"], "nowhere has no model.json"),
        (["run", "other", "--out=x.skinjax"], "other sees photographs of another stored_size than run"),
        (["run", "--out=x.skinjax"], "run holds no run of skinjax: there is no config.json in it"),
        (["run", "run", "--out=x.skinjax"], "a run is named twice"),
        (["check"], "check takes one bundle and no flags"),
        (["check", "mine.skinjax"], "mine.skinjax is no bundle of skinjax"),
        (["check", "nowhere.skinjax"], "nowhere.skinjax is no file"),
    ],
)
def test_mistakes_are_one_sentence(arguments, message, folder, capsys):
    assert cli.main(["bundle", *arguments]) == 1
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert (folder / "mine.txt").read_text() == "mine"
    assert not (folder / "x.skinjax").exists()


def test_a_bundle_is_what_load_opens(bundle_file, capsys):
    opened = skinjax.load(bundle_file)
    assert opened.classes == open_bundle(bundle_file).manifest.classes
    assert "no commercial use" in capsys.readouterr().err
    assert json.dumps(opened.classes)
