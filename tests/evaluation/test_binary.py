"""The clinical question against scikit-learn and hand-counted tables."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve

from skinjax.core.errors import UserError
from skinjax.evaluation import binary
from tests.evaluation.tables import make_table, random_table

SMALL = binary.Answers(
    positive=np.array([1, 1, 0, 1, 0, 0], bool),
    scores=np.array([0.9, 0.8, 0.7, 0.4, 0.3, 0.1]),
    groups=np.array(list("abcdef")),
)


def test_the_score_is_the_sum_of_the_positive_classes():
    found = binary.answers(make_table([0, 1, 2, -1], [[0.5, 0.2, 0.3]] * 4), ("mel", "df"))
    assert found.scores == pytest.approx([0.8] * 3)
    assert found.positive.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("positive", "message"),
    [(("mole",), "unknown class in --positive"), (("mel", "nv", "df"), "names 3 of 3 classes"), ((), "names 0 of 3")],
)
def test_a_question_that_is_none_is_refused(positive, message):
    with pytest.raises(UserError, match=message):
        binary.answers(random_table(), positive)


def test_roc_and_partial_area_are_scikit_learns():
    rng = np.random.default_rng(0)
    for decimals in (1, 8):
        positive = rng.random(300) < 0.3
        scores = (rng.random(300) + 0.4 * positive).round(decimals)
        false, true, thresholds = binary.roc(positive, scores)
        expected = roc_curve(positive, scores, drop_intermediate=False)
        for ours, theirs in zip((false, true, thresholds), expected, strict=True):
            np.testing.assert_allclose(ours, theirs)
        # ISIC 2024: the labels and scores are turned round, so that a bound of the rate bounds the sensitivity.
        scaled = roc_auc_score(~positive, -scores, max_fpr=0.2)
        raw = 0.5 * 0.2**2 + (scaled - 0.5) / 0.5 * (0.2 - 0.5 * 0.2**2)
        assert binary.partial_area(positive, scores) == pytest.approx(raw)
        assert binary.partial_area(positive, scores, least=0) == pytest.approx(roc_auc_score(positive, scores))


def test_a_weighted_row_is_so_many_rows():
    rng = np.random.default_rng(1)
    positive, scores, weights = rng.random(50) < 0.4, rng.random(50).round(1), rng.integers(0, 3, (50, 4))
    found = binary.partial_area(positive, scores, weights.astype(float))
    for number in range(4):
        rows = np.repeat(np.arange(50), weights[:, number])
        assert found[number] == pytest.approx(binary.partial_area(positive[rows], scores[rows]))


def test_thresholds_are_the_best_that_reach_their_target():
    assert binary.threshold_for(SMALL, 1.0, of_sensitivity=True) == 0.4
    assert binary.threshold_for(SMALL, 0.6, of_sensitivity=True) == 0.8
    assert binary.threshold_for(SMALL, 0.6, of_sensitivity=False) == 0.4
    assert binary.threshold_for(SMALL, 1.0, of_sensitivity=False) == 0.8
    with pytest.raises(UserError, match="one lacks"):
        binary.threshold_for(binary.Answers(np.ones(2, bool), np.ones(2), np.array(["a", "b"])), 0.9, True)


def test_predictive_values_at_the_tables_prevalence_and_at_another():
    found = binary.point(SMALL, 0.5, "fixed")
    assert (found.sensitivity.value, found.specificity.value) == pytest.approx((2 / 3, 2 / 3))
    assert (found.ppv, found.npv, found.prevalence) == pytest.approx((2 / 3, 2 / 3, 0.5))
    rare = binary.point(SMALL, 0.5, "fixed", prevalence=0.01)
    assert rare.ppv == pytest.approx(0.01 * 2 / 3 / (0.01 * 2 / 3 + 0.99 / 3))
    assert rare.npv == pytest.approx(0.99 * 2 / 3 / (0.99 * 2 / 3 + 0.01 / 3))
    never = binary.point(SMALL, 2.0, "fixed")
    assert (never.sensitivity.value, never.npv) == (0, 0.5)
    assert np.isnan(never.ppv)


def test_net_benefit_counts_false_alarms_at_the_odds_of_the_risk():
    model, always = binary.net_benefit(SMALL, 0.5)
    assert model == pytest.approx(2 / 6 - 1 / 6)
    assert always == pytest.approx(0.5 - 0.5)
    assert binary.net_benefit(SMALL, 0.2)[1] == pytest.approx(0.5 - 0.5 * 0.25)
    assert binary.net_benefit(SMALL, 0.2, prevalence=0.1)[1] == pytest.approx(0.1 - 0.9 * 0.25)


def test_the_calibration_line_is_that_of_logistic_regression():
    table = random_table(2000, sharpness=2.0)
    found = binary.answers(table, ("mel",))
    slope, intercept = binary.calibration_line(found)
    logits = np.log(np.clip(found.scores, 1e-9, 1 - 1e-9) / np.clip(1 - found.scores, 1e-9, 1))
    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(logits[:, None], found.positive)
    assert slope == pytest.approx(fitted.coef_[0, 0], rel=1e-3)
    assert slope < 0.7
    chance = 1 / (1 + np.exp(-logits - intercept))
    assert chance.mean() == pytest.approx(found.positive.mean(), abs=1e-6)


def test_a_calibrated_table_has_slope_one_and_intercept_zero():
    slope, intercept = binary.calibration_line(binary.answers(random_table(20000, sharpness=1), ("nv",)))
    assert slope == pytest.approx(1, abs=0.06)
    assert intercept == pytest.approx(0, abs=0.06)


def test_scores_that_part_the_two_without_error_have_no_line():
    apart = binary.Answers(np.array([1, 1, 0, 0], bool), np.array([0.9, 0.8, 0.2, 0.1]), np.array(list("abcd")))
    assert np.isnan(binary.calibration_line(apart)[0])
