"""The learning rate range test of a recipe's phase, from where its run begins or from a checkpoint of that run."""

import contextlib
import dataclasses
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp

from skinjax.core.errors import Print, UserError, lookup
from skinjax.data.dataset import check_dataset
from skinjax.methods.base import Variables
from skinjax.recipe.recipe import Recipe
from skinjax.runs import building
from skinjax.runs.building import Built
from skinjax.runs.workdir import START_FILES, check_same_run, run_identity
from skinjax.training.checkpoints import Checkpoints
from skinjax.training.logs import MetricsLog
from skinjax.training.loop import Trainer
from skinjax.training.lr_range import Curve, Sweep, curve
from skinjax.training.phases import Phase
from skinjax.training.programs import draw

Start = Callable[[int], tuple[jax.Array, Variables]]  # from a seed: the updates done, and what a curve begins from


def range_test(
    recipe: Recipe, root: Path, sweep: Sweep, phase: str = "", run: Path | None = None, say: Print = print
) -> tuple[Phase, list[Curve], bool]:
    """A phase, its curves (one for each group and seed), and whether they are of a synthetic set, which lies in `root`.

    The phase is by default the one that is to be trained next, and curves begin where it would: at the beginning, or
    at the newest checkpoint of the run of this recipe in the folder `run`, which is only read.
    """
    if phase:
        lookup("phase", phase, recipe.in_order())
    building.check(recipe)
    check_dataset(recipe.dataset.name, root)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        if run:
            check_same_run(run, run_identity(recipe, run))
            for name in filter(lambda name: (run / name).exists(), START_FILES):
                shutil.copy(run / name, scratch)
        built = building.build(recipe, scratch, root, say)
        trainer = built.trainer(
            checkpoints=Checkpoints((run or scratch) / "checkpoints", write=False, say=say),
            validate=None,
            open_log=lambda step: MetricsLog(scratch, step),
            should_stop=lambda: False,
            say=say,
        )
        with contextlib.closing(trainer.checkpoints):
            number, start = _start(trainer, built, phase)
            curves = _curves(trainer, built, sweep, number, start)
    return built.phases[number], curves, built.data.dataset.synthetic


def _start(trainer: Trainer, built: Built, phase: str) -> tuple[int, Start]:
    """The number of the phase, and where its curves begin."""
    phases, init = built.phases, building.initialisation(built.method, built.data.size)
    named = [each.name for each in phases].index(phase) if phase else None
    seal = trainer.checkpoints.latest()
    if seal is None:
        given = trainer.given and trainer.given(jax.eval_shape(init, jnp.uint32(0)))
        zero = jnp.zeros((), jnp.int32)
        return named or 0, lambda seed: (zero, draw(init, jnp.uint32(seed), built.mesh, lambda shapes: given or {}))
    trainer.say(f"curves begin from the checkpoint after {seal.step} steps")
    state, history, following = trainer.resume(phases, init, seal)
    number = min(following, len(phases) - 1) if named is None else named
    variables = state.variables
    if history.phase_finished:
        variables = trainer.handed_on(phases[number], phases, init, state, history)
    return number, lambda seed: (state.step, variables)


def _curves(trainer: Trainer, built: Built, sweep: Sweep, number: int, start: Start) -> list[Curve]:
    """The curves of the phase of this number; why there is none for a group and seed is told, if others have one."""
    found, failures = [], {}
    rows = built.phases[number].learning_rate_multipliers
    groups = [("all", rows)]
    if sweep.per_group:
        alone = {moving: tuple((name, float(name == moving)) for name, _ in rows) for moving, factor in rows if factor}
        groups = list(alone.items())
    for group, multipliers in groups:
        for seed in range(built.recipe.seed, built.recipe.seed + sweep.repeats):
            phase = building.make_phases(built.recipe.replace(seed=seed), built.data)[number]
            phase = dataclasses.replace(phase, learning_rate_multipliers=multipliers)
            built.inputs.forget()  # another seed may have another trunk
            # Nothing is judged, so nothing is averaged.
            settings = dataclasses.replace(trainer.settings, seed=seed, ema_decay=0.0)
            try:
                one = dataclasses.replace(trainer, settings=settings)
                found.append(curve(one, phase, *start(seed), sweep, group))
            except UserError as error:
                failures[f"no curve of {group} with seed {seed}"] = error
    if not found:
        raise next(iter(failures.values()))
    for what, failure in failures.items():
        trainer.say(f"{what}: {failure}")
    return found
