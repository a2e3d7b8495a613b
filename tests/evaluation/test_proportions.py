"""Closed intervals: known values, and that few groups and copies within them claim no more than they know."""

import math

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.evaluation.predictions import Predictions
from skinjax.evaluation.proportions import (
    auc_interval,
    effective_trials,
    macro_recall_interval,
    proportion_interval,
    share_of_few,
    wilson,
)


@pytest.mark.parametrize(
    ("successes", "trials", "expected"),
    [
        (0, 10, (0.0, 0.2775)),
        (10, 10, (0.7225, 1.0)),
        (5, 10, (0.2366, 0.7634)),
        (27, 28, (0.8229, 0.9937)),
        (0, 0, (math.nan, math.nan)),
    ],
)
def test_wilson(successes, trials, expected):
    assert wilson(successes, trials) == pytest.approx(expected, abs=5e-5, nan_ok=True)


def test_effective_trials_count_images_when_alone_and_groups_when_they_agree():
    correct = np.array([1, 1, 0, 0, 1, 1, 1, 1], dtype=bool)
    assert effective_trials(correct, np.arange(8)) == pytest.approx(8)
    assert effective_trials(correct, np.arange(8) // 2) == pytest.approx(4)
    assert effective_trials(np.ones(8, dtype=bool), np.arange(8) // 2) == 4
    assert effective_trials(correct, np.zeros(8)) == 1
    assert effective_trials(np.array([1, 0] * 4, dtype=bool), np.arange(8) // 2) == 4
    assert effective_trials(np.zeros(0, dtype=bool), np.zeros(0)) == 0


@pytest.mark.parametrize("share", [0.5, 0.9, 1.0])
def test_wilson_is_not_narrowed_by_copies_within_groups(share):
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), rng.integers(1, 4, 30))
    correct = np.repeat(rng.random(30), np.bincount(groups)) < share  # images of a lesion share their fate
    once = proportion_interval(correct, groups)
    thrice = proportion_interval(np.tile(correct, 3), np.tile(groups, 3))
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))
    assert once.high - once.low > 0.05


def test_few_groups_are_worth_less_by_the_ratio_of_the_quantiles():
    assert share_of_few(2, 0.95) == pytest.approx((1.959964 / 12.706205) ** 2, rel=1e-6)
    assert share_of_few(11, 0.95) == pytest.approx((1.959964 / 2.228139) ** 2, rel=1e-6)
    assert share_of_few(100_000, 0.95) == pytest.approx(1, abs=1e-4)


def test_one_group_has_a_value_and_no_interval():
    found = proportion_interval(np.array([True, False]), np.array(["g", "g"]))
    assert (found.value, found.method) == (0.5, "none: 1 group")
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def table(labels, predicted, groups=None) -> Predictions:
    ids = [f"i{number}" for number in range(len(labels))]
    classes = max(*labels, *predicted) + 1
    names = tuple("abcdef"[:classes])
    return Predictions(ids, groups or ids, labels, ["test"] * len(ids), np.eye(classes)[predicted], names)


def test_macro_recall_reaches_as_far_as_its_recalls_together():
    labels, predicted = [0] * 20 + [1] * 10, [0] * 15 + [1] * 5 + [1] * 10
    found = macro_recall_interval(table(labels, predicted))
    few = [20 * share_of_few(20, 0.95), 10 * share_of_few(10, 0.95)]
    (low, high), (all_low, _) = wilson(0.75 * few[0], few[0]), wilson(few[1], few[1])
    assert found.value == 0.875
    assert found.low == pytest.approx(0.875 - math.hypot(0.75 - low, 1 - all_low) / 2)
    assert found.high == pytest.approx(0.875 + (high - 0.75) / 2)


def test_a_class_of_one_lesion_could_have_any_recall():
    found = macro_recall_interval(table([0] * 40 + [1], [0] * 41))
    assert found.value == 0.5
    assert found.low == pytest.approx(0.5 - (1 - wilson(*[40 * share_of_few(40, 0.95)] * 2)[0]) / 2)
    assert found.high == 1


def test_the_bounds_of_an_auc_are_where_it_is_so_many_standard_errors_away():
    for auc, positives, negatives in ((0.8, 15, 1400), (0.99, 8, 50), (0.5, 30, 30)):
        for theta in auc_interval(auc, positives, negatives):
            extra = (positives + negatives) / 2 - 1
            inner = 1 + extra * ((1 - theta) / (2 - theta) + theta / (1 + theta))
            error = math.sqrt(theta * (1 - theta) * inner / (positives * negatives))
            assert abs(auc - theta) == pytest.approx(1.959964 * error, rel=1e-6)
    low, high = auc_interval(1.0, 15, 1400)
    assert 0.9 < low < high == 1
    assert auc_interval(0.2, 7, 9) == pytest.approx(tuple(1 - bound for bound in auc_interval(0.8, 9, 7)[::-1]))
    assert all(map(math.isnan, auc_interval(0.8, 0, 9)))


def test_a_level_in_percent_is_refused():
    with pytest.raises(UserError, match="level is 95"):
        wilson(5, 10, 95)
