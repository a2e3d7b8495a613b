"""Paper 001 as a user starts it: two stages, and pretexts on photographs without labels."""

import contextlib
import json

import numpy as np
import pytest
from PIL import Image

import skinjax
from skinjax import cli
from skinjax.evaluation.predictions import read_predictions
from skinjax.main import main
from skinjax.runs import experiment
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


@pytest.fixture(scope="module")
def unlabelled(data_dir, tmp_path_factory):
    """The name of a prepared data set of loose photographs, which have no labels."""
    folder = tmp_path_factory.mktemp("loose")
    for number in range(24):
        pixels = np.random.default_rng(number).integers(0, 256, (52, 60, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    assert cli.main(["prepare", "folder", f"--source={folder}", "--name=loose", f"--data_dir={data_dir}"]) == 0
    return "loose"


@pytest.mark.parametrize(("config", "pretext"), [("rotation.py", "rotation"), ("restoration.py", "restoration")])
def test_a_pretext_reads_photographs_without_labels_and_then_the_classes_are_learnt(
    config, pretext, unlabelled, data_dir, tmp_path, capsys
):
    others = [f"--config.phases.pretext.dataset.name={unlabelled}"]
    first = tmp_path / "first"
    status = start(f"{config}:demo_sequential", data_dir, first, ("pretext", "classes"), *others)
    output = capsys.readouterr()
    assert status == 0, output.err
    protocol = json.loads((first / "predictions_test.json").read_text())
    assert protocol["split"]["others"]["pretext"]["dataset"] == unlabelled
    lines = logged(first)
    assert {line["phase"] for line in lines if f"train/{pretext}" in line} == {"pretext"}
    assert {line["phase"] for line in lines if f"validation/{pretext}" in line} == {"pretext"}
    assert {line["phase"] for line in lines if "train/classification" in line} == {"classes"}
    assert skinjax.load(first).predict(np.zeros((1, 40, 40, 3), np.uint8))["probabilities"].shape == (1, 7)
    if pretext == "rotation":  # its network starts another run
        assert start("focal.py", data_dir, tmp_path / "next", ("train",), f"--config.model.weights={first}") == 0
        assert "are taken: backbone, head; left out: rotation" in capsys.readouterr().out


def test_a_run_that_learns_no_classes_leaves_weights_and_no_figures_of_them(data_dir, tmp_path, capsys, monkeypatch):
    pretext = [
        "--config.method.mask=turned",
        "--config.phases.train.terms.classification=0.0",
        "--config.phases.train.evaluations.better=higher",
    ]
    pretext += ["--config.phases.train.evaluations.metric=rotation_accuracy"]
    assert start("rotation.py", data_dir, tmp_path / "first", ("train",), *pretext) == 0
    assert "no phase trains the classes" in capsys.readouterr().out
    assert not list((tmp_path / "first").glob("predictions_*"))
    figures = [name for line in logged(tmp_path / "first") for name in line if name.startswith("validation/")]
    assert set(figures) == {"validation/loss", "validation/rotation", "validation/rotation_accuracy"}
    assert start("rotation.py", data_dir, tmp_path / "first", ("train",), *pretext) == 0
    monkeypatch.setattr(experiment, "stopped_by_signals", lambda: contextlib.nullcontext(lambda: True))
    changes = [f"--config.model.weights={tmp_path / 'first'}", "--config.method.shared_trunk=True"]
    assert start("two_stage.py:demo_shared_trunk", data_dir, tmp_path / "next", ("train",), *changes) == 0
    assert "are taken: backbone; anew: dominant_head, rest_head; left out: head, rotation" in capsys.readouterr().out


MISTAKES = {
    "judged by nothing": (
        ["--config.phases.train.terms.classification=0.0"],
        "phase 'train' is judged by macro_recall, and no phase so far has trained all classes: set phases.train.evalua",
    ),
    "blended": (["--config.method.mixup_beta=0.4"], "leave mixup and cutmix off"),
    "one patch": (["--config.method.name=restoration", "--config.method.patch=32"], "is the whole picture"),
    "factor": (
        ["--config.method.name=two_stage", "--config.loss.class_factors=(('nvv',0.5),)"],
        "unknown class in loss.class_factors: 'nvv'",
    ),
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
        [
            "--config.phases.train.dataset.name=moles",
            "--config.phases.train.terms.classification=0.0",
            "--config.phases.train.evaluations.metric=rotation",
        ],
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
