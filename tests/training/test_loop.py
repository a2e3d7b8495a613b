"""The trainer: its order, its phases, what it remembers, and that stopping it anywhere changes nothing."""

import contextlib
import functools
import json
import math
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import skinjax.training.loop
from skinjax.core.errors import UserError
from skinjax.parallel import put
from skinjax.training.checkpoints import Seal
from skinjax.training.loop import History
from skinjax.training.optimizers import OptimizerSettings
from skinjax.training.programs import draw
from skinjax.training.schedules import WarmRestartsSettings, make_schedule
from skinjax.training.signals import Interrupted

EVERYTHING = {"evaluate_every": 2, "checkpoint_every": 2, "ema_decay": 0.9, "log_every": 3}


def stop_at_call(number: int):
    """A should_stop that says yes when it is asked for the `number`-th time."""
    calls = iter(range(1, 10**6))
    return lambda: next(calls) == number


def breaking(after: int):
    """A source of batches that fails when it is asked for one more than `after`."""

    def batches(source, phase, start):
        for count, batch in enumerate(source):
            if count == after:
                raise UserError("image 'x' cannot be read")
            yield batch

    return batches


def seal(run, step: int) -> dict:
    return json.loads((run.folder / "checkpoints" / f"{step:08d}.json").read_text())


def adam(state):
    return next(part for part in state.optimizer if hasattr(part, "mu"))


@pytest.fixture(scope="module")
def uninterrupted(run_in, tmp_path_factory):
    """(run, state, history) of two phases that nothing disturbed."""
    run = run_in(tmp_path_factory.mktemp("uninterrupted"), **EVERYTHING)
    return run, *run.fit()


@pytest.fixture
def assert_as_uninterrupted(uninterrupted, assert_identical):
    """Weights, statistics, optimiser, average, history, log and checkpoints are those of the undisturbed run."""

    def check(run, state, history):
        expected_run, expected_state, expected_history = uninterrupted
        assert_identical(state, expected_state)
        assert history == expected_history
        assert run.log() == expected_run.log()
        ours, theirs = (seal(made, 7)["history"] for made in (run, expected_run))
        assert ours.pop("seconds") > 0 < theirs.pop("seconds")
        assert ours == theirs
        assert_identical(run.restored(history.best_step), expected_run.restored(history.best_step))

    return check


# Order and bookkeeping


def test_the_order_is_evaluate_checkpoint_fetch_step_log(run, phase, monkeypatch):
    events = []
    run = run([phase("only", 3)], evaluate_every=1, log_every=1)
    trainer, accuracies = run.trainer, iter([0.5, 0.25, 0.75])
    save, open_log = trainer.checkpoints.save, trainer.open_log

    def validate(phase, variables):
        events.append("evaluate")
        return {"accuracy": next(accuracies)}

    def save_and_tell(state, seal):
        events.append(f"save {seal.step}")
        save(state, seal)

    def telling_log(step):
        log = open_log(step)
        write = log.write
        log.write = lambda step, values: (events.append(f"log {step}"), write(step, values))
        return log

    def fetch(batches, mesh, stored):
        for batch in batches:
            events.append("fetch")
            yield put(batch, mesh)

    monkeypatch.setattr(trainer, "validate", validate)
    monkeypatch.setattr(trainer, "open_log", telling_log)
    monkeypatch.setattr(trainer.checkpoints, "save", save_and_tell)
    monkeypatch.setattr(skinjax.training.loop, "prefetch", fetch)
    run.fit()
    assert events == [
        *("fetch", "log 1", "evaluate", "log 1", "save 1"),  # the best so far
        *("fetch", "log 2", "evaluate", "log 2"),
        *("fetch", "log 3", "evaluate", "log 3", "save 3"),  # the end
    ]


def test_the_log_has_a_line_per_interval_per_evaluation_and_at_the_end_of_a_phase(uninterrupted):
    lines = uninterrupted[0].log()
    assert [(line["step"], line["phase"], "validation/accuracy" in line) for line in lines] == [
        (2, "head", True),
        (3, "head", False),
        (3, "head", True),
        (5, "all", True),
        (6, "all", False),
        (7, "all", False),
        (7, "all", True),
    ]


def test_a_line_of_the_log_is_the_mean_of_its_steps_at_the_rate_of_the_last(run_in, phase, tmp_path):
    fine, coarse = (
        run_in(tmp_path / str(every), [phase("all", 3, lambda step: 0.01 * (step + 1))], log_every=every)
        for every in (1, 3)
    )
    fine.fit()
    coarse.fit()
    steps, (line, _) = fine.log()[:3], coarse.log()
    assert [step["learning_rate"] for step in steps] == pytest.approx([0.01, 0.02, 0.03])
    assert line["learning_rate"] == pytest.approx(0.03)
    assert line["train/loss"] == pytest.approx(np.mean([step["train/loss"] for step in steps]))


@pytest.mark.parametrize(
    ("values", "best_value", "best_step", "since"),
    [
        ([0.2, 0.4, 0.3], 0.4, 20, 1),
        ([0.4, 0.4, 0.4], 0.4, 10, 2),
        ([-2.0, -1.0, -3.0], -1.0, 20, 1),
        ([math.nan, 0.1, math.nan], 0.1, 20, 1),
        ([math.nan, math.nan, math.nan], None, None, 3),
    ],
)
def test_history_remembers_the_first_best_value(values, best_value, best_step, since):
    history = History(phase_start=5)
    for step, value in zip((10, 20, 30), values, strict=True):
        history = history.after(step, value)
    assert history == History(5, False, 30, best_value, best_step, since)


def test_where_lower_is_better_the_lowest_is_remembered():
    history = History()
    for step, value in zip((1, 2, 3), (0.5, 0.3, 0.4), strict=True):
        history = history.after(step, value, lower_is_better=True)
    assert history == History(0, False, 3, 0.3, 2, 1)


# Phases


def test_a_phase_leaves_frozen_stages_alone_and_starts_afresh(run, assert_identical):
    run = run(**EVERYTHING, keep=9)
    run.fit()
    assert run.steps() == [2, 3, 5, 7]
    assert [seal(run, step)["phase"] for step in run.steps()] == ["head", "head", "all", "all"]
    start = draw(run.init, jnp.uint32(5), run.mesh)
    head, first, end = (run.restored(step) for step in (3, 5, 7))
    for name in ("params", "batch_stats"):
        assert_identical(head.variables[name]["backbone"], jax.tree.map(np.array, start[name]["backbone"]))
        assert_identical(head.ema[name]["backbone"], head.variables[name]["backbone"])
    for kind, place in (("params", ("stem", "conv", "kernel")), ("batch_stats", ("features", "norm", "mean"))):
        before, after = head.variables[kind]["backbone"], end.variables[kind]["backbone"]
        for key in place:
            before, after = before[key], after[key]
        assert (before != after).any()
    assert (
        head.variables["params"]["head"]["classifier"]["kernel"] != start["params"]["head"]["classifier"]["kernel"]
    ).any()
    assert set(adam(head).mu) == {"head/classifier/bias", "head/classifier/kernel"}
    assert len(adam(end).mu) == len(jax.tree.leaves(end.variables["params"])) == 8
    assert [int(adam(state).count) for state in (head, first, end)] == [3, 2, 4]


def test_the_average_starts_afresh_from_the_weights_of_each_phase(run, phase):
    run = run([phase("head", 2, frozen=("stem", "features")), phase("all", 1)], ema_decay=0.75, keep=9)
    run.fit()
    head, end = run.restored(2), run.restored(3)

    for name in ("params", "batch_stats"):
        expected = jax.tree.map(lambda old, new: 0.75 * old + 0.25 * new, head.variables[name], end.variables[name])
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7), end.ema[name], expected)


def test_what_is_evaluated_and_called_best_is_the_average(run, phase, assert_identical):
    seen = {}

    def validation(phase, variables):
        seen[len(seen) + 1] = jax.tree.map(np.array, variables)
        return {"accuracy": float(len(seen))}

    run = run([phase("all", 3)], ema_decay=0.75, evaluate_every=1, keep=9, validation=validation)
    state, _ = run.fit()
    for step, variables in seen.items():
        assert_identical(variables, run.restored(step).evaluated())
    assert (
        seen[3]["params"]["head"]["classifier"]["kernel"] != state.variables["params"]["head"]["classifier"]["kernel"]
    ).any()


def test_early_stopping_ends_a_phase_and_the_best_checkpoint_is_kept(run_in, phase, tmp_path, assert_identical):
    def make(folder, **fields):
        # Two evaluations without improvement end a phase: the first after step 3, the second after step 6.
        accuracies, two = iter([0.5, 0.4, 0.3, 0.6, 0.1, 0.2]), {"patience": 2}
        return run_in(
            tmp_path / folder,
            [phase("head", 6, frozen=("stem", "features"), judged=two), phase("all", 5, judged=two)],
            evaluate_every=1,
            log_every=5,
            keep=1,
            validation=lambda phase, variables: {"accuracy": next(accuracies)},
            **fields,
        )

    run = make("whole")
    state, history = run.fit()
    assert history == History(3, True, 6, 0.6, 4, 2)
    assert run.steps() == [4, 6]
    assert [line["step"] for line in run.log() if "train/loss" in line] == [3, 5, 6]
    assert int(adam(state).count) == 3

    again, finished = make("whole", batches=breaking(0)).fit()
    assert_identical(again, state)
    assert finished == history

    stopped = make("stopped", stop=stop_at_call(5))
    with pytest.raises(Interrupted, match="stopped after 3 steps; the same command continues from there"):
        stopped.fit()
    assert (seal(stopped, 3)["phase"], seal(stopped, 3)["history"]["phase_finished"]) == ("head", True)
    resumed = make("stopped")
    resumed.trainer.validate = iter_validation([0.6, 0.1, 0.2])
    resumed_state, resumed_history = resumed.fit()
    assert_identical(resumed_state, state)
    assert resumed_history == history
    assert resumed.log() == run.log()


def iter_validation(accuracies):
    values = iter(accuracies)
    return lambda phase, variables: {"accuracy": next(values)}


def test_each_phase_has_its_own_metric_and_its_own_best(run, phase):
    """An accuracy of .9 in the first says nothing of the second, which is judged by a term that is to fall."""
    figures = iter([{"accuracy": 0.9}, {"accuracy": 0.8}, {"loss": 3.0}, {"loss": 1.0}, {"loss": 2.0}])
    phases = [phase("first", 2), phase("second", 3, judged={"metric": "loss"})]
    run = run(phases, evaluate_every=1, keep=1, validation=lambda phase, variables: next(figures))
    _, history = run.fit()
    assert history == History(2, True, 5, 1.0, 4, 1)
    assert run.steps() == [4, 5]


def test_a_figure_of_classes_that_the_method_does_not_tell_is_no_metric(run, phase):
    with pytest.raises(UserError, match="unknown metric 'accuracy'; known: l_r"):
        run([phase("first", 2)], validation=lambda phase, variables: {"l_r": 0.5}).fit()


def test_a_phase_may_begin_from_the_best_state_of_the_one_before(run_in, phase, tmp_path, assert_identical):
    accuracies = [0.9, 0.5, 0.1, 0.2]

    def make(folder, validation, **fields):
        phases = [phase("first", 3), phase("second", 1, frozen=("stem", "features"), begins_from_best=True)]
        return run_in(tmp_path / folder, phases, evaluate_every=1, keep=1, validation=validation, **fields)

    run = make("whole", iter_validation(accuracies))
    state, _ = run.fit()
    for name, tree in run.restored(4).variables["params"]["backbone"].items():
        assert_identical(tree, state.variables["params"]["backbone"][name])
    stopped = make("stopped", iter_validation(accuracies), stop=stop_at_call(4))
    with pytest.raises(Interrupted, match="stopped after 3 steps"):
        stopped.fit()
    best, last = (stopped.restored(step).variables["params"]["backbone"] for step in (1, 3))
    kernel = state.variables["params"]["backbone"]["stem"]["conv"]["kernel"]
    np.testing.assert_array_equal(kernel, best["stem"]["conv"]["kernel"])
    assert (kernel != last["stem"]["conv"]["kernel"]).any()
    assert_identical(make("stopped", iter_validation(accuracies[3:])).fit()[0], state)


def test_a_phase_begins_from_the_best_once_more_when_its_own_checkpoint_is_damaged(run, phase, assert_identical):
    make = functools.partial(run, [phase("first", 3), phase("second", 1, begins_from_best=True)], evaluate_every=1)
    first = make(validation=iter_validation([0.9, 0.5, 0.1, 0.2]))
    state, _ = first.fit()
    assert first.steps() == [1, 3, 4]
    (first.folder / "checkpoints" / "00000004" / "_METADATA").write_text("")
    again = make(validation=iter_validation([0.2]))
    assert_identical(again.fit()[0], state)
    assert again.said[0] == "checkpoint 4 is damaged (_METADATA has changed): falling back to checkpoint 3"


def test_a_restart_resets_the_cosine_and_not_the_momentum(run, phase):
    """Without gradients after the restart at step 2, what moves the parameters then is what was kept of before."""

    def silent_from_2(source, phase, start):
        for step, batch in enumerate(source, start):
            yield batch | {"weight": batch["weight"] * (step < 2)}

    rate = make_schedule(WarmRestartsSettings(cycle=2), 0.1, 4)
    sgd = OptimizerSettings(name="sgd", momentum=0.9)
    run = run([phase("all", 4, rate)], optimizer=sgd, checkpoint_every=1, keep=9, batches=silent_from_2)
    run.fit()
    before, after = run.restored(2), run.restored(3)
    name = "head/classifier/kernel"
    trace, kept = (next(part for part in s.optimizer if hasattr(part, "trace")).trace[name] for s in (before, after))
    assert np.abs(trace).max() > 0.01
    np.testing.assert_allclose(kept, 0.9 * trace, rtol=1e-6)
    old, new = (state.variables["params"]["head"]["classifier"]["kernel"] for state in (before, after))
    np.testing.assert_allclose(old - new, 0.1 * 0.9 * trace, rtol=1e-4, atol=1e-7)


# Cycles, targets and snapshots

CYCLES = {"cycle_ends": (2, 6, 14)}


def evaluated_at(run):
    return [line["step"] for line in run.log() if "validation/accuracy" in line]


def test_patience_waits_for_whole_cycles_which_are_judged_where_they_end(run_in, phase, tmp_path):
    """Evaluations at 2, 3, 6, 9, 12 and 14; the best comes at the end of a cycle, and in the middle of one."""

    def make(folder, accuracies, patience=1, **cycles):
        only = phase("only", 14, judged={"patience": patience}, **cycles)
        return run_in(tmp_path / folder, [only], evaluate_every=3, validation=iter_validation(accuracies))

    run = make("at an end", [0.5, 0.1, 0.2], **CYCLES)
    assert run.fit()[1] == History(0, True, 6, 0.5, 2, 2)
    assert evaluated_at(run) == [2, 3, 6]
    within = make("within", [0.1, 0.5, 0.4, 0.2, 0.3, 0.1], **CYCLES)
    assert within.fit()[1] == History(0, True, 14, 0.5, 3, 4)
    assert make("never", [math.nan] * 6, patience=2, **CYCLES).fit()[1].evaluated == 6
    assert make("without", [0.5, 0.4]).fit()[1].evaluated == 6  # every third step, and the first that is worse


def test_an_evaluation_that_is_stopped_at_the_end_of_a_cycle_ends_no_phase(run_in, phase, tmp_path):
    def make(values):
        def validation(phase, variables):
            value = next(values)
            if value is None:
                raise Interrupted("stopped")
            return {"accuracy": value}

        return run_in(tmp_path, [phase("only", 8, judged={"patience": 1}, **CYCLES)], validation=validation)

    stopped = make(iter([0.5, None]))
    with pytest.raises(Interrupted, match="stopped after 6 steps"):
        stopped.fit()
    assert seal(stopped, 6)["history"]["phase_finished"] is False
    assert make(iter([0.6, 0.4])).fit()[1] == History(0, True, 8, 0.6, 6, 1)


@pytest.mark.parametrize(
    ("judged", "told"),
    [
        ({"target": 0.6}, "accuracy 0.6000 reaches the target of 0.6 after 4 steps"),
        ({"metric": "loss", "target": 0.75}, "loss 0.7000 reaches the target of 0.75 after 4 steps"),
    ],
)
def test_a_target_ends_the_run_wherever_it_is_stopped(run_in, phase, tmp_path, assert_identical, judged, told):
    figures = [{"accuracy": value, "loss": 1.3 - value} for value in (0.5, 0.1, 0.2, 0.6)]

    def make(folder, done=0, **fields):
        values = iter(figures[done:])
        phases = [phase("first", 2), phase("second", 9, judged=judged), phase("third", 5)]
        validation = lambda phase, variables: next(values)  # noqa: E731
        return run_in(tmp_path / folder, phases, evaluate_every=1, keep=1, validation=validation, **fields)

    run = make("whole")
    state, history = run.fit()
    assert (history.target_reached, history.best_step, int(state.step)) == (True, 4, 4)
    assert (run.said, run.trainer.last.name) == ([told], "second")
    for done in (1, 2, 3, 4):  # evaluations before each place to stop at
        with pytest.raises(Interrupted, match=f"stopped after {done} steps"):
            make("stopped", done - 1, stop=stop_at_call(2)).fit()
    assert seal(run, 4)["history"]["target_reached"] is True
    again = make("stopped", 4, batches=breaking(0))
    again_state, again_history = again.fit()
    assert_identical(again_state, state)
    assert again_history == history
    assert (again.said, again.trainer.last.name) == (["continuing from the checkpoint after 4 steps", told], "second")
    assert again.log() == run.log()


def test_a_phase_that_ended_early_is_gone_on_from_at_its_best(run, phase):
    """Its last cycle made it worse: the next phase begins from the state after step 2."""
    first = phase("first", 14, judged={"patience": 1}, **CYCLES)
    second = phase("second", 1, frozen=("stem", "features"), begins_from_best=True)
    run = run([first, second], keep=9, validation=iter_validation([0.5, 0.4, 0.3]))
    _, history = run.fit()
    assert history.phase_start == 6
    assert "phase second begins from the state after 2 steps" in run.said
    best, end = (run.restored(step).variables["params"]["backbone"]["stem"]["conv"]["kernel"] for step in (2, 7))
    np.testing.assert_array_equal(end, best)


def test_the_states_at_the_ends_of_cycles_are_kept_wherever_the_run_is_stopped(
    run_in, phase, tmp_path, assert_identical
):
    def make(folder, accuracies=(0.1, 0.2, 0.3), snapshots=True, **fields):
        only = phase("only", 7, cycle_ends=(2, 4, 6), snapshots=snapshots)
        fields |= {"checkpoint_every": 1, "keep": 1, "ema_decay": 0.5, "validation": iter_validation(accuracies)}
        return run_in(tmp_path / folder, [only], **fields)

    accuracies = [0.4, 0.3, 0.2, 0.1]
    run = make("whole", accuracies)
    _, history = run.fit()
    assert history.snapshots == [2, 4, 6]
    assert run.steps() == [2, 4, 6, 7]
    assert [seal(run, step)["history"]["snapshots"] for step in (4, 7)] == [[2, 4], [2, 4, 6]]
    done = 0
    for step in (1, 2, 2, 4, 5):  # twice where a cycle ends
        with pytest.raises(Interrupted, match=f"stopped after {step} steps"):
            make("stopped", accuracies[done // 2 :], stop=stop_at_call(step - done + 1)).fit()
        done = step
    stopped = make("stopped", accuracies[2:])
    assert stopped.fit()[1] == history
    assert stopped.steps() == run.steps()
    for step in history.snapshots:
        assert_identical(stopped.restored(step), run.restored(step))
    others = make("others", accuracies, snapshots=False)
    assert (others.fit()[1].snapshots, others.steps()) == ([], [2, 7])


def test_runs_of_one_process_share_their_compiled_programs(run_in, phase, tmp_path, caplog):
    run_in(tmp_path / "first", [phase("only", 2)], seed=1).fit()
    with jax.log_compiles():
        run_in(tmp_path / "second", [phase("only", 3, rate=lambda step: 0.1 / (step + 1))], seed=2).fit()
    assert not [record.message for record in caplog.records if "train_step" in record.message]


def test_a_phase_compiles_its_step_once_whatever_begins_again_and_whatever_is_frozen(run, phase, caplog):
    restarts = make_schedule(WarmRestartsSettings(cycle=2), 0.1, 6)
    frozen = phase("head", 6, rate=restarts, frozen=("stem", "features"))
    with jax.log_compiles():
        run([frozen, phase("all", 6, rate=restarts)]).fit()
    compiled = [text for text in caplog.messages if text.startswith("Compiling") and "train_step" in text]
    assert len(compiled) <= 2  # none, where an earlier test ran the same phase


def test_the_log_has_seconds_that_go_on_after_a_restart(run):
    with pytest.raises(Interrupted):
        run(**EVERYTHING, stop=stop_at_call(5)).fit()
    last = run(**EVERYTHING)
    last.fit()
    seconds = [json.loads(line)["seconds"] for line in (last.folder / "metrics.jsonl").read_text().splitlines()]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


def test_without_validation_images_there_is_no_best(run, phase):
    run = run([phase("all", 2)], evaluate_every=1)
    run.trainer.validate = None
    _, history = run.fit()
    assert history == History(0, True, 2, None, None, 0)
    assert [line["step"] for line in run.log()] == [2]


def test_a_phase_must_leave_something_to_train_and_freeze_what_there_is(run, phase):
    with pytest.raises(UserError, match="phase 'none' freezes every parameter; leave one stage unfrozen"):
        run([phase("none", 2, frozen=("stem", "features", "head"))]).fit()
    with pytest.raises(UserError, match=r"unknown stage to freeze in phase 'some': 'sten' .did you mean 'stem'"):
        run([phase("some", 2, frozen=("sten",))]).fit()
    still = "learning_rate_multipliers are 0 for all that phase 'still' does not freeze"
    with pytest.raises(UserError, match=still):
        run([phase("still", 2, frozen=("head",), learning_rate_multipliers=(("head", 1.0), (".*", 0.0)))]).fit()


@pytest.mark.parametrize(
    ("mistake", "told"),
    [
        ({"frozen": ("stem", "features", "head")}, "phase 'late' freezes every parameter"),
        ({"learning_rate_multipliers": (("early", 0.1),)}, "learning_rate_multipliers has no row for"),
    ],
)
def test_a_mistake_in_a_later_phase_is_told_before_the_first_is_trained(run, phase, mistake, told):
    run = run([phase("first", 2), phase("late", 2, **mistake)])
    with pytest.raises(UserError, match=told):
        run.fit()
    assert run.steps() == []


def test_a_checkpoint_of_a_phase_that_is_no_more_is_refused(run):
    run = run()
    with pytest.raises(UserError, match="checkpoint 3 belongs to the phase 'warmup', which this config does not have"):
        run.trainer.restore(run.phases, run.init, Seal(3, "warmup", {}))


# Stopping and going on


def test_stopping_at_every_place_changes_nothing(run, assert_as_uninterrupted):
    # Asked between two steps and before each of the two batches of an evaluation (after steps 2, 3, 5 and 7). Each
    # start is stopped at the place that comes after the one where the start before it was stopped.
    calls = [1, 2, 2, 2, 3, 2, 2, 3, 1, 2, 2, 2, 3, 2, 2, 2, 3]
    steps = [0, 1, 2, 2, 2, 3, 3, 3, 3, 4, 5, 5, 5, 6, 7, 7, 7]
    for call, step in zip(calls, steps, strict=True):
        with pytest.raises(Interrupted, match=f"stopped after {step} steps"):
            run(**EVERYTHING, stop=stop_at_call(call)).fit()
    last = run(**EVERYTHING, batches=breaking(0))
    assert_as_uninterrupted(last, *last.fit())
    assert last.said == ["continuing from the checkpoint after 7 steps"]


@pytest.mark.parametrize("seed", range(2))
def test_an_error_at_any_batch_changes_nothing(run, assert_as_uninterrupted, seed):
    rng = np.random.default_rng(seed)
    for most in [3] + 20 * [6]:  # the first phase has three batches
        attempt = run(**EVERYTHING, batches=breaking(int(rng.integers(most))))
        with contextlib.suppress(UserError):
            state, history = attempt.fit()
            break
    assert attempt.said[0].startswith("continuing from")
    assert_as_uninterrupted(attempt, state, history)


def test_what_was_being_saved_when_the_run_failed_is_whole(run, phase):
    run = run([phase("all", 9)], checkpoint_every=4, batches=breaking(7))
    with pytest.raises(UserError, match="image 'x' cannot be read"):
        run.trainer.fit(run.phases, run.init)  # and nobody closes the checkpoints
    assert run.steps() == [4]
    assert int(run.restored(4).step) == 4


@pytest.mark.parametrize("damaged", [1, 2])
def test_damaged_checkpoints_cost_steps_and_no_more(uninterrupted, run, tmp_path, damaged, assert_as_uninterrupted):
    shutil.copytree(uninterrupted[0].folder, tmp_path / "run")
    for step in (7, 5)[:damaged]:
        (tmp_path / "run" / "checkpoints" / f"{step:08d}" / "_METADATA").write_text("")
    again = run(**EVERYTHING)
    state, history = again.fit()
    assert again.said == [
        "checkpoint 7 is damaged (_METADATA has changed): falling back to checkpoint 5",
        "checkpoint 5 is damaged (_METADATA has changed): training starts afresh"
        if damaged == 2
        else "continuing from the checkpoint after 5 steps",
    ]
    assert_as_uninterrupted(again, state, history)


# Divergence


def test_divergence_is_told_with_step_rate_and_terms_and_nothing_of_it_is_saved(run, phase):
    def spoil(source, phase, start):
        for step, batch in enumerate(source, start):
            yield batch | {"weight": batch["weight"] * (np.inf if step == 2 else 1)}

    run = run([phase("only", 6, lambda step: 0.01 * (step + 1))], checkpoint_every=2, log_every=2, batches=spoil)
    with pytest.raises(UserError) as caught:
        run.fit()
    assert str(caught.value) == (
        "training diverged at step 3: classification, gradient_norm, state_norm is not finite at learning rate 0.03; "
        "lower the learning rate or clip the gradient (the checkpoints before it are kept)"
    )
    assert run.steps() == [2]
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(run.restored(2)))
    assert [line["step"] for line in run.log()] == [2]


@pytest.mark.parametrize("log_every", [1, 20])
def test_a_learning_rate_out_of_all_proportion_saves_nothing(run, phase, log_every):
    run = run([phase("only", 4, 1e30)], checkpoint_every=1, evaluate_every=1, log_every=log_every)
    with pytest.raises(UserError, match=r"diverged at step 1: state_norm is not finite at learning rate 1e\+30;"):
        run.fit()
    assert run.steps() == run.log() == []


def test_an_update_that_overflows_is_not_saved_though_its_loss_was_finite(run, phase):
    rate = phase("only", 4, lambda step: jnp.where(step == 1, jnp.inf, 0.1))
    run = run([rate], checkpoint_every=1)
    with pytest.raises(UserError, match="diverged at step 2: state_norm is not finite at learning rate inf;"):
        run.fit()
    assert run.steps() == [1]
