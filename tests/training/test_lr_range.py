"""The learning rate range test: rates, smoothing, when it stops, what it suggests; and a sweep over a real trainer."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.training.lr_range import SHOWN, Curve, Sweep, curve, suggest, until_divergence
from skinjax.training.optimizers import OptimizerSettings
from skinjax.training.signals import Interrupted

STEP = jnp.zeros((), jnp.int32)


# Arithmetic, as the page of paper 002 has it


@pytest.mark.parametrize(("batches", "ratio"), [(100, 1.148153621), (782, 1.017823876), (95, 1.156532642)])
def test_rates_rise_by_one_factor(batches, ratio):
    rates = Sweep().rates(batches)
    assert rates[0] == 1e-5
    assert len(rates) == batches
    np.testing.assert_allclose(rates[1:] / rates[:-1], ratio, rtol=1e-9)


@pytest.mark.parametrize(("batches", "k", "rate"), [(100, 50, 0.01), (100, 99, 8.709636), (782, 781, 9.824883)])
def test_the_end_is_not_reached(batches, k, rate):
    assert Sweep().rates(batches)[k] == pytest.approx(rate, rel=1e-6)


def test_the_smoothed_loss_is_a_debiased_average():
    losses, smoothed = until_divergence([1, 2, 3, 4, 2.5])
    assert losses.tolist() == [1, 2, 3, 4, 2.5]
    np.testing.assert_allclose(smoothed, [1, 1.505051, 2.013468, 2.525250, 2.519994], atol=5e-7)


def test_a_diverging_batch_is_not_kept_and_none_is_asked_for_after_it():
    source = iter([*[1.0] * 51, 100.0, 7.0])
    losses, smoothed = until_divergence(source)
    assert losses.tolist() == smoothed.round(12).tolist() == [1.0] * 51
    assert len(losses[SHOWN]) == 35
    assert list(source) == [7.0]


def test_there_is_no_best_before_the_twelfth_batch():
    """The smoothed loss is 5.9005 there, and 9 is not four times that: the early 1 does not count."""
    losses, smoothed = until_divergence([*[1.0] * 5, *[9.0] * 95])
    assert len(losses) == 100
    assert smoothed[11] == pytest.approx(5.9005, abs=5e-5)


def test_a_loss_that_rises_ever_faster_is_stopped():
    losses, smoothed = until_divergence([*[2.3] * 20, *(2.3 * 1.2**j for j in range(1, 50))])
    assert len(losses) == 35
    assert smoothed[-1] == pytest.approx(8.374182, abs=5e-7)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_a_curve_at_any_batch(bad):
    assert until_divergence([1.0, 2.0, bad, 3.0])[0].tolist() == [1.0, 2.0]


def analytic():
    """The rates and losses of the page's curve."""
    x = -5 + 6 * np.arange(101) / 100

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    return 10**x, 2.5 - 2 * sigmoid(3 * (x + 3)) + 10 * sigmoid(6 * x)


def test_suggestions_are_the_steepest_descent_the_minimum_and_a_tenth_of_that():
    rates, losses = analytic()
    found = suggest(rates, losses)
    assert found == (rates[33], rates[62], rates[62] / 10)
    assert found == pytest.approx((9.55e-4, 0.05248, 0.005248), rel=1e-4)


def test_the_jumps_at_the_start_of_an_average_are_no_descent():
    rates, losses = analytic()
    losses[:6] += [0, 1, 0, -1, 0.5, 0]
    assert np.argmin(np.diff(losses)) < 6
    assert suggest(rates, losses).steepest == pytest.approx(rates[33], rel=0.16)  # a batch more or less


def test_a_loss_that_only_rises_suggests_nothing():
    with pytest.raises(UserError, match=r"falls at no rate from 1e-05 to 7.08: give a lower --start"):
        suggest(Sweep().rates(40), np.arange(40.0))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"start": 0.0}, r"Sweep.start is 0.0; it must be a number above 0"),
        ({"repeats": 0}, r"Sweep.repeats is 0; it must be a whole number from 1"),
        ({"start": 1.0, "end": 0.1}, r"cannot rise from 1 to 0.1: give a higher end"),
    ],
)
def test_sweeps_that_cannot_be_are_refused(given, told):
    with pytest.raises(UserError, match=told):
        Sweep(**given).rates(40)


# Over a trainer


def test_a_curve_is_the_loss_of_a_run_whose_rate_rises(run_in, phase, tmp_path):
    sweep = Sweep(start=1e-4, end=0.1, steps=36)
    settings = {"log_every": 1, "optimizer": OptimizerSettings(momentum=0.9)}
    rates = jnp.asarray(sweep.rates(36), jnp.float32)
    trained = run_in(tmp_path / "trained", [phase("only", 36, lambda step: rates[step])], **settings)
    trained.fit()
    swept = run_in(tmp_path / "swept", [phase("only", 3)], **settings)
    found = curve(swept.trainer, swept.phases[0], STEP, swept.init(np.uint32(5)), sweep)
    assert (found.seed, found.group) == (5, "all")
    losses = [line["train/loss"] for line in trained.log() if "train/loss" in line]
    np.testing.assert_allclose(found.losses, losses[: len(found.losses)], rtol=1e-6)
    np.testing.assert_array_equal(found.rates, sweep.rates(36)[: len(found.losses)])


def test_curves_share_a_compiled_step_and_leave_what_they_are_given(run, phase, caplog, assert_identical):
    swept = run([phase("only", 3)])
    variables = swept.init(np.uint32(5))
    before = jax.tree.map(np.array, variables)
    first = curve(swept.trainer, swept.phases[0], STEP, variables, Sweep(steps=36))
    with jax.log_compiles():
        again = curve(swept.trainer, swept.phases[0], STEP, variables, Sweep(start=1e-4, steps=40))
        other = curve(swept.trainer, swept.phases[0], STEP, variables, Sweep(steps=36))
    assert not [record.message for record in caplog.records if "train_step" in record.message]
    assert first.losses.tolist() == other.losses.tolist()
    assert first.losses[0] == again.losses[0]
    assert first.losses[1] != again.losses[1]
    assert_identical(variables, before)


def test_a_run_that_is_tested_while_it_is_interrupted_ends_as_if_it_were_not(run_in, tmp_path, assert_identical):
    undisturbed, _ = run_in(tmp_path / "undisturbed", evaluate_every=2, checkpoint_every=2).fit()
    asked = itertools.count()
    stopped = run_in(tmp_path / "run", evaluate_every=2, checkpoint_every=2, stop=lambda: next(asked) > 8)
    with pytest.raises(Interrupted):
        stopped.fit()
    files = {path: path.read_bytes() for path in stopped.folder.rglob("*") if path.is_file()}
    tester = run_in(tmp_path / "run").trainer
    tester.checkpoints._write = False
    state, _, number = tester.resume(stopped.phases, stopped.init, tester.checkpoints.latest())
    assert 0 < int(state.step) < 7
    curve(tester, stopped.phases[number], state.step, state.variables, Sweep(steps=36))
    assert {path: path.read_bytes() for path in stopped.folder.rglob("*") if path.is_file()} == files
    continued, _ = run_in(tmp_path / "run", evaluate_every=2, checkpoint_every=2).fit()
    assert_identical(continued, undisturbed)


def test_too_few_batches_are_told_before_anything_is_trained(run, phase):
    swept = run([phase("only", 3)], batches=None)
    with pytest.raises(UserError, match=r"6 batches of phase 'only' are too few for a curve.*give --steps=100"):
        curve(swept.trainer, swept.phases[0], STEP, {}, Sweep())


def test_divergence_before_there_is_a_curve_is_told(run, phase):
    swept = run([phase("only", 3)], optimizer=OptimizerSettings(momentum=0.0))
    with pytest.raises(UserError, match=r"'only' with seed 5 diverged at batch \d+ of 40, at the rate .*lower --start"):
        curve(swept.trainer, swept.phases[0], STEP, swept.init(np.uint32(5)), Sweep(start=1e15, end=1e38, steps=40))


def test_the_part_that_is_looked_at_leaves_out_ten_batches_and_six():
    numbers = np.arange(40.0)
    shown = Curve(3, "stem", numbers, 2 * numbers, 3 * numbers).shown()
    assert (shown.seed, shown.group) == (3, "stem")
    assert shown.rates.tolist() == list(range(10, 34))
    assert (shown.losses.tolist(), shown.smoothed.tolist()) == ([*range(20, 68, 2)], [*range(30, 102, 3)])
