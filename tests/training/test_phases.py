"""Durations in any unit become whole steps."""

import pytest

from skinjax.methods.base import Objective
from skinjax.training.phases import Phase, duration_in_steps


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
    ],
)
def test_duration_in_steps(amount, unit, batch, epoch_length, steps):
    found = duration_in_steps(amount, unit, batch, epoch_length)
    assert found == steps
    assert isinstance(found, int)


def test_a_phase_trains_everything_at_the_full_rate_unless_told_otherwise():
    phase = Phase("all", 3, sampler=None, learning_rate=lambda step: 0.1)
    assert (phase.objective, phase.learning_rate_multipliers) == (Objective(), ((".*", 1.0),))
