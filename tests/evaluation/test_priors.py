"""Corrections for the prior: Bayes' rule on a table whose posterior is known."""

import dataclasses

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.evaluation.metrics import evaluate
from skinjax.evaluation.priors import choose_tau, frequencies, training_prior, with_prior
from tests.evaluation.tables import CLASSES, make_table, random_table

UNIFORM = np.full(3, 1 / 3)
NATURAL = {"mel": 0.3, "nv": 0.6, "df": 0.1}


def test_probabilities_are_multiplied_by_target_over_prior():
    found = with_prior(make_table([0], [[0.2, 0.7, 0.1]]), [NATURAL], UNIFORM, 1.0).probabilities[0]
    expected = np.array([0.2 / 0.3, 0.7 / 0.6, 0.1 / 0.1])
    assert found == pytest.approx(expected / expected.sum())
    same = with_prior(make_table([0], [[0.2, 0.7, 0.1]]), [NATURAL], np.array([0.3, 0.6, 0.1]), 1.0)
    assert same.probabilities[0] == pytest.approx([0.2, 0.7, 0.1])


def test_a_uniform_target_raises_macro_recall_and_the_natural_one_calibrates():
    trained_balanced = with_prior(random_table(4000, sharpness=1), [NATURAL], UNIFORM, 1.0)
    natural = np.array([0.3, 0.6, 0.1])
    back = with_prior(trained_balanced, [dict.fromkeys(CLASSES, 1 / 3)], natural, 1.0)
    assert evaluate(trained_balanced, "macro_recall") > evaluate(back, "macro_recall") + 0.02
    assert evaluate(back, "accuracy") > evaluate(trained_balanced, "accuracy") + 0.02
    assert evaluate(back, "log_loss") < evaluate(trained_balanced, "log_loss") - 0.02


def test_two_stages_are_corrected_each_by_its_own():
    # The first stage says .4 nv; the second divides .6 into .45 mel and .15 df.
    table = make_table([1], [[0.45, 0.4, 0.15]])
    prior = [{"nv": 0.8, "rest": 0.2}, {"mel": 0.75, "df": 0.25}]
    found = with_prior(table, prior, UNIFORM, 1.0).probabilities[0]
    nv, rest = 0.4 / 0.8 * (1 / 3), 0.6 / 0.2 * (2 / 3)
    mel, df = 0.75 / 0.75, 0.25 / 0.25
    assert found[1] == pytest.approx(nv / (nv + rest))
    assert found[[0, 2]] == pytest.approx(rest / (nv + rest) * np.array([mel, df]) / (mel + df))
    assert found.sum() == pytest.approx(1)


def test_tau_is_chosen_by_the_validation_table():
    table = random_table(4000, sharpness=1)
    assert choose_tau(table, [NATURAL], UNIFORM) == pytest.approx(1, abs=0.35)
    over = with_prior(table, [NATURAL], UNIFORM, 1.0)  # its prior is uniform already
    assert choose_tau(over, [dict.fromkeys(CLASSES, 1 / 3)], UNIFORM) == 1  # where tau changes nothing


def test_a_table_says_what_prior_it_was_trained_for_or_is_refused():
    table = random_table()
    with pytest.raises(UserError, match="no training_prior"):
        training_prior(table)
    known = dataclasses.replace(table, protocol={"training_prior": {"stages": [NATURAL]}})
    assert training_prior(known) == [NATURAL]
    for stages in ([{"mel": 0.3, "nv": 0.7}], [], [{"mel": 0.5, "nv": 0.5, "df": 0}], "uniform"):
        with pytest.raises(UserError, match="training_prior"):
            training_prior(dataclasses.replace(table, protocol={"training_prior": {"stages": stages}}))


def test_an_absent_class_counts_as_half_an_image():
    assert frequencies(make_table([0, 0, 1], np.eye(3))) == pytest.approx(np.array([2, 1, 0.5]) / 3.5)
