"""Class weights against the digits that papers.md (1.4) prints for HAM10000, and scikit-learn."""

import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from skinjax.core.errors import UserError
from skinjax.objectives.class_weights import CLASS_WEIGHTS, class_weights, effective_number

CLASSES = ["mel", "nv", "bcc", "akiec", "bkl", "df", "vasc"]
HAM = [1113, 6705, 514, 327, 1099, 115, 142]


@pytest.mark.parametrize(
    ("formula", "digits", "expected"),
    [
        ("none", 3, [1, 1, 1, 1, 1, 1, 1]),
        ("inverse", 2, [9.00, 1.49, 19.48, 30.63, 9.11, 87.09, 70.53]),
        ("balanced", 3, [1.285, 0.213, 2.783, 4.375, 1.302, 12.441, 10.075]),
        ("odds_normalised", 3, [0.036, 0.002, 0.084, 0.134, 0.037, 0.391, 0.316]),
        ("median", 3, [0.462, 0.077, 1.0, 1.572, 0.468, 4.470, 3.620]),
    ],
)
def test_printed_weights_of_ham10000(formula, digits, expected):
    assert class_weights(formula, HAM, CLASSES).round(digits).tolist() == expected


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([554, 3350, 256, 161, 549, 55, 68], [9.01, 1.49, 19.50, 31.01, 9.09, 90.78, 73.43]),
        ([553, 3351, 256, 161, 549, 56, 70], [9.03, 1.49, 19.52, 31.03, 9.10, 89.21, 71.37]),
        ([559, 3355, 258, 164, 550, 59, 74], [8.98, 1.50, 19.45, 30.60, 9.13, 85.07, 67.82]),
    ],
)
def test_printed_weights_of_paper_003s_folds(counts, expected):
    """The training images of its published split."""
    assert class_weights("inverse", counts, CLASSES).round(2).tolist() == expected


def test_effective_number_by_hand():
    """beta = .999: (1 - .999) / (1 - .999^n) is 1 for one image and 1 / 1.999 for two; the two sum to the classes."""
    weights = class_weights("effective", [1, 2], ["df", "nv"])
    np.testing.assert_allclose(weights, [2 * 1.999 / 2.999, 2 / 2.999], rtol=1e-9)
    assert class_weights("effective", HAM, CLASSES).sum() == pytest.approx(7)


def test_balanced_is_scikit_learns():
    labels = np.repeat(np.arange(7), HAM)
    expected = compute_class_weight("balanced", classes=np.arange(7), y=labels)
    np.testing.assert_allclose(class_weights("balanced", HAM, CLASSES), expected)


def test_inverse_is_one_over_the_mean_label():
    one_hot = np.eye(7)[np.repeat(np.arange(7), HAM)]
    np.testing.assert_allclose(class_weights("inverse", HAM, CLASSES), 1 / one_hot.mean(axis=0))


@pytest.mark.parametrize("formula", sorted(CLASS_WEIGHTS))
def test_on_a_device_they_are_the_same(formula):
    counts = np.array([1.0, *HAM])
    np.testing.assert_allclose(CLASS_WEIGHTS[formula](jnp.asarray(counts)), CLASS_WEIGHTS[formula](counts), rtol=1e-5)
    for beta in (0.9, 0.9999):
        np.testing.assert_allclose(
            effective_number(jnp.asarray(counts), beta), effective_number(counts, beta), rtol=1e-5
        )


@pytest.mark.parametrize("formula", sorted(CLASS_WEIGHTS))
def test_equal_counts_get_equal_weights_and_rarer_classes_no_less(formula):
    assert np.ptp(class_weights(formula, [5, 5, 5], ["a", "b", "c"])) == 0
    weights = class_weights(formula, [50, 5, 1], ["a", "b", "c"])
    assert (np.diff(weights) >= 0).all()


def test_empty_classes_are_named():
    counts = [1113, 6705, 514, 327, 1099, 0, 0]
    with pytest.raises(UserError, match="no training image of class df, vasc"):
        class_weights("balanced", counts, CLASSES)
    assert class_weights("none", counts, CLASSES).tolist() == [1] * 7


def test_unknown_formula_is_named():
    with pytest.raises(UserError, match=r"unknown class weight formula 'balance'.*did you mean 'balanced'"):
        class_weights("balance", HAM, CLASSES)


def test_counts_and_classes_must_pair():
    with pytest.raises(ValueError, match="zip"):
        class_weights("inverse", HAM, CLASSES[:-1])
