"""The contract between a method and the trainer."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jax
import numpy as np

from skinjax.objectives.losses import ClassificationLoss

Array = jax.Array
Batch = Mapping[str, Array]
Module = Any  # a flax.linen.Module, whose `apply` is typed as a union of everything it may return
Variables = dict[str, Any]
# name -> (coefficient, sum, count): the trainer adds coefficient * sum / count, divided once over the global batch.
# Vectors are allowed; counts depend on labels, weights and mask only; a count of None is a sum that is not divided.
Terms = dict[str, tuple[Any, Array, Array | None]]


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
