"""Paper 003's configs from the command line to figures, small: patches joined in every way, and balancing."""

import importlib
import json

import pytest
from PIL import Image

from skinjax import cli
from skinjax.evaluation.predictions import read_predictions
from skinjax.main import main
from skinjax.recipe.config_files import load_config
from tests.end_to_end.conftest import ROOT, SMALL

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


def test_a_recurrent_network_is_judged_and_its_attention_drawn(tmp_path, data_dir, capsys):
    workdir, attended = tmp_path / "run", "--config.method.attention=('pixels','features')"
    figures = run("patch_attention.py:demo_gru", workdir, data_dir, "--config.views.crops=4", attended)
    assert (figures["protocol"]["view"], figures["protocol"]["crops"]) == ("ordered_crop", 4)
    capsys.readouterr()

    def explain(*arguments):
        return cli.main(["explain", str(workdir), f"--data_dir={data_dir}", *arguments]), *capsys.readouterr()

    status, output, errors = explain("--images=3", f"--out={tmp_path / 'pictures'}")
    assert (status, errors) == (0, "")
    assert {line.split(":")[0] for line in output.splitlines()[1:3]} == {"attention on pixels", "attention on features"}
    with Image.open(tmp_path / "pictures" / "explain.png") as picture:
        assert picture.width > 300
    rows = (tmp_path / "pictures" / "attention.csv").read_text().splitlines()
    assert len(rows) == 1 + 3 * 2 * 4
    answers = read_predictions(workdir / "predictions_test.csv")
    assert explain(str(answers.image_ids[0]), "--correct=gamma")[0] == 0
    swept = (workdir / "explain" / "correct_gamma.csv").read_text().splitlines()
    assert swept[0].startswith("photograph,true_class,gamma,p_")
    assert {row.split(",")[0] for row in swept[1:]} == {str(answers.image_ids[0])}
    for arguments, message in (
        (["nobody"], "has no photograph 'nobody'"),
        (["--images=0"], "--images: 0 is no number from 1 to 50"),
        ([f"--out={workdir / 'config.json'}"], "is a file, not a folder for figures"),
    ):
        status, _, errors = explain(*arguments)
        assert (status, errors.count("\n")) == (1, 1)
        assert message in errors
    (workdir / "config.json").unlink()
    (workdir / "model.json").unlink()
    assert "holds no run of skinjax" in explain()[2]


def test_diagnoses_guide_the_weights(tmp_path, data_dir):
    run("balancing.py:demo_diagnosis_weighting", tmp_path, data_dir)


@pytest.mark.parametrize("file", ["patch_attention", "balancing"])
def test_no_recipe_of_paper_003_has_dropout(file, monkeypatch):
    path = ROOT / "configs" / f"{file}.py"
    monkeypatch.syspath_prepend(path.parent)
    for variant in importlib.import_module(file).VARIANTS:
        if not variant.startswith("demo"):
            assert load_config(f"{path}:{variant}", []).model.dropout == 0  # Inception's own is 0.5
