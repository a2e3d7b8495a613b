"""The contract between a method and the trainer."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import numpy as np

from skinjax.core.errors import UserError
from skinjax.core.settings import Settings, number
from skinjax.images.mixing import make_mixing
from skinjax.images.views import EvaluationView, TrainView, ViewSettings
from skinjax.objectives.losses import ClassificationLoss

Array = jax.Array
Batch = Mapping[str, Array]
Module = Any  # a flax.linen.Module, whose `apply` is typed as a union of everything it may return
Variables = dict[str, Any]
# name -> (coefficient, sum, count): the trainer adds coefficient * sum / count, divided once over the global batch.
# Vectors are allowed; counts depend on labels, weights and mask only; a count of None is a sum that is not divided.
Terms = dict[str, tuple[Any, Array, Array | None]]


@dataclasses.dataclass(frozen=True)
class MethodSettings(Settings):
    """What every method can be told; a method with more to say has a class of its own that begins with this."""

    place = "method"

    name: str = "classifier"
    mixup_share: float = number(0.0, 0, 1)  # 0 = off; give one of the two
    mixup_beta: float = number(0.0, 0, 1e6)
    # predictions are of the logits minus this times the log of the training frequencies
    logit_adjustment: float = number(0.0, -100, 100)

    def check(self) -> None:
        make_mixing(self.mixup_share, self.mixup_beta)


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a method is built of beside its own settings."""

    classes: tuple[str, ...]
    backbone: Module
    head: Module
    views: ViewSettings
    train_view: TrainView
    evaluation_view: EvaluationView
    loss_function: ClassificationLoss
    dtype: Any = None

    def of_every_method(self, settings: MethodSettings) -> dict[str, Any]:
        """The arguments that every method's constructor takes."""
        return {
            "classes": self.classes,
            "backbone": self.backbone,
            "head": self.head,
            "train_view": self.train_view,
            "evaluation_view": self.evaluation_view,
            "loss_function": self.loss_function,
            "logit_adjustment": settings.logit_adjustment,
            "mix": make_mixing(settings.mixup_share, settings.mixup_beta),
        }

    def refuse_patches(self) -> None:
        """Refuse views of several patches, for a method that takes one picture."""
        shown = {"train": self.views.several_in_training, "evaluation": self.views.several_in_evaluation}
        for name, several in shown.items():
            if several:
                raise UserError(
                    f"views.{name} is {getattr(self.views, name)!r}, which shows several patches of an image: set "
                    "method.name to patches, or choose another view"
                )


class PhaseOfMethod(Protocol):
    """What a method may know of the phase that it is trained in."""

    @property
    def frozen(self) -> tuple[str, ...]: ...

    @property
    def loss_function(self) -> ClassificationLoss | None: ...


class Method(Protocol):
    """How images become a loss, and how images become predictions."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    def init(self, rng: Array, batch: Batch) -> Variables:
        """`params` and `batch_stats` of the modules by name, from the shapes of a batch."""

    def constants(self, counts: np.ndarray, shares: np.ndarray) -> dict[str, np.ndarray]:
        """`variables['constants']`; changing them compiles nothing anew.

        counts: the training images per class; shares: what each class is expected to be of a batch, of its sampler
        """

    def loss(
        self, variables: Variables, batch: Batch, rng: Array, *, step: Array, phase: PhaseOfMethod
    ) -> tuple[Terms, dict[str, Any]]:
        """The terms of the loss of a batch, and the batch statistics after it."""

    def predict(
        self, variables: Variables, images: Array, at: Mapping[str, Callable] | None = None
    ) -> dict[str, Array]:
        """`probabilities` [batch, classes] of stored uint8 images, through the evaluation view, and more."""

    def evaluate(self, variables: Variables, batch: Batch) -> dict[str, tuple[Array, Array | None]]:
        """The (sum, count) of validation terms."""

    def stages(self) -> tuple[str, ...]:
        """The names by which parameters can be frozen or given a learning rate of their own."""
