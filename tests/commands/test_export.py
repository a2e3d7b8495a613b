"""`skinjax export`: a file that is whole or not there, what is printed, and what users get wrong."""

import sys

import jax
import numpy as np
import pytest

from skinjax import cli
from skinjax.model import write_model
from tests.test_model import drawn, photographs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    write_model(folder, drawn())
    return folder


def export(capsys, *arguments):
    """(status, what is printed, what went wrong)."""
    status = cli.main(["export", *map(str, arguments)])
    return status, *capsys.readouterr()


def test_a_run_is_exported_and_again_over_itself(run, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        status, printed, _ = export(capsys, run, "--format=stablehlo", "--out=x.stablehlo")
        assert status == 0
        first, *others = printed.splitlines()
        assert first.startswith("wrote x.stablehlo: ")
        assert "answers as skinjax predict, within " in first
        assert others[:2] == [
            "takes photographs uint8 [b, 20, 24, 3]: upright RGB, by squash and bilinear",
            "answers [b, 3]: mel, nv, bcc",
        ]
        assert others[2].startswith("jax promises to read it with releases until 20")
    program = jax.export.deserialize(bytearray((tmp_path / "x.stablehlo").read_bytes()))
    expected = drawn().predict(photographs(2))["probabilities"]
    np.testing.assert_allclose(program.call(photographs(2)), expected, rtol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["x.stablehlo"]


MISTAKES = {
    "no such format": (["--format=tflite", "--out=x"], "unknown format 'tflite'; known: onnx, safetensors, stablehlo"),
    "no format": (["--out=x"], "the following arguments are required: --format"),
    "no file": (["--format=onnx"], "the following arguments are required: --out"),
    "no folder": (["--format=stablehlo", "--out=nowhere/x"], "there is no folder nowhere: make it, or give another"),
    "another's file": (["--format=stablehlo", "--out=mine"], "mine is there and was not exported by skinjax: give"),
    "a folder": (["--format=stablehlo", "--out=folder"], "folder is there and was not exported by skinjax: give"),
    "no jax2onnx": (["--format=onnx", "--out=x"], "install skinjax[onnx] in an environment of its own"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_sentence_and_nothing_is_written(name, run, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    (tmp_path / "mine").write_text("a poem")
    (tmp_path / "folder").mkdir()
    arguments, message = MISTAKES[name]
    status, printed, errors = export(capsys, run, *arguments)
    assert (status, printed, errors.count("\n")) == (1, "", 1)
    assert message in errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "mine"]
    assert (tmp_path / "mine").read_text() == "a poem"


def test_a_model_that_cannot_be_exported_or_is_none(capsys, tmp_path):
    write_model(tmp_path, drawn(members=2))
    status, _, errors = export(capsys, tmp_path, "--format=safetensors", f"--out={tmp_path / 'x'}")
    assert status == 1
    assert errors.splitlines()[-1].startswith(
        "error: classifier on resnet_tiny cannot be exported to safetensors: it is"
    )
    assert not (tmp_path / "x").exists()
    status, _, errors = export(capsys, tmp_path / "no", "--format=stablehlo", f"--out={tmp_path / 'x'}")
    assert (status, "name a bundle, or the folder of a finished run" in errors) == (1, True)
