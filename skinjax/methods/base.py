"""The contract between a method and the trainer."""

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from skinjax.core.errors import UserError, lookup
from skinjax.core.settings import Settings, number
from skinjax.images.mixing import Mixed, make_mixing
from skinjax.methods.names import Stages, accepted_names, addressed
from skinjax.objectives.losses import ClassificationLoss

Array = jax.Array
Batch = Mapping[str, Array]
Module = Any  # a flax.linen.Module, whose `apply` is typed as a union of everything it may return
Variables = dict[str, Any]
Taps = Mapping[str, Callable[[Array], Array]]  # stage: the function that is applied to its map
# name -> (coefficient, sum, count): the trainer adds coefficient * sum / count, divided once over the global batch.
# Vectors are allowed; counts depend on labels, weights and mask only; a count of None is a sum that is not divided. A
# coefficient of None is a term that is reported and not trained on.
Terms = dict[str, tuple[Any, Array, Array | None]]
TABLE_OUTPUTS = ("probabilities", "scores", "members", "hard", "soft")  # of `predict`, of which tables are made


@dataclasses.dataclass(frozen=True)
class MethodSettings(Settings):
    """The settings of every method; a method with others has a subclass of its own."""

    name: str = "classifier"
    mixup_share: float = number(0.0, 0, 1)  # 0 = off; give one of the three
    mixup_beta: float = number(0.0, 0, 1e6)
    cutmix_beta: float = number(0.0, 0, 1e6)
    # predictions are of the logits minus this times the log of the training frequencies
    logit_adjustment: float = number(0.0, -100, 100)

    @property
    def mixing(self) -> Callable[..., Mixed] | None:
        """How pictures are blended in training; see `skinjax.images.mixing`."""
        return make_mixing(self.mixup_share, self.mixup_beta, self.cutmix_beta)

    @property
    def places(self) -> int:
        """How many images a step takes for each row of a batch."""
        return 1

    def check(self) -> None:
        make_mixing(self.mixup_share, self.mixup_beta, self.cutmix_beta)  # or they are refused


@dataclasses.dataclass(frozen=True)
class Objective:
    """What a method needs to know of the phase that it is trained in; programs are compiled for it.

    `frozen` are names as `Method.stages` has them; `coefficients` those of terms that differ from the method's own.
    Without `augment` it shows pictures as in evaluation, unmixed; with `stored_features` its batches bring `features`.
    """

    frozen: tuple[str, ...] = ()
    loss_function: ClassificationLoss | None = None
    coefficients: tuple[tuple[str, float], ...] = ()
    augment: bool = True
    stored_features: bool = False

    def coefficient(self, term: str, default: float) -> float:
        """The coefficient of a term; one of 0 is not built."""
        return dict(self.coefficients).get(term, default)

    def trains(self, module: str) -> bool:
        """Whether the parameters of a module change; one that is frozen runs in evaluation mode."""
        return module not in self.frozen

    def resolved(self, method: "Method", phase: str) -> "Objective":
        """This objective with qualified names, or a `UserError` for what the method does not have."""
        stages, terms = method.stages(), method.terms()
        for name in self.frozen:
            if not addressed(name, stages):
                lookup(f"stage to freeze in phase {phase!r}:", name, dict.fromkeys(accepted_names(stages)))
        for term, coefficient in self.coefficients:
            if not lookup(f"term of phase {phase!r}:", term, terms) and coefficient:
                raise UserError(
                    f"phase {phase!r} has the term {term!r}, for which the method builds nothing: give it a "
                    "coefficient in config.method, and 0 in the phases that go without"
                )
        if not any(self.coefficient(term, default) for term, default in terms.items()):
            raise UserError(f"phase {phase!r} has no term left to train on: raise a coefficient above 0")
        frozen = tuple(stage for stage in stages if any(stage in addressed(name, stages) for name in self.frozen))
        if self.stored_features:
            refuse_changing_features(method, phase, frozen)
        return dataclasses.replace(self, frozen=frozen)


class Method(Hashable, Protocol):
    """How images become a loss, and how images become predictions: a value, equal to another of the same parts."""

    def init(self, rng: Array, batch: Batch) -> Variables:
        """`params` and `batch_stats` of the modules by name, from the shapes of a batch."""

    def constants(self, counts: np.ndarray, shares: np.ndarray) -> dict[str, np.ndarray]:
        """`variables['constants']` of a phase: arrays that may change without recompilation.

        counts: the training images per class; shares: the expected share of each class in a batch
        """

    def terms(self) -> Mapping[str, float]:
        """The coefficients of the terms of the loss, which a phase may override."""

    def loss(
        self, variables: Variables, batch: Batch, rng: Array, *, step: Array, phase: Objective
    ) -> tuple[Terms, dict[str, Any]]:
        """The terms of the loss of a batch, and the batch statistics after it."""

    def predict(self, variables: Variables, images: Array, at: Taps | None = None) -> dict[str, Array]:
        """The outputs for stored uint8 images, through the evaluation view.

        `probabilities` [batch, classes], `logits` of which they are the softmax, `pooled` (what the last layer reads),
        and more; nothing of a method that does not know the classes. `at` changes maps: a stage's name is that stage of
        every trunk, `backbone/stem` that of one, and "pixels" what the network is shown.
        """

    def evaluate(self, variables: Variables, batch: Batch, phase: Objective) -> dict[str, tuple[Array, Array | None]]:
        """The (sum, count) of validation terms."""

    def stages(self) -> Stages:
        """The names by which parts can be frozen, given rates or looked at: `trunk/stage`, and other modules.

        Each with its group of depth, a name for all stages in it: "early" and "late" in trunks, "top" for the others.
        """

    def trunks(self) -> Mapping[str, Sequence[str]]:
        """The networks that can start from given weights, each with the heads that the same file may fill."""


@runtime_checkable
class FeatureMethod(Method, Protocol):
    """A method whose head can also be trained on stored features: batches then have `features` and no `image`."""

    def features(self, variables: Variables, images: Array) -> Array:
        """What the head reads of stored uint8 images, through the evaluation view: vectors, if it begins by pooling."""

    def predict_from(self, variables: Variables, features: Array) -> dict[str, Array]:
        """What `predict` says of the images that have these features."""


@runtime_checkable
class PretextMethod(Method, Protocol):
    """A method with terms that need no labels, so that it can train on any photographs."""

    def pretexts(self) -> Sequence[str]:
        """The names of these terms."""

    def shown(self, rng: Array, images: Array) -> Array:
        """Stored uint8 images as a step trains the pretext on them, normalised."""


def trains_classes(method: Method, objectives: Sequence[Objective]) -> bool:
    """Whether these objectives, one after the other, train all terms by which the method learns classes."""
    terms = method.terms()
    by_classes = ("classification",) if "classification" in terms else tuple(terms)
    return all(any(objective.coefficient(name, 1.0) for objective in objectives) for name in by_classes)


def refuse_labels(method: Method, phase: str, objective: Objective) -> None:
    """Refuse a phase on another data set, whose images have no label, with a term that needs one."""
    pretexts = method.pretexts() if isinstance(method, PretextMethod) else ()
    for term, default in method.terms().items():
        if term not in pretexts and objective.coefficient(term, default):
            raise UserError(
                f"phase {phase!r} reads another data set without labels, which its term {term!r} needs: set "
                f"phases.{phase}.terms.{term} to 0, or leave phases.{phase}.dataset out"
            )


def refuse_changing_features(method: Method, phase: str, frozen: Sequence[str]) -> None:
    """Refuse stored features of a method that has none, or of a trunk that is trained."""
    if not isinstance(method, FeatureMethod):
        raise UserError(
            f"phase {phase!r} trains on stored features, and its method takes more from a picture than what one head "
            f"reads: set phases.{phase}.features to computed, or method.name to classifier"
        )
    trunks = tuple(method.trunks())
    for stage in method.stages():
        if stage.partition("/")[0] in trunks and stage not in frozen:
            raise UserError(
                f"phase {phase!r} trains on stored features, which every step would change, as {stage} is not frozen: "
                f"set phases.{phase}.frozen to {trunks}, or phases.{phase}.features to computed"
            )
