"""What methods are composed of: pictures, networks and the task of telling classes apart.

Each is a value: equal parts make equal methods, for which programs are compiled once.
"""

import dataclasses
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from skinjax.core.errors import UserError
from skinjax.images.copies import fixed_copies
from skinjax.images.mixing import Mixed, mix_weights
from skinjax.images.views import EvaluationView, TrainView, ViewSettings, example_keys
from skinjax.methods.base import Array, Batch, Module, Objective, Taps, Variables
from skinjax.methods.names import TOP, in_groups, in_trunk, taps_of
from skinjax.models.layers import dropout_by_position
from skinjax.objectives.class_weights import check_every_class_has_images
from skinjax.objectives.losses import ClassificationLoss


@dataclasses.dataclass(frozen=True)
class Draws:
    """What dropout draws from: a key for the step, and the position of each row [batch] in the global batch."""

    key: Array
    positions: Array

    @classmethod
    def for_batch(cls, rng: Array, batch: Batch) -> "Draws":
        """The draws of a training step."""
        return cls(module_key(rng, "dropout"), batch["position"])

    def for_twins(self) -> "Draws":
        """Draws of a second image of each row, at positions that no first image has: -1 - position."""
        return Draws(self.key, ~self.positions)

    def with_twins(self) -> "Draws":
        """Draws of a batch followed by its second images."""
        return Draws(self.key, jnp.concatenate([self.positions, ~self.positions]))

    def for_slots(self, slots: int) -> "Draws":
        """Draws of each row's `slots` images, which lie side by side."""
        return Draws(self.key, (self.positions[:, None] * slots + jnp.arange(slots)).ravel())


@dataclasses.dataclass(frozen=True)
class Pictures:
    """How stored images become what networks see, in training with augmentation and mixup."""

    train_view: TrainView
    evaluation_view: EvaluationView
    mix: Callable[[Array, Array, Array, Array], Mixed] | None = None

    def for_training(
        self, batch: Batch, rng: Array, classes: int, phase: Objective, turns: Array | None = None
    ) -> tuple[Array, Array, Array]:
        """Images, targets [batch, classes] (zero where unlabelled), weights [batch] (zero where masked).

        turns: angles in degrees [batch] by which pictures are turned
        """
        view_key, mixing_key = jax.random.split(rng)
        images = batch["image"]
        if "copy" in batch:
            images = fixed_copies(images, batch["index"], batch["copy"])
        targets, weights = labels_of(batch, classes)
        if not phase.augment:
            shown = self.evaluation_view(images) if turns is None else self.evaluation_view(images, turns)
            return shown, targets, weights
        keys = example_keys(view_key, batch["position"])
        images = self.train_view(keys, images) if turns is None else self.train_view(keys, images, turns)
        if self.mix is not None:
            mixed = self.mix(mixing_key, images, targets, weights > 0)
            images, (targets, weights) = mixed.images, mix_weights(mixed, targets, weights)
        return images, targets, weights


@dataclasses.dataclass(frozen=True)
class Network:
    """A backbone and a head on its last map; `trunk` and `top` are their names among the variables."""

    backbone: Module
    head: Module
    trunk: str = "backbone"
    top: str = "head"

    def stages(self) -> dict[str, str]:
        """The names of its stages and of its head, each with its group."""
        return {**in_groups(self.trunk, self.backbone.stages, self.backbone.late), self.top: TOP}

    def trunks(self) -> dict[str, tuple[str, ...]]:
        """Its trunk, with the head that weights of the same file may fill."""
        return {self.trunk: (self.top,)}

    def init(self, rng: Array, images: Array) -> dict[str, Variables]:
        """{module: its variables} for images as they are shown."""
        modules, features = self.init_trunk(rng, images)
        return modules | self.init_head(rng, features)

    def init_trunk(self, rng: Array, images: Array) -> tuple[dict[str, Any], Array]:
        """{trunk: its variables}, and its last maps of images as they are shown."""
        maps, variables = self.backbone.init_with_output(module_key(rng, self.trunk), images, train=False)
        return {self.trunk: variables}, maps["features"]

    def init_head(self, rng: Array, features: Array) -> dict[str, Variables]:
        """{head: its variables} for last maps, or what stands for them."""
        return {self.top: self.head.init(module_key(rng, self.top), features, train=False)}

    def maps(self, variables: Variables, images: Array, at: Taps | None = None) -> dict[str, Array]:
        """The maps of images as they are shown, by stage."""
        return self.backbone.apply(subtree(variables, self.trunk), images, train=False, at=taps_of(self.trunk, at))

    def pooled(self, features: Array) -> Array:
        """Last maps as the head reads them: vectors [batch, channels], if it begins by pooling."""
        return getattr(self.head, "pool", lambda maps: maps)(features)

    def answer(self, variables: Variables, features: Array) -> tuple[Array, Array | None]:
        """(logits [batch, classes], what the head's last layer reads [batch, channels]) of last maps, pooled or not."""
        logits, sown = self.head.apply(subtree(variables, self.top), features, train=False, mutable=["intermediates"])
        return logits, pooled_in(sown)

    def train_maps(
        self, variables: Variables, images: Array, draws: Draws, phase: Objective, at: Taps | None = None
    ) -> tuple[dict[str, Array], Variables]:
        """Training-mode maps, and the variables with the backbone's statistics after this pass."""
        arguments = {"train": True, "frozen": in_trunk(self.trunk, phase.frozen), "at": taps_of(self.trunk, at)}
        maps, _, variables = train_pass(self.backbone, self.trunk, variables, images, draws, **arguments)
        return maps, variables

    def train_answer(
        self, variables: Variables, features: Array, draws: Draws, phase: Objective
    ) -> tuple[Array, Array | None, Variables]:
        """As `answer`, in training mode unless the head is frozen, and the variables with its statistics."""
        return train_pass(self.head, self.top, variables, features, draws, train=phase.trains(self.top))


@dataclasses.dataclass(frozen=True)
class Classification:
    """The classes, and how logits become a loss and probabilities.

    `logit_adjustment` is tau of the post-hoc adjustment: predictions are of the logits - tau log(class frequency).
    """

    classes: tuple[str, ...]
    loss_function: ClassificationLoss
    logit_adjustment: float = 0.0

    def constants(self, counts: np.ndarray) -> dict[str, np.ndarray]:
        """What depends on the training images: their `counts` [classes], which the loss must be able to use."""
        self.loss_function.check_counts(counts, self.classes)
        if self.logit_adjustment:
            check_every_class_has_images(counts, self.classes)
        return {"class_counts": np.asarray(counts, np.float32)}

    def term(
        self, variables: Variables, logits: Array, targets: Array, weights: Array, phase: Objective
    ) -> tuple[Array, Array | None]:
        """(sum, count) of the classification loss, the phase's own where it has one."""
        loss_function = phase.loss_function or self.loss_function
        counts = variables["constants"]["class_counts"]
        return loss_function(logits, targets, loss_function.weights(counts, self.classes), weights, counts)

    def held_out_term(
        self, variables: Variables, logits: Array, batch: Batch, phase: Objective
    ) -> tuple[Array, Array | None]:
        """(sum, count) of the loss of a batch that is not trained on."""
        return self.term(variables, logits, *labels_of(batch, len(self.classes)), phase)

    def adjusted(self, variables: Variables, logits: Array) -> Array:
        """Logits [..., classes] after the post-hoc adjustment."""
        if not self.logit_adjustment:
            return logits
        counts = variables["constants"]["class_counts"]
        return logits - self.logit_adjustment * jnp.log(counts / counts.sum())

    def outputs(self, variables: Variables, logits: Array, pooled: Array | None = None) -> dict[str, Array]:
        """The outputs of `predict`, from logits [batch, classes] and from what they were computed from."""
        logits = self.adjusted(variables, logits)
        outputs = {"probabilities": jax.nn.softmax(logits), "logits": logits}
        if self.loss_function.name == "bce_with_logits":
            outputs["scores"] = jax.nn.sigmoid(logits)
        return outputs if pooled is None else outputs | {"pooled": pooled}


@dataclasses.dataclass(frozen=True)
class Parts:
    """What every method is built from, beside its own settings."""

    network: Network
    pictures: Pictures
    task: Classification
    views: ViewSettings
    dtype: Any = None

    def refuse_patches(self) -> None:
        """Refuse views of several patches, for a method that takes one picture."""
        shown = {"train": self.views.several_in_training, "evaluation": self.views.several_in_evaluation}
        for name, several in shown.items():
            if several:
                raise UserError(
                    f"views.{name} is {getattr(self.views, name)!r}, which shows several patches of an image: set "
                    "method.name to patches, or choose another view"
                )


def labels_of(batch: Batch, classes: int) -> tuple[Array, Array]:
    """Targets [batch, classes], zero where unlabelled, and weights [batch], zero where masked."""
    return jax.nn.one_hot(batch["label"], classes), batch["weight"] * batch["mask"]


def pooled_in(sown: Variables) -> Array | None:
    """What a head's last layer reads [batch, channels], if it tells."""
    found = [values for path, values in flatten_dict(sown.get("intermediates", {})).items() if path[-1] == "pooled"]
    return found[0][0] if found else None


def train_pass(
    module: Module, name: str, variables: Variables, inputs: Any, draws: Draws, **arguments: Any
) -> tuple[Any, Array | None, Variables]:
    """(outputs, `pooled_in` it, variables with its new batch statistics) of a module; dropout is as `draws` has it."""
    with dropout_by_position(draws.positions):
        outputs, updated = module.apply(
            subtree(variables, name),
            inputs,
            rngs={"dropout": module_key(draws.key, name)},
            mutable=["batch_stats", "intermediates"],
            **arguments,
        )
    statistics = {**variables["batch_stats"], name: updated.get("batch_stats", {})}
    return outputs, pooled_in(updated), {**variables, "batch_stats": statistics}


def subtree(variables: Variables, name: str) -> Variables:
    """The variables of one module."""
    return {collection: variables[collection][name] for collection in ("params", "batch_stats")}


def module_key(rng: Array, name: str) -> Array:
    """The initialisation key of the module `name`: adding a module leaves every other one's parameters as they were."""
    return jax.random.fold_in(rng, zlib.crc32(name.encode()))


def by_collection(modules: dict[str, Variables]) -> Variables:
    """{module: {collection: tree}} to {collection: {module: tree}}."""
    return {
        collection: {name: variables.get(collection, {}) for name, variables in modules.items()}
        for collection in ("params", "batch_stats")
    }
