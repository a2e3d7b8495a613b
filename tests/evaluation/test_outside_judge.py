"""The scorer of the ISIC challenges, where it is installed (pip install isic-challenge-scoring), agrees with ours."""

import numpy as np
import pytest

from skinjax.evaluation import binary
from skinjax.evaluation.metrics import evaluate
from tests.evaluation.tables import random_table

isic = pytest.importorskip("isic_challenge_scoring.metrics", reason="isic-challenge-scoring is not installed")
pandas = pytest.importorskip("pandas")


def frames(table):
    """Truth, predictions and weights as the scorer reads them."""
    ids, classes = table.image_ids, [*table.classes]
    truth = pandas.DataFrame(np.eye(len(classes))[table.labels], index=ids, columns=classes)
    return truth, pandas.DataFrame(table.probabilities, index=ids, columns=classes), pandas.Series(1.0, index=ids)


@pytest.mark.parametrize("seed", range(5))
def test_balanced_accuracy_to_the_last_digit(seed):
    table = random_table(301, seed)
    assert isic.balanced_multiclass_accuracy(*frames(table)) == evaluate(table, "macro_recall")


def test_areas_under_and_above():
    table = random_table(400, 3)
    truth, predictions, weights = frames(table)
    question = binary.answers(table, ("mel",))
    columns = truth["mel"], predictions["mel"], weights
    assert isic.auc(*columns) == pytest.approx(float(binary.auc(question.positive, question.scores)), abs=1e-12)
    # Theirs reaches down to the axis below the curve, from where it passes the sensitivity on.
    false, true, _ = binary.roc(question.positive, question.scores)
    after = int(np.searchsorted(true, 0.8))
    passed = np.interp(0.8, true[after - 1 : after + 1], false[after - 1 : after + 1])
    ours = float(binary.partial_area(question.positive, question.scores)) + 0.8 * (1 - passed)
    assert isic.auc_above_sensitivity(*columns, 0.8) == pytest.approx(ours, abs=1e-12)
