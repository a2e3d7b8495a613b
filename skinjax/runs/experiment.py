"""Train and judge the run that a config asks for, and open a finished run."""

import contextlib
import json
import operator
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from skinjax.core.errors import Print, first_line
from skinjax.core.files import write_atomically
from skinjax.core.hashes import short_hash
from skinjax.data.caches import Pixels
from skinjax.data.dataset import check_dataset, data_root
from skinjax.data.splits.parts import Data, training_records
from skinjax.evaluation.predictions import Predictions
from skinjax.evaluation.sources import FINISHED_FILE
from skinjax.evaluation.text import format_figures
from skinjax.methods.base import Method, Variables, trains_classes
from skinjax.methods.ensemble import united
from skinjax.model import Built, Model, load_run, write_model
from skinjax.models.pretrained.facts import NO_FACTS
from skinjax.processes import first_then_others, leads, run_folder, told
from skinjax.recipe.recipe import Recipe
from skinjax.runs import building
from skinjax.runs.priors import training_prior
from skinjax.runs.results import finished_figures, mark_finished, validation_figures, write_figures
from skinjax.runs.starting_weights import StartingWeights, hashed_groups
from skinjax.runs.workdir import CONFIG_FILE, claim, default_workdir, environment, read_config, read_recipe
from skinjax.training.checkpoints import Checkpoints
from skinjax.training.inference import tables
from skinjax.training.logs import MetricsLog
from skinjax.training.phases import Phase
from skinjax.training.programs import evaluation_program
from skinjax.training.signals import stopped_by_signals
from skinjax.training.state import TrainState

REPORT_FILE = "report.html"
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
    root = data_root(data_dir)
    with contextlib.ExitStack() as held:
        folder = held.enter_context(run_folder(folder))
        if told(lambda: finished_figures(folder)) is None:
            check_dataset(recipe.dataset.name, root)
        first_then_others(lambda: leads() and held.enter_context(claim(folder, recipe)), folder, [CONFIG_FILE])
        should_stop = held.enter_context(stopped_by_signals())
        say(f"run in {folder}")
        figures = told(lambda: finished_figures(folder))
        if figures is None:
            figures = train_and_evaluate(recipe, folder, root, should_stop, say)
        for split, values in figures.items():
            say(format_figures(split, values))
        if figures and recipe.logging.report and leads():
            report(folder, root, say)
        return figures


def report(folder: Path, root: Path, say: Print) -> None:
    """Write the report of the finished run in `folder`, and say where; a run does not fail for want of one."""
    path = folder / REPORT_FILE
    try:
        from skinjax.report.page import write_report  # its figures' library takes half a second to import
        from skinjax.report.subjects import open_subject

        if not path.exists() or path.stat().st_mtime < (folder / FINISHED_FILE).stat().st_mtime:
            write_report(path, [open_subject(folder, root=root)])
        say(f"report in {path}")
    except Exception as error:  # what was trained and judged is there, and is worth more
        say(f"no report: {first_line(error)}")


def train_and_evaluate(
    recipe: Recipe, folder: Path, root: Path, should_stop: Callable[[], bool], say: Print
) -> dict[str, Any]:
    """The run itself: data, method, training, then predictions and figures of every held-out part."""
    built = building.build(recipe, folder, root, say)
    data, method, phases, weights = built.data, built.method, built.phases, built.weights
    inputs = built.inputs
    for line in building.shares_of_tuples(recipe, data, phases):
        say(line)
    surroundings = environment(recipe.seed, list(map(str, jax.devices()))) | {"weights": weights and weights.record}
    write_atomically(folder / "environment.json", json.dumps(surroundings, indent=2))
    counts, small = data.training_counts().tolist(), recipe.evaluations.small
    held_out = data.held_out
    objectives = [phase.objective for phase in phases]
    tells_classes = {phase.name: trains_classes(method, objectives[:end]) for end, phase in enumerate(phases, start=1)}

    last: tuple[Any, ...] = ()  # what was judged last, and what came of it: the end of training is not judged twice

    def judge(
        of: Method, phase: Phase, variables: Variables, part: str, source: Pixels, protocol: dict[str, Any]
    ) -> tuple[dict[str, Predictions], dict[str, float]]:
        nonlocal last
        program, records = evaluation_program(of, phase.objective, built.mesh), data.records[part]
        asked = program, records, source, *jax.tree.leaves(variables)
        if not (last and len(asked) == len(last[0]) and all(map(operator.is_, asked, last[0]))):
            last = asked, inputs.outputs(program, variables, records, source)
        columns, terms = last[1]
        known = tells_classes[phase.name]  # or the figures were of a head that learned nothing yet
        return tables(columns, data.dataset, records, split=part, protocol=protocol) if known else {}, terms

    def validate(phase: Phase, variables: Variables) -> dict[str, float]:
        found, terms = judge(method, phase, variables, held_out, inputs(phase, variables), {})
        return {**validation_figures(found[""], counts, small), **terms} if found else terms

    checkpoints = Checkpoints(folder / "checkpoints", recipe.checkpoints.keep, say=say)
    trainer = built.trainer(
        checkpoints=checkpoints,
        open_log=lambda step: MetricsLog(folder, step, recipe.logging.tensorboard),
        validate=validate if len(data.records[held_out]) else None,
        held_out=held_out,
        should_stop=should_stop,
        say=say,
    )
    init = building.initialisation(method, data.size)
    state, history = trainer.fit(phases, init)
    best = [history.best_step] if recipe.evaluate == "best" and history.best_step is not None else []
    states = [trainer.restore(phases, init, checkpoints.sealed(step)) for step in history.snapshots or best] or [state]
    checkpoints.close()
    model, phase = trained_model(recipe, folder, data, states, weights), trainer.last
    figures: dict[str, Any] = {}
    trained: dict[str, Any] = {}
    if tells_classes[phase.name]:
        trained["training_prior"] = training_prior(recipe, data, method, phases)
        trained["training_counts"] = dict(zip(data.dataset.classes, counts, strict=True))
    for part in ("validation", "test"):
        if len(data.records[part]) and trained:
            protocol = describe(recipe, folder, data, part, states, weights) | trained
            found, _ = judge(model.method, phase, model.variables, part, built.pixels, protocol)
            if leads():
                figures[part] = write_figures(folder, part, found, counts, small)
    if not tells_classes[phase.name]:
        say("no phase trains the classes: there are no figures of them, but weights that other runs may start from")
    elif not figures and leads():
        say("this split holds nothing out (split.test and split.validation are 0): there are no figures")
    if leads():
        write_model(folder, model)
        mark_finished(folder, list(figures))
    return figures


def trained_model(
    recipe: Recipe, folder: Path, data: Data, states: Sequence[TrainState], weights: StartingWeights | None
) -> Model:
    """The network of a run that has ended, or those of its snapshots, with what it was trained on."""
    protocol = describe(recipe, folder, data, "train", states, weights)
    seen = [training_records(data, name, of.classes, of.unlabelled)[0] for name, of in recipe.in_order().items()]
    groups = {*hashed_groups(data, np.concatenate(seen)), *(weights.groups if weights else ())}
    origin = {"protocol": protocol, "training_groups": sorted(groups)}
    facts = weights.facts if weights else NO_FACTS
    members = (Built(recipe.spec(), facts),) * len(states) if recipe.evaluate == "snapshots" else ()
    variables = united([state.evaluated() for state in states]) if members else states[0].evaluated()
    return Model(recipe.spec(), data.dataset.classes, variables, facts, origin, members)


def open_run(folder: Path, root: Path, say: Print = print) -> tuple[Recipe, Data, Model]:
    """Open the finished run in `folder`: its recipe, data and network; its data set lies under `root`."""
    recipe, model = read_recipe(folder), load_run(folder)
    return recipe, building.make_data(recipe, folder, root, say), model


def describe(
    recipe: Recipe, folder: Path, data: Data, part: str, states: Sequence[TrainState], weights: StartingWeights | None
) -> dict[str, Any]:
    """The protocol that every figure carries."""
    others = data.split.protocol.get("others", {})
    return {
        "config": f"{recipe.name}:{recipe.variant}",
        "config_hash": short_hash(read_config(folder)["identity"]),
        "dataset": data.dataset.name,
        "fingerprint": data.split.protocol["fingerprint"],
        "synthetic": data.dataset.synthetic or any(other["synthetic"] for other in others.values()),
        "split": data.split.protocol,
        "part": part,
        "checkpoint": recipe.evaluate,
        "steps": int(states[-1].step),
        **({"members": len(states)} if recipe.evaluate == "snapshots" else {}),
        **shown_in_evaluation(recipe),
        "seed": recipe.seed,
        "ema_decay": recipe.ema_decay,
        "weights": weights.record if weights else None,
        "images": len(data.records[part]),
        "groups": len(np.unique(data.dataset.columns["group"][data.records[part]])),
    }


def shown_in_evaluation(recipe: Recipe) -> dict[str, Any]:
    """What a protocol says of the pictures that figures are of."""
    views = recipe.views
    return {
        "view": views.evaluation,
        "crops": views.shown_crops(),
        "corrections": list(views.corrections),
        "size": list(views.size),
        **({} if views.repeats == "none" else {"repeats": views.repeats}),
    }
