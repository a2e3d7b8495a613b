"""The one training loop: phases of jitted, donated steps, each time evaluate, checkpoint, fetch batch, step, log.

Evaluation comes first so that the checkpoint holds its result; the checkpoint comes before the batch so that a restart
continues with exactly the batch that was to come. A "step" is the number of updates done.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.core.errors import UserError, lookup
from skinjax.data.pipeline import HostBatch
from skinjax.methods.base import Method, Variables
from skinjax.parallel import Stored, check_step_fits, prefetch, put_whole, replicated
from skinjax.processes import leads
from skinjax.training.checkpoints import Checkpoints, Seal, abstract
from skinjax.training.logs import MetricsLog, Progress
from skinjax.training.optimizers import OptimizerSettings, parameter_factors
from skinjax.training.phases import Phase
from skinjax.training.programs import Given, Training, begin_program, draw, shapes_of, train_program, working_seconds
from skinjax.training.signals import Interrupted
from skinjax.training.state import TrainState, partition

Init = Callable[[jax.Array], Variables]  # from a seed to parameters and statistics


@dataclasses.dataclass(frozen=True)
class LoopSettings:
    """The settings that all phases share."""

    seed: int
    batch: int
    optimizer: OptimizerSettings
    accumulate: int = 1
    ema_decay: float = 0.0
    log_every: int = 20
    remat: tuple[str, ...] = ()  # stages that are computed again, of which the compiler must know
    places: int = 1  # images in a row of a batch


@dataclasses.dataclass(frozen=True)
class History:
    """What early stopping, "best" and the log remember; it lives in the checkpoint's seal.

    The best and the steps of the `snapshots` are those of the phase. `unlogged` are the steps since the last line of
    the log, as [step before the update, report]; `seconds` what training and evaluation took until then, without
    compilation.
    """

    phase_start: int = 0
    phase_finished: bool = False
    evaluated: int = 0
    best_value: float | None = None
    best_step: int | None = None
    evaluations_since_best: int = 0
    target_reached: bool = False
    snapshots: list = dataclasses.field(default_factory=list)
    unlogged: list = dataclasses.field(default_factory=list)
    seconds: float = dataclasses.field(default=0.0, compare=False)

    def after(self, step: int, value: float, lower_is_better: bool = False) -> "History":
        """The history after an evaluation that gave `value` (NaN is no improvement) at `step`."""
        best = (math.inf if lower_is_better else -math.inf) if self.best_value is None else self.best_value
        if value < best if lower_is_better else value > best:
            return dataclasses.replace(self, evaluated=step, best_value=value, best_step=step, evaluations_since_best=0)
        return dataclasses.replace(self, evaluated=step, evaluations_since_best=self.evaluations_since_best + 1)


@dataclasses.dataclass
class Trainer:
    """The parts of a run, joined by `fit`.

    constants(phase) are the arrays by name that a phase adds to its variables; batches(phase, start) gives the host
    batches of a phase from its step `start` on, and stored(phase, variables) the arrays by name that are on the devices
    already (see `skinjax.parallel.put`); validate(phase, variables) gives named figures of the part `held_out`, or is
    None if there is none. Only those of `validation` choose the best checkpoint and stop a phase early; another part's
    are curves to look at. should_stop says that the run is to end early; given(variables) are arrays, by path, from
    which training starts instead of drawing them. `last` is the phase in which `fit` ended.
    """

    method: Method
    mesh: jax.sharding.Mesh
    settings: LoopSettings
    checkpoints: Checkpoints
    constants: Callable[[Phase], Mapping[str, np.ndarray]]
    batches: Callable[[Phase, int], Iterator[HostBatch]]
    validate: Callable[[Phase, Variables], dict[str, float]] | None
    open_log: Callable[[int], MetricsLog]
    should_stop: Callable[[], bool]
    say: Callable[[str], None] = print
    held_out: str = "validation"
    stored: Callable[[Phase, Variables], Stored] = lambda phase, variables: {}
    given: Given | None = None
    last: Phase = dataclasses.field(init=False)

    def fit(self, phases: Sequence[Phase], init: Init) -> tuple[TrainState, History]:
        """Train all phases from the newest undamaged checkpoint on, or from the variables that init(seed) gives."""
        phases = [self.resolved(phase) for phase in phases]
        if len(phases) > 1:  # a mistake in a later one is told before the first is trained
            for phase in phases[1:]:
                self.training(phase, shapes_of(init))
        seal = self._saved = self.checkpoints.latest()
        state, history, index = self.resume(phases, init, seal) if seal else (None, History(), 0)
        if seal:
            self.say(f"continuing from the checkpoint after {seal.step} steps")
        step = seal.step if seal else 0
        start = step if history.phase_finished else history.phase_start
        self._clock_zero = working_seconds() - history.seconds
        self._log = self.open_log(step)
        images = self.settings.batch * self.settings.places
        self._progress = Progress(step, start + sum(p.steps for p in phases[index:]), images, quiet=not leads())
        try:
            for phase in phases[index:]:
                if history.target_reached:
                    break
                if state is None:
                    variables = draw(init, self._seed, self.mesh, self.given)
                    state = self.begin(phase, jnp.zeros((), jnp.int32), variables)
                elif history.phase_finished:
                    state = self.begin(phase, state.step, self.handed_on(phase, phases, init, state, history))
                    history = History(phase_start=int(state.step), seconds=history.seconds)
                state, history = self._run(phase, state, history)
            self.checkpoints.wait()
        except BaseException:
            with contextlib.suppress(UserError):  # whatever ended the run, what it was saving is whole
                self.checkpoints.wait()
            raise
        finally:
            self._log.close()
            self._progress.close()
        assert state is not None  # there is at least one phase
        assert self._saved is not None
        self.last = next(phase for phase in phases if phase.name == self._saved.phase)
        if history.target_reached:
            told = f"{self.last.evaluations.metric} {history.best_value:.4f}"
            self.say(f"{told} reaches the target of {self.last.evaluations.target:g} after {self._saved.step} steps")
        return state, history

    def restore(self, phases: Sequence[Phase], init: Init, seal: Seal) -> TrainState:
        """The state of a checkpoint."""
        phase = next((phase for phase in phases if phase.name == seal.phase), None)
        if phase is None:
            raise UserError(
                f"checkpoint {seal.step} belongs to the phase {seal.phase!r}, which this config does not have: use "
                "another workdir"
            )
        phase = self.resolved(phase)
        like = jax.eval_shape(lambda of: self.begin(phase, jnp.zeros((), jnp.int32), of), shapes_of(init))
        return self.checkpoints.restore(seal.step, abstract(like, replicated(self.mesh)))

    def resolved(self, phase: Phase) -> Phase:
        """The phase with the qualified names of what it freezes."""
        return dataclasses.replace(phase, objective=phase.objective.resolved(self.method, phase.name))

    @property
    def _seed(self) -> jax.Array:
        return jnp.asarray(self.settings.seed, jnp.uint32)

    def handed_on(
        self, phase: Phase, phases: Sequence[Phase], init: Init, state: TrainState, history: History
    ) -> Variables:
        """What a phase begins from after one that ended like this: its last state, or its best."""
        if not phase.begins_from_best or history.best_step is None:
            return state.variables
        self.checkpoints.wait()
        self.say(f"phase {phase.name} begins from the state after {history.best_step} steps")
        return self.restore(phases, init, self.checkpoints.sealed(history.best_step)).evaluated()

    def resume(self, phases: Sequence[Phase], init: Init, seal: Seal) -> tuple[TrainState, History, int]:
        """The state and history of a checkpoint, and the number of the phase that goes on from there."""
        history = History(**seal.history)
        state = self.restore(phases, init, seal)
        return state, history, [phase.name for phase in phases].index(seal.phase) + history.phase_finished

    def begin(self, phase: Phase, step: jax.Array, variables: Variables) -> TrainState:
        """The state at the start of a phase."""
        placed = {name: put_whole(np.asarray(array), self.mesh) for name, array in self.constants(phase).items()}
        begin = begin_program(self.training(phase, variables))
        return begin(step, self._seed, {**variables, "constants": placed})

    def training(self, phase: Phase, variables: Variables) -> Training:
        """What the programs of a phase depend on."""
        settings, (trainable, frozen) = self.settings, partition(variables["params"], phase.objective.frozen)
        if not trainable:
            raise UserError(f"phase {phase.name!r} freezes every parameter; leave one stage unfrozen")
        rows, paths = phase.learning_rate_multipliers, (*sorted(trainable), *sorted(frozen))
        factors = parameter_factors("learning_rate_multipliers", rows, paths, self.method.stages())
        if not any(factors[path] for path in trainable):
            raise UserError(f"learning_rate_multipliers are 0 for all that phase {phase.name!r} does not freeze")
        return Training(
            method=self.method,
            phase=phase.objective,
            optimizer=settings.optimizer,
            rates=rows,
            paths=paths,
            accumulate=settings.accumulate,
            ema_decay=settings.ema_decay,
            mesh=self.mesh,
            remat=settings.remat,
        )

    def _run(self, phase: Phase, state: TrainState, history: History) -> tuple[TrainState, History]:
        settings, start, step = self.settings, history.phase_start, int(state.step)
        train_step = train_program(self.training(phase, state.variables))
        pending, history = list(history.unlogged), dataclasses.replace(history, unlogged=[])
        first = True
        with contextlib.closing(self.on_devices(phase, state.variables, step - start)) as batches:
            while True:
                final, ends_cycle = step == start + phase.steps, step - start in phase.cycle_ends
                if ends_cycle and phase.snapshots and step not in history.snapshots:
                    history = dataclasses.replace(history, snapshots=[*history.snapshots, step])
                interrupted = False
                try:
                    if self._due(phase.evaluate_every, step - start, final or ends_cycle) and history.evaluated != step:
                        history = self._evaluate(phase, state, history, pending)
                    self.check_interrupted()
                except Interrupted:
                    interrupted = True
                final = (final and history.evaluated == step) or self._ends_early(phase, history)
                if final:
                    history = dataclasses.replace(history, phase_finished=True)
                    if pending:  # stopped early, between two lines of the log
                        self._report(phase, step, start, pending)
                        pending.clear()
                to_keep = step == history.best_step or step in history.snapshots
                if interrupted or to_keep or self._due(phase.checkpoint_every, step - start, final):
                    self._save(phase, state, history, pending)
                if interrupted:
                    self.checkpoints.wait()
                    raise Interrupted(f"stopped after {step} steps; the same command continues from there")
                if final:
                    return state, history
                arguments = state, next(batches), phase.rates[step - start]
                if first:
                    check_step_fits(train_step.working_bytes(*arguments), settings.batch, self.mesh, self.say)
                    first = False
                state, report = train_step(*arguments)
                pending.append((step, report))
                step += 1
                if step % settings.log_every == 0 or step == start + phase.steps:
                    self._report(phase, step, start, pending)
                    pending.clear()
                elif self._progress.due():  # the log's lines are at fixed steps; people need not wait for them
                    self._progress.report(step, {"loss": float(report["loss"])})

    def on_devices(self, phase: Phase, variables: Variables, start: int) -> Generator[dict[str, jax.Array], None, None]:
        """The batches of a phase with these variables from its step `start` on, on the devices."""
        return prefetch(self.batches(phase, start), self.mesh, stored=self.stored(phase, variables))

    def check_interrupted(self) -> None:
        """Raise `Interrupted` when the run is to stop; safe to call between any two batches."""
        if self.should_stop():
            raise Interrupted("stopped; the same command continues from there")

    @staticmethod
    def _due(every: int, done: int, final: bool) -> bool:
        return final or (every > 0 and done > 0 and done % every == 0)

    @staticmethod
    def _ends_early(phase: Phase, history: History) -> bool:
        """Whether the target is reached, or evaluations have gone for too long without a better one.

        Right after a restart worse ones are to be expected, so a phase with cycles waits for whole ones.
        """
        waited, start = history.evaluations_since_best, history.phase_start
        if phase.cycle_ends and waited:
            best = start if history.best_step is None else history.best_step
            waited = phase.whole_cycles(best - start, history.evaluated - start)
        return history.target_reached or 0 < phase.evaluations.patience <= waited

    def _evaluate(self, phase: Phase, state: TrainState, history: History, pending: list) -> History:
        self.check_finite(phase, history.phase_start, pending)
        step = int(state.step)
        if self.validate is None:
            return dataclasses.replace(history, evaluated=step)
        figures = self.validate(phase, state.evaluated())
        self._progress.pause(step)
        part, metric = self.held_out, phase.evaluations.metric
        value = lookup("metric", metric, figures)  # of the classes, which a method need not know
        values = {f"{part}/{name}": x for name, x in figures.items()}
        self._log.write(step, {"phase": phase.name, **values, "seconds": self._seconds()})
        if part == "validation":
            history = history.after(step, value, phase.evaluations.lower_is_better)
            history = dataclasses.replace(history, target_reached=phase.evaluations.reaches_target(value))
        else:
            history = dataclasses.replace(history, evaluated=step)
        best = ", the best of the phase so far" if history.best_step == step else ""
        self._progress.say(f"step {step}: {part} {metric} {value:.4f}{best}")
        return history

    def _save(self, phase: Phase, state: TrainState, history: History, pending: list) -> None:
        step = int(state.step)
        reports = self.check_finite(phase, history.phase_start, pending)
        unlogged = [[before, report] for (before, _), report in zip(pending, reports, strict=True)]
        now = {"unlogged": unlogged, "seconds": self._seconds()}
        seal = Seal(step, phase.name, dataclasses.asdict(history) | now)
        if self._saved is None or self._saved.step != step:
            self.checkpoints.save(state, seal)
        elif self._saved.phase == phase.name and self._saved != seal:
            self.checkpoints.reseal(seal)  # an evaluation that had been interrupted has been made up for
        else:
            return
        self._saved = seal

    def _report(self, phase: Phase, step: int, start: int, pending: list) -> None:
        reports = self.check_finite(phase, start, pending)
        means = {name: sum(report[name] for report in reports) / len(reports) for name in reports[0]}
        values = {f"train/{name}": value for name, value in means.items()}
        highest = max(factor for _, factor in phase.learning_rate_multipliers)
        values["learning_rate"] = highest * float(phase.rates[step - 1 - start])
        values["images_per_second"] = self._progress.report(step, means)
        self._log.write(step, {"phase": phase.name, **values, "seconds": self._seconds()})

    def _seconds(self) -> float:
        """What this run has taken so far, compilation and interruptions apart."""
        return round(working_seconds() - self._clock_zero, 3)

    @staticmethod
    def check_finite(phase: Phase, start: int, pending: list) -> list[dict[str, float]]:
        """The reports on the host; the first that is not finite ends the run before anything of it is saved."""
        fetched = jax.device_get([report for _, report in pending])
        reports = [{name: float(value) for name, value in report.items()} for report in fetched]
        for (step, _), report in zip(pending, reports, strict=True):
            terms = [name for name, value in report.items() if name != "loss" and not math.isfinite(value)]
            if terms:
                raise UserError(
                    f"training diverged at step {step + 1}: {', '.join(terms)} is not finite at learning rate "
                    f"{phase.rates[step - start]:.3g}; lower the learning rate or clip the gradient "
                    "(the checkpoints before it are kept)"
                )
        return reports
