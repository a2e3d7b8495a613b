"""tools/measuring.py: which runs it starts again, what it leaves of a document."""

import json
import subprocess

import measuring
import numpy as np
import pytest

from skinjax.evaluation.predictions import Predictions, write_predictions


def table(probabilities, labels):
    names = [f"image{i}" for i in range(len(labels))]
    return Predictions(names, names, labels, ["test"] * len(labels), np.array(probabilities), ("nv", "df"))


def test_a_run_that_has_ended_is_not_started_again(tmp_path, monkeypatch):
    commands = []

    def start(command, **options):
        commands.append(command[1:])
        (tmp_path / "CD-1").mkdir(exist_ok=True)
        write_predictions(tmp_path / "CD-1" / "predictions_test.csv", table([[0.5, 0.5]], [1]))
        (tmp_path / "CD-1" / "finished.json").write_text("{}")

    monkeypatch.setattr(subprocess, "run", start)
    for beta in ("0.0", "0.0", "0.1"):
        tested = measuring.run([f"--config.method.beta={beta}"], tmp_path / "CD-1", 1, data_dir="there")
        assert tested.labels.tolist() == [1]
    assert [command[2] for command in commands] == ["--config.method.beta=0.0", "--config.method.beta=0.1"]
    assert commands[0][3:] == ["--config.seed=1", f"--workdir={tmp_path / 'CD-1'}", "--data_dir=there"]
    assert json.loads((tmp_path / "CD-1.json").read_text())["seconds"] is None  # the second went on with the first


def test_a_run_that_a_signal_stopped_has_not_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda command, **options: None)
    with pytest.raises(SystemExit, match="was stopped: the same command goes on"):
        measuring.run([], tmp_path / "CD-1", 1, None)
    assert not (tmp_path / "CD-1.json").exists()


def test_a_run_that_fails_is_started_again(tmp_path, monkeypatch):
    def fail(command, **options):
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", fail)
    for _ in range(2):
        with pytest.raises(subprocess.CalledProcessError):
            measuring.run([], tmp_path / "CD-1", 1, None)


def test_the_prose_of_a_document_stays(tmp_path):
    document = tmp_path / "table.md"
    measuring.write_document(document, "first")
    assert document.read_text() == "first\n"
    document.write_text("first\n\n## What it says\n\nNothing.\n")
    measuring.write_document(document, "second")
    assert document.read_text() == "second\n\n## What it says\n\nNothing.\n"
