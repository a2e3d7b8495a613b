"""tools/demo_table.py: what it does with predictions, which runs it starts again, what it leaves of a document."""

import json
import subprocess

import demo_table
import numpy as np
import pytest

from skinjax.evaluation.predictions import Predictions, write_predictions


def table(probabilities, labels):
    names = [f"image{i}" for i in range(len(labels))]
    return Predictions(names, names, labels, ["test"] * len(labels), np.array(probabilities), ("nv", "df"))


def test_the_prior_is_added_to_the_logits():
    logits = np.log([[0.5, 0.5], [0.2, 0.8]]) + 0.5 * np.log([0.8, 0.2])
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    changed = demo_table.with_prior(table([[0.5, 0.5], [0.2, 0.8]], [0, 1]), np.array([80, 20]), 0.5)
    np.testing.assert_allclose(changed.probabilities, expected)
    assert changed.probabilities[0].tolist() == pytest.approx([2 / 3, 1 / 3])


@pytest.mark.parametrize(
    ("of_nv", "of_df", "chosen", "row"),
    [
        # nv is 16 times as frequent: an offset of 0.1 lifts it from 0.44 beyond half, one of 0.5 from 0.21.
        ([0.44, 0.44, 0.9], 0.9, 0.1, ["0.1", "100.0", "100.0"]),
        ([0.21, 0.21, 0.9], 0.9, 0.5, ["0.5", "100.0", "100.0"]),
        ([0.9, 0.9, 0.9], 0.9, 0.0, ["0", "100.0", "100.0"]),
        # The one df costs more macro recall than the third nv is worth, though accuracy is the same.
        ([0.9, 0.9, 0.44], 0.51, 0.0, ["0.1", "50.0", "75.0"]),
    ],
)
def test_the_offset_has_the_best_accuracy_that_costs_no_recall(of_nv, of_df, chosen, row):
    run = table([*([p, 1 - p] for p in of_nv), [1 - of_df, of_df]], [0, 0, 0, 1])
    offset, rows = demo_table.choose_offset([run, run], np.array([160, 10]))
    assert offset == chosen
    assert row in rows


def test_a_point_of_recall_buys_accuracy():
    """An offset of 0.1 wins 30 of 200 nv; losing 20 of 100 df costs 2.5 points of macro recall, 16 half a point."""
    of_nv, of_df = [0.9] * 170 + [0.44] * 30, [0.9] * 80 + [0.51] * 20
    run = table([*([p, 1 - p] for p in of_nv), *([1 - p, p] for p in of_df)], [0] * 200 + [1] * 100)
    assert demo_table.choose_offset([run], np.array([160, 10]))[1][:2] == [
        ["0", "92.5", "90.0"],
        ["0.1", "90.0", "93.3"],
    ]
    assert demo_table.choose_offset([run], np.array([160, 10]))[0] == 0.0
    of_df[80:] = [0.9] * 4 + [0.51] * 16
    run = table([*([p, 1 - p] for p in of_nv), *([1 - p, p] for p in of_df)], [0] * 200 + [1] * 100)
    assert demo_table.choose_offset([run], np.array([160, 10]))[0] == 0.1


def test_a_run_that_has_ended_is_not_started_again(tmp_path, monkeypatch):
    commands = []

    def start(command, **options):
        commands.append(command[1:])
        (tmp_path / "CD-1").mkdir(exist_ok=True)
        write_predictions(tmp_path / "CD-1" / "predictions_test.csv", table([[0.5, 0.5]], [1]))
        (tmp_path / "CD-1" / "finished.json").write_text("{}")

    monkeypatch.setattr(subprocess, "run", start)
    for beta in ("0.0", "0.0", "0.1"):
        tested = demo_table.run([f"--config.method.beta={beta}"], tmp_path / "CD-1", 1, data_dir="there")
        assert tested.labels.tolist() == [1]
    assert [command[2] for command in commands] == ["--config.method.beta=0.0", "--config.method.beta=0.1"]
    assert commands[0][3:] == ["--config.seed=1", f"--workdir={tmp_path / 'CD-1'}", "--data_dir=there"]
    assert json.loads((tmp_path / "CD-1.json").read_text())["seconds"] is None  # the second went on with the first


def test_a_run_that_a_signal_stopped_has_not_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda command, **options: None)
    with pytest.raises(SystemExit, match="was stopped: the same command goes on"):
        demo_table.run([], tmp_path / "CD-1", 1, None)
    assert not (tmp_path / "CD-1.json").exists()


def test_a_run_that_fails_is_started_again(tmp_path, monkeypatch):
    def fail(command, **options):
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(subprocess, "run", fail)
    for _ in range(2):
        with pytest.raises(subprocess.CalledProcessError):
            demo_table.run([], tmp_path / "CD-1", 1, None)


def test_the_prose_of_a_document_stays(tmp_path):
    document = tmp_path / "table.md"
    demo_table.write_document(document, "first")
    assert document.read_text() == "first\n"
    document.write_text("first\n\n## What it says\n\nNothing.\n")
    demo_table.write_document(document, "second")
    assert document.read_text() == "second\n\n## What it says\n\nNothing.\n"


def test_the_counts_are_of_the_training_part(tmp_path):
    lines = [
        "image_id,group,label,fold,split",
        "a,l1,nv,0,train",
        "b,l2,df,0,train",
        "c,l3,nv,0,test",
        "d,l4,nv,0,train",
    ]
    (tmp_path / "split.csv").write_text("\n".join(lines) + "\n")
    assert demo_table.training_counts(tmp_path, ("df", "nv", "mel")).tolist() == [1, 2, 0]
