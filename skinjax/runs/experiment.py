"""Train and judge the run that a config asks for, and open a finished run."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from skinjax.core.compilation_cache import use_compilation_cache
from skinjax.core.errors import Print, UserError
from skinjax.core.files import write_atomically
from skinjax.core.hashes import short_hash
from skinjax.data.caches import open_pixels
from skinjax.data.dataset import check_dataset, data_root
from skinjax.data.pipeline import held_out_batches
from skinjax.data.sampling.samplers import evaluation_batches
from skinjax.data.splits.parts import Data
from skinjax.evaluation.predictions import Predictions
from skinjax.methods.base import Variables
from skinjax.model import Model, load, make_method, write_model
from skinjax.models.pretrained.facts import NO_FACTS
from skinjax.parallel import check_batch, make_mesh, padded_batch
from skinjax.recipe.recipe import Recipe
from skinjax.runs import building
from skinjax.runs.results import finished_figures, format_figures, mark_finished, validation_figures, write_figures
from skinjax.runs.starting_weights import StartingWeights, hashed_groups
from skinjax.runs.workdir import claim, default_workdir, environment, read_config, read_recipe
from skinjax.training.checkpoints import Checkpoints
from skinjax.training.inference import collect, table
from skinjax.training.logs import MetricsLog
from skinjax.training.loop import Trainer
from skinjax.training.phases import Phase
from skinjax.training.programs import evaluation_program
from skinjax.training.signals import stopped_by_signals
from skinjax.training.state import TrainState

SYNTHETIC_NOTICE = "synthetic demo set: photographs drawn by a program, a test bench and not medicine"


def run(recipe: Recipe, workdir: str | None = None, data_dir: str | None = None, say: Print = print) -> dict[str, Any]:
    """Train, evaluate and write everything that `recipe` asks for; returns the figures by split.

    Started again with the same recipe, it goes on where it was; a finished run gives its figures at once.
    """
    folder = Path(workdir) if workdir else default_workdir(recipe)
    if recipe.dataset.name == "synthetic":
        say(SYNTHETIC_NOTICE)
    for remark in recipe.remarks():
        say(remark)
    building.check(recipe)
    if finished_figures(folder) is None:
        check_dataset(recipe.dataset.name, data_root(data_dir))
    with claim(folder, recipe), stopped_by_signals() as should_stop:
        say(f"run in {folder}")
        figures = finished_figures(folder)
        if figures is None:
            figures = train_and_evaluate(recipe, folder, data_root(data_dir), should_stop, say)
        for split, values in figures.items():
            say(format_figures(split, values))
        return figures


def train_and_evaluate(
    recipe: Recipe, folder: Path, root: Path, should_stop: Callable[[], bool], say: Print
) -> dict[str, Any]:
    """The run itself: data, method, training, then predictions and figures of every held-out part."""
    use_compilation_cache(root / "compilation_cache")
    mesh = make_mesh()
    check_batch(recipe.batch, mesh, recipe.accumulate)
    writer = jax.process_index() == 0
    weights = building.open_weights(recipe, folder, root, say)
    data = building.make_data(recipe, folder, root, say)
    if weights:
        weights.check_leak(data)
    method = make_method(recipe, data.dataset.classes, weights.facts if weights else NO_FACTS)
    phases = building.make_phases(recipe, data)
    surroundings = environment(recipe.seed, list(map(str, jax.devices()))) | {"weights": weights and weights.record}
    write_atomically(folder / "environment.json", json.dumps(surroundings, indent=2))
    pixels = open_pixels(recipe.cache, data.dataset, data.size, root, mesh, say)
    counts, small = data.training_counts().tolist(), recipe.evaluations.small
    held_out = "validation" if len(data.records["validation"]) else "test"

    def judge(
        phase: Phase, variables: Variables, part: str, protocol: dict[str, Any]
    ) -> tuple[Predictions | None, dict[str, float]]:
        records = data.records[part]
        batches = evaluation_batches(len(records), padded_batch(recipe.batch, mesh))
        rows, threads = building.process_rows(batches.batch), recipe.logging.threads
        program = evaluation_program(method, phase.objective, mesh)
        loaded = held_out_batches(data.dataset, records, batches, pixels.host, rows=rows, threads=threads)
        columns, terms = collect(
            program, variables, loaded, len(records), mesh=mesh, pixels=pixels.device, check=trainer.check_interrupted
        )
        return table(columns, data.dataset, records, split=part, protocol=protocol), terms

    def validate(phase: Phase, variables: Variables) -> dict[str, float]:
        predictions, terms = judge(phase, variables, held_out, {})
        return terms if predictions is None else {**validation_figures(predictions, counts, small), **terms}

    checkpoints = Checkpoints(folder / "checkpoints", recipe.checkpoints.keep, writer, say)
    trainer = Trainer(
        method=method,
        mesh=mesh,
        settings=building.loop_settings(recipe),
        checkpoints=checkpoints,
        constants=functools.partial(building.constants_of, method, data),
        open_log=lambda step: MetricsLog(folder, step, recipe.logging.tensorboard),
        batches=functools.partial(building.phase_batches, recipe, data, pixels.host),
        pixels=pixels.device,
        given=functools.partial(weights.arrays, method.trunks(), data.dataset.classes) if weights else None,
        validate=validate if len(data.records[held_out]) else None,
        held_out=held_out,
        should_stop=should_stop,
        say=say,
    )
    init = building.initialisation(method, data.size)
    state, history = trainer.fit(phases, init)
    if recipe.evaluate == "best" and history.best_step is not None:
        state = trainer.restore(phases, init, checkpoints.sealed(history.best_step))
    checkpoints.close()
    figures = {}
    for part in ("validation", "test"):
        if len(data.records[part]):
            protocol = describe(recipe, folder, data, part, state.step, weights)
            predictions, _ = judge(phases[-1], state.evaluated(), part, protocol)
            if predictions is None:
                raise UserError(f"the last phase, {phases[-1].name!r}, predicts no classes: end with one that does")
            figures[part] = write_figures(folder, part, predictions, counts, small)
    if not figures:
        say("this split holds nothing out (split.test and split.validation are 0): there are no figures")
    write_model(folder, trained_model(recipe, folder, data, state, weights))
    mark_finished(folder, list(figures))
    return figures


def trained_model(
    recipe: Recipe, folder: Path, data: Data, state: TrainState, weights: StartingWeights | None
) -> Model:
    """The network of a run that has ended, with what it was trained on."""
    protocol = describe(recipe, folder, data, "train", state.step, weights)
    groups = {*hashed_groups(data, "train"), *(weights.groups if weights else ())}
    origin = {"protocol": protocol, "training_groups": sorted(groups)}
    facts = weights.facts if weights else NO_FACTS
    return Model(recipe.spec(), data.dataset.classes, state.evaluated(), facts, origin)


def open_run(folder: Path, root: Path, say: Print = print) -> tuple[Recipe, Data, Model]:
    """Open the finished run in `folder`: its recipe, data and network; its data set lies under `root`."""
    recipe, model = read_recipe(folder), load(folder)
    return recipe, building.make_data(recipe, folder, root, say), model


def describe(
    recipe: Recipe, folder: Path, data: Data, part: str, step: jax.Array, weights: StartingWeights | None = None
) -> dict[str, Any]:
    """The protocol that every figure carries."""
    return {
        "config": f"{recipe.name}:{recipe.variant}",
        "config_hash": short_hash(read_config(folder)["identity"]),
        "dataset": data.dataset.name,
        "fingerprint": data.dataset.fingerprint,
        "synthetic": data.dataset.synthetic,
        "split": data.split.protocol,
        "part": part,
        "checkpoint": recipe.evaluate,
        "steps": int(step),
        "view": recipe.views.evaluation,
        "crops": recipe.views.shown_crops(),
        "corrections": list(recipe.views.corrections),
        "size": list(recipe.views.size),
        "seed": recipe.seed,
        "ema_decay": recipe.ema_decay,
        "weights": weights.record if weights else None,
        "images": len(data.records[part]),
        "groups": len(np.unique(data.dataset.columns["group"][data.records[part]])),
    }
