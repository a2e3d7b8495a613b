"""The figures of a run on disk: there when it is done, not there when anything about them is damaged."""

import json

import pytest

from skinjax.evaluation.predictions import Predictions
from skinjax.runs.results import (
    finished_figures,
    format_figures,
    mark_finished,
    validation_figures,
    write_figures,
)


@pytest.fixture
def predictions():
    protocol = {"split": {"name": "lesion_grouped"}, "checkpoint": "last", "steps": 7, "seed": 3, "synthetic": True}
    protocol["view"] = "squash"
    probabilities = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]]
    ids = ["a", "b", "c", "d"]
    return Predictions(ids, ids, [0, 1, 1, 1], ["test"] * 4, probabilities, ("mel", "nv"), protocol)


def test_finished_figures_are_read_back(tmp_path, predictions):
    figures = write_figures(tmp_path, "test", predictions, [10, 30])
    assert finished_figures(tmp_path) is None
    mark_finished(tmp_path, ["test"])
    assert finished_figures(tmp_path) == {"test": json.loads(json.dumps(figures))}


@pytest.mark.parametrize("damage", ["", "null", "[]", '{"images": 4}'])
@pytest.mark.parametrize("name", ["finished.json", "metrics_test.json"])
def test_damaged_figures_are_made_again(tmp_path, predictions, name, damage):
    write_figures(tmp_path, "test", predictions, [10, 30])
    mark_finished(tmp_path, ["test"])
    (tmp_path / name).write_text(damage)
    assert finished_figures(tmp_path) is None


def test_shown_with_interval_and_protocol(tmp_path, predictions):
    text = format_figures("test", write_figures(tmp_path, "test", predictions, [10, 30]))
    first, recall, *_ = text.splitlines()
    how = "lesion_grouped split, last checkpoint (7 steps), squash view, seed 3, synthetic"
    assert first == f"test: 4 images of 4 lesions, {how}"
    assert recall.startswith("  macro recall     0.833  95 % interval [")


def test_a_leak_is_shown(tmp_path, predictions):
    predictions.protocol["split"] = {"name": "image_stratified", "leak_percent": {"test": 38.5}}
    text = format_figures("test", write_figures(tmp_path, "test", predictions, [10, 30]))
    assert text.splitlines()[1] == "  LEAK: 38.5 % of these images share a lesion with a training image"


def test_validation_figures_name_the_smallest_class(predictions):
    figures = validation_figures(predictions, [10, 30])
    assert figures["macro_recall"] == pytest.approx((1 + 2 / 3) / 2)
    assert figures["smallest_class_recall"] == 1
    assert figures["smallest_class_precision"] == pytest.approx(1 / 2)
