"""The plain classifier: backbone, head, any loss, optional mixup. Every other method departs from it."""

import dataclasses

import numpy as np

from skinjax.methods.base import Array, Batch, MethodSettings, Objective, Taps, Terms, Variables
from skinjax.methods.parts import Draws, Parts, by_collection, labels_of


@dataclasses.dataclass(frozen=True)
class Classifier:
    """Images to class probabilities by one backbone and one head."""

    parts: Parts

    def init(self, rng: Array, batch: Batch) -> Variables:
        return by_collection(self.parts.network.init(rng, self.parts.pictures.evaluation_view(batch["image"])))

    def constants(self, counts: np.ndarray, shares: np.ndarray) -> dict[str, np.ndarray]:
        return self.parts.task.constants(counts)

    def terms(self) -> dict[str, float]:
        return {"classification": 1.0}

    def loss(
        self, variables: Variables, batch: Batch, rng: Array, *, step: Array, phase: Objective
    ) -> tuple[Terms, dict]:
        network, task = self.parts.network, self.parts.task
        draws = Draws.for_batch(rng, batch)
        if "features" in batch:
            features, (targets, weights) = batch["features"], labels_of(batch, len(task.classes))
        else:
            images, targets, weights = self.parts.pictures.for_training(batch, rng, len(task.classes), phase)
            maps, variables = network.train_maps(variables, images, draws, phase)
            features = maps["features"]
        logits, _, variables = network.train_answer(variables, features, draws, phase)
        coefficient = phase.coefficient("classification", 1.0)
        terms: Terms = {"classification": (coefficient, *task.term(variables, logits, targets, weights, phase))}
        return terms, variables["batch_stats"]

    def predict(self, variables: Variables, images: Array, at: Taps | None = None) -> dict[str, Array]:
        return self.predict_from(variables, self.features(variables, images, at))

    def evaluate(self, variables: Variables, batch: Batch, phase: Objective) -> dict:
        features = batch["features"] if "features" in batch else self.features(variables, batch["image"])
        logits, _ = self.parts.network.answer(variables, features)
        return {"loss": self.parts.task.held_out_term(variables, logits, batch, phase)}

    def stages(self) -> dict[str, str]:
        return self.parts.network.stages()

    def trunks(self) -> dict[str, tuple[str, ...]]:
        return self.parts.network.trunks()

    def features(self, variables: Variables, images: Array, at: Taps | None = None) -> Array:
        """What the head reads of stored uint8 images: vectors, if it begins by pooling, else the last maps."""
        maps = self.parts.network.maps(variables, self.parts.pictures.evaluation_view(images), at)
        return self.parts.network.pooled(maps["features"])

    def predict_from(self, variables: Variables, features: Array) -> dict[str, Array]:
        return self.parts.task.outputs(variables, *self.parts.network.answer(variables, features))


def build(parts: Parts, settings: MethodSettings) -> Classifier:
    """The classifier of these parts."""
    parts.refuse_patches()
    return Classifier(parts)
