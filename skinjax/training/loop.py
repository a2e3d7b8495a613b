"""The one training loop: phases of jitted, donated steps, each time evaluate, checkpoint, fetch batch, step, log.

Evaluation comes first so that the checkpoint holds its result; the checkpoint comes before the batch so that a restart
continues with exactly the batch that was to come. A "step" is the number of updates done.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from skinjax.core.errors import UserError, lookup
from skinjax.data.pipeline import HostBatch
from skinjax.methods.base import Method, Variables
from skinjax.parallel import prefetch, replicated
from skinjax.training.checkpoints import Checkpoints, Seal, abstract
from skinjax.training.logs import MetricsLog, Progress
from skinjax.training.phases import Phase
from skinjax.training.signals import Interrupted
from skinjax.training.state import TrainState, begin_phase, draw, make_train_step, partition


@dataclasses.dataclass(frozen=True)
class LoopSettings:
    """How often things happen (in steps; 0 = only at the end of a phase) and what "best" means."""

    seed: int
    batch: int
    accumulate: int = 1
    ema_decay: float = 0.0
    evaluate_every: int = 0
    checkpoint_every: int = 0
    log_every: int = 20
    metric: str = "macro_recall"
    patience: int = 0


@dataclasses.dataclass(frozen=True)
class History:
    """What early stopping, "best" and the log remember; it lives in the checkpoint's seal.

    `unlogged` are the steps since the last line of the log, as [step before the update, report].
    """

    phase_start: int = 0
    phase_finished: bool = False
    evaluated: int = 0
    best_value: float | None = None
    best_step: int | None = None
    evaluations_since_best: int = 0
    unlogged: list = dataclasses.field(default_factory=list)

    def after(self, step: int, value: float) -> "History":
        """The history after an evaluation that gave `value` (NaN is no improvement) at `step`."""
        if value > (-math.inf if self.best_value is None else self.best_value):
            return dataclasses.replace(self, evaluated=step, best_value=value, best_step=step, evaluations_since_best=0)
        return dataclasses.replace(self, evaluated=step, evaluations_since_best=self.evaluations_since_best + 1)


@dataclasses.dataclass
class Trainer:
    """The parts of a run, joined by `fit`.

    batches(phase, start) gives the host batches of a phase from its step `start` on, and `pixels` their images where
    those are on the devices already (see `skinjax.parallel.put`); validate(variables) gives named
    figures of the part `held_out`, or is None if there is none. Only those of `validation` choose the best checkpoint
    and stop a phase early; another part's are curves to look at. should_stop says that the run is to end early;
    given(variables) are the arrays, by path, of which training starts instead of those that are drawn; the training
    step is compiled with `compiler_options`.
    """

    method: Method
    mesh: jax.sharding.Mesh
    settings: LoopSettings
    checkpoints: Checkpoints
    make_optimizer: Callable[[Phase, Sequence[str]], optax.GradientTransformation]
    batches: Callable[[Phase, int], Iterator[HostBatch]]
    validate: Callable[[Variables], dict[str, float]] | None
    open_log: Callable[[int], MetricsLog]
    should_stop: Callable[[], bool]
    say: Callable[[str], None] = print
    held_out: str = "validation"
    pixels: jax.Array | None = None
    given: Callable[[Variables], Mapping[tuple[str, ...], np.ndarray]] | None = None
    compiler_options: dict[str, str] | None = None

    def fit(self, phases: Sequence[Phase], init: Callable[[jax.Array], Variables]) -> tuple[TrainState, History]:
        """Train through all phases, from the newest undamaged checkpoint on; `init(seed)` makes the variables."""
        seal = self._saved = self.checkpoints.latest()
        state, history, index = self._resume(phases, init, seal) if seal else (None, History(), 0)
        step = seal.step if seal else 0
        start = step if history.phase_finished else history.phase_start
        self._log = self.open_log(step)
        self._progress = Progress(step, start + sum(p.steps for p in phases[index:]), self.settings.batch)
        try:
            for phase in phases[index:]:
                if state is None:
                    variables = draw(init, self._seed, self.mesh, self.given)
                    state = self._begin(phase, jnp.zeros((), jnp.int32), variables)
                elif history.phase_finished:
                    history = dataclasses.replace(
                        history, phase_start=int(state.step), phase_finished=False, evaluations_since_best=0
                    )
                    state = self._begin(phase, state.step, state.variables)
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
        return state, history

    def restore(self, phases: Sequence[Phase], init: Callable[[jax.Array], Variables], seal: Seal) -> TrainState:
        """The state of a checkpoint."""
        phase = next((phase for phase in phases if phase.name == seal.phase), None)
        if phase is None:
            raise UserError(
                f"checkpoint {seal.step} belongs to the phase {seal.phase!r}, which this config does not have"
            )
        like = jax.eval_shape(lambda: self._begin(phase, jnp.zeros((), jnp.int32), init(self._seed)))
        return self.checkpoints.restore(seal.step, abstract(like, replicated(self.mesh)))

    @property
    def _seed(self) -> jax.Array:
        return jnp.asarray(self.settings.seed, jnp.uint32)

    def _resume(
        self, phases: Sequence[Phase], init: Callable[[jax.Array], Variables], seal: Seal
    ) -> tuple[TrainState, History, int]:
        history = History(**seal.history)
        state = self.restore(phases, init, seal)
        self.say(f"continuing from the checkpoint after {seal.step} steps")
        return state, history, [phase.name for phase in phases].index(seal.phase) + history.phase_finished

    def _begin(self, phase: Phase, step: jax.Array, variables: Variables) -> TrainState:
        optimizer = self._optimizer(phase, variables)
        begin = jax.jit(
            lambda step, seed, variables: begin_phase(
                step, seed, variables, optimizer, phase.frozen, self.settings.ema_decay > 0
            ),
            out_shardings=replicated(self.mesh),
        )
        return begin(step, self._seed, variables)

    def _optimizer(self, phase: Phase, variables: Variables) -> optax.GradientTransformation:
        for name in phase.frozen:
            lookup(f"stage to freeze in phase {phase.name!r}:", name, dict.fromkeys(self.method.stages()))
        trainable, frozen = partition(variables["params"], phase.frozen)
        if not trainable:
            raise UserError(f"phase {phase.name!r} freezes every parameter; leave one stage unfrozen")
        return self.make_optimizer(phase, [*trainable, *frozen])

    def _run(self, phase: Phase, state: TrainState, history: History) -> tuple[TrainState, History]:
        settings, start, step = self.settings, history.phase_start, int(state.step)
        train_step = jax.jit(
            make_train_step(
                self.method,
                phase,
                self._optimizer(phase, state.variables),
                accumulate=settings.accumulate,
                ema_decay=settings.ema_decay,
            ),
            donate_argnums=0,
            out_shardings=replicated(self.mesh),
            compiler_options=self.compiler_options,
        )
        train_step_is_new = True
        pending, history = list(history.unlogged), dataclasses.replace(history, unlogged=[])
        with contextlib.closing(prefetch(self.batches(phase, step - start), self.mesh, pixels=self.pixels)) as batches:
            while True:
                final = step == start + phase.steps
                interrupted = False
                try:
                    if self._due(settings.evaluate_every, step - start, final) and history.evaluated != step:
                        history = self._evaluate(phase, state, history, pending)
                    self.check_interrupted()
                except Interrupted:
                    interrupted = True
                final = (final and history.evaluated == step) or 0 < settings.patience <= history.evaluations_since_best
                if final:
                    history = dataclasses.replace(history, phase_finished=True)
                    if pending:  # stopped early, between two lines of the log
                        self._report(phase, step, start, pending)
                        pending.clear()
                improved = history.best_step == step
                if interrupted or improved or self._due(settings.checkpoint_every, step - start, final):
                    self._save(phase, state, history, pending)
                if interrupted:
                    self.checkpoints.wait()
                    raise Interrupted(f"stopped after {step} steps; the same command continues from there")
                if final:
                    return state, history
                state, report = train_step(state, next(batches))
                pending.append((step, report))
                step += 1
                if train_step_is_new:
                    jax.block_until_ready(report)  # it has been compiled, which is no measure of the steps to come
                    self._progress.pause(step)
                    train_step_is_new = False
                if step % settings.log_every == 0 or step == start + phase.steps:
                    self._report(phase, step, start, pending)
                    pending.clear()
                elif self._progress.due():  # the log's lines are at fixed steps; people need not wait for them
                    self._progress.report(step, {"loss": float(report["loss"])})

    def check_interrupted(self) -> None:
        """Raise `Interrupted` when the run is to stop; safe to call between any two batches."""
        if self.should_stop():
            raise Interrupted("stopped; the same command continues from there")

    @staticmethod
    def _due(every: int, done: int, final: bool) -> bool:
        return final or (every > 0 and done > 0 and done % every == 0)

    def _evaluate(self, phase: Phase, state: TrainState, history: History, pending: list) -> History:
        self._check_finite(phase, history.phase_start, pending)
        step = int(state.step)
        if self.validate is None:
            return dataclasses.replace(history, evaluated=step)
        figures = self.validate(state.evaluated())
        self._progress.pause(step)
        part, metric = self.held_out, self.settings.metric
        self._log.write(step, {"phase": phase.name, **{f"{part}/{name}": x for name, x in figures.items()}})
        if part == "validation":
            history = history.after(step, figures[metric])
        else:
            history = dataclasses.replace(history, evaluated=step)
        best = ", the best so far" if history.best_step == step else ""
        self._progress.say(f"step {step}: {part} {metric} {figures[metric]:.4f}{best}")
        return history

    def _save(self, phase: Phase, state: TrainState, history: History, pending: list) -> None:
        step = int(state.step)
        reports = self._check_finite(phase, history.phase_start, pending)
        unlogged = [[before, report] for (before, _), report in zip(pending, reports, strict=True)]
        seal = Seal(step, phase.name, dataclasses.asdict(history) | {"unlogged": unlogged})
        if self._saved is None or self._saved.step != step:
            self.checkpoints.save(state, seal)
        elif self._saved.phase == phase.name and self._saved != seal:
            self.checkpoints.reseal(seal)  # an evaluation that had been interrupted has been made up for
        else:
            return
        self._saved = seal

    def _report(self, phase: Phase, step: int, start: int, pending: list) -> None:
        reports = self._check_finite(phase, start, pending)
        means = {name: sum(report[name] for report in reports) / len(reports) for name in reports[0]}
        learning_rate = float(phase.learning_rate(step - 1 - start))
        rate = self._progress.report(step, means)
        values = {f"train/{name}": value for name, value in means.items()}
        self._log.write(
            step, {"phase": phase.name, **values, "learning_rate": learning_rate, "images_per_second": rate}
        )

    @staticmethod
    def _check_finite(phase: Phase, start: int, pending: list) -> list[dict[str, float]]:
        """The reports on the host; the first that is not finite ends the run before anything of it is saved."""
        fetched = jax.device_get([report for _, report in pending])
        reports = [{name: float(value) for name, value in report.items()} for report in fetched]
        for (step, _), report in zip(pending, reports, strict=True):
            terms = [name for name, value in report.items() if name != "loss" and not math.isfinite(value)]
            if terms:
                raise UserError(
                    f"training diverged at step {step + 1}: {', '.join(terms)} is not finite at learning rate "
                    f"{float(phase.learning_rate(step - start)):.3g}; lower the learning rate or clip the gradient "
                    "(the checkpoints before it are kept)"
                )
        return reports
