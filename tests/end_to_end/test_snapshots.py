"""A run that is judged by the mean of its snapshots, as a user starts it; its network by itself, and made again."""

import csv
import io
import json
import shutil

import numpy as np
import pytest

import skinjax
from skinjax import cli
from skinjax.data.dataset import open_dataset
from skinjax.evaluation.predictions import read_predictions
from skinjax.main import main
from skinjax.runs.workdir import read_recipe
from tests.end_to_end.conftest import ROOT, UNREPORTED

RESTARTS = [
    *UNREPORTED,
    "--config.evaluate=snapshots",
    "--config.checkpoints.keep=1",
    "--config.phases.train.schedule=warm_restarts",
    "--config.phases.train.schedule.cycle=2.0",  # after a warm-up of two steps
    "--config.phases.train.schedule.multiplier=2.0",
]


@pytest.fixture(scope="module")
def snapshots(data_dir, tmp_path_factory):
    """The workdir of a run with cycles that end after 4, 8 and 16 steps."""
    workdir = tmp_path_factory.mktemp("runs") / "snapshots"
    assert main([*RESTARTS, f"--workdir={workdir}", f"--data_dir={data_dir}"]) == 0
    return workdir


def test_the_snapshots_are_kept_and_make_one_model(snapshots):
    kept = {int(path.stem) for path in (snapshots / "checkpoints").glob("*.json")}
    assert {4, 8, 16} <= kept <= {4, 8, 12, 16}  # and the best
    lines = [json.loads(line) for line in (snapshots / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "validation/macro_recall" in line] == [4, 8, 12, 16]
    rates = {line["step"]: line["learning_rate"] for line in lines if "learning_rate" in line}
    assert rates[4] < rates[6] > rates[8] < rates[10]
    assert json.loads((snapshots / "model.json").read_text())["members"] == 3
    protocol = json.loads((snapshots / "metrics_test.json").read_text())["protocol"]
    assert (protocol["checkpoint"], protocol["members"], protocol["steps"]) == ("snapshots", 3, 16)


def test_opened_and_by_path_it_gives_the_runs_own_table(snapshots, data_dir, tmp_path, capsys):
    for name in ("model.json", "model.safetensors"):
        shutil.copy(snapshots / name, tmp_path)
    recipe, table = read_recipe(snapshots), read_predictions(snapshots / "predictions_test.csv")
    dataset = open_dataset(recipe.dataset.name, recipe.dataset.arguments, data_dir)
    record_of = {name: record for record, name in enumerate(dataset.columns["image_id"].tolist())}
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    paths = [photographs / f"{name}.jpg" for name in table.image_ids]
    for path in paths:
        path.write_bytes(dataset.encoded(record_of[path.stem]))
    model = skinjax.load(tmp_path)
    answers = model.predict(np.stack([model.read(path) for path in paths]))
    np.testing.assert_array_equal(answers["probabilities"], table.probabilities.astype(np.float32))
    members = answers["members"]
    assert members.shape == (len(paths), 3, len(model.classes))
    assert np.ptp(members, axis=1).max() > 0.01
    np.testing.assert_allclose(members.mean(axis=1), answers["probabilities"], rtol=1e-5)

    assert cli.main(["predict", str(tmp_path), *map(str, paths)]) == 0
    predicted = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    with (snapshots / "predictions_test.csv").open(newline="") as file:
        own = list(csv.DictReader(file))
    columns = ["image_id", *(f"p_{name}" for name in model.classes)]
    assert [[row[name] for name in columns] for row in predicted] == [[row[name] for name in columns] for row in own]


def test_each_of_its_members_is_explained(snapshots, data_dir, tmp_path, capsys):
    run, path = tmp_path / "run", tmp_path / "report.html"
    shutil.copytree(snapshots, run)
    assert cli.main(["report", str(run), "--explain", f"--data_dir={data_dir}", f"--out={path}"]) == 0
    assert "member2/backbone drawn anew down to head: rank correlation" in capsys.readouterr().out
    with (run / "explain" / "grad_cam.csv").open(newline="") as file:
        assert {row["network"] for row in csv.DictReader(file)} == {f"member{number}/backbone" for number in range(3)}
    assert "What the answers rest on, by Grad-CAM: the surest hits, then the top losses" in path.read_text()


def test_without_its_model_the_run_makes_it_again(snapshots, data_dir, tmp_path, capsys):
    shutil.copytree(snapshots, tmp_path / "run")
    for name in ("model.json", "model.safetensors"):
        (tmp_path / "run" / name).unlink()
    assert main([*RESTARTS, f"--workdir={tmp_path / 'run'}", f"--data_dir={data_dir}"]) == 0
    output = capsys.readouterr().out
    assert "continuing from the checkpoint after 16 steps" in output
    assert ", snapshots checkpoint of 3 networks (16 steps)" in output
    for name in ("model.json", "model.safetensors", "predictions_test.csv", "metrics_test.json"):
        assert (tmp_path / "run" / name).read_bytes() == (snapshots / name).read_bytes()


def test_a_target_ends_the_run_in_the_phase_that_reached_it(data_dir, tmp_path, capsys):
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    (tmp_path / "configs" / "two.py").write_text(
        "from cdc import get_config as base\n"
        "def get_config(variant='demo'):\n"
        "    config = base(variant)\n"
        "    config.phases = {'train': {}, 'more': {'duration': 3.0}}\n"
        "    config.phase_order = ('train', 'more')\n"
        "    return config\n"
    )
    changes = [
        f"--config={tmp_path / 'configs' / 'two.py'}",
        *UNREPORTED[1:],
        "--config.evaluate=best",
    ]
    changes += ["--config.evaluations.target=0.01"]
    command = [*changes, f"--workdir={tmp_path / 'run'}", f"--data_dir={data_dir}"]
    assert main(command) == 0
    output = capsys.readouterr().out
    assert "reaches the target of 0.01 after 4 steps" in output
    assert ", best checkpoint (4 steps)" in output
    assert skinjax.load(tmp_path / "run").origin["protocol"]["steps"] == 4
