"""What a config names, checked and built. With `experiment`, the only reader of configs."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from skinjax.config_checks import check_config
from skinjax.core.errors import UserError, lookup
from skinjax.data.caches import CACHES
from skinjax.data.dataset import Dataset, open_dataset
from skinjax.data.pipeline import HostBatch, LoadPixels, StoredSize, training_batches
from skinjax.data.sampling.samplers import SAMPLERS, Sampler, process_slice, weights_by_class
from skinjax.data.splits import split as splits
from skinjax.data.splits.parts import Data, in_parts, keep_split, training_records
from skinjax.data.splits.protocols import check_file, split_dataset
from skinjax.evaluation import metrics
from skinjax.images.colour import NORMALISATIONS, Normalisation
from skinjax.images.correction import corrected
from skinjax.images.crops import grid_of, ordered_corners
from skinjax.images.mixing import make_mixing
from skinjax.images.views import EVALUATION_VIEWS, VIEWS, evaluation_view, train_view
from skinjax.methods import METHODS
from skinjax.methods.base import Method, Variables
from skinjax.models import make_backbone
from skinjax.models.heads.classifiers import make_head
from skinjax.models.heads.decoder import Decoder
from skinjax.models.heads.patches import GRU
from skinjax.models.pretrained.facts import NO_FACTS, Facts
from skinjax.models.pretrained.opening import remarks
from skinjax.objectives.class_weights import CLASS_WEIGHTS
from skinjax.objectives.diagnosis import SCOPES, as_released, diagnosis_factors
from skinjax.objectives.losses import ClassificationLoss
from skinjax.runs.starting_weights import StartingWeights
from skinjax.training.loop import LoopSettings
from skinjax.training.optimizers import OPTIMIZERS, make_optimizer
from skinjax.training.phases import UNITS, Phase, duration_in_steps
from skinjax.training.schedules import SCHEDULES, make_schedule

Say = Callable[[str], None]
EVALUATED = {"last": "the checkpoint at the end", "best": "the checkpoint with the best validation metric"}


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
    check_diagnoses([name for name, _ in _rows(config.loss.diagnosis_factors)], config.loss.diagnosis_as_released)
    for section in (config.evaluations, config.checkpoints):
        lookup("duration unit", section.unit, UNITS)
    for name in config.phase_order:
        phase = lookup("phase", name, dict(config.phases.items()))
        lookup("sampler", phase_sampler(config, name), SAMPLERS)
        check_loss(config, make_loss(config.loss.to_dict() | phase.loss.to_dict()))
        lookup("schedule", phase.schedule, SCHEDULES)
        lookup("duration unit", phase.unit, UNITS)
    if len(set(config.phase_order)) < max(1, len(config.phase_order)):
        raise UserError(f"phase_order is {tuple(config.phase_order)}; it must name at least one phase, and none twice")
    method = make_method(config, ("any",), Facts(mean=(0.0,) * 3, std=(1.0,) * 3))  # those of the weights come later
    for name in config.phase_order:
        for stage in config.phases[name].frozen:
            lookup(f"stage to freeze in phase {name!r}:", stage, dict.fromkeys(method.stages()))


def check_diagnoses(names: Sequence[str], as_released: bool) -> None:
    """Refuse two factors of one diagnosis, and defects of factors without any."""
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"loss.diagnosis_factors has {names.count(name)} rows for {name!r}: keep one of them")
    if as_released and not names:
        raise UserError("loss.diagnosis_as_released repeats defects of diagnosis factors: set loss.diagnosis_factors")


def check_loss(config: ConfigDict, loss: ClassificationLoss) -> None:
    """Refuse a loss that the head's logits, or the way in which patches are joined, give no meaning to."""
    if loss.name == "ldam" and config.model.head != "cosine":
        raise UserError("loss.name 'ldam' takes margins off cosines: set model.head to cosine, or choose another loss")
    if loss.scale != config.loss.scale:
        raise UserError(
            f"a phase's loss.scale is {loss.scale} and the head's {config.loss.scale}: set loss.scale alone"
        )
    join = config.method.get("join", "logits")
    if loss.name == "bce_with_logits" and join in ("probabilities", "votes"):
        raise UserError(
            f"method.join {join!r} averages the patches' probabilities, of which loss.name 'bce_with_logits' has none: "
            "set method.join to logits, or choose another loss"
        )


def make_method(config: ConfigDict, classes: Sequence[str], facts: Facts = NO_FACTS) -> Method:
    """The method of a config for these classes; `facts` are those of the weights that it starts from."""
    dtype = lookup("dtype", config.model.dtype, DTYPES)
    if config.model.dtype == "auto" and jax.default_backend() != "cpu":
        dtype = jnp.bfloat16
    check_patches(config)
    shown_in_training, shown_in_evaluation = make_views(config, facts)
    model, settings = config.model, config.method
    backbone = make_backbone(model.backbone, dtype, model.drop_path, model.remat, model.final_relu)
    return lookup("method", settings.name, METHODS)(
        classes=tuple(classes),
        backbone=backbone,
        head=make_head(model.head, backbone, len(classes), model.dropout, config.loss.scale),
        train_view=shown_in_training,
        evaluation_view=shown_in_evaluation,
        loss_function=make_loss(config.loss.to_dict()),
        logit_adjustment=settings.logit_adjustment,
        mix=make_mixing(settings.mixup_share, settings.mixup_beta),
        **own_arguments(config, dtype),
    )


def own_arguments(config: ConfigDict, dtype: Any) -> dict[str, Any]:
    """What the constructor of a config's method takes beside what all take."""
    settings = config.method
    if settings.name == "patches":
        return {
            "attention": tuple(settings.attention),
            "join": settings.join,
            "gru": GRU(**settings.gru.to_dict()),
            "patch_dropout": settings.patch_dropout,
        }
    if settings.name == "decoder_classifier":
        lookup("class weight formula", settings.reconstruction_weights, CLASS_WEIGHTS)
        return {
            "decoder": Decoder(tuple(config.views.size), **settings.decoder.to_dict(), dtype=dtype),
            "alpha": settings.alpha,
            "beta": settings.beta,
            "norm": settings.norm,
            "reconstruction_weight_formula": settings.reconstruction_weights,
            "reconstruction_reduction": settings.reconstruction_reduction,
            "twin_batch_norm": settings.twin_batch_norm,
            "stop_reconstruction_gradient": settings.stop_reconstruction_gradient,
        }
    return {}


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
    lookup("evaluation view", views.evaluation, EVALUATION_VIEWS)
    several = {
        "train": lookup("training view", views.train, VIEWS).ordered,
        "evaluation": views.evaluation == "ordered_crop",
    }
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
    by_place = [f"method.attention at {place!r}" for place in method.attention]
    by_place += ["method.join 'gru'"] * (method.join == "gru")
    if by_place and not all(several.values()):
        raise UserError(
            f"{by_place[0]} joins the patches of ordered crops: set views.train and views.evaluation to ordered_crop"
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


def initial_variables(method: Method, data: Data, first: Phase, seed: jax.Array) -> Variables:
    """Parameters drawn from the seed, and the constants of this training part as the first phase draws from it."""
    batch = {"image": jnp.zeros((1, data.size.height, data.size.width, 3), jnp.uint8)}
    # XLA's own generator: threefry takes four times as long to compile, and there is one draw per layer.
    variables = method.init(jax.random.key(seed, impl="rbg"), batch)
    constants = method.constants(data.training_counts(), first.sampler.class_shares(len(method.classes)))
    return {**variables, "constants": jax.tree.map(jnp.asarray, constants)}


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
        rows=own_rows(config.batch),
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
    columns, training = data.dataset.columns, data.records["train"]
    if "dx_type" not in columns:
        raise UserError(
            f"loss.diagnosis_factors needs to know how diagnoses were made, and the data set {data.dataset.name} has "
            "no column `dx_type`: leave them empty"
        )
    if config.loss.diagnosis_as_released:
        found = as_released(columns["dx_type"], training, columns["image_id"], factors)
    else:
        found = np.ones(len(columns["label"]))
        found[training] = diagnosis_factors(
            columns["dx_type"][training],
            columns["label"][training],
            data.dataset.classes,
            factors,
            config.loss.diagnosis_scope,
        )
    return found if weights is None else found * weights


def own_rows(batch: int) -> slice:
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


def crops_shown(config: ConfigDict) -> int | None:
    """How many ordered crops an answer is of; None, if it is of one picture."""
    if config.views.evaluation != "ordered_crop":
        return None
    grid = grid_of(config.views.crops, config.views.grid)
    return grid[0] * grid[1] if grid else config.views.crops


def _rows(rows: Sequence[Sequence[Any]]) -> tuple[tuple[str, float], ...]:
    return tuple((str(name), float(factor)) for name, factor in rows)
