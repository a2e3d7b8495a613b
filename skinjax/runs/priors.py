"""The prior that a training has: what share of the loss each class is expected to be (see `evaluation.priors`)."""

from collections.abc import Iterator, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from skinjax.data.splits.parts import Data
from skinjax.methods.base import Method
from skinjax.methods.parts import Classification
from skinjax.methods.two_stage import REST, TwoStage
from skinjax.objectives.losses import ClassificationLoss
from skinjax.recipe.recipe import Recipe
from skinjax.runs.building import example_weights
from skinjax.training.phases import Phase

Array = np.ndarray

STEPS = 500  # batches from which shares are counted, spread over the phase


def training_prior(recipe: Recipe, data: Data, method: Method, phases: Sequence[Phase]) -> dict[str, Any]:
    """The shares of each stage's classes, `stages`, and what makes them `approximate`; JSON-ready."""
    stages, approximate = [], dict[str, None]()
    for term, task, numbers in decisions(method):
        phase = next(phase for phase in reversed(phases) if phase.objective.coefficient(term, 1.0))
        loss = phase.objective.loss_function or task.loss_function
        of_stage = _of_stage(data.training_counts(), numbers)
        shares = expected_shares(
            recipe, data, phase, numbers, np.asarray(loss.weights(jnp.asarray(of_stage), task.classes)), loss
        )
        corrected = float(loss.tau if loss.name == "logit_adjusted" else loss.name == "balanced_softmax")
        shares = shares / np.maximum(of_stage, 1) ** (corrected + task.logit_adjustment)
        stages.append(dict(zip(task.classes, (shares / shares.sum()).tolist(), strict=True)))
        approximate |= dict.fromkeys(_reasons(recipe, loss, phase))
    return {"stages": stages, "approximate": list(approximate)}


def decisions(method: Any) -> Iterator[tuple[str, Classification, Array]]:
    """The term, the task, and the number [classes] among the task's of each class, or -1, of every decision."""
    classes = method.parts.task.classes
    if not isinstance(method, TwoStage):
        yield "classification", method.parts.task, np.arange(len(classes))
        return
    for (name, task), elsewhere in zip(method.named_tasks(), (REST, ""), strict=True):
        place = {of: number for number, of in enumerate(task.classes)}
        yield name, task, np.array([place.get(of, place.get(elsewhere, -1)) for of in classes])


def expected_shares(
    recipe: Recipe, data: Data, phase: Phase, numbers: Array, class_weights: Array, loss: ClassificationLoss
) -> Array:
    """The mean over batches of the share [classes] of the loss's weight that each class has."""
    weights, total = example_weights(recipe, data, phase.name), np.zeros(len(class_weights))
    for step in np.unique(np.linspace(0, phase.steps - 1, min(phase.steps, STEPS)).round().astype(int)).tolist():
        records = phase.sampler(step).ravel()
        labels = data.dataset.columns["label"][records]
        classes = np.where(labels < 0, -1, numbers[labels])
        known = classes >= 0
        each = np.ones(len(records)) if weights is None else weights[records]
        of_batch = np.bincount(classes[known], (each * class_weights[classes])[known], len(total))
        divisor = of_batch.sum() if loss.reduction == "torch_weighted_mean" else 1.0
        total += of_batch / divisor if divisor else 0
    return total


def _of_stage(counts: Array, numbers: Array) -> Array:
    """Training images of each class of a stage, for those of all classes."""
    return np.bincount(numbers[numbers >= 0], counts[numbers >= 0])


def _reasons(recipe: Recipe, loss: ClassificationLoss, phase: Phase) -> Iterator[str]:
    """What makes probabilities other than those of the shares of the loss."""
    if loss.name not in ("cross_entropy", "balanced_softmax", "logit_adjusted"):
        yield loss.name
    if recipe.method.mixing and phase.objective.augment:
        yield "mixing"
    if loss.label_smoothing:
        yield "label smoothing"
