"""Durations in any unit become whole steps."""

import pytest

from skinjax.core.errors import UserError
from skinjax.methods.base import Objective
from skinjax.training.phases import Evaluations, Phase, duration_in_steps


@pytest.mark.parametrize(
    ("amount", "unit", "batch", "epoch_length", "steps"),
    [
        (7, "steps", 32, 100, 7),
        (2.5, "steps", 32, 100, 3),
        (1, "epochs", 32, 96, 3),
        (1, "epochs", 32, 97, 4),
        (2, "epochs", 32, 100, 7),  # not twice the four steps of one: batches run across the border
        (0.5, "epochs", 10, 100, 5),
        (0.3, "epochs", 3, 10, 1),  # 0.3 * 10 / 3 is a hair above 1 in floating point
        (0.001, "epochs", 32, 100, 1),
        (64, "examples", 32, 100, 2),
        (65, "examples", 32, 100, 3),
        (1, "examples", 32, 100, 1),
        (7, "epochs", 64, 6053, 663),  # paper 002
        (7, "epochs", 64, 50_000, 5_469),
    ],
)
def test_duration_in_steps(amount, unit, batch, epoch_length, steps):
    found = duration_in_steps(amount, unit, batch, epoch_length)
    assert found == steps
    assert isinstance(found, int)


def test_a_phase_trains_everything_at_the_full_rate_unless_told_otherwise():
    phase = Phase("all", 3, sampler=None, learning_rate=lambda step: 0.1)
    assert (phase.objective, phase.learning_rate_multipliers) == (Objective(), ((".*", 1.0),))


@pytest.mark.parametrize(
    ("since", "until", "cycles"),
    [(0, 9, 0), (0, 10, 1), (1, 10, 0), (10, 30, 1), (11, 30, 0), (11, 69, 0), (11, 70, 1), (0, 75, 3), (-5, 75, 3)],
)
def test_whole_cycles_between_two_steps(since, until, cycles):
    phase = Phase("all", 80, sampler=None, learning_rate=lambda step: 0.1, cycle_ends=(10, 30, 70))
    assert phase.whole_cycles(since, until) == cycles


@pytest.mark.parametrize(
    ("settings", "value", "reached"),
    [
        ({"target": 0.9}, 0.9, True),
        ({"target": 0.9}, 0.8999, False),
        ({"target": 0.9}, float("nan"), False),
        ({}, 1.0, False),
        ({"target": 0.0}, 0.0, True),
        ({"target": 0.5, "metric": "loss"}, 0.5, True),
        ({"target": 0.5, "metric": "loss"}, 0.6, False),
        ({"target": 0.5, "better": "lower"}, 0.4, True),
    ],
)
def test_a_target_is_reached_from_where_the_metric_comes(settings, value, reached):
    assert Evaluations(**settings).reaches_target(value) == reached


def test_a_target_that_no_figure_can_reach_is_refused():
    with pytest.raises(UserError, match=r"evaluations.target is 90, and macro_recall is a number from 0 to 1"):
        Evaluations(target=90)
    Evaluations(target=90, metric="loss")
