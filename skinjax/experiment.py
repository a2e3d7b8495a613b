"""From a config to a run: the only reader of configs. Everything below takes plain arguments."""

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from skinjax.class_weights import CLASS_WEIGHTS
from skinjax.compilation_cache import use_compilation_cache
from skinjax.config_checks import check_config
from skinjax.data import splits
from skinjax.data.caches import CACHES, open_pixels
from skinjax.data.dataset import Dataset, check_dataset, data_root, open_dataset, short_hash
from skinjax.data.parts import Data, in_parts, keep_split, training_records
from skinjax.data.pipeline import HostBatch, LoadPixels, StoredSize, held_out_batches, training_batches
from skinjax.data.protocols import check_file, split_dataset
from skinjax.data.sampling import SAMPLERS, Sampler, evaluation_batches, process_slice, weights_by_class
from skinjax.diagnosis import SCOPES, as_released, diagnosis_factors
from skinjax.errors import UserError, lookup
from skinjax.evaluation import metrics
from skinjax.evaluation.predictions import Predictions
from skinjax.evaluation.results import (
    finished_figures,
    format_figures,
    mark_finished,
    validation_figures,
    write_figures,
)
from skinjax.files import write_atomically
from skinjax.images.colour import NORMALISATIONS, Normalisation
from skinjax.images.correction import corrected
from skinjax.images.crops import grid_of, ordered_corners
from skinjax.images.mixing import make_mixing
from skinjax.images.views import VIEWS, evaluation_view, train_view
from skinjax.losses import ClassificationLoss
from skinjax.methods import METHODS
from skinjax.methods.base import Method, Variables
from skinjax.models import make_backbone
from skinjax.models.decoder import Decoder
from skinjax.models.facts import NO_FACTS, Facts
from skinjax.models.heads import make_head
from skinjax.models.layers import compiler_options
from skinjax.models.patches import GRU
from skinjax.models.pretrained import remarks
from skinjax.optimizers import OPTIMIZERS, make_optimizer
from skinjax.parallel import check_batch, make_mesh, padded_batch
from skinjax.schedules import SCHEDULES, make_schedule
from skinjax.starting_weights import StartingWeights
from skinjax.training.checkpoints import Checkpoints
from skinjax.training.inference import make_evaluation_step, predict
from skinjax.training.logs import MetricsLog
from skinjax.training.loop import LoopSettings, Trainer
from skinjax.training.phases import UNITS, Phase, duration_in_steps
from skinjax.training.signals import stopped_by_signals
from skinjax.workdir import claim, default_workdir, environment, identity, read_config

Say = Callable[[str], None]
EVALUATED = {"last": "the checkpoint at the end", "best": "the checkpoint with the best validation metric"}
SYNTHETIC_NOTICE = "synthetic demo set: photographs drawn by a program, a test bench and not medicine"


def run(
    config: ConfigDict, workdir: str | None = None, data_dir: str | None = None, say: Say = print
) -> dict[str, Any]:
    """Train, evaluate and write everything that `config` asks for; returns the figures by split.

    Started again with the same config, it goes on where it was; a finished run gives its figures at once.
    """
    plain = config.to_dict()
    folder = Path(workdir) if workdir else default_workdir(plain)
    if plain["dataset"]["name"] == "synthetic":
        say(SYNTHETIC_NOTICE)
    check(config)
    if finished_figures(folder) is None:
        check_dataset(config.dataset.name, data_root(data_dir))
    with claim(folder, plain), stopped_by_signals() as should_stop:
        say(f"run in {folder}")
        figures = finished_figures(folder)
        if figures is None:
            figures = train_and_evaluate(config, folder, data_root(data_dir), should_stop, say)
        for split, values in figures.items():
            say(format_figures(split, values))
        return figures


def check(config: ConfigDict) -> None:
    """Refuse unknown names and impossible values before anything is built or written."""
    check_config(config.to_dict())
    lookup("split protocol", config.split.protocol, splits.LEAK_IS_AN_ERROR)
    check_file(config.split.protocol, config.split.file)
    lookup("sampler", config.sampler, SAMPLERS)
    lookup("value of sampler_weights", config.sampler_weights, {**CLASS_WEIGHTS, "column": "the data set's `weight`"})
    lookup("optimiser", config.optimizer.name, OPTIMIZERS)
    lookup("cache", config.cache, CACHES)
    lookup("value of evaluate", config.evaluate, EVALUATED)
    lookup("metric", config.evaluations.metric, {**metrics.METRICS, **metrics.SCORE_METRICS})
    lookup("loss.diagnosis_scope", config.loss.diagnosis_scope, SCOPES)
    for section in (config.evaluations, config.checkpoints):
        lookup("duration unit", section.unit, UNITS)
    for name in config.phase_order:
        phase = lookup("phase", name, dict(config.phases.items()))
        lookup("sampler", phase_sampler(config, name), SAMPLERS)
        make_loss(config.loss.to_dict() | phase.loss.to_dict())
        lookup("schedule", phase.schedule, SCHEDULES)
        lookup("duration unit", phase.unit, UNITS)
    if len(set(config.phase_order)) < max(1, len(config.phase_order)):
        raise UserError(f"phase_order is {tuple(config.phase_order)}; it must name at least one phase, and none twice")
    method = make_method(config, ("any",), Facts(mean=(0.0,) * 3, std=(1.0,) * 3))  # those of the weights come later
    for name in config.phase_order:
        for stage in config.phases[name].frozen:
            lookup(f"stage to freeze in phase {name!r}:", stage, dict.fromkeys(method.stages()))


def make_method(config: ConfigDict, classes: Sequence[str], facts: Facts = NO_FACTS) -> Method:
    """The method of a config for these classes; `facts` are those of the weights that it starts from."""
    dtype = lookup("dtype", config.model.dtype, DTYPES)
    if config.model.dtype == "auto" and jax.default_backend() != "cpu":
        dtype = jnp.bfloat16
    size = tuple(config.views.size)
    constructor = lookup("method", config.method.name, METHODS)
    shown_in_training, shown_in_evaluation = make_views(config, facts)
    model = config.model
    backbone = make_backbone(model.backbone, dtype, model.drop_path, model.remat, model.final_relu)
    shared: dict[str, Any] = {
        "classes": tuple(classes),
        "backbone": backbone,
        "head": make_head(model.head, backbone, len(classes), model.dropout),
        "train_view": shown_in_training,
        "evaluation_view": shown_in_evaluation,
        "loss_function": make_loss(config.loss.to_dict()),
        "logit_adjustment": config.method.logit_adjustment,
        "mix": make_mixing(config.method.mixup_share, config.method.mixup_beta),
    }
    settings = config.method
    check_patches(config)
    if settings.name == "classifier":
        return constructor(**shared)
    if settings.name == "patches":
        return constructor(
            **shared,
            attention=tuple(settings.attention),
            join=settings.join,
            gru=GRU(**settings.gru.to_dict()),
            patch_dropout=settings.patch_dropout,
        )
    lookup("class weight formula", settings.reconstruction_weights, CLASS_WEIGHTS)
    return constructor(
        **shared,
        decoder=Decoder(size, **settings.decoder.to_dict(), dtype=dtype),
        alpha=settings.alpha,
        beta=settings.beta,
        norm=settings.norm,
        reconstruction_weight_formula=settings.reconstruction_weights,
        twin_batch_norm=settings.twin_batch_norm,
        stop_reconstruction_gradient=settings.stop_reconstruction_gradient,
    )


DTYPES = {"auto": None, "float32": None, "bfloat16": jnp.bfloat16}


def make_views(config: ConfigDict, facts: Facts = NO_FACTS) -> tuple[Callable, Callable]:
    """The training view, of keys and stored images, and the evaluation view, of stored images, both corrected alike."""
    size, normalisation = tuple(config.views.size), make_normalisation(config, facts)
    correct = corrected(config.views.corrections)
    grid, window = grid_of(config.views.crops, config.views.grid), tuple(config.views.window)
    training = train_view(lookup("training view", config.views.train, VIEWS), size, normalisation, grid=grid)
    evaluation = evaluation_view(config.views.evaluation, size, normalisation, window or None, grid=grid)
    return lambda keys, images: training(keys, correct(images)), lambda images: evaluation(correct(images))


def check_patches(config: ConfigDict) -> None:
    """Refuse views of several patches for a method that takes one picture, and what joins patches without any."""
    method, views, stored = config.method, config.views, config.stored_size
    several = {"train": VIEWS[views.train].ordered, "evaluation": views.evaluation == "ordered_crop"}
    if any(several.values()):
        ordered_corners((stored.height, stored.width), tuple(views.size), grid_of(views.crops, views.grid))
    if method.name != "patches":
        for name, patches in several.items():
            if patches:
                raise UserError(
                    f"views.{name} is {views[name]!r}, which shows several patches of an image: set method.name "
                    "to patches, or choose another view"
                )
        return
    joins_by_place = [*method.attention, *["gru"] * (method.join == "gru")]
    if joins_by_place and not all(several.values()):
        raise UserError(
            f"{joins_by_place[0]!r} joins the patches of ordered crops: set views.train and views.evaluation to "
            "ordered_crop"
        )
    if method.patch_dropout and not several["train"]:
        raise UserError("method.patch_dropout needs several patches: set views.train to ordered_crop, or it to 0")


def make_normalisation(config: ConfigDict, facts: Facts = NO_FACTS) -> Normalisation:
    """The mean and deviation of a config, which may be those that its weights are used to."""
    name = lookup("normalisation", config.views.normalisation, {**NORMALISATIONS, "weights": "weights"})
    if isinstance(name, Normalisation):
        return name
    if facts.mean is None or facts.std is None:
        raise UserError(
            f"the weights {config.model.weights} do not say their normalisation: set views.normalisation to one of "
            f"{', '.join(NORMALISATIONS)}"
        )
    return Normalisation(facts.mean, facts.std)


def open_weights(config: ConfigDict, folder: Path, root: Path, say: Say) -> StartingWeights | None:
    """The weights that the run in `folder` starts from, and at its first start what its config does otherwise."""
    model = config.model
    if not model.weights:
        return None
    weights = StartingWeights(model.weights, model.weights_sha256, model.backbone, folder, root / "weights", say)
    if weights.is_new:
        size, stored_filter = tuple(config.views.size), config.stored_size.filter
        for remark in remarks(weights.facts, make_normalisation(config, weights.facts), size, stored_filter):
            say(remark)
    return weights


def make_loss(loss: Mapping[str, Any]) -> ClassificationLoss:
    """The classification loss of a config's `loss` section, but for what weighs single images."""
    return ClassificationLoss(**{name: value for name, value in loss.items() if not name.startswith("diagnosis_")})


def make_data(config: ConfigDict, folder: Path, root: Path, say: Say) -> Data:
    """The data set, split as the run's `split.csv` says; the first start writes it."""
    dataset = open_dataset(config.dataset.name, config.dataset.arguments.to_dict(), root, say)
    split = split_dataset(dataset, **config.split.to_dict())
    splits.check(split)
    for remark in splits.remarks(split):
        say(remark)
    keep_split(folder / "split.csv", split)
    data = in_parts(dataset, split, StoredSize(**config.stored_size.to_dict()))
    if (config.evaluate == "best" or config.evaluations.patience) and not len(data.records["validation"]):
        wanted = "evaluate='best'" if config.evaluate == "best" else "early stopping"
        raise UserError(f"{wanted} needs validation images and this split has none: set split.validation above 0")
    return data


def make_phases(config: ConfigDict, data: Data) -> list[Phase]:
    """The phases in order, with durations in steps."""
    phases = []
    for number, name in enumerate(config.phase_order):
        settings = config.phases[name]
        records, classes = training_records(data, settings.classes)
        # Another stream for each phase, so that a second one does not repeat the batches of the first.
        seed = config.seed + 1000003 * number
        sampler = make_sampler(config, phase_sampler(config, name), data.dataset, records, classes, seed)
        in_steps = functools.partial(
            duration_in_steps, unit=settings.unit, batch=config.batch, epoch_length=sampler.epoch_length
        )
        steps = in_steps(settings.duration)
        schedule = make_schedule(
            settings.schedule,
            config.optimizer.learning_rate,
            steps,
            warmup=in_steps(settings.warmup) if settings.warmup else 0,
            milestones=[in_steps(milestone) for milestone in settings.milestones],
            factor=settings.factor,
        )
        own_loss = make_loss(config.loss.to_dict() | settings.loss.to_dict()) if settings.loss else None
        if own_loss:
            own_loss.check_counts(data.training_counts(), data.dataset.classes)
        rates = _rows(settings.learning_rate_multipliers)
        phases.append(Phase(name, steps, sampler, schedule, rates, tuple(settings.frozen), own_loss))
    return phases


def make_sampler(
    config: ConfigDict, name: str, dataset: Dataset, records: np.ndarray, classes: Sequence[str] | None, seed: int
) -> Sampler:
    """The sampler `name` over `records`, with the arguments that it alone takes."""
    labels = dataset.columns["label"][records]
    own: dict[str, Any] = {}
    if name == "statically_balanced":
        own["copies_seed"] = config.seed  # the same copies in all phases
    elif name == "weighted" and config.sampler_weights != "column":
        own["weights"] = weights_by_class(config.sampler_weights, labels, classes)
    elif name == "weighted":
        if "weight" not in dataset.columns:
            raise UserError(
                f"sampler_weights is 'column' and the data set {dataset.name} has no column `weight`: choose one of "
                f"{', '.join(CLASS_WEIGHTS)}"
            )
        own["weights"] = dataset.columns["weight"][records]
    return SAMPLERS[name](records, labels, config.batch, seed, classes, **own)


def phase_sampler(config: ConfigDict, phase: str) -> str:
    """The name of a phase's sampler: its own, or the run's."""
    return config.phases[phase].sampler or config.sampler


def train_and_evaluate(
    config: ConfigDict, folder: Path, root: Path, should_stop: Callable[[], bool], say: Say
) -> dict[str, Any]:
    """The run itself: data, method, training, then predictions and figures of every held-out part."""
    use_compilation_cache(root / "compilation_cache")
    mesh = make_mesh()
    check_batch(config.batch, mesh, config.accumulate)
    writer = jax.process_index() == 0
    weights = open_weights(config, folder, root, say)
    data = make_data(config, folder, root, say)
    method = make_method(config, data.dataset.classes, weights.facts if weights else NO_FACTS)
    phases = make_phases(config, data)
    surroundings = environment(config.seed, [str(d) for d in jax.devices()])
    surroundings["weights"] = weights.record if weights else None
    write_atomically(folder / "environment.json", json.dumps(surroundings, indent=2))
    pixels = open_pixels(config.cache, data.dataset, data.size, root, mesh, say)
    evaluation_step = make_evaluation_step(method, mesh)
    held_out = "validation" if len(data.records["validation"]) else "test"

    def predict_part(variables: Variables, part: str, protocol: dict[str, Any]) -> tuple[Predictions, dict[str, float]]:
        records = data.records[part]
        batches = evaluation_batches(len(records), padded_batch(config.batch, mesh))
        return predict(
            evaluation_step,
            variables,
            held_out_batches(
                data.dataset,
                records,
                batches,
                pixels.host,
                rows=_own_rows(batches.batch),
                threads=config.logging.threads,
            ),
            data.dataset,
            records,
            split=part,
            protocol=protocol,
            mesh=mesh,
            pixels=pixels.device,
            check=trainer.check_interrupted,
        )

    def validate(variables: Variables) -> dict[str, float]:
        predictions, terms = predict_part(variables, held_out, {})
        return {**validation_figures(predictions, data.training_counts().tolist()), **terms}

    checkpoints = Checkpoints(folder / "checkpoints", config.checkpoints.keep, writer, say)
    trainer = make_trainer(
        config,
        folder,
        data,
        method,
        phases,
        mesh,
        checkpoints,
        batches=functools.partial(phase_batches, config, data, pixels.host),
        pixels=pixels.device,
        given=weights.arrays if weights else None,
        validate=validate if len(data.records[held_out]) else None,
        held_out=held_out,
        should_stop=should_stop,
        say=say,
    )
    init = functools.partial(initial_variables, method, data)
    state, history = trainer.fit(phases, init)
    if config.evaluate == "best" and history.best_step is not None:
        state = trainer.restore(phases, init, checkpoints.sealed(history.best_step))
    checkpoints.close()
    figures = {}
    for part in ("validation", "test"):
        if len(data.records[part]):
            protocol = describe(config, data, part, state.step, weights)
            predictions, _ = predict_part(state.evaluated(), part, protocol)
            figures[part] = write_figures(folder, part, predictions, data.training_counts().tolist())
    if not figures:
        say("this split holds nothing out (split.test and split.validation are 0): there are no figures")
    mark_finished(folder, list(figures))
    return figures


def make_trainer(
    config: ConfigDict,
    folder: Path,
    data: Data,
    method: Method,
    phases: Sequence[Phase],
    mesh: jax.sharding.Mesh,
    checkpoints: Checkpoints,
    **parts: Any,
) -> Trainer:
    """The trainer of a run in `folder`; `parts` are what depends on how it is used."""
    return Trainer(
        method=method,
        mesh=mesh,
        settings=loop_settings(config, phases[0].sampler.epoch_length),
        checkpoints=checkpoints,
        make_optimizer=functools.partial(phase_optimizer, config, method),
        open_log=lambda step: MetricsLog(folder, step, config.logging.tensorboard),
        compiler_options=compiler_options(config.model.remat),
        **parts,
    )


class Trained(NamedTuple):
    """A finished run, opened: what its figures are of."""

    config: ConfigDict
    data: Data
    method: Method
    variables: Variables
    facts: Facts  # of the weights that it started from


def open_run(folder: Path, root: Path, say: Say = print) -> Trained:
    """The finished run in `folder`; its data set lies under `root`."""
    plain = read_config(folder)
    if finished_figures(folder) is None:
        raise UserError(f"the run in {folder} has not finished: start its command again")
    config = ConfigDict(plain)
    check(config)
    weights = open_weights(config, folder, root, say)
    data = make_data(config, folder, root, say)
    facts = weights.facts if weights else NO_FACTS
    method = make_method(config, data.dataset.classes, facts)
    phases, mesh = make_phases(config, data), make_mesh()
    checkpoints = Checkpoints(folder / "checkpoints", config.checkpoints.keep, write=False, say=say)
    seal = checkpoints.latest()
    if seal is None:
        raise UserError(f"the run in {folder} has no whole checkpoint: bring its checkpoints back from a copy")
    if config.evaluate == "best" and seal.history["best_step"] is not None:
        seal = checkpoints.sealed(seal.history["best_step"])
    batches = functools.partial(phase_batches, config, data, None)
    trainer = make_trainer(
        config, folder, data, method, phases, mesh, checkpoints, batches=batches, validate=None, should_stop=bool
    )
    state = trainer.restore(phases, functools.partial(initial_variables, method, data), seal)
    checkpoints.close()
    return Trained(config, data, method, state.evaluated(), facts)


def initial_variables(method: Method, data: Data, seed: jax.Array) -> Variables:
    """Parameters drawn from the seed, and the constants of this training part."""
    batch = {"image": jnp.zeros((1, data.size.height, data.size.width, 3), jnp.uint8)}
    # XLA's own generator: threefry takes four times as long to compile, and there is one draw per layer.
    variables = method.init(jax.random.key(seed, impl="rbg"), batch)
    constants = jax.tree.map(jnp.asarray, method.constants(data.training_counts()))
    return {**variables, "constants": constants}


def phase_optimizer(
    config: ConfigDict, method: Method, phase: Phase, paths: Sequence[str]
) -> optax.GradientTransformation:
    settings = config.optimizer.to_dict()
    settings.pop("learning_rate")
    decays = _rows(settings.pop("weight_decay_multipliers"))
    return make_optimizer(
        settings.pop("name"),
        phase.learning_rate,
        paths,
        method.stages(),
        learning_rate_multipliers=phase.learning_rate_multipliers,
        weight_decay_multipliers=decays,
        **settings,
    )


def phase_batches(
    config: ConfigDict, data: Data, pixels: LoadPixels | None, phase: Phase, start: int
) -> Iterator[HostBatch]:
    """The host batches of a phase from its step `start` on."""
    return training_batches(
        data.dataset,
        phase.sampler,
        pixels,
        start=start,
        stop=phase.steps,
        rows=_own_rows(config.batch),
        threads=config.logging.threads,
        weights=example_weights(config, data, phase.name),
    )


def example_weights(config: ConfigDict, data: Data, phase: str) -> np.ndarray | None:
    """What each record weighs in the loss of a phase; None, if all weigh the same.

    The data set's own weight, but where the sampler draws by it, times the diagnosis's factor.
    """
    drawn_by_column = phase_sampler(config, phase) == "weighted" and config.sampler_weights == "column"
    weights = None if drawn_by_column else data.dataset.columns.get("weight")
    factors = dict(_rows(config.loss.diagnosis_factors))
    if not factors:
        return weights
    columns = data.dataset.columns
    if "dx_type" not in columns:
        raise UserError(
            f"loss.diagnosis_factors needs to know how diagnoses were made, and the data set {data.dataset.name} has "
            "no column `dx_type`: leave them empty"
        )
    if config.loss.diagnosis_as_released:
        found = as_released(columns["dx_type"], data.records["train"], columns["image_id"], factors)
    else:
        scope = config.loss.diagnosis_scope
        found = diagnosis_factors(columns["dx_type"], columns["label"], data.dataset.classes, factors, scope)
    return found if weights is None else found * weights


def _own_rows(batch: int) -> slice:
    return process_slice(batch, jax.process_index(), jax.process_count())


def loop_settings(config: ConfigDict, epoch_length: int) -> LoopSettings:
    """How often to evaluate, save and log, in steps."""

    def every(section: ConfigDict) -> int:
        return duration_in_steps(section.every, section.unit, config.batch, epoch_length) if section.every else 0

    return LoopSettings(
        seed=config.seed,
        batch=config.batch,
        accumulate=config.accumulate,
        ema_decay=config.ema_decay,
        evaluate_every=every(config.evaluations),
        checkpoint_every=every(config.checkpoints),
        log_every=config.logging.every,
        metric=config.evaluations.metric,
        patience=config.evaluations.patience,
    )


def describe(
    config: ConfigDict, data: Data, part: str, step: jax.Array, weights: StartingWeights | None = None
) -> dict[str, Any]:
    """The protocol that every figure carries."""
    return {
        "config": f"{config.name}:{config.variant}",
        "config_hash": short_hash(identity(config.to_dict())),
        "dataset": data.dataset.name,
        "fingerprint": data.dataset.fingerprint,
        "synthetic": data.dataset.synthetic,
        "split": data.split.protocol,
        "part": part,
        "checkpoint": config.evaluate,
        "steps": int(step),
        "view": config.views.evaluation,
        "crops": crops_shown(config),
        "corrections": list(config.views.corrections),
        "size": list(config.views.size),
        "seed": config.seed,
        "ema_decay": config.ema_decay,
        "weights": weights.record if weights else None,
        "images": len(data.records[part]),
        "groups": len(np.unique(data.dataset.columns["group"][data.records[part]])),
    }


def crops_shown(config: ConfigDict) -> int | None:
    """How many ordered crops an answer is of; None, if it is of one picture."""
    if config.views.evaluation != "ordered_crop":
        return None
    grid = grid_of(config.views.crops, config.views.grid)
    return grid[0] * grid[1] if grid else config.views.crops


def _rows(rows: Sequence[Sequence[Any]]) -> tuple[tuple[str, float], ...]:
    return tuple((str(name), float(factor)) for name, factor in rows)
