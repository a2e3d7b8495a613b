"""Figures of confusion matrices against the papers' printed ones, scikit-learn, and hand-counted small ones."""

import math

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    confusion_matrix,
    f1_score,
    matthews_corrcoef,
    precision_recall_fscore_support,
    precision_score,
    recall_score,
)

from skinjax.core.errors import UserError, lookup
from skinjax.evaluation import confusion as figures
from skinjax.evaluation.scores import one_vs_rest_auc
from skinjax.papers import paper_001, paper_002

TWO_STAGE = np.array(paper_001.CONFUSION)
UNBALANCED, BALANCED = (np.array(paper_002.CONFUSIONS[name]) for name in ("unbalanced", "balanced"))


@pytest.mark.parametrize(
    ("confusion", "images", "digits", "expected"),
    [
        (
            TWO_STAGE,
            2003,
            5,
            {
                "accuracy": 0.90464,
                "macro_recall": 0.80604,
                "macro_precision": 0.80712,
                "macro_f1": 0.79537,
                "f1_weighted_true": 0.90374,
                "f1_weighted_pred": 0.90555,
                "mc_specificity": 0.97542,
            },
        ),
        (UNBALANCED, 1410, 4, {"accuracy": 0.8312, "macro_recall": 0.6623}),
        (UNBALANCED, 1410, 6, {"macro_f1": 0.690618, "macro_precision": 0.743936}),
        (BALANCED, 1648, 5, {"accuracy": 0.85558, "macro_recall": 0.85304}),
        (BALANCED, 1648, 6, {"macro_f1": 0.853806, "macro_precision": 0.855392}),
    ],
)
def test_printed_confusion_matrices(confusion, images, digits, expected):
    assert confusion.sum() == images
    found = {name: round(float(figures.METRICS[name](confusion)), digits) for name in expected}
    assert found == expected


def test_per_class_figures_of_a_hand_counted_matrix():
    confusion = np.array([[3, 1, 0], [1, 2, 0], [0, 1, 0]])  # the third class is never predicted
    np.testing.assert_allclose(figures.recall(confusion), [3 / 4, 2 / 3, 0])
    np.testing.assert_allclose(figures.precision(confusion), [3 / 4, 2 / 4, 0])
    np.testing.assert_allclose(figures.f1(confusion), [6 / 8, 4 / 7, 0])
    np.testing.assert_allclose(figures.specificity(confusion), [3 / 4, 3 / 5, 1])
    np.testing.assert_array_equal(figures.support(confusion), [4, 3, 1])
    np.testing.assert_allclose(figures.accuracy(confusion), 5 / 8)


def test_an_absent_class_has_no_figures_and_is_never_counted_as_zero():
    confusion = np.array([[3, 0, 1], [0, 4, 0], [0, 0, 0]])  # the third class is absent, though once predicted
    for figure in (figures.recall, figures.precision, figures.f1, figures.specificity):
        assert np.isnan(figure(confusion)).tolist() == [False, False, True]
    assert figures.macro_recall(confusion) == (3 / 4 + 1) / 2
    assert figures.METRICS["macro_precision"](confusion) == 1
    assert figures.macro_f1(confusion) == (6 / 7 + 1) / 2
    assert figures.METRICS["mc_specificity"](confusion) == 1
    assert figures.METRICS["f1_weighted_pred"](confusion) == pytest.approx((3 * 6 / 7 + 4 * 1 + 1 * 0) / 8)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("absent", [None, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_agrees_with_scikit_learn(seed, absent, weighted):
    rng = np.random.default_rng(seed)
    labels = rng.choice(5, 60, p=[0.6, 0.2, 0.1, 0.05, 0.05])
    labels[labels == absent] = 0
    predicted = np.where(rng.random(60) < 0.6, labels, rng.integers(0, 5, 60))
    weights = rng.integers(0, 3, 60).astype(float) if weighted else None
    confusion = figures.confusion_matrix(labels, predicted, 5, weights)
    counts = {"sample_weight": weights}
    np.testing.assert_array_equal(confusion, confusion_matrix(labels, predicted, labels=range(5), **counts))

    present = np.flatnonzero(confusion.sum(axis=1))
    over = {"labels": present, "zero_division": 0, **counts}
    precision, recall, f1, support = precision_recall_fscore_support(labels, predicted, **over)
    specificity = [recall_score(labels != k, predicted != k, **counts) for k in present]
    for name, values in {"precision": precision, "recall": recall, "f1": f1, "specificity": specificity}.items():
        np.testing.assert_allclose(getattr(figures, name)(confusion)[present], values, err_msg=name)
    np.testing.assert_array_equal(figures.support(confusion)[present], support)

    every = {"average": "weighted", "zero_division": 0, **counts}
    expected = {
        "accuracy": accuracy_score(labels, predicted, **counts),
        "macro_recall": recall_score(labels, predicted, average="macro", **over),
        "macro_precision": precision_score(labels, predicted, average="macro", **over),
        "macro_f1": f1_score(labels, predicted, average="macro", **over),
        "mc_specificity": np.mean(specificity),
        "f1_weighted_true": f1_score(labels, predicted, **every),
        "f1_weighted_pred": f1_score(predicted, labels, **every),
        "cohens_kappa": cohen_kappa_score(labels, predicted, **counts),
        "matthews_correlation": matthews_corrcoef(labels, predicted, **counts),
    }
    assert {name: metric(confusion) for name, metric in figures.METRICS.items()} == pytest.approx(expected)
    over |= {"average": "macro", "labels": present[np.argsort(support, kind="stable")][:2]}
    assert figures.small_classes(confusion, 2) == pytest.approx(
        {
            "recall": recall_score(labels, predicted, **over),
            "precision": precision_score(labels, predicted, **over),
            "f1": f1_score(labels, predicted, **over),
        }
    )


def test_unlabelled_rows_enter_nothing():
    labels, predicted = np.array([0, -1, 1, -1]), np.array([0, 1, 1, 0])
    assert figures.confusion_matrix(labels, predicted, 2).tolist() == [[1, 0], [0, 1]]
    weights = np.array([[1.0, 9, 2, 9], [0, 9, 1, 9]])
    assert figures.confusion_matrix(labels, predicted, 2, weights).tolist() == [[[1, 0], [0, 2]], [[0, 0], [0, 1]]]
    scores = np.array([[0.9, 0.1], [0.0, 1.0], [0.2, 0.8], [1.0, 0.0]])
    assert one_vs_rest_auc(labels, scores).tolist() == [1, 1]


@pytest.mark.parametrize("name", list(figures.METRICS))
def test_every_metric_is_vectorised_over_leading_axes(name):
    stack = np.stack([TWO_STAGE, TWO_STAGE.T, np.diag([1, 0, 0, 2, 0, 0, 3])])
    together = figures.METRICS[name](stack.reshape(3, 1, 7, 7))
    assert together.shape == (3, 1)
    np.testing.assert_array_equal(together[:, 0], [figures.METRICS[name](matrix) for matrix in stack])


@pytest.mark.parametrize("name", list(figures.METRICS))
def test_an_empty_confusion_matrix_has_no_figures(name):
    assert math.isnan(figures.METRICS[name](np.zeros((3, 3), dtype=int)))


def test_an_unknown_metric_lists_the_known_ones():
    with pytest.raises(UserError, match=r"unknown metric 'macro_recal' .did you mean 'macro_recall'"):
        lookup("metric", "macro_recal", figures.METRICS)


def test_smallest_classes_by_count_then_class_order():
    assert figures.smallest_classes([5, 2, 9, 2, 1], 3).tolist() == [4, 1, 3]
    assert figures.smallest_classes([7, 3] * 40, 40).tolist() == list(range(1, 80, 2))
    with pytest.raises(UserError, match="the 6 smallest of 5 classes"):
        figures.smallest_classes([5, 2, 9, 2, 1], 6)


def test_small_classes_of_paper_001():
    # The smallest are df (16 of 23 found, 18 predicted) and vasc (27 of 28 found, 50 predicted).
    one, two = figures.small_classes(TWO_STAGE, 1), figures.small_classes(TWO_STAGE, 2)
    assert one == pytest.approx({"recall": 16 / 23, "precision": 16 / 18, "f1": 32 / 41})
    assert two["recall"] == pytest.approx((16 / 23 + 27 / 28) / 2)
    by_training = figures.small_classes(TWO_STAGE, 1, training_counts=[9, 9, 9, 9, 9, 9, 1])
    assert by_training["recall"] == pytest.approx(27 / 28)


def test_an_absent_class_is_no_small_class_unless_training_says_so():
    confusion = np.array([[2, 0, 0], [0, 0, 0], [1, 0, 4]])
    assert figures.small_classes(confusion, 1)["recall"] == 1
    assert np.isnan(figures.small_classes(confusion, 1, training_counts=[5, 1, 9])["recall"])
    assert figures.small_classes(confusion, 2, training_counts=[5, 1, 9])["recall"] == 1
    with pytest.raises(UserError, match="2 training counts for 3 classes"):
        figures.small_classes(confusion, 1, training_counts=[5, 1])
