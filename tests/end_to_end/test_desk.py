"""From a trained run to somebody's desk: bundle, check, predict, as a user types it."""

import csv
import json
import shutil

import numpy as np
import pytest

from skinjax import cli
from skinjax.core.settings import to_plain
from skinjax.deploy.bundle import open_bundle
from skinjax.evaluation.predictions import read_predictions


@pytest.fixture(scope="module")
def bundled(tiny_run, data_dir, tmp_path_factory):
    path = tmp_path_factory.mktemp("desk") / "model.skinjax"
    run, _ = tiny_run
    assert cli.main(["bundle", str(run), f"--out={path}", "--positive=mel", f"--data_dir={data_dir}"]) == 0
    return path


def test_a_bundle_knows_what_the_run_found(bundled, tiny_run):
    manifest, figures = open_bundle(bundled).manifest, json.loads((tiny_run[0] / "metrics_test.json").read_text())
    assert to_plain(manifest.figures["macro_recall"]).items() <= figures["macro_recall"].items()
    assert manifest.unlike is not None
    assert sum(manifest.decisions.lesions) > 0
    question = manifest.decisions.question
    assert question.positive == ("mel",)
    assert question.threshold == question.points["sensitivity 0.9"] >= question.points["sensitivity 0.95"]
    names = [name for name in manifest.figures if name.startswith("specificity at ")]
    assert len(names) == 4
    assert all(0 <= manifest.figures[name].value <= 1 for name in names)
    assert manifest.origins["synthetic"].licence == "drawn by skinjax"
    assert len(manifest.examples) == 8


def test_a_bundle_without_the_data_set_has_no_score_for_unlike_photographs(tiny_run, tmp_path, capsys):
    run = shutil.copytree(tiny_run[0], tmp_path / "run")
    settings = json.loads((run / "config.json").read_text())
    settings["config"]["dataset"] = {"name": "gone", "arguments": {}}
    (run / "config.json").write_text(json.dumps(settings))
    assert cli.main(["bundle", str(run), f"--out={tmp_path / 'x.skinjax'}", f"--data_dir={tmp_path}"]) == 0
    assert "no score for unlike photographs, as it needs the data set" in capsys.readouterr().out
    assert open_bundle(tmp_path / "x.skinjax").reference is None


def test_two_runs_of_the_same_images_are_one_bundle(tiny_run, data_dir, tmp_path, capsys):
    out, other = tmp_path / "two.skinjax", shutil.copytree(tiny_run[0], tmp_path / "other")
    assert cli.main(["bundle", str(tiny_run[0]), str(other), f"--out={out}", f"--data_dir={data_dir}"]) == 0
    assert "2 networks" in capsys.readouterr().out
    manifest, figures = open_bundle(out).manifest, json.loads((tiny_run[0] / "metrics_test.json").read_text())
    assert manifest.figures["macro_recall"].value == pytest.approx(figures["macro_recall"]["value"])
    assert manifest.decisions.temperature > 0


def test_a_bundle_predicts_what_the_run_did_with_its_temperature(bundled, tiny_run, tmp_path, data_dir):
    from skinjax.runs.experiment import open_run

    _, data, _ = open_run(tiny_run[0], data_dir)
    photos = tmp_path / "photos"
    photos.mkdir()
    table = read_predictions(tiny_run[0] / "predictions_test.csv")
    for record in data.records["test"]:
        name = data.dataset.columns["image_id"][record]
        (photos / f"{name}.jpg").write_bytes(data.dataset.encoded(record))
    assert cli.main(["predict", str(bundled), str(photos), f"--out={tmp_path / 'x.csv'}"]) == 0
    with (tmp_path / "x.csv").open(newline="") as file:
        rows = {row["image_id"]: row for row in csv.DictReader(file)}
    temperature = open_bundle(bundled).manifest.decisions.temperature
    for name, own in zip(table.image_ids, table.probabilities, strict=True):
        shown = np.array([float(rows[name][f"p_{of}"]) for of in table.classes])
        sharpened = own.astype(float) ** (1 / temperature)
        np.testing.assert_allclose(shown, sharpened / sharpened.sum(), rtol=1e-4)
        assert rows[name]["prediction"] == table.classes[own.argmax()]
