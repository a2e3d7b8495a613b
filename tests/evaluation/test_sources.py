"""Tables and runs to judge, and what is said of folders that hold none."""

import json

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.evaluation.cases import cases_of
from skinjax.evaluation.predictions import write_predictions
from skinjax.evaluation.sources import open_source
from tests.evaluation.tables import random_table


@pytest.fixture
def folder(tmp_path):
    """A finished run with a validation and a test part, as far as judging reads it."""
    run = tmp_path / "run"
    run.mkdir()
    for seed, part in enumerate(("validation", "test")):
        write_predictions(run / f"predictions_{part}.csv", random_table(100, seed))
    (run / "config.json").write_text("{}")
    (run / "finished.json").write_text(json.dumps({"splits": ["validation", "test"]}))
    return run


def test_a_run_is_judged_on_its_test_part_and_fits_on_validation(folder):
    source = open_source(folder)
    assert (source.name, source.part) == ("run", "test")
    np.testing.assert_allclose(source.table.probabilities, random_table(100, 1).probabilities, rtol=1e-8)
    np.testing.assert_allclose(source.fitted_on().probabilities, random_table(100, 0).probabilities, rtol=1e-8)


def test_the_validation_part_is_not_fitted_on_itself(folder):
    source = open_source(folder, "validation")
    assert source.part == "validation"
    with pytest.raises(UserError, match="no validation table to fit on"):
        source.fitted_on()


def test_a_table_may_bring_its_validation_table(folder):
    source = open_source(folder / "predictions_test.csv", validation=folder / "predictions_validation.csv")
    assert (source.name, source.part, len(source.fitted_on())) == ("predictions_test", "", 100)


def test_what_is_no_source_is_said(folder, tmp_path):
    with pytest.raises(UserError, match="no predictions of its train part; it has validation, test"):
        open_source(folder, "train")
    with pytest.raises(UserError, match="--part is of a run"):
        open_source(folder / "predictions_test.csv", "test")
    with pytest.raises(UserError, match=r"holds no run of skinjax: there is no config\.json"):
        open_source(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        open_source(tmp_path / "missing.csv")
    (folder / "finished.json").write_text('{"splits": []}')
    with pytest.raises(UserError, match="holds nothing out"):
        open_source(folder)
    (folder / "finished.json").write_text("[]")
    with pytest.raises(UserError, match="start the run's command again"):
        open_source(folder)
    (folder / "finished.json").unlink()
    with pytest.raises(UserError, match="has not finished: it still goes on"):
        open_source(folder)


def test_the_smallest_classes_are_those_of_the_config(folder):
    (folder / "config.json").write_text(json.dumps({"config": {"evaluations": {"small": [4, 2]}}}))
    assert open_source(folder).small == (4, 2)
    for damaged in (
        "[]",
        '{"config": {"evaluations": {"small": ["a"]}}}',
        '{"config": {"evaluations": {"small": []}}}',
    ):
        (folder / "config.json").write_text(damaged)
        assert open_source(folder).small == (1, 2, 3)


def test_a_table_with_clusters_is_resampled_by_them(tmp_path):
    (tmp_path / "a.csv").write_text(
        "image_id,label,group,cluster,p_mel,p_nv\n"
        "a,mel,l1,p1,0.6,0.4\nb,mel,l1,p1,0.6,0.4\nc,nv,l2,p1,0.6,0.4\nd,nv,l3,,0.6,0.4\n"
    )
    table = open_source(tmp_path / "a.csv").table
    assert table.groups.tolist() == ["p1", "p1", "p1", "l3"]
    assert cases_of(table).tolist() == ["l1", "l1", "l2", "l3"]
