"""Train runs that differ in fold and seed alone side by side, each on devices of its own, in one program.

A run's step under `shard_map` over the mesh's axis `fold`: no fold hears of another. Each run's folder gets the
checkpoints that the run alone would leave at these steps, and to judge and finish is its own: `run` goes on from there.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.core.errors import Print, UserError
from skinjax.data.pipeline import HostBatch
from skinjax.parallel import check_step_fits, make_mesh, prefetch
from skinjax.recipe.recipe import Recipe
from skinjax.runs import building
from skinjax.runs.workdir import claim
from skinjax.training.checkpoints import Checkpoints, Seal
from skinjax.training.logs import MetricsLog, Progress
from skinjax.training.loop import History, Init, Trainer
from skinjax.training.phases import Phase
from skinjax.training.programs import draw, folds_program, stack_program, unstack_program, working_seconds
from skinjax.training.signals import Interrupted
from skinjax.training.state import TrainState


def watched_by(recipe: Recipe) -> list[str]:
    """The fields by which a recipe looks at a run while it trains, or at pictures as in evaluation."""
    phases = recipe.in_order()
    wrong = {
        "evaluate": recipe.evaluate != "last",
        "evaluations.patience": any(recipe.evaluations_in(of).patience for of in phases.values()),
        "evaluations.target": any(recipe.evaluations_in(of).target is not None for of in phases.values()),
        **{f"phases.{name}.begin": of.begin == "best" for name, of in phases.items()},
        **{f"phases.{name}.features": of.features == "stored" for name, of in phases.items()},
    }
    return [field for field, is_wrong in wrong.items() if is_wrong]


def check(recipe: Recipe) -> None:
    """Refuse what needs to look at a fold while it trains."""
    for field in watched_by(recipe):
        raise UserError(
            f"folds side by side are judged at their end, with the last weights, and {field} asks for more: leave it "
            "at its default, or train them one after the other"
        )


def of_equal_steps(recipes: Sequence[Recipe], root: Path, scratch: Path) -> list[Recipe]:
    """The recipes with as many steps in each phase as the first has: folds differ by some images."""
    first = recipes[0]
    data = building.make_data(first, scratch, root, lambda line: None)
    steps = {phase.name: phase.steps for phase in building.make_phases(first, data)}
    phases = {name: phase.lasting(steps[name]) for name, phase in first.in_order().items()}
    return [dataclasses.replace(recipe, phases=phases) for recipe in recipes]


@dataclasses.dataclass
class Lane:
    """One of the runs."""

    folder: Path
    trainer: Trainer
    phases: list[Phase]
    init: Init

    @property
    def checkpoints(self) -> Checkpoints:
        return self.trainer.checkpoints

    def begin(self, phase: Phase, step: int, state: TrainState | None) -> TrainState:
        """The state at the start of a phase, after that in which the phase before ended."""
        trainer, seed = self.trainer, jnp.asarray(self.trainer.settings.seed, jnp.uint32)
        variables = state.variables if state else draw(self.init, seed, trainer.mesh, trainer.given)
        return trainer.begin(phase, jnp.asarray(step, jnp.int32), variables)


def train(runs: Sequence[tuple[Recipe, Path]], root: Path, should_stop: Callable[[], bool], say: Print = print) -> None:
    """Train the runs to the last step of their last phase, and save them there and as often as they say."""
    first = runs[0][0]
    if jax.process_count() > 1:
        raise UserError("folds side by side are of one process: start it alone, or train one after the other")
    mesh = make_mesh(first.batch, first.accumulate, say, folds=len(runs))
    with contextlib.ExitStack() as held:
        lanes: list[Lane] = []
        pixels = None
        for recipe, folder in runs:
            held.enter_context(claim(folder, recipe))
            built = building.build(recipe, folder, root, lambda line: None, mesh, pixels)
            pixels = built.pixels
            checkpoints = Checkpoints(folder / "checkpoints", recipe.checkpoints.keep, say=say)
            held.callback(checkpoints.close)
            trainer = built.trainer(
                checkpoints=checkpoints, open_log=lambda step: None, validate=None, should_stop=should_stop, say=say
            )
            phases = [trainer.resolved(phase) for phase in built.phases]
            lanes.append(Lane(folder, trainer, phases, building.initialisation(built.method, built.data.size)))
        SideBySide(lanes, mesh, should_stop, say).train()


@dataclasses.dataclass
class SideBySide:
    """Lanes that train abreast: stacks of their states and batches, an entry for each."""

    lanes: Sequence[Lane]
    mesh: jax.sharding.Mesh
    should_stop: Callable[[], bool]
    say: Print

    def train(self) -> None:
        """All phases from the newest step on that every lane has saved, or from the beginning."""
        phases, total = self.lanes[0].phases, sum(phase.steps for phase in self.lanes[0].phases)
        seals = self.saved()
        begun, start, step = 0, 0, 0
        states: list[TrainState | None] = [None] * len(self.lanes)
        if seals:
            found = [of.trainer.resume(of.phases, of.init, seal) for of, seal in zip(self.lanes, seals, strict=True)]
            states, history, begun = [state for state, _, _ in found], found[0][1], found[0][2]
            step, start = seals[0].step, seals[0].step if history.phase_finished else history.phase_start
            self.say(f"continuing from the checkpoints after {step} steps")
        for lane in self.lanes:
            lane.checkpoints.remove_after(step)  # which would outlive all that is saved before them
        self.clock = working_seconds() - (history.seconds if seals else 0.0)
        self.say(f"{len(self.lanes)} runs side by side, {total} steps each")
        images = self.lanes[0].trainer.settings.batch * len(self.lanes)
        self.progress = Progress(step, total, images, quiet=False)
        logs = [MetricsLog(lane.folder, step, tensorboard=False) for lane in self.lanes]
        try:
            for number in range(begun, len(phases)):
                if step == start:
                    begin = zip(self.lanes, states, strict=True)
                    states = [lane.begin(lane.phases[number], step, state) for lane, state in begin]
                states = self.phase(number, start, step, states, logs)
                start = step = start + phases[number].steps
        finally:
            for log in logs:
                log.close()
            self.progress.close()

    def saved(self) -> list[Seal]:
        """The seals of the newest step that every lane has whole; none where there is no such step."""
        steps = set.intersection(*(set(lane.checkpoints.steps()) for lane in self.lanes))
        for step in sorted(steps, reverse=True):
            with contextlib.suppress(UserError):  # a damaged one: an older may do
                return [lane.checkpoints.sealed(step) for lane in self.lanes]
        return []

    def phase(
        self, number: int, start: int, step: int, states: Sequence[TrainState | None], logs: Sequence[MetricsLog]
    ) -> list[TrainState | None]:
        """The states after the last step of a phase that began at the step `start`; they are saved there."""
        trainer, phase = self.lanes[0].trainer, self.lanes[0].phases[number]
        assert states[0] is not None
        program = folds_program(trainer.training(phase, states[0].variables))
        stored = trainer.stored(phase, states[0].variables)
        stack, pending = stack_program(self.mesh)(*states), []
        every, saved, end = trainer.settings.log_every, phase.checkpoint_every, start + phase.steps
        first = True
        with contextlib.closing(prefetch(self.batches(number, step - start), self.mesh, stored=stored)) as batches:
            while step < end:
                arguments = stack, next(batches), phase.rates[step - start]
                if first:
                    check_step_fits(program.working_bytes(*arguments), trainer.settings.batch, self.mesh, self.say)
                    first = False
                stack, report = program(*arguments)
                pending.append((step, report))
                step += 1
                if step % every == 0 or step == end:
                    self.log(phase, start, step, pending, logs)
                    pending.clear()
                interrupted = step < end and self.should_stop()
                if interrupted or step == end or (saved and (step - start) % saved == 0):
                    self.log(phase, start, step, pending, logs)  # or a diverged fold would be saved
                    pending.clear()
                    self.save(number, start, step, stack)
                if interrupted:
                    raise Interrupted(f"stopped after {step} steps; the same command continues from there")
        return [unstack_program(self.mesh)(stack, fold) for fold in range(len(self.lanes))]

    def batches(self, number: int, start: int) -> Iterator[HostBatch]:
        """The batches of a phase from its step `start` on, those of the lanes stacked."""
        each = [lane.trainer.batches(lane.phases[number], start) for lane in self.lanes]
        for parts in zip(*each, strict=True):
            yield {name: np.stack([part[name] for part in parts]) for name in parts[0]}

    def log(self, phase: Phase, start: int, step: int, pending: list, logs: Sequence[MetricsLog]) -> None:
        """A line of each lane's log about the steps since the last one."""
        if not pending:
            return
        fetched = jax.device_get(pending)
        seconds = self.seconds()
        for fold, log in enumerate(logs):
            own = [(before, {name: value[fold] for name, value in report.items()}) for before, report in fetched]
            reports = Trainer.check_finite(phase, start, own)
            means = {name: sum(report[name] for report in reports) / len(reports) for name in reports[0]}
            values = {f"train/{name}": value for name, value in means.items()}
            rate = max(factor for _, factor in phase.learning_rate_multipliers) * float(phase.rates[step - 1 - start])
            log.write(step, {"phase": phase.name, **values, "learning_rate": rate, "seconds": seconds})
            if not fold:
                self.progress.report(step, means)

    def save(self, number: int, start: int, step: int, stack: TrainState) -> None:
        """A checkpoint in each lane's folder; the end of the last phase is left to be judged."""
        phase, last = self.lanes[0].phases[number], number + 1 == len(self.lanes[0].phases)
        finished = step == start + phase.steps and not last
        history = History(phase_start=start, phase_finished=finished, evaluated=step if finished else 0)
        seal = Seal(step, phase.name, dataclasses.asdict(history) | {"seconds": self.seconds()})
        for fold, lane in enumerate(self.lanes):
            lane.checkpoints.save(unstack_program(self.mesh)(stack, fold), seal)
        for lane in self.lanes:
            lane.checkpoints.wait()

    def seconds(self) -> float:
        """What the lanes have taken so far."""
        return round(working_seconds() - self.clock, 3)
