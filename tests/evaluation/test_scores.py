"""Figures of probabilities against scikit-learn and the page's golden values."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics
from sklearn.metrics import average_precision_score, roc_auc_score

from skinjax.evaluation import scores as figures
from skinjax.evaluation.confusion import METRICS, confusion_matrix
from skinjax.evaluation.scores import Scored


def macro_auc(labels, probabilities, weights=None):
    return figures.SCORE_METRICS["macro_auc"](Scored(labels, probabilities, weights))


@pytest.mark.parametrize(
    ("labels", "scores", "steps", "trapezoids"),
    [
        ([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.833333, 0.791667),
        ([1, 1, 0, 1, 0, 0, 1, 0], [0.9, 0.8, 0.7, 0.6, 0.6, 0.4, 0.3, 0.2], 0.792857, 0.792262),
        ([0, 1] * 4, [0.5] * 8, 0.5, 0.75),
        ([0] * 304 + [1] * 75, [0.3] * 379, 0.197889, 0.598945),  # ISIC 2016's test part and a constant
    ],
)
def test_average_precision_in_both_definitions(labels, scores, steps, trapezoids):
    probabilities = np.stack([1 - np.array(scores), scores], axis=1)
    for name, expected in (("average_precision", steps), ("average_precision_old", trapezoids)):
        assert figures.SCORE_METRICS[name](Scored(np.array(labels), probabilities)) == pytest.approx(expected, abs=1e-6)


def test_average_precision_is_scikit_learns_also_of_weighted_rows_and_many_classes():
    rng = np.random.default_rng(0)
    labels, weights = rng.integers(0, 3, 200), rng.integers(0, 3, (4, 200)).astype(float)
    scores = rng.dirichlet(np.ones(3), 200).round(2) + 0.1 * np.eye(3)[labels]
    found = figures.average_precision(Scored(labels, scores, weights))
    for row, value in zip(weights, found, strict=True):
        expected = [average_precision_score(labels == k, scores[:, k], sample_weight=row) for k in range(3)]
        assert value == pytest.approx(np.mean(expected))
    assert np.isnan(figures.average_precision(Scored(np.array([-1, 0]), np.array([[0.4, 0.6]] * 2))))


@pytest.mark.parametrize("decimals", [1, 6])
def test_auc_agrees_with_scikit_learn_with_and_without_ties_and_weights(decimals):
    rng = np.random.default_rng(decimals)
    labels = rng.integers(0, 3, 200)
    scores = rng.random((200, 3)).round(decimals) + 0.3 * np.eye(3)[labels].round(decimals)
    weights = rng.integers(0, 4, (2, 200)).astype(float)
    expected = [roc_auc_score(labels == k, scores[:, k]) for k in range(3)]
    np.testing.assert_allclose(figures.one_vs_rest_auc(labels, scores), expected)
    weighted = [[roc_auc_score(labels == k, scores[:, k], sample_weight=row) for k in range(3)] for row in weights]
    np.testing.assert_allclose(figures.one_vs_rest_auc(labels, scores, weights), weighted)
    shares = scores / scores.sum(axis=1, keepdims=True)
    macro = [roc_auc_score(labels, shares, multi_class="ovr", sample_weight=row) for row in weights]
    np.testing.assert_allclose(macro_auc(labels, shares, weights), macro)


def test_auc_is_undefined_without_positives_or_negatives():
    scores = np.array([[0.7, 0.2, 0.1], [0.2, 0.7, 0.1]])
    assert np.isnan(figures.one_vs_rest_auc(np.array([0, 1]), scores)).tolist() == [False, False, True]
    assert macro_auc(np.array([0, 1]), scores) == 1
    assert np.isnan(macro_auc(np.array([0, 0]), scores))
    assert np.isnan(macro_auc(np.array([-1, -1]), scores))


def test_figures_of_resamples_equal_scikit_learns_of_weighted_rows():
    rng = np.random.default_rng(0)
    labels, weights = rng.integers(0, 4, 300), rng.integers(0, 3, (50, 300)).astype(float)
    logits = rng.normal(size=(300, 4)) + 1.5 * np.eye(4)[labels]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predicted = shares.argmax(axis=1)
    confusions = confusion_matrix(labels, predicted, 4, weights)
    truth, scored = np.eye(4)[labels], Scored(labels, shares, weights)
    for number, row in enumerate(weights):
        counts = {"sample_weight": row}
        macro = {"average": "macro", "zero_division": 0, **counts}
        expected = {
            "accuracy": sklearn_metrics.accuracy_score(labels, predicted, **counts),
            "macro_recall": sklearn_metrics.balanced_accuracy_score(labels, predicted, **counts),
            "macro_precision": sklearn_metrics.precision_score(labels, predicted, **macro),
            "macro_f1": sklearn_metrics.f1_score(labels, predicted, **macro),
            "cohens_kappa": sklearn_metrics.cohen_kappa_score(labels, predicted, **counts),
            "matthews_correlation": sklearn_metrics.matthews_corrcoef(labels, predicted, **counts),
            "macro_auc": roc_auc_score(labels, shares, multi_class="ovr", **counts),
            "average_precision": average_precision_score(truth, shares, **counts),
            "log_loss": sklearn_metrics.log_loss(labels, shares, **counts),
            "brier": np.average(np.square(shares - truth).sum(axis=1), weights=row),
        }
        for name, value in expected.items():
            figure = METRICS[name](confusions) if name in METRICS else figures.SCORE_METRICS[name](scored)
            assert figure[number] == pytest.approx(value, abs=1e-12), name


def test_sensitivity_at_a_specificity_is_the_best_of_the_roc_curves_points():
    rng = np.random.default_rng(0)
    labels, weights = rng.integers(0, 3, 200), rng.integers(0, 3, (4, 200)).astype(float)
    scores = rng.random((200, 3)).round(2) + 0.3 * np.eye(3)[labels]
    found = figures.sensitivity_at(Scored(labels, scores, weights), 0.9)
    for row, values in zip(weights, found, strict=True):
        for number, value in enumerate(values):
            curve = sklearn_metrics.roc_curve(
                labels == number, scores[:, number], sample_weight=row, drop_intermediate=False
            )
            assert value == pytest.approx(curve[1][curve[0] <= 0.1 + 1e-9].max())
    assert np.isnan(figures.sensitivity_at(Scored(np.zeros(3, int), np.eye(3)), 0.9)).all()
