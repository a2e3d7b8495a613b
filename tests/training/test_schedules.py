"""Schedules by literal values, on the host and under jit."""

import jax
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.core.settings import Named
from skinjax.training.schedules import StepSettings, make_schedule


@pytest.mark.parametrize(
    ("settings", "warmup", "expected"),
    [
        (Named("constant"), 0, {0: 0.4, 3: 0.4, 9: 0.4}),
        (StepSettings(milestones=(4, 8)), 0, {0: 0.4, 3: 0.4, 4: 0.04, 7: 0.04, 8: 0.004, 9: 0.004}),
        (StepSettings(milestones=(5,), factor=0.5), 0, {4: 0.4, 5: 0.2, 9: 0.2}),
        (StepSettings(), 0, {0: 0.4, 9: 0.4}),
        (Named("cosine"), 0, {0: 0.4, 1: 0.3902113, 5: 0.2, 9: 0.0097887}),
        (Named("constant"), 4, {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4, 4: 0.4, 9: 0.4}),
        (StepSettings(milestones=(6,)), 2, {0: 0.2, 1: 0.4, 5: 0.4, 6: 0.04}),
        (Named("cosine"), 2, {0: 0.2, 1: 0.4, 2: 0.4, 4: 0.3414214, 6: 0.2, 9: 0.0152241}),
        (Named("cosine"), 10, {0: 0.04, 9: 0.4}),
    ],
)
def test_literal_rates(settings, warmup, expected):
    schedule = make_schedule(settings, 0.4, 10, warmup)
    on_the_host = [float(schedule(step)) for step in expected]
    under_jit = [float(jax.jit(schedule)(np.int32(step))) for step in expected]
    np.testing.assert_allclose(on_the_host, list(expected.values()), rtol=1e-5)
    np.testing.assert_allclose(under_jit, on_the_host, rtol=1e-5)


def test_paper_000_divides_the_rate_by_ten_at_epoch_100_of_200():
    per_epoch = 84
    settings = StepSettings(milestones=(100,))
    schedule = make_schedule(settings, 1e-3, 200 * per_epoch, in_steps=lambda epochs: int(epochs * per_epoch))
    rates = schedule(np.array([0, 100 * per_epoch - 1, 100 * per_epoch, 200 * per_epoch - 1]))
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 1e-4, 1e-4], rtol=1e-6)


def test_warm_up_must_fit_into_the_phase():
    with pytest.raises(UserError, match="warm-up of 11 steps does not fit into a phase of 10"):
        make_schedule(Named("constant"), 0.1, 10, warmup=11)
