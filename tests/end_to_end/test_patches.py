"""Paper 003's configs from the command line to figures, small: patches joined in every way, and balancing."""

import importlib
import json

import pytest

from skinjax.config_files import load_config
from skinjax.evaluation.predictions import read_predictions
from skinjax.experiment import check
from skinjax.main import main
from tests.end_to_end.conftest import ROOT, TINY

SMALL = [argument for argument in TINY if not argument.startswith(("--config=", "--config.method"))]
SHORT = [
    *SMALL,
    "--config.views.size=(24,24)",
    "--config.views.window=(32,32)",
    "--config.phases.train.duration=2.0",
    "--config.phases.train.warmup=0.0",
    "--config.evaluations.every=0.0",
]


def run(config, tmp_path, data_dir, *changes):
    """The test figures of a short run."""
    path, _, variant = config.partition(":")
    arguments = [f"--config={ROOT / 'configs' / path}:{variant}", *SHORT, *changes]
    assert main([*arguments, f"--workdir={tmp_path}", f"--data_dir={data_dir}"]) == 0
    predictions = read_predictions(tmp_path / "predictions_test.csv")
    assert len(predictions) > 10
    return json.loads((tmp_path / "metrics_test.json").read_text())


@pytest.mark.parametrize("strategy", ["single_crop", "multi_crop", "gru", "dual"])
def test_a_strategy_trains_and_is_judged(strategy, tmp_path, data_dir):
    figures = run(f"patch_attention.py:demo_{strategy}", tmp_path, data_dir, "--config.views.crops=4")
    assert figures["protocol"]["view"] == ("centre_crop" if strategy == "single_crop" else "ordered_crop")


@pytest.mark.parametrize("balancing", ["oversampling", "diagnosis_weighting", "diagnosis_weighting_as_released"])
def test_a_balancing_strategy_trains(balancing, tmp_path, data_dir):
    run(f"balancing.py:demo_{balancing}", tmp_path, data_dir)


def test_deferred_reweighting_is_a_phase(tmp_path, data_dir, capsys):
    changes = ("--config.phases.reweighted.duration=2.0", "--config.phases.reweighted.unit=steps")
    figures = run("balancing.py:demo_ldam_drw", tmp_path, data_dir, *changes)
    assert figures["protocol"]["steps"] == 4


@pytest.mark.parametrize("file", ["patch_attention", "balancing"])
def test_every_variant_is_a_config_that_could_run(file, monkeypatch):
    path = ROOT / "configs" / f"{file}.py"
    monkeypatch.syspath_prepend(path.parent)
    for variant in importlib.import_module(file).VARIANTS:
        check(load_config(f"{path}:{variant}", []))
