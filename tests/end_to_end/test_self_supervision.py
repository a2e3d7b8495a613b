"""Paper 001 as a user starts it: two stages, and pretexts on photographs without labels."""

import json

import numpy as np
import pytest

import skinjax
from skinjax.evaluation.predictions import read_predictions
from skinjax.main import main
from tests.end_to_end.conftest import ROOT, SMALL

SHORT = [change for change in SMALL if "phases" not in change]
EVERY = [
    "--config.phases.{}.duration=3.0",
    "--config.phases.{}.unit=steps",
    "--config.phases.{}.warmup=1.0",
]


def start(config, data_dir, workdir, phases, *changes):
    """The exit status of a short run of a config in configs/."""
    durations = [change.format(phase) for phase in phases for change in EVERY]
    arguments = [f"--config={ROOT / 'configs' / config}", *SHORT, *durations, *changes]
    return main([*arguments, f"--workdir={workdir}", f"--data_dir={data_dir}"])


def logged(workdir):
    """Every line of a run's log."""
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_two_stages_are_judged_by_their_tasks_and_compose_both_ways(data_dir, tmp_path, capsys):
    status = start("two_stage.py", data_dir, tmp_path, ("dominant", "rest"))
    output = capsys.readouterr()
    assert status == 0, output.err
    assert "step 3: validation dominant_macro_recall" in output.err
    assert "step 6: validation rest_macro_recall" in output.err
    lines = logged(tmp_path)
    assert {line["phase"] for line in lines if "train/dominant" in line} == {"dominant"}
    assert {line["phase"] for line in lines if "train/rest" in line} == {"rest"}
    whole, hard, soft = (read_predictions(tmp_path / f"predictions_test{name}.csv") for name in ("", "_hard", "_soft"))
    np.testing.assert_array_equal(whole.probabilities, hard.probabilities)
    nevi = whole.classes.index("nv")
    np.testing.assert_allclose(hard.probabilities[:, nevi] > 0, soft.probabilities[:, nevi] > 0.5)
    np.testing.assert_allclose(soft.probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(("config", "pretext"), [("rotation.py", "rotation"), ("restoration.py", "restoration")])
def test_a_pretext_reads_another_data_set_and_then_the_classes_are_learnt(config, pretext, data_dir, tmp_path, capsys):
    others = ["--config.phases.pretext.dataset.arguments.images=60", "--config.phases.pretext.dataset.arguments.seed=5"]
    others += [f"--config.phases.pretext.dataset.arguments.{side}=52" for side in ("height", "width")]
    first = tmp_path / "first"
    status = start(f"{config}:demo_sequential", data_dir, first, ("pretext", "classes"), *others)
    output = capsys.readouterr()
    assert status == 0, output.err
    assert output.out.count("drawing the synthetic set once") <= 2
    lines = logged(first)
    assert {line["phase"] for line in lines if f"train/{pretext}" in line} == {"pretext"}
    assert {line["phase"] for line in lines if f"validation/{pretext}" in line} == {"pretext"}
    assert {line["phase"] for line in lines if "train/classification" in line} == {"classes"}
    assert skinjax.load(first).predict(np.zeros((1, 40, 40, 3), np.uint8))["probabilities"].shape == (1, 7)
    if pretext == "rotation":  # its trunk starts another run
        assert start("focal.py", data_dir, tmp_path / "next", ("train",), f"--config.model.weights={first}") == 0
        assert "are taken" in capsys.readouterr().out


MISTAKES = {
    "labels": (
        ["--config.phases.train.dataset.arguments.images=60"],
        "phase 'train' reads another data set without labels, which its term 'classification' needs: set phases.train.",
    ),
    "classes": (
        ["--config.phases.train.unlabelled=True", "--config.phases.train.classes=('nv',)"],
        "phases.train.unlabelled is for images without labels, which have no classes: leave phases.train.classes out",
    ),
    "both": (
        ["--config.phases.train.unlabelled=True", "--config.phases.train.dataset.arguments.images=60"],
        "phase 'train' reads another data set, whose images count as unlabelled anyway: leave phases.train.unlabelled",
    ),
    "no such set": (
        ["--config.phases.train.dataset.name=moles", "--config.phases.train.terms.classification=0.0"],
        "unknown data set 'moles'",
    ),
    "patch": (["--config.method.name=restoration", "--config.method.patch=5"], "patch 5 does not divide views.size"),
    "dominant": (["--config.method.name=two_stage", "--config.method.dominant=('mole',)"], "method.dominant: 'mole'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(mistake, data_dir, tmp_path, capsys):
    changes, expected = MISTAKES[mistake]
    assert start("rotation.py", data_dir, tmp_path / "run", ("train",), *changes) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert expected in errors
