"""Paper 001: a network also tells by how much a picture was turned, which needs no labels.

Its pictures are turned within the warp of their view, so that a turn leaves no other trace, and shown in a circle, so
that it leaves no corners. A phase without the term `rotation` shows them as they are.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.core.errors import UserError
from skinjax.core.settings import choice
from skinjax.images.geometry import per_example_uniform
from skinjax.images.pretexts import circle
from skinjax.images.views import example_keys
from skinjax.methods.base import Array, Batch, MethodSettings, Module, Objective, Taps, Terms, Variables
from skinjax.methods.names import TOP
from skinjax.methods.parts import Draws, Parts, by_collection, module_key, subtree, train_pass
from skinjax.models.heads.classifiers import LinearHead
from skinjax.objectives.losses import ClassificationLoss

ANGLES = {
    "six": tuple(60.0 * number for number in range(6)),
    "four": tuple(90.0 * number for number in range(4)),
}
MASKS = {
    "none": "pictures are shown with their corners",
    "turned": "pictures that are turned are shown in a circle",
    "always": "all pictures are shown in a circle, in evaluation too",
}


@dataclasses.dataclass(frozen=True)
class RotationSettings(MethodSettings):
    """Paper 001's first pretext."""

    name: str = "rotation"
    angles: str = choice("six", "value of method.angles", ANGLES)
    mask: str = choice("turned", "value of method.mask", MASKS)

    def check(self) -> None:
        super().check()
        if self.mixing is not None:
            raise UserError("the method rotation tells how far a picture is turned: leave mixup and cutmix off")


@dataclasses.dataclass(frozen=True)
class Rotation:
    """A classifier with a second head, for the angle."""

    parts: Parts
    head: Module
    settings: RotationSettings

    def init(self, rng: Array, batch: Batch) -> Variables:
        network, images = self.parts.network, self.parts.pictures.evaluation_view(batch["image"])
        modules, features = network.init_trunk(rng, images)
        modules |= network.init_head(rng, features)
        modules["rotation"] = self.head.init(module_key(rng, "rotation"), features, train=False)
        return by_collection(modules)

    def constants(self, counts: np.ndarray, shares: np.ndarray) -> dict[str, np.ndarray]:
        return self.parts.task.constants(counts)

    def terms(self) -> dict[str, float]:
        return {"classification": 1.0, "rotation": 1.0}

    def pretexts(self) -> tuple[str, ...]:
        return ("rotation",)

    def loss(
        self, variables: Variables, batch: Batch, rng: Array, *, step: Array, phase: Objective
    ) -> tuple[Terms, dict]:
        network, task = self.parts.network, self.parts.task
        classification, rotation = (phase.coefficient(name, default) for name, default in self.terms().items())
        draws, angles = Draws.for_batch(rng, batch), jnp.array(ANGLES[self.settings.angles])
        turn = self.turn(example_keys(module_key(rng, "rotation"), batch["position"]))
        turns = angles[turn] if rotation else None
        images, targets, weights = self.parts.pictures.for_training(batch, rng, len(task.classes), phase, turns)
        maps, after = network.train_maps(variables, self.masked(images, turns is not None), draws, phase)
        terms: Terms = {}
        if classification:
            logits, _, after = network.train_answer(after, maps["features"], draws, phase)
            terms["classification"] = (classification, *task.term(variables, logits, targets, weights, phase))
        if rotation:
            arguments = {"train": phase.trains("rotation")}
            logits, _, after = train_pass(self.head, "rotation", after, maps["features"], draws, **arguments)
            found = angle_terms(logits, turn, batch["mask"])
            terms["rotation"] = (rotation, *found["rotation"])
            terms["rotation_accuracy"] = (None, *found["rotation_accuracy"])
        return terms, after["batch_stats"]

    def shown(self, rng: Array, images: Array) -> Array:
        keys = example_keys(rng, jnp.arange(len(images)))
        turns = jnp.array(ANGLES[self.settings.angles])[self.turn(keys)]
        return self.masked(self.parts.pictures.train_view(keys, images, turns), True)

    def turn(self, keys: Array) -> Array:
        """The number of the angle of each key: [batch]."""
        return jnp.floor(per_example_uniform(keys, 1)[:, 0] * len(ANGLES[self.settings.angles])).astype(jnp.int32)

    def masked(self, images: Array, turned: bool) -> Array:
        """Normalised images, without what is beyond the circle where that is not shown."""
        shown = self.settings.mask == "none" or (self.settings.mask == "turned" and not turned)
        return images if shown else images * circle((images.shape[1], images.shape[2]))[:, :, None]

    def predict(self, variables: Variables, images: Array, at: Taps | None = None) -> dict[str, Array]:
        return self.parts.task.outputs(variables, *self.answer(variables, images, at))

    def evaluate(self, variables: Variables, batch: Batch, phase: Objective) -> dict:
        """The loss, and, where the pretext is trained on, its terms; each picture is turned by an angle of its own."""
        logits, _ = self.answer(variables, batch["image"])
        terms = {"loss": self.parts.task.held_out_term(variables, logits, batch, phase)}
        if phase.coefficient("rotation", 1.0):
            angles, network = jnp.array(ANGLES[self.settings.angles]), self.parts.network
            turn = batch["index"] % len(angles)
            shown = self.masked(self.parts.pictures.evaluation_view(batch["image"], angles[turn]), True)
            maps = network.maps(variables, shown)
            logits = self.head.apply(subtree(variables, "rotation"), maps["features"], train=False)
            terms |= angle_terms(logits, turn, batch["mask"])
        return terms

    def answer(self, variables: Variables, images: Array, at: Taps | None = None) -> tuple[Array, Array | None]:
        """The logits of stored uint8 images, and what they were computed from."""
        network, shown = self.parts.network, self.masked(self.parts.pictures.evaluation_view(images), False)
        return network.answer(variables, network.maps(variables, shown, at)["features"])

    def stages(self) -> dict[str, str]:
        return self.parts.network.stages() | {"rotation": TOP}

    def trunks(self) -> dict[str, tuple[str, ...]]:
        return self.parts.network.trunks()


def angle_terms(logits: Array, turn: Array, mask: Array) -> dict[str, tuple[Array, Array | None]]:
    """(sum, count) of the pretext's loss and accuracy, for the numbers [batch] of the angles."""
    angles, counted = logits.shape[-1], mask.astype(logits.dtype)  # labels and their weights say nothing here
    loss = ClassificationLoss()(logits, jax.nn.one_hot(turn, angles), jnp.ones(angles), counted)
    return {"rotation": loss, "rotation_accuracy": (jnp.sum(counted * (logits.argmax(axis=-1) == turn)), counted.sum())}


def build(parts: Parts, settings: RotationSettings) -> Rotation:
    """The method of these parts, with a linear head for the angles."""
    parts.refuse_patches()
    return Rotation(parts, LinearHead(len(ANGLES[settings.angles])), settings)
