"""Every figure of a table by name, and all of them as JSON."""

import json

import pytest

from skinjax.evaluation import metrics
from skinjax.evaluation.predictions import Predictions


def test_summary_is_json_with_none_for_what_is_undefined():
    table = Predictions(
        image_ids=["a", "b", "c", "d"],
        groups=["l1", "l1", "l2", "l3"],
        labels=[0, 0, 1, -1],
        splits=["test"] * 4,
        probabilities=[[0.8, 0.1, 0.1], [0.3, 0.1, 0.6], [0.1, 0.9, 0], [0, 0, 1]],
        classes=("mel", "nv", "df"),
        protocol={"split": "lesion_grouped"},
    )
    found = json.loads(json.dumps(metrics.summary(table), allow_nan=False))
    assert (found["images"], found["unlabelled"], found["groups"]) == (3, 1, 2)
    assert found["confusion"] == [[1, 0, 1], [0, 1, 0], [0, 0, 0]]
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["macro_recall"] == 0.75
    assert found["macro_auc"] == 1
    assert found["per_class"]["mel"] == pytest.approx(
        {"recall": 0.5, "precision": 1, "f1": 2 / 3, "specificity": 1, "npv": 0.5, "auc": 1}
        | {metrics.SENSITIVITY: 1}
        | {"support": 2, "predicted": 1}
    )
    assert found["per_class"]["df"] == dict.fromkeys(
        ["recall", "precision", "f1", "specificity", "npv", "auc", metrics.SENSITIVITY]
    ) | {
        "support": 0,
        "predicted": 1,
    }
    assert found["small_classes"] == {
        "1": {"classes": ["nv"], "recall": 1, "precision": 1, "f1": 1},
        "2": {"classes": ["nv", "mel"], "recall": 0.75, "precision": 1, "f1": pytest.approx(5 / 6)},
    }
    assert found["protocol"] == {"split": "lesion_grouped"}
    assert list(metrics.summary(table, training_counts=[9, 9, 1])["small_classes"]) == ["1", "2", "3"]
    assert metrics.evaluate(table, "macro_recall") == 0.75
    assert metrics.evaluate(table, "macro_auc") == 1
