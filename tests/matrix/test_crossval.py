"""`skinjax crossval`: folds that part the images, runs that are done once, and a table of all of them."""

import csv
import json

import numpy as np
import pytest

from skinjax import cli
from skinjax.evaluation.predictions import read_predictions
from skinjax.matrix import attempts
from skinjax.runs import experiment
from tests.end_to_end.conftest import SMALL, data_dir  # noqa: F401 (a fixture)

COMMAND = [
    "crossval",
    "--config=configs/baselines.py",
    *SMALL,
    "--config.phases.train.duration=3.0",
    "--config.evaluations.every=0.0",
    "--config.split.validation=0.0",
    "--folds=2",
]


@pytest.fixture(scope="module")
def finished(data_dir, tmp_path_factory):  # noqa: F811
    """The folder of a cross-validation of two folds."""
    folder = tmp_path_factory.mktemp("matrix") / "two"
    assert cli.main([*COMMAND, f"--workdir={folder}", f"--data_dir={data_dir}"]) == 0
    return folder


def test_every_image_is_tested_once_and_the_table_has_all(finished):
    runs = sorted((finished / "runs").iterdir())
    tables = [read_predictions(run / "predictions_test.csv") for run in runs]
    ids = np.concatenate([table.image_ids for table in tables])
    assert len(runs) == 2
    assert len(set(ids.tolist())) == len(ids) == 120
    assert not set(tables[0].groups.tolist()) & set(tables[1].groups.tolist())
    with (finished / "table.csv").open(newline="") as file:
        records = {row["metric"]: row for row in csv.DictReader(file)}
    row = records["macro_recall"]
    assert float(row["mean"]) == pytest.approx(np.mean([float(row["run_0"]), float(row["run_1"])]))
    assert float(row["pooled_low"]) < float(row["pooled"]) < float(row["pooled_high"])
    text = (finished / "table.md").read_text()
    assert "| macro recall | " in text
    assert "synthetic" in text


def test_what_is_done_is_not_done_again(finished, data_dir, monkeypatch, capsys):  # noqa: F811
    def never(*arguments):
        raise AssertionError

    monkeypatch.setattr(experiment, "train_and_evaluate", never)
    arguments = [*COMMAND, f"--workdir={finished}", f"--data_dir={data_dir}"]
    assert cli.main(arguments) == 0
    capsys.readouterr()
    assert cli.main([*arguments, "--status"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["done", "done"]
    assert cli.main([*arguments, "--seeds=2", "--dry_run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["done", "done", "to", "to"]
    assert lines[4] == f"4 runs of {4 * 3 * 14} images in all, {2 * 3 * 14} of them to do"


def test_a_run_that_fails_is_tried_again_then_told_and_the_others_are_done(data_dir, tmp_path, monkeypatch, capsys):  # noqa: F811
    tried = []

    def failing(recipe, folder, *others):
        tried.append(recipe.split.fold)
        if recipe.split.fold == 0:
            raise RuntimeError("the device is gone\nand more")

    monkeypatch.setattr(attempts, "run", failing)
    assert cli.main([*COMMAND, f"--workdir={tmp_path}", f"--data_dir={data_dir}"]) == 1
    assert tried == [0, 0, 1]
    error = capsys.readouterr().err
    assert error.startswith("error: 1 of 2 runs are lacking, the first baselines:demo, fold 0, seed 0 (the device is ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--folds=1", "1 is no number from 2 to 1000"),
        ("--config.split.fold=1", "--folds says which folds there are"),
        ("--config.method.name=nothing", "unknown method 'nothing'"),
    ],
)
def test_a_mistake_is_one_sentence(change, message, tmp_path, capsys):
    assert cli.main([*COMMAND, f"--workdir={tmp_path}", change]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert message in errors


def test_a_run_waits_for_the_one_that_it_starts_from(data_dir, tmp_path, capsys):  # noqa: F811
    weights = "--config.model.weights=configs/baselines.py:demo_fl"
    arguments = [*COMMAND, weights, f"--workdir={tmp_path}", f"--data_dir={data_dir}"]
    assert cli.main(arguments) == 0
    said = capsys.readouterr().out
    assert "[1/4] baselines:demo, begun by configs/baselines.py:demo_fl, fold 0, seed 0" in said
    assert said.count("are taken") == 2
    records = [json.loads(path.read_text()) for path in tmp_path.glob("runs/*/weights.json")]
    assert [record["parent"]["config"] for record in records] == ["baselines:demo_fl"] * 2
    assert cli.main([*arguments, "--status"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["done"] * 4
