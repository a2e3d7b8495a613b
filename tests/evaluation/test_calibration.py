"""Calibration: the temperature is found, and the debiased error of a calibrated table is near zero."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import log_loss as sklearn_log_loss

from skinjax.core.errors import UserError
from skinjax.evaluation.calibration import (
    calibration_error,
    fit_temperature,
    reliability,
    top_label_reliability,
    with_temperature,
)
from tests.evaluation.tables import make_table, random_table


def test_the_temperature_of_a_sharpened_table_is_what_sharpened_it():
    assert fit_temperature(random_table(6000, sharpness=2.5, images_per_group=1)) == pytest.approx(2.5, rel=0.05)
    assert fit_temperature(random_table(6000, sharpness=0.5, images_per_group=1)) == pytest.approx(0.5, rel=0.05)


def test_no_other_temperature_has_a_lower_log_loss():
    table = random_table(sharpness=2)
    best = fit_temperature(table)
    losses = [
        sklearn_log_loss(table.labels, with_temperature(table, best * factor).probabilities) for factor in (0.9, 1, 1.1)
    ]
    assert min(losses) == losses[1]


def test_a_temperature_changes_no_decision_and_its_inverse_undoes_it():
    table = random_table()
    warmer = with_temperature(table, 3)
    np.testing.assert_array_equal(warmer.predicted, table.predicted)
    np.testing.assert_allclose(with_temperature(warmer, 1 / 3).probabilities, table.probabilities, atol=1e-9)
    assert warmer.probabilities.max() < table.probabilities.max()


def test_a_certain_mistake_has_a_finite_temperature():
    table = make_table([0, 1, 0], [[1, 0, 0], [1, 0, 0], [1, 0, 0]])
    assert 1 < fit_temperature(table) < 20.1


def test_bins_hold_as_many_rows_each_and_equal_confidences_together():
    confidence = np.array([0.5, 0.6, 0.7, 0.8, 0.9, 0.9])
    found = reliability(confidence, np.array([0, 1, 1, 0, 1, 1], bool), bins=3)
    assert found.rows.tolist() == [2, 2, 2]
    assert found.confidence == pytest.approx([0.55, 0.75, 0.9])
    assert found.accuracy == pytest.approx([0.5, 0.5, 1])
    assert reliability(np.full(9, 0.7), np.ones(9, bool)).rows.tolist() == [9]


def test_the_error_is_the_gap_less_what_chance_makes_of_it():
    # One bin of 100 rows, accuracy .5, confidence .8: six standard errors apart, so that nothing is taken off.
    table = make_table([0, 1] * 50, [[0.8, 0.2]] * 100, classes=("a", "b"))
    assert calibration_error(table) == pytest.approx(0.3, abs=1e-6)
    # Without a gap the excess alone is left, and the error is not below 0.
    assert calibration_error(make_table([0, 1] * 50, [[0.5, 0.5]] * 100, classes=("a", "b"))) == 0


def test_a_calibrated_table_has_an_error_near_zero_where_the_plain_one_has_not():
    bins = [top_label_reliability(random_table(500, seed, 1, 1)) for seed in range(20)]
    plain = [np.sum(of.rows * np.abs(of.confidence - of.accuracy)) / 500 for of in bins]
    assert np.mean([of.error for of in bins]) < 0.6 * np.mean(plain) < 0.03
    sharp = [calibration_error(random_table(500, seed, 2.5, 1)) for seed in range(5)]
    assert min(sharp) > 0.05


def test_without_labels_there_is_no_error_and_no_temperature():
    table = dataclasses.replace(random_table(), labels=np.full(600, -1))
    assert np.isnan(calibration_error(table))
    with pytest.raises(UserError, match="no image of the validation table is labelled"):
        fit_temperature(table)
