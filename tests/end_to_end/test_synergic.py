"""Paper 004 as a user starts it: pairs, members' predictions, weights for both networks, and going on after a stop."""

import contextlib
import io
import json
import shutil

import numpy as np
import pytest

import skinjax
from skinjax.evaluation.predictions import read_predictions
from skinjax.main import main
from skinjax.recipe.config_files import load_config, with_changes
from skinjax.runs import building
from tests.end_to_end.conftest import ROOT, SMALL

PAIRS = [
    f"--config={ROOT / 'configs' / 'synergic.py'}",
    *SMALL,
    "--config.batch=10",
    "--config.phases.train.duration=6.0",
    "--config.evaluations.every=3.0",
    "--config.logging.every=3",
]


@pytest.fixture(scope="module")
def finished(data_dir, tmp_path_factory):
    """The workdir of a finished run of two networks on pairs, and what it printed."""
    workdir = tmp_path_factory.mktemp("runs") / "pairs"
    with contextlib.redirect_stdout(io.StringIO()) as output:
        assert main([*PAIRS, f"--workdir={workdir}", f"--data_dir={data_dir}"]) == 0
    return workdir, output.getvalue()


@pytest.fixture(scope="module")
def run(finished):
    return finished[0]


def test_pairs_are_controlled_and_told(run, capsys):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    shares = [line["train/same_class"] for line in lines if "train/same_class" in line]
    assert shares == [0.5, 0.5]  # of ten rows
    assert all(0 <= line["train/synergic_accuracy"] <= 1 for line in lines if "train/synergic_accuracy" in line)


def test_members_predictions_are_kept_beside_their_mean(run):
    whole, *members = (read_predictions(run / f"predictions_test{name}.csv") for name in ("", "_member1", "_member2"))
    assert (members[0].probabilities != members[1].probabilities).any()
    np.testing.assert_allclose(whole.probabilities, np.mean([m.probabilities for m in members], axis=0), atol=2e-6)
    model = skinjax.load(run)
    assert "backbone2/stem" in model.stages
    photograph = np.zeros((1, 40, 40, 3), np.uint8)
    assert model.predict(photograph)["members"].shape == (1, 2, 2)
    assert model.features(photograph).shape == (1, 2 * 1024)


def test_a_run_that_lost_its_last_steps_ends_alike(run, data_dir, tmp_path):
    """The same pairs, and every network as it was, from an earlier checkpoint on."""
    again = tmp_path / "again"
    shutil.copytree(run, again)
    for path in (again / "checkpoints").glob("*00000006*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name in ("finished.json", "model.safetensors", "model.json", *(path.name for path in again.glob("pred*"))):
        (again / name).unlink()
    assert main([*PAIRS, f"--workdir={again}", f"--data_dir={data_dir}"]) == 0
    assert (again / "predictions_test.csv").read_bytes() == (run / "predictions_test.csv").read_bytes()
    assert (again / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()


def test_the_start_tells_the_shares_of_tuples(finished, data_dir, tmp_path):
    assert "phase train: in tuples the classes have other shares than in the data: class_000 7" in finished[1]
    config, *changes = (change.removeprefix("--config=").removeprefix("--config.") for change in PAIRS)
    recipe = load_config(config, changes)
    data = building.make_data(recipe, tmp_path, data_dir, print)
    alone = with_changes(recipe, ["method.members=1"])
    told = [list(building.shares_of_tuples(of, data, building.make_phases(of, data))) for of in (recipe, alone)]
    assert [len(lines) for lines in told] == [1, 0]


def test_networks_start_from_those_of_a_run(run, data_dir, tmp_path, capsys):
    """Two from two of the same names; one alone from the first."""
    pairs, alone = ([*PAIRS, "--config.method.name=synergic"], [*PAIRS, "--config.method.name=classifier"])
    alone += ["--config.sampler=natural"]
    for name, arguments in {"pairs": pairs, "alone": alone}.items():
        short = [*arguments, "--config.phases.train.duration=2.0", f"--config.model.weights={run}", "--config.seed=1"]
        assert main([*short, f"--workdir={tmp_path / name}", f"--data_dir={data_dir}"]) == 0, capsys.readouterr().err
        assert "are taken: " in capsys.readouterr().out


def test_tuples_are_for_several_networks(data_dir, tmp_path, capsys):
    plain = [f"--config={ROOT / 'configs' / 'baselines.py'}", *SMALL, "--config.sampler=tuples"]
    assert main([*plain, f"--workdir={tmp_path / 'plain'}", f"--data_dir={data_dir}"]) == 1
    assert "the sampler 'tuples' is for a method of several networks" in capsys.readouterr().err
