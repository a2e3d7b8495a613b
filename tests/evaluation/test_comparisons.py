"""Methods over their runs, Holm's correction, and tables combined."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from skinjax.core.errors import UserError
from skinjax.evaluation.comparisons import combined, holm, method_difference
from skinjax.evaluation.intervals import paired_difference
from tests.evaluation.tables import make_table, random_table


def runs(sharpness, seeds):
    """Networks of one method: another noise on the same images."""
    table = random_table(300)
    found = []
    for seed in range(seeds):
        logits = np.log(table.probabilities) + np.random.default_rng(seed).normal(size=(300, 3)) * 4 / sharpness
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        found.append(dataclasses.replace(table, probabilities=shares))
    return found


def test_fewer_than_five_runs_are_undecided_by_design():
    found = method_difference(runs(1, 4), runs(4, 4), "accuracy")
    assert (found.verdict, found.runs) == ("undecided by design", 4)
    assert found.value > 0.1
    assert np.isnan(found.low)


def test_the_interval_counts_the_runs_spread_and_the_images():
    a, b = runs(1, 5), runs(4, 5)
    found = method_difference(a, b, "accuracy", replicates=400)
    values = [paired_difference(x, y, "accuracy", replicates=1).value for x, y in zip(a, b, strict=True)]
    assert found.value == pytest.approx(np.mean(values))
    assert found.deviation == pytest.approx(np.std(values, ddof=1))
    seeds_alone = stats.t.ppf(0.975, 4) * np.std(values, ddof=1) / np.sqrt(5)
    assert found.high - found.value > 1.1 * seeds_alone
    assert found.verdict == "higher"
    assert found.p_value < 0.01
    back = method_difference(b, a, "accuracy", replicates=400)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))
    assert back.verdict == "lower"


def test_five_runs_with_one_test_part_draw_their_groups_together():
    # Were they drawn apart, five equal runs would have a fifth of the variance.
    table, other = random_table(300), random_table(300, sharpness=1.5, seed=1)
    worse = dataclasses.replace(table, probabilities=other.probabilities)
    found = method_difference([table] * 5, [worse] * 5, "accuracy", replicates=1000)
    single = paired_difference(table, worse, "accuracy", replicates=1000)
    reach = (single.high - single.low) / 2 * stats.t.ppf(0.975, 4) / 1.96
    assert (found.high - found.low) / 2 == pytest.approx(reach, rel=0.1)


def test_folds_have_groups_of_their_own():
    folds = [random_table(100, seed) for seed in range(5)]
    folds = [dataclasses.replace(of, groups=np.array([f"{n}{g}" for g in of.groups])) for n, of in enumerate(folds)]
    found = method_difference(folds, folds, "macro_recall", replicates=50)
    assert (found.value, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert found.verdict == "undecided"


def test_methods_with_other_numbers_of_runs_are_refused():
    with pytest.raises(UserError, match="one method has 5 runs and the other 4"):
        method_difference(runs(1, 5), runs(1, 4), "accuracy")


def test_holm_multiplies_the_smallest_by_all_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1, 1]
    assert np.isnan(holm([0.01, float("nan")])).tolist() == [False, True]
    assert holm([0.01, float("nan")])[0] == 0.01


def test_tables_are_combined_by_mean_or_vote_and_joined_by_image():
    one = make_table([0, 1], [[0.6, 0.4, 0], [0.2, 0.8, 0]])
    two = make_table([0, 1], [[0.1, 0.9, 0], [0.4, 0.6, 0]])
    assert combined([one, two]).probabilities == pytest.approx(np.array([[0.35, 0.65, 0], [0.3, 0.7, 0]]))
    assert combined([one, two, two], "vote").probabilities == pytest.approx(np.array([[1 / 3, 2 / 3, 0], [0, 1, 0]]))
    turned = dataclasses.replace(
        two,
        image_ids=two.image_ids[::-1],
        groups=two.groups[::-1],
        labels=two.labels[::-1],
        probabilities=two.probabilities[::-1],
    )
    assert combined([one, turned]).probabilities == pytest.approx(combined([one, two]).probabilities)
