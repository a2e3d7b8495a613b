"""Schedules by literal values, on the host and under jit."""

import jax
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.core.settings import Named
from skinjax.training.phases import duration_in_steps
from skinjax.training.schedules import (
    FORMULAS,
    InverseTimeSettings,
    OneCycleSettings,
    StepSettings,
    WarmRestartsSettings,
    cycle_ends,
    make_schedule,
)

DOUBLED = WarmRestartsSettings(cycle=10, multiplier=2)


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
        (InverseTimeSettings(half_after=4), 0, {0: 0.4, 1: 0.32, 4: 0.2, 9: 0.4 / 3.25}),
        (InverseTimeSettings(half_after=4), 2, {0: 0.2, 1: 0.4, 2: 0.4, 6: 0.2}),
        (WarmRestartsSettings(cycle=4), 0, {0: 0.4, 2: 0.2, 3: 0.0585786, 4: 0.4, 7: 0.0585786, 8: 0.4, 9: 0.3414214}),
        (WarmRestartsSettings(cycle=4), 2, {0: 0.2, 1: 0.4, 2: 0.4, 4: 0.2, 5: 0.0585786, 6: 0.4, 8: 0.2}),
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


def rates(settings, steps, learning_rate=0.01):
    return np.asarray(jax.jit(make_schedule(settings, learning_rate, steps))(np.arange(steps)))


def assert_rates(found, expected):
    """At some steps; float32 cosines are good to a ten millionth of the full rate."""
    np.testing.assert_allclose(found[list(expected)], list(expected.values()), rtol=1e-4, atol=1e-9)


# Paper 002, `papers_001_002_004.md` section 2.4.


def test_warm_restarts_begin_again_at_10_30_and_70():
    found = rates(DOUBLED, 71)
    first = {0: 0.01, 1: 0.009755283, 2: 0.009045085, 5: 0.005, 9: 0.000244717}
    later = {10: 0.01, 20: 0.005, 29: 6.1558e-5, 30: 0.01, 50: 0.005, 69: 1.5413e-5, 70: 0.01}
    assert_rates(found, first | later)
    assert cycle_ends(DOUBLED, 71) == (10, 30, 70)
    assert (np.flatnonzero(np.diff(found) > 0) + 1).tolist() == [10, 30, 70]
    assert found[:10].mean() == pytest.approx(0.0055)
    assert found[10:30].mean() == pytest.approx(0.00525)


@pytest.mark.parametrize(
    ("formula", "floor", "expected"),
    [
        ("loshchilov", 1e-4, {0: 0.01, 1: 0.00975773, 5: 0.00505, 9: 0.00034227, 29: 0.000160943}),
        ("floor_added", 1e-4, {0: 0.0101, 5: 0.0051, 9: 0.000344717}),
        ("as_printed", 0.0, {0: 0.505, 5: 0.5, 10: 0.505, 20: 0.5}),  # about a half, whatever the rate
        ("fastai", 0.0, {0: 1e-4, 1: 0.009755283, 10: 0.01, 11: 0.009938442}),
    ],
)
def test_the_formulas_of_a_cycle(formula, floor, expected):
    found = rates(DOUBLED.replace(formula=formula, floor=floor), 70)
    assert_rates(found, expected)
    assert (found.max() <= 0.01) == (formula in ("loshchilov", "fastai"))


def test_the_printed_formula_falls_by_the_rate_from_its_first_to_its_last_step():
    found = rates(WarmRestartsSettings(cycle=100_000, formula="as_printed"), 100_000)
    assert_rates(found, {0: 0.505, 50_000: 0.5, 99_999: 0.495})
    with pytest.raises(UserError, match=r"schedule.formula 'as_printed' goes below 0 from the rate 3: set one up to 1"):
        make_schedule(WarmRestartsSettings(formula="as_printed"), 3.0, 10)


def test_fastai_begins_at_a_hundredth_for_a_twentieth_of_the_first_cycle():
    found = rates(WarmRestartsSettings(cycle=100, formula="fastai"), 200)
    start = dict.fromkeys(range(5), 1e-4)
    assert_rates(found, start | {5: 0.009938442, 6: 0.009911436, 99: 2.4672e-6, 100: 0.01, 105: 0.009938442})
    assert set(FORMULAS) == {"loshchilov", "floor_added", "as_printed", "fastai"}


def test_cycles_of_1_2_4_8_and_16_epochs_end_after_1_3_7_15_and_31():
    settings = WarmRestartsSettings(multiplier=2)
    assert cycle_ends(settings, 31) == cycle_ends(settings, 62) == (1, 3, 7, 15, 31)
    assert cycle_ends(settings, 30) == (1, 3, 7, 15)  # the last one is cut off
    assert cycle_ends(WarmRestartsSettings(), 3) == (1, 2, 3)
    assert cycle_ends(Named("cosine"), 31) == cycle_ends(OneCycleSettings(), 31) == ()


def test_the_last_cycle_ends_with_its_phase_though_no_epoch_is_a_whole_number_of_steps():
    in_steps = lambda epochs: duration_in_steps(epochs, "epochs", 64, 6053)  # noqa: E731
    settings = WarmRestartsSettings(multiplier=2)
    assert in_steps(7) == 663
    assert cycle_ends(settings, 663, 0, in_steps) == (95, 284, 663)
    assert in_steps(7.5) == 710
    assert cycle_ends(settings, 710, 0.5, in_steps) == (142, 332, 710)  # after a warm-up of half an epoch
    found = make_schedule(settings, 0.01, 710, 0.5, in_steps)(np.array([47, 48, 142, 332, 709]))
    np.testing.assert_allclose(found, [0.01, 0.01, 0.01, 0.01, 0.0], rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"floor": 0.02}, "schedule.floor is 0.02 and optimizer.learning_rate 0.01: set the floor below it"),
        ({"cycle": 0.5}, "schedule.cycle is 0.5, too short for a phase of 1001 steps: a cycle has at least one step"),
        ({"cycle": 1}, "and a phase at most 1000 cycles"),
    ],
)
def test_cycles_that_cannot_be_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        make_schedule(WarmRestartsSettings(**changes), 0.01, 1001)


def test_one_cycle_is_pytorchs():
    # torch.optim.lr_scheduler.OneCycleLR's formula in float64; where its rise is a whole number of steps they agree.
    expected = [0.04, 0.52, 1.0, 0.950484632, 0.811745654, 0.611262022, 0.388741978, 0.188258346, 0.049519368, 4e-6]
    np.testing.assert_allclose(rates(OneCycleSettings(), 10, 1.0), expected, rtol=1e-5)
    other = rates(OneCycleSettings(rise_share=0.25, start_divisor=10, end_divisor=100), 20, 0.4)
    expected = {0: 0.04, 1: 0.0927207794, 2: 0.22, 4: 0.4, 5: 0.395633891, 9: 0.3001, 18: 0.00476610937, 19: 0.0004}
    assert_rates(other, expected)
    for short in (rates(OneCycleSettings(), 1), rates(OneCycleSettings(rise_share=0), 3)):
        assert short[0] == pytest.approx(0.01)  # there is no step to rise in


def test_half_after_less_than_a_step_is_a_step():
    in_steps = lambda epochs: duration_in_steps(epochs, "epochs", 64, 6053)  # noqa: E731
    schedule = make_schedule(InverseTimeSettings(half_after=0.001), 0.1, 200, 0.5, in_steps)
    np.testing.assert_allclose(schedule(np.array([48, 49])), [0.1, 0.05])


def test_paper_004s_rates():
    found = rates(InverseTimeSettings(half_after=10_000), 100_000, 1e-4)
    early = {0: 1e-4, 1: 9.9990001e-5, 1_000: 9.0909091e-5, 3_000: 7.6923077e-5, 10_000: 5e-5}
    expected = early | {50_000: 1.6666667e-5, 99_999: 9.0909917e-6}
    np.testing.assert_allclose(found[list(expected)], list(expected.values()), rtol=1e-6)
    assert found.sum(dtype=float) == pytest.approx(2.397941, abs=2e-6)
