"""The figures of a run on disk: there when it is done, not there when anything about them is damaged."""

import dataclasses
import json

import numpy as np
import pytest

from skinjax.evaluation.intervals import summary_with_intervals
from skinjax.evaluation.predictions import Predictions, read_predictions
from skinjax.model import MODEL_FILE
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
    figures = write_figures(tmp_path, "test", {"": predictions}, [10, 30])
    assert finished_figures(tmp_path) is None
    mark_finished(tmp_path, ["test"])
    assert finished_figures(tmp_path) is None  # a run of before there were models evaluates again and leaves one
    (tmp_path / MODEL_FILE).touch()
    assert finished_figures(tmp_path) == {"test": json.loads(json.dumps(figures))}


@pytest.mark.parametrize("damage", ["", "null", "[]", '{"images": 4}', '{"protocol": []}'])
@pytest.mark.parametrize("name", ["finished.json", "metrics_test.json"])
def test_damaged_figures_are_made_again(tmp_path, predictions, name, damage):
    write_figures(tmp_path, "test", {"": predictions}, [10, 30])
    mark_finished(tmp_path, ["test"])
    (tmp_path / MODEL_FILE).touch()
    (tmp_path / name).write_text(damage)
    assert finished_figures(tmp_path) is None


def test_shown_with_interval_and_protocol(tmp_path, predictions):
    text = format_figures("test", write_figures(tmp_path, "test", {"": predictions}, [10, 30]))
    first, recall, *_ = text.splitlines()
    how = "lesion_grouped split, last checkpoint (7 steps), squash view, seed 3, synthetic"
    assert first == f"test: 4 images of 4 lesions, {how}"
    assert recall.startswith("  macro recall     0.833  95 % interval [")


def test_an_ensemble_is_told_with_its_size(tmp_path, predictions):
    protocol = {**predictions.protocol, "checkpoint": "snapshots", "members": 3}
    figures = write_figures(tmp_path, "test", {"": dataclasses.replace(predictions, protocol=protocol)}, [10, 30])
    assert ", snapshots checkpoint of 3 networks (7 steps), squash view" in format_figures("test", figures)


def test_a_part_of_one_lesion_is_finished_and_shown_without_intervals(tmp_path, predictions):
    predictions = dataclasses.replace(predictions, groups=["l"] * 4)
    figures = write_figures(tmp_path, "test", {"": predictions}, [10, 30])
    mark_finished(tmp_path, ["test"])
    (tmp_path / MODEL_FILE).touch()
    assert finished_figures(tmp_path) == {"test": json.loads(json.dumps(figures))}
    assert format_figures("test", figures).splitlines()[1:] == [
        "  macro recall     0.833",
        "  macro f1         0.733",
        "  macro precision  0.750",
        "  accuracy         0.750",
        "  mc specificity   0.833",
        "  macro auc        1.000",
        "  no bootstrap: all labelled images are of one group ('l'); a bootstrap needs at least two",
    ]


def test_a_part_without_labels_is_shown(tmp_path, predictions):
    predictions = dataclasses.replace(predictions, labels=[-1] * 4)
    first, *lines = format_figures("test", write_figures(tmp_path, "test", {"": predictions}, [10, 30])).splitlines()
    assert first.startswith("test: 0 images of 0 lesions, lesion_grouped split")
    assert lines == ["  no bootstrap: no image of the table is labelled; an interval needs labelled images"]


@pytest.mark.parametrize(
    ("protocol", "how"),
    [
        (None, "3 groups, protocol unknown"),
        ({"split": "by patient", "seed": 0}, "3 lesions, by patient split, seed 0"),
        ({"checkpoint": "best", "weights": "elsewhere"}, "3 lesions, best checkpoint, started from elsewhere"),
    ],
)
def test_a_table_from_elsewhere_is_judged_and_shown_with_what_is_known(tmp_path, protocol, how):
    (tmp_path / "theirs.csv").write_text("image_id,label,p_a,p_b\nx,a,1,0\ny,b,0,1\nz,b,1,0\n")
    if protocol is not None:
        (tmp_path / "theirs.json").write_text(json.dumps(protocol))
    figures = summary_with_intervals(read_predictions(tmp_path / "theirs.csv"))
    first, recall, *_ = format_figures("theirs", figures).splitlines()
    assert first == f"theirs: 3 images of {how}"
    assert recall.startswith("  macro recall     0.750  95 % interval [")


def test_a_leak_is_shown(tmp_path, predictions):
    predictions.protocol["split"] = {"name": "image_stratified", "leak_percent": {"test": 38.5}}
    text = format_figures("test", write_figures(tmp_path, "test", {"": predictions}, [10, 30]))
    assert text.splitlines()[1] == "  LEAK: 38.5 % of these images share a lesion with a training image"


def test_small_classes_are_as_many_as_asked_for(tmp_path, predictions):
    assert list(write_figures(tmp_path, "test", {"": predictions}, [10, 30])["small_classes"]) == ["1", "2"]
    assert list(write_figures(tmp_path, "test", {"": predictions}, [10, 30], small=[2])["small_classes"]) == ["2"]


def test_validation_figures_of_the_40_smallest_of_50_classes():
    # Of the 40 that are rarest in training, the first 10 are never found.
    predicted = np.where(np.arange(50) < 10, 49, np.arange(50))
    ids = [f"i{k}" for k in range(50)]
    classes = tuple(f"c{k}" for k in range(50))
    table = Predictions(ids, ids, range(50), ["validation"] * 50, np.eye(50)[predicted], classes)
    figures = validation_figures(table, range(50), small=[1, 40, 60])
    small = {name: value for name, value in figures.items() if name.startswith("smallest")}
    assert small == {
        **dict.fromkeys(["smallest_class_recall", "smallest_class_precision", "smallest_class_f1"], 0),
        "smallest_40_classes_recall": 0.75,
        "smallest_40_classes_precision": 0.75,
        "smallest_40_classes_f1": 0.75,
    }


def test_validation_figures_name_the_smallest_class(predictions):
    figures = validation_figures(predictions, [10, 30])
    assert figures["macro_recall"] == pytest.approx((1 + 2 / 3) / 2)
    assert figures["smallest_class_recall"] == 1
    assert figures["smallest_class_precision"] == pytest.approx(1 / 2)
    unlabelled = validation_figures(dataclasses.replace(predictions, labels=[-1] * 4), [10, 30])
    assert unlabelled.keys() == figures.keys()
    assert np.isnan(list(unlabelled.values())).all()
