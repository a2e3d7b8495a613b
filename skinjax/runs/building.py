"""Build what a recipe names: data, method, phases."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.core.compilation_cache import use_compilation_cache
from skinjax.core.errors import Print, UserError, lookup
from skinjax.data.caches import Pixels, open_pixels
from skinjax.data.dataset import open_dataset
from skinjax.data.pipeline import HostBatch, LoadPixels, StoredSize, training_batches
from skinjax.data.sampling import make_sampler
from skinjax.data.sampling.samplers import COLUMN, Images, WeightedSettings
from skinjax.data.splits import split as splits
from skinjax.data.splits.parts import Data, in_parts, keep_split, training_records, with_other
from skinjax.data.splits.protocols import split_dataset
from skinjax.data.splits.split import read_split
from skinjax.images.crops import ordered_corners
from skinjax.methods.base import Method, Objective, Variables, refuse_labels, trains_classes
from skinjax.model import make_method, normalisation, variable_shapes
from skinjax.models.pretrained.facts import NO_FACTS, Facts
from skinjax.models.pretrained.opening import remarks
from skinjax.objectives.diagnosis import as_released, diagnosis_factors
from skinjax.parallel import make_mesh, process_rows
from skinjax.processes import first_then_others, told_arrays
from skinjax.recipe.recipe import Recipe
from skinjax.runs.inputs import Inputs
from skinjax.runs.starting_weights import StartingWeights
from skinjax.runs.workdir import START_FILES
from skinjax.training.loop import LoopSettings, Trainer
from skinjax.training.phases import CLASS_FIGURES, Phase, duration_in_steps
from skinjax.training.schedules import cycle_ends, make_schedule

UNKNOWN = Facts(mean=(0.0,) * 3, std=(1.0,) * 3)  # of weights that are not open yet


@dataclasses.dataclass(frozen=True, eq=False)
class Built:
    """All that a recipe names; `weights` are those that its run starts from, if it does from any."""

    recipe: Recipe
    mesh: jax.sharding.Mesh
    weights: StartingWeights | None
    data: Data
    method: Method
    phases: list[Phase]
    pixels: Pixels
    inputs: Inputs

    def trainer(self, **others: Any) -> Trainer:
        """The trainer of these; `others` are its fields that depend on where and why it trains."""
        method, data, weights = self.method, self.data, self.weights
        rows = process_rows(self.recipe.batch, self.mesh)
        trainer = Trainer(
            method=method,
            mesh=self.mesh,
            settings=loop_settings(self.recipe),
            constants=functools.partial(constants_of, method, data),
            batches=functools.partial(phase_batches, self.recipe, data, self.pixels.host, rows=rows),
            stored=lambda phase, variables: self.inputs(phase, variables).device,
            given=self.given if weights else None,
            **others,
        )
        self.inputs.check = trainer.check_interrupted
        return trainer

    def given(self, variables: Variables) -> dict[tuple[str, ...], np.ndarray]:
        """The arrays of the starting weights for these variables, by path."""
        assert self.weights is not None
        find = functools.partial(self.weights.arrays, self.method.trunks(), self.data.dataset.classes, variables)
        return told_arrays(find)


def build(
    recipe: Recipe,
    folder: Path,
    root: Path,
    say: Print,
    mesh: jax.sharding.Mesh | None = None,
    pixels: Pixels | None = None,
) -> Built:
    """What the run in `folder` trains and on what, before anything is trained; data sets lie under `root`.

    On all devices, if no `mesh` is given, with `pixels` of its data set that are open already, if there are any.
    """
    use_compilation_cache(root / "compilation_cache")
    mesh = mesh or make_mesh(recipe.batch, recipe.accumulate, say)

    def begin() -> tuple[StartingWeights | None, Data]:
        return open_weights(recipe, folder, root, say), make_data(recipe, folder, root, say)

    weights, data = first_then_others(begin, folder, START_FILES)
    if weights:
        weights.check_leak(data)
    method = make_method(recipe, data.dataset.classes, weights.facts if weights else NO_FACTS)
    phases = make_phases(recipe, data)
    pixels = pixels or open_pixels(recipe.cache, data.dataset, data.size, root, mesh, say)
    inputs = Inputs(recipe, method, data, pixels, mesh, ("train", data.held_out), say=say)
    inputs.check_memory(phases)
    return Built(recipe, mesh, weights, data, method, phases, pixels, inputs)


def check(recipe: Recipe) -> None:
    """Refuse settings that do not fit together, before anything is built or written."""
    classes = (*getattr(recipe.method, "dominant", ()), "some", "others")  # the real ones come later, as do the facts
    method = make_method(recipe, classes, UNKNOWN)
    if recipe.views.several_in_training or recipe.views.several_in_evaluation:
        stored = (recipe.stored_size.height, recipe.stored_size.width)
        ordered_corners(stored, recipe.views.size, recipe.views.crop_grid())
    objectives: list[Objective] = []
    for name, phase in recipe.in_order().items():
        objective = recipe.objective_of(phase).resolved(method, name)
        objectives.append(objective)
        metric = recipe.evaluations_in(phase).metric
        check_metric(recipe, objective, metric, classes)
        if metric in CLASS_FIGURES and not trains_classes(method, objectives):
            raise UserError(
                f"phase {name!r} is judged by {metric}, and no phase so far has trained all classes: set "
                f"phases.{name}.evaluations.metric to a term that its method evaluates"
            )
        if recipe.dataset_in(phase):
            refuse_labels(method, name, objective)


def check_metric(recipe: Recipe, objective: Objective, metric: str, classes: Sequence[str]) -> None:
    """Refuse a metric that is neither a figure of the classes nor a term that the method evaluates."""
    if metric in CLASS_FIGURES:
        return
    # The terms are those of any network, and a large one takes seconds to trace.
    small = recipe.model.replace(backbone="resnet_tiny", remat=(), drop_path=None, final_relu=True)
    method = make_method(dataclasses.replace(recipe, model=small), classes, UNKNOWN)
    terms = evaluated_terms(method, objective, recipe.stored_size, len(classes))
    lookup("metric", metric, dict.fromkeys((*CLASS_FIGURES, *terms)))


@functools.lru_cache(maxsize=32)  # rows of a table differ in other things
def evaluated_terms(method: Method, objective: Objective, size: StoredSize, n: int) -> tuple[str, ...]:
    """The names of the terms that a method for `n` classes evaluates."""
    one, image = jnp.ones(1), jnp.zeros((1, size.height, size.width, 3), jnp.uint8)
    batch = {"image": image, "label": jnp.zeros(1, int), "index": jnp.zeros(1, int), "weight": one, "mask": one}
    variables = variable_shapes(method, size, n)
    return tuple(jax.eval_shape(lambda variables: method.evaluate(variables, batch, objective), variables))


def open_weights(recipe: Recipe, folder: Path, root: Path, say: Print) -> StartingWeights | None:
    """The weights that the run in `folder` starts from; at the first start, say what its config does otherwise."""
    model = recipe.model
    if not model.weights:
        return None
    weights = StartingWeights(model.weights, model.weights_sha256, model.backbone, folder, root / "weights", say)
    if weights.is_new:
        size, stored_filter = recipe.views.size, recipe.stored_size.filter
        for remark in remarks(weights.facts, normalisation(recipe, weights.facts), size, stored_filter):
            say(remark)
    return weights


def make_data(recipe: Recipe, folder: Path, root: Path, say: Print) -> Data:
    """The data set, split as the run's `split.csv` says; the first start writes it."""
    dataset = open_dataset(recipe.dataset.name, recipe.dataset.arguments, root, say)
    kept = folder / "split.csv"
    gone = recipe.split.file and kept.exists() and not Path(recipe.split.file).exists()
    split = read_split(kept) if gone else None  # the run goes on without the file
    if split is None or split.protocol.get("fingerprint") != dataset.fingerprint:
        split = split_dataset(dataset, recipe.split)
    splits.check(split)
    for remark in splits.remarks(split):
        say(remark)
    named = {name: recipe.dataset_in(phase) for name, phase in recipe.in_order().items()}
    others = {name: open_dataset(of.name, of.arguments, root, say) for name, of in named.items() if of}
    if others:
        known = {
            name: {"dataset": of.name, "fingerprint": of.fingerprint, "synthetic": of.synthetic}
            for name, of in others.items()
        }
        split = dataclasses.replace(split, protocol=split.protocol | {"others": known})
    keep_split(kept, split)
    data = in_parts(dataset, split, recipe.stored_size)
    for name, other in others.items():
        data = with_other(data, name, other)
    phases = recipe.in_order().values()
    wanted = {
        "evaluate='best'": recipe.evaluate == "best",
        "early stopping": any(recipe.evaluations_in(phase).patience for phase in phases),
        "evaluations.target": any(recipe.evaluations_in(phase).target is not None for phase in phases),
        "a phase that begins from the best state": any(phase.begin == "best" for phase in phases),
    }
    for what, is_wanted in wanted.items():
        if is_wanted and not len(data.records["validation"]):
            raise UserError(f"{what} needs validation images and this split has none: set split.validation above 0")
    return data


def make_phases(recipe: Recipe, data: Data) -> list[Phase]:
    """The phases in order, with durations in steps."""
    phases, last = [], recipe.phase_order[-1]
    for number, (name, settings) in enumerate(recipe.in_order().items()):
        records, classes = training_records(data, name, settings.classes, settings.unlabelled)
        # Another stream for each phase, so that a second one does not repeat the batches of the first.
        seed = recipe.seed + 1000003 * number
        columns, chosen = data.dataset.columns, recipe.sampler_in(settings)
        weights = columns["weight"][records] if "weight" in columns else None
        labels, places = columns["label"][records], recipe.method.places
        images = Images(records, labels, recipe.batch, seed, classes, weights, recipe.seed, places)
        sampler = make_sampler(images, chosen)
        epoch = sampler.epoch_length
        in_steps = functools.partial(duration_in_steps, unit=settings.unit, batch=recipe.batch, epoch_length=epoch)
        steps = in_steps(settings.duration)
        length = (steps, settings.warmup, in_steps)
        schedule = make_schedule(settings.schedule, recipe.optimizer.learning_rate, *length)
        ends, kept = cycle_ends(settings.schedule, *length), recipe.evaluate == "snapshots" and name == last
        if kept and not ends:
            raise UserError(
                f"evaluate='snapshots' is of the ends of cycles, and the last phase, {name!r}, has no whole one: set "
                "its schedule to warm_restarts and its duration to a cycle or more"
            )
        objective = recipe.objective_of(settings)
        if objective.stored_features and sampler.copies is not None:
            raise UserError(
                f"phase {name!r} trains on stored features, and its sampler {chosen.name} shows augmented copies: set "
                f"phases.{name}.sampler to oversampled, or phases.{name}.features to computed"
            )
        if objective.loss_function:
            objective.loss_function.check_counts(data.training_counts(), data.dataset.classes)
        evaluations, saves = recipe.evaluations_in(settings), recipe.saves_in(settings)
        # Periods are counted in the epochs of the phase.
        evaluate, save = (
            duration_in_steps(section.every, section.unit, recipe.batch, epoch) if section.every else 0
            for section in (evaluations, saves)
        )
        rates, best = settings.learning_rate_multipliers, settings.begin == "best"
        periods = (evaluations, evaluate, save)
        phases.append(Phase(name, steps, sampler, schedule, rates, objective, *periods, best, ends, kept))
    return phases


def shares_of_tuples(recipe: Recipe, data: Data, phases: Sequence[Phase]) -> Iterator[str]:
    """A line for each phase whose rows are filled by the sampler `tuples`: which share each class has there."""
    names = data.dataset.classes
    for phase in phases:
        if recipe.sampler_in(recipe.phases[phase.name]).name == "tuples" and recipe.method.places > 1:
            shares = zip(names, phase.sampler.class_shares(len(names)), strict=True)
            parts = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares)
            yield f"phase {phase.name}: in tuples the classes have other shares than in the data: {parts}"


@functools.cache
def initialisation(method: Method, size: StoredSize) -> Callable[[jax.Array], Variables]:
    """The function from a seed to the parameters and statistics of a method."""
    batch = {"image": jnp.zeros((1, size.height, size.width, 3), jnp.uint8)}
    # XLA's own generator: threefry takes four times as long to compile, and there is one draw per layer.
    return lambda seed: method.init(jax.random.key(seed, impl="rbg"), batch)


def constants_of(method: Method, data: Data, phase: Phase) -> dict[str, np.ndarray]:
    """The constants of a method for this training part, as a phase samples it."""
    return method.constants(data.training_counts(), phase.sampler.class_shares(len(data.dataset.classes)))


def phase_batches(
    recipe: Recipe,
    data: Data,
    pixels: LoadPixels | None,
    phase: Phase,
    start: int,
    rows: np.ndarray | slice = slice(None),
) -> Iterator[HostBatch]:
    """The host batches of a phase, or these rows of them, from its step `start` on."""
    pixels = None if phase.objective.stored_features else pixels  # features need none
    threads = recipe.logging.threads
    weights = example_weights(recipe, data, phase.name)
    return training_batches(
        data.dataset, phase.sampler, pixels, start=start, stop=phase.steps, rows=rows, threads=threads, weights=weights
    )


def example_weights(recipe: Recipe, data: Data, phase: str) -> np.ndarray | None:
    """What each record weighs in the loss of a phase; None, if all weigh the same.

    The data set's own weight, but where the sampler draws by it, times the diagnosis's factor.
    """
    sampler = recipe.sampler_in(recipe.phases[phase])
    drawn_by_column = isinstance(sampler, WeightedSettings) and sampler.weights == COLUMN
    weights = None if drawn_by_column else data.dataset.columns.get("weight")
    factors = dict(recipe.loss.diagnosis_factors)
    if not factors:
        return weights
    columns, training = data.dataset.columns, data.records["train"]
    if "dx_type" not in columns:
        raise UserError(
            f"loss.diagnosis_factors needs to know how diagnoses were made, and the data set {data.dataset.name} has "
            "no column `dx_type`: leave them empty"
        )
    if recipe.loss.diagnosis_as_released:
        found = as_released(columns["dx_type"], training, columns["image_id"], factors)
    else:
        found = np.ones(len(columns["label"]))
        dx_types, labels = columns["dx_type"][training], columns["label"][training]
        scope = recipe.loss.diagnosis_scope
        found[training] = diagnosis_factors(dx_types, labels, data.dataset.classes, factors, scope)
    return found if weights is None else found * weights


def loop_settings(recipe: Recipe) -> LoopSettings:
    """The settings of the loop that all phases share."""
    averaging, every, remat, places = recipe.ema_decay, recipe.logging.every, recipe.model.remat, recipe.method.places
    return LoopSettings(recipe.seed, recipe.batch, recipe.optimizer, recipe.accumulate, averaging, every, remat, places)
