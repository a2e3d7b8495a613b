"""tools/balanced_judging.py: the rebalanced part has as many of each class, and accuracy on it is macro recall."""

import balanced_judging
import numpy as np

from skinjax.evaluation.metrics import evaluate
from skinjax.evaluation.predictions import Predictions


def test_a_rebalanced_part_has_as_many_of_each_class():
    labels = [0] * 90 + [1] * 10
    right = [1.0] * 81 + [0.0] * 9 + [1.0] * 5 + [0.0] * 5
    probabilities = np.array([[p, 1 - p] if label == 0 else [1 - p, p] for label, p in zip(labels, right, strict=True)])
    names = [f"image{i}" for i in range(100)]
    table = Predictions(names, names, labels, ["test"] * 100, probabilities, ("nv", "df"))
    found = balanced_judging.rebalanced(table)
    assert np.bincount(found.labels).tolist() == [10, 10]
    assert evaluate(found, "accuracy") == evaluate(found, "macro_recall")
    assert evaluate(table, "accuracy") == 0.86
    assert balanced_judging.rebalanced(table).image_ids.tolist() == found.image_ids.tolist()
    assert set(np.asarray(found.image_ids)[np.asarray(found.labels) == 1]) == set(names[90:])
