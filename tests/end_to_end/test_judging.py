"""A finished run judged again: from its tables, and by its network in another view."""

import json

import numpy as np
import pytest

from skinjax import cli
from skinjax.evaluation.predictions import read_predictions


def evaluated(capsys, *arguments):
    status = cli.main(["evaluate", "--replicates=20", *map(str, arguments)])
    return status, *capsys.readouterr()


def test_the_tables_of_a_run_know_their_prior_counts_and_metadata(tiny_run, capsys):
    workdir, _ = tiny_run
    table = read_predictions(workdir / "predictions_test.csv")
    (prior,) = table.protocol["training_prior"]["stages"]
    assert set(prior) == set(table.classes) == set(table.protocol["training_counts"])
    assert sum(prior.values()) == pytest.approx(1)
    assert set(table.metadata["dx_type"]) <= {"histo", "follow_up", "consensus", "confocal"}
    status, output, errors = evaluated(capsys, workdir, "--prior=uniform", "--temperature", "--by=dx_type")
    assert (status, errors) == (0, "")
    for said in ("test: ", "lesion_grouped split", "fitted on validation: temperature", "by dx_type:"):
        assert said in output


def test_a_network_sees_its_photographs_anew_without_training(tiny_run, data_dir, capsys):
    workdir, _ = tiny_run
    before = (workdir / "predictions_test.csv").read_bytes()
    arguments = [workdir, "--config.views.repeats=mirrored", f"--data_dir={data_dir}"]
    status, output, _ = evaluated(capsys, *arguments)
    assert status == 0
    assert ", mirrored repeats" in output
    (again,) = (workdir / "again").iterdir()
    plain, mirrored = (read_predictions(folder / "predictions_test.csv") for folder in (workdir, again))
    np.testing.assert_array_equal(plain.image_ids, mirrored.image_ids)
    assert 1e-6 < np.abs(plain.probabilities - mirrored.probabilities).max() < 0.5
    assert (workdir / "predictions_test.csv").read_bytes() == before
    assert json.loads((again / "metrics_test.json").read_text())["protocol"]["repeats"] == "mirrored"
    assert evaluated(capsys, *arguments)[1] == output  # the second time nothing is computed
    status, _, errors = evaluated(capsys, workdir, "--config.batch=7", f"--data_dir={data_dir}")
    assert status == 1
    assert "a finished run is judged anew after changes of views.evaluation" in errors
