"""Schedules by literal values, on the host and under jit."""

import jax
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.training.schedules import make_schedule


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("constant", {}, {0: 0.4, 3: 0.4, 9: 0.4}),
        ("step", {"milestones": (4, 8)}, {0: 0.4, 3: 0.4, 4: 0.04, 7: 0.04, 8: 0.004, 9: 0.004}),
        ("step", {"milestones": (5,), "factor": 0.5}, {4: 0.4, 5: 0.2, 9: 0.2}),
        ("step", {}, {0: 0.4, 9: 0.4}),
        ("cosine", {}, {0: 0.4, 1: 0.3902113, 5: 0.2, 9: 0.0097887}),
        ("constant", {"warmup": 4}, {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4, 4: 0.4, 9: 0.4}),
        ("step", {"warmup": 2, "milestones": (6,)}, {0: 0.2, 1: 0.4, 5: 0.4, 6: 0.04}),
        ("cosine", {"warmup": 2}, {0: 0.2, 1: 0.4, 2: 0.4, 4: 0.3414214, 6: 0.2, 9: 0.0152241}),
        ("cosine", {"warmup": 10}, {0: 0.04, 9: 0.4}),
    ],
)
def test_literal_rates(name, arguments, expected):
    schedule = make_schedule(name, 0.4, 10, **arguments)
    on_the_host = [float(schedule(step)) for step in expected]
    under_jit = [float(jax.jit(schedule)(np.int32(step))) for step in expected]
    np.testing.assert_allclose(on_the_host, list(expected.values()), rtol=1e-5)
    np.testing.assert_allclose(under_jit, on_the_host, rtol=1e-5)


def test_paper_000_divides_the_rate_by_ten_at_epoch_100_of_200():
    per_epoch = 84
    schedule = make_schedule("step", 1e-3, 200 * per_epoch, milestones=(100 * per_epoch,))
    rates = schedule(np.array([0, 100 * per_epoch - 1, 100 * per_epoch, 200 * per_epoch - 1]))
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 1e-4, 1e-4], rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cosin", 0.1, 10), "unknown schedule 'cosin'.*did you mean 'cosine'"),
        (("cosine", 0.0, 10), "learning rate is 0.0"),
        (("cosine", -1.0, 10), "learning rate is -1.0"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        make_schedule(*arguments)


@pytest.mark.parametrize("warmup", [-1, 11])
def test_warm_up_must_fit_into_the_phase(warmup):
    with pytest.raises(UserError, match=f"warm-up of {warmup} steps does not fit into a phase of 10"):
        make_schedule("constant", 0.1, 10, warmup=warmup)
