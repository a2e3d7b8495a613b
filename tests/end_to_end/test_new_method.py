"""The promise to whoever adds a method: one file, one line in the registry, and every ordinary command knows it."""

import csv
import io
import json
import shutil

import numpy as np
import pytest

import skinjax
from skinjax import cli
from skinjax.core.settings import Kind
from skinjax.data.dataset import open_dataset
from skinjax.evaluation.predictions import read_predictions
from skinjax.main import main
from skinjax.methods import METHODS
from skinjax.runs.workdir import read_recipe
from tests.end_to_end import tutor
from tests.end_to_end.conftest import SMALL, TINY

COMMAND = [
    TINY[0],
    *SMALL,
    "--config.method.name=tutor",
    "--config.method.pull=2.0",
    "--config.phases.train.duration=4.0",
    "--config.phases.train.frozen=('tutor/stem',)",
    "--config.phases.train.learning_rate_multipliers=(('stem',0.5),('tutor',0.1),('.*',1.0))",
    "--config.evaluations.every=2.0",
    "--config.evaluations.metric=disagreement",
    "--config.evaluate=best",
    "--config.checkpoints.keep=9",
    "--config.logging.every=1",
]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(METHODS, "tutor", Kind(tutor.TutorSettings, tutor.build))


@pytest.fixture(scope="module")
def run(tmp_path_factory, data_dir):
    """The finished run of the command."""
    workdir = tmp_path_factory.mktemp("tutor") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "tutor", Kind(tutor.TutorSettings, tutor.build))
        assert main([*COMMAND, f"--workdir={workdir}", f"--data_dir={data_dir}"]) == 0
    return workdir


def log(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_it_trains_with_terms_and_a_metric_of_its_own(run):
    step = log(run)[0]
    assert step["train/loss"] == pytest.approx(
        step["train/classification"] + step["train/tutor"] + step["train/agreement"], rel=1e-5
    )
    assert 0 <= step["train/tutor_accuracy"] <= 1
    validated = [line["validation/disagreement"] for line in log(run) if "validation/disagreement" in line]
    best = json.loads((run / "checkpoints" / "00000004.json").read_text())["history"]
    assert best["best_value"] == min(validated)
    assert read_predictions(run / "predictions_test.csv").protocol["steps"] == best["best_step"]


def test_it_resumes(run, tmp_path, data_dir, capsys):
    shutil.copytree(run, tmp_path / "run")
    for name in ("finished.json", "predictions_test.csv", "checkpoints/00000004.json"):
        (tmp_path / "run" / name).unlink()
    assert main([*COMMAND, f"--workdir={tmp_path / 'run'}", f"--data_dir={data_dir}"]) == 0
    assert "continuing from the checkpoint after 2 steps" in capsys.readouterr().out
    assert (tmp_path / "run" / "predictions_test.csv").read_bytes() == (run / "predictions_test.csv").read_bytes()


def test_it_opens_and_predicts_alone(run, tmp_path, data_dir, capsys):
    model = skinjax.load(run)
    assert type(model.method).__name__ == "Tutored"
    table = read_predictions(run / "predictions_test.csv")
    recipe = read_recipe(run)
    dataset = open_dataset(recipe.dataset.name, recipe.dataset.arguments, data_dir)
    records = [dataset.columns["image_id"].tolist().index(name) for name in table.image_ids]
    for name, record in zip(table.image_ids, records, strict=True):
        (tmp_path / f"{name}.jpg").write_bytes(dataset.encoded(record))
    paths = [str(tmp_path / f"{name}.jpg") for name in table.image_ids]
    assert cli.main(["predict", str(run), *paths]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["image_id"] for row in rows] == list(table.image_ids)
    found = [[float(row[f"p_{name}"]) for name in table.classes] for row in rows]
    np.testing.assert_allclose(found, table.probabilities, atol=1e-6)


def test_a_typo_is_told_with_the_field_that_was_meant(capsys, tmp_path):
    for typo, told in (
        ("--config.method.pul=1", "unknown field of config.method 'pul' (did you mean 'pull'?)"),
        ("--config.method.name=tuter", "unknown method 'tuter' (did you mean 'tutor'?)"),
        ("--config.method.pull=-1", "config.method.pull is -1.0; it must be a number from 0 to 100"),
        ("--config.method.tutor=resnet_tin", "unknown backbone 'resnet_tin' (did you mean 'resnet_tiny'?)"),
        ("--config.phases.train.frozen=('tuter',)", "'tuter' (did you mean 'tutor'?)"),
        ("--config.phases.train.terms.agreemnt=0", "'agreemnt' (did you mean 'agreement'?)"),
        ("--config.evaluations.metric=disagreemnt", "unknown metric 'disagreemnt' (did you mean 'disagreement'?)"),
    ):
        assert main([*COMMAND, typo, f"--workdir={tmp_path}"]) == 1
        assert told in capsys.readouterr().err


def test_a_phase_that_goes_without_a_term_does_not_build_it(data_dir, tmp_path):
    without = [f"--config.phases.train.terms.{term}=0" for term in ("agreement", "tutor")]
    without.append("--config.phases.train.duration=2.0")
    assert main([*COMMAND, *without, f"--workdir={tmp_path / 'run'}", f"--data_dir={data_dir}"]) == 0
    step = log(tmp_path / "run")[0]
    assert step["train/tutor"] == step["train/agreement"] == 0
    assert step["train/loss"] == pytest.approx(step["train/classification"])
