"""The plain classifier: backbone, head, any loss, optional mixup. Every other method departs from it."""

import dataclasses
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.images.copies import fixed_copies
from skinjax.images.mixing import Mixed, mix_weights
from skinjax.images.views import example_keys
from skinjax.methods.base import Array, Batch, MethodSettings, Module, Parts, PhaseOfMethod, Terms, Variables
from skinjax.models.layers import drawn_by_position
from skinjax.objectives.class_weights import check_every_class_has_images
from skinjax.objectives.losses import ClassificationLoss


@dataclasses.dataclass(frozen=True)
class Draws:
    """What dropout draws from: a key for the step, and the position of each row [batch] in the global batch."""

    key: Array
    positions: Array

    def of_twins(self) -> "Draws":
        """Draws of a second image of each row, at positions that no first image has: -1 - position."""
        return Draws(self.key, ~self.positions)

    def with_twins(self) -> "Draws":
        """Draws of a batch followed by its second images."""
        return Draws(self.key, jnp.concatenate([self.positions, ~self.positions]))


@dataclasses.dataclass(frozen=True)
class Classifier:
    """Images to class probabilities by one backbone and one head.

    `logit_adjustment` is tau of the post-hoc adjustment: predictions are of the logits - tau log(class frequency).

    `variables` holds `params` and `batch_stats` of the modules by name, and `constants`: arrays that differ between
    folds or phases, so that changing them compiles nothing anew.
    """

    classes: tuple[str, ...]
    backbone: Module
    head: Module
    train_view: Callable[[Array, Array], Array]
    evaluation_view: Callable[[Array], Array]
    loss_function: ClassificationLoss
    logit_adjustment: float = 0.0
    mix: Callable[[Array, Array, Array, Array], Mixed] | None = None

    def init(self, rng: Array, batch: Batch) -> Variables:
        """Parameters and statistics from shapes alone; each module has its own key, whatever else is built."""
        images = self.evaluation_view(batch["image"])
        backbone = self.backbone.init(module_key(rng, "backbone"), images, train=False)
        maps = self.backbone.apply(backbone, images, train=False)
        head = self.head.init(module_key(rng, "head"), maps["features"], train=False)
        return gather({"backbone": backbone, "head": head})

    def constants(self, counts: np.ndarray, shares: np.ndarray) -> dict[str, np.ndarray]:
        """What depends on the training images: their `counts` [classes], which must do for the loss."""
        del shares
        self.loss_function.check_counts(counts, self.classes)
        if self.logit_adjustment:
            check_every_class_has_images(counts, self.classes)
        return {"class_counts": np.asarray(counts, np.float32)}

    def loss(
        self, variables: Variables, batch: Batch, rng: Array, *, step: Array, phase: PhaseOfMethod
    ) -> tuple[Terms, dict]:
        """The terms of the training loss of a batch, and the updated batch statistics."""
        del step
        images, targets, weights = self.training_inputs(batch, rng)
        draws = Draws(module_key(rng, "dropout"), batch["position"])
        maps, variables = self.encode(variables, images, draws, phase)
        logits, variables = self.decide(variables, maps["features"], draws, phase)
        terms: Terms = {"classification": (1.0, *self.classify(variables, logits, targets, weights, phase))}
        return terms, variables["batch_stats"]

    def predict(
        self, variables: Variables, images: Array, at: Mapping[str, Callable] | None = None
    ) -> dict[str, Array]:
        """Class probabilities [batch, classes] of stored uint8 images, through the evaluation view."""
        return self.outputs(variables, self.logits(variables, images, at))

    def outputs(self, variables: Variables, logits: Array) -> dict[str, Array]:
        """What the table of predictions is made of, from logits [batch, classes]."""
        logits = self.adjusted(variables, logits)
        outputs = {"probabilities": jax.nn.softmax(logits)}
        if self.loss_function.name == "bce_with_logits":
            outputs["scores"] = jax.nn.sigmoid(logits)
        return outputs

    def adjusted(self, variables: Variables, logits: Array) -> Array:
        """Logits [..., classes] after the post-hoc adjustment."""
        if not self.logit_adjustment:
            return logits
        counts = variables["constants"]["class_counts"]
        return logits - self.logit_adjustment * jnp.log(counts / counts.sum())

    def evaluate(self, variables: Variables, batch: Batch) -> dict[str, tuple[Array, Array | None]]:
        """The (sum, count) of the loss on held-out images, without augmentation."""
        logits = self.logits(variables, batch["image"])
        targets = jax.nn.one_hot(batch["label"], len(self.classes))
        return {"loss": self.classify(variables, logits, targets, batch["weight"] * batch["mask"], None)}

    def stages(self) -> tuple[str, ...]:
        """The backbone's stages, then the other modules."""
        return (*self.backbone.stages, "head")

    def training_inputs(self, batch: Batch, rng: Array) -> tuple[Array, Array, Array]:
        """Augmented images, targets [batch, classes] (zero where unlabelled), weights [batch] (zero where masked)."""
        view_key, mixing_key = jax.random.split(rng)
        images = batch["image"]
        if "copy" in batch:
            images = fixed_copies(images, batch["index"], batch["copy"])
        images = self.train_view(example_keys(view_key, batch["position"]), images)
        targets = jax.nn.one_hot(batch["label"], len(self.classes))
        weights = batch["weight"] * batch["mask"]
        if self.mix is not None:
            mixed = self.mix(mixing_key, images, targets, weights > 0)
            images, (targets, weights) = mixed.images, mix_weights(mixed, targets, weights)
        return images, targets, weights

    def encode(
        self,
        variables: Variables,
        images: Array,
        draws: Draws,
        phase: PhaseOfMethod,
        at: Mapping[str, Callable] | None = None,
    ) -> tuple[dict[str, Array], Variables]:
        """Training-mode maps of `images`, and the variables with the backbone's statistics after this pass."""
        return train_pass(self.backbone, "backbone", variables, images, draws, train=True, frozen=phase.frozen, at=at)

    def decide(
        self, variables: Variables, features: Array, draws: Draws, phase: PhaseOfMethod
    ) -> tuple[Array, Variables]:
        """Training-mode logits [batch, classes] unless the head is frozen, and the variables with its statistics."""
        return train_pass(self.head, "head", variables, features, draws, train="head" not in phase.frozen)

    def classify(
        self, variables: Variables, logits: Array, targets: Array, weights: Array, phase: PhaseOfMethod | None
    ) -> tuple[Array, Array | None]:
        """(sum, count) of the classification loss, the phase's own where it has one."""
        loss_function = (phase and phase.loss_function) or self.loss_function
        counts = variables["constants"]["class_counts"]
        return loss_function(logits, targets, loss_function.weights(counts), weights, counts)

    def logits(self, variables: Variables, images: Array, at: Mapping[str, Callable] | None = None) -> Array:
        """Evaluation-mode logits [batch, classes] of stored uint8 images."""
        maps = self.backbone.apply(own(variables, "backbone"), self.evaluation_view(images), train=False, at=at)
        return self.head.apply(own(variables, "head"), maps["features"], train=False)


def build(parts: Parts, settings: MethodSettings) -> Classifier:
    """The classifier of these parts."""
    parts.refuse_patches()
    return Classifier(**parts.of_every_method(settings))


def train_pass(
    module: Module, name: str, variables: Variables, inputs: Array, draws: Draws, **arguments: Any
) -> tuple[Any, Variables]:
    """(outputs, variables with its new batch statistics) of the module `name`, with dropout as `draws` has it."""
    with drawn_by_position(draws.positions):
        outputs, updated = module.apply(
            own(variables, name),
            inputs,
            rngs={"dropout": module_key(draws.key, name)},
            mutable=["batch_stats"],
            **arguments,
        )
    statistics = {**variables["batch_stats"], name: updated.get("batch_stats", {})}
    return outputs, {**variables, "batch_stats": statistics}


def own(variables: Variables, name: str) -> Variables:
    """The variables of the module `name` alone."""
    return {collection: variables[collection][name] for collection in ("params", "batch_stats")}


def module_key(rng: Array, name: str) -> Array:
    """The initialisation key of the module `name`: adding a module leaves every other one's parameters as they were."""
    return jax.random.fold_in(rng, zlib.crc32(name.encode()))


def gather(modules: dict[str, Variables]) -> Variables:
    """{module: {collection: tree}} to {collection: {module: tree}}."""
    return {
        collection: {name: variables.get(collection, {}) for name, variables in modules.items()}
        for collection in ("params", "batch_stats")
    }
