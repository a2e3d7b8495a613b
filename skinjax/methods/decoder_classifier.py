"""Paper 000: an auxiliary decoder and a twin classifier, L = L_c + alpha L_r + beta L_t (eq. 1).

The decoder rebuilds the augmented, normalised input from the last map; L_r is the class-weighted reconstruction error
(eq. 2, in one of two `RECONSTRUCTION_REDUCTIONS`); L_t is the classification loss of the same classifier on the
reconstruction. CD is beta = 0; with alpha = beta = 0 nothing is added and the method is the plain classifier.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.core.portable import is_portable
from skinjax.core.settings import choice, number, section, to_plain
from skinjax.methods.base import Array, Batch, MethodSettings, Module, Objective, Taps, Terms, Variables
from skinjax.methods.names import TOP
from skinjax.methods.parts import Draws, Parts, by_collection, module_key, subtree, train_pass
from skinjax.models.heads.decoder import Decoder, DecoderSettings
from skinjax.objectives.class_weights import CLASS_WEIGHTS
from skinjax.objectives.reconstruction import (
    RECONSTRUCTION_NORMS,
    RECONSTRUCTION_REDUCTIONS,
    reconstruction,
    reconstruction_weights,
)

TWIN_BATCH_NORMS = {
    "update": "the twin pass updates the running statistics a second time, as a plain second forward pass does",
    "batch_stats_no_update": "the twin pass uses its own batch's statistics and leaves the running ones alone",
    "concat": "images and reconstructions go through the classifier as one batch (a third pass; one update)",
}


@dataclasses.dataclass(frozen=True)
class DecoderClassifierSettings(MethodSettings):
    """Paper 000's method; beta = 0 is CD."""

    name: str = "decoder_classifier"
    alpha: float = number(10.0, 0, 1e9)
    beta: float = number(0.2, 0, 1e9)
    norm: str = choice("l2", "reconstruction norm", RECONSTRUCTION_NORMS)
    # of eq. 2; the formula none, with per_image, is the plain mean over images
    reconstruction_weights: str = choice("odds_normalised", "class weight formula", CLASS_WEIGHTS)
    # per_image is eq. 2 in expectation; class_means has 0 for a class that is not in the batch
    reconstruction_reduction: str = choice("per_image", "reconstruction_reduction", RECONSTRUCTION_REDUCTIONS)
    twin_batch_norm: str = choice("update", "twin_batch_norm", TWIN_BATCH_NORMS)
    stop_reconstruction_gradient: bool = False
    decoder: DecoderSettings = section(DecoderSettings)


@dataclasses.dataclass(frozen=True)
class DecoderClassifier:
    """A classifier with a decoder and a twin pass that shares its weights."""

    parts: Parts
    decoder: Module
    settings: DecoderClassifierSettings = DecoderClassifierSettings()

    @property
    def has_decoder(self) -> bool:
        return self.settings.alpha > 0 or self.settings.beta > 0

    def init(self, rng: Array, batch: Batch) -> Variables:
        network, images = self.parts.network, self.parts.pictures.evaluation_view(batch["image"])
        modules, features = network.init_trunk(rng, images)
        modules |= network.init_head(rng, features)
        if self.has_decoder:
            modules["decoder"] = self.decoder.init(module_key(rng, "decoder"), features, train=False)
        return by_collection(modules)

    def constants(self, counts: np.ndarray, shares: np.ndarray) -> dict[str, np.ndarray]:
        """As the classifier's, and what an image of each class weighs in the reconstruction term."""
        constants, settings, classes = self.parts.task.constants(counts), self.settings, self.parts.task.classes
        if settings.alpha > 0:
            formula, reduction = settings.reconstruction_weights, settings.reconstruction_reduction
            weights = reconstruction_weights(formula, reduction, counts, shares, classes)
            constants["reconstruction_weights"] = weights.astype(np.float32)
        return constants

    def terms(self) -> dict[str, float]:
        return {"classification": 1.0, "reconstruction": self.settings.alpha, "twin": self.settings.beta}

    def loss(
        self, variables: Variables, batch: Batch, rng: Array, *, step: Array, phase: Objective
    ) -> tuple[Terms, dict]:
        network, task, settings = self.parts.network, self.parts.task, self.settings
        classification, alpha, beta = (phase.coefficient(name, default) for name, default in self.terms().items())
        images, targets, weights = self.parts.pictures.for_training(batch, rng, len(task.classes), phase)
        draws = Draws.for_batch(rng, batch)
        maps, after = network.train_maps(variables, images, draws, phase)
        terms: Terms = {}
        if alpha or beta:
            trains = phase.trains("decoder")
            rebuilt, _, after = train_pass(self.decoder, "decoder", after, maps["features"], draws, train=trains)
        if beta:
            if settings.twin_batch_norm == "concat":
                statistics = {**after["batch_stats"], "backbone": variables["batch_stats"]["backbone"]}
                after = {**after, "batch_stats": statistics}
            logits, twin_logits, after = self.with_twin(after, images, rebuilt, maps["features"], draws, phase)
            terms["twin"] = (beta, *task.term(variables, twin_logits, targets, weights, phase))
        else:
            logits, _, after = network.train_answer(after, maps["features"], draws, phase)
        if classification:
            terms["classification"] = (classification, *task.term(variables, logits, targets, weights, phase))
        if alpha:
            by_class, reduction = variables["constants"]["reconstruction_weights"], settings.reconstruction_reduction
            term = reconstruction(rebuilt, images, targets, by_class, weights, settings.norm, reduction)
            terms["reconstruction"] = (alpha * term[0], *term[1:])
        return terms, after["batch_stats"]

    def with_twin(
        self, variables: Variables, images: Array, rebuilt: Array, features: Array, draws: Draws, phase: Objective
    ) -> tuple[Array, Array, Variables]:
        """(logits of the images, of the reconstructions, variables) under the chosen BatchNorm option."""
        network, option = self.parts.network, self.settings.twin_batch_norm
        if self.settings.stop_reconstruction_gradient:
            rebuilt = jax.lax.stop_gradient(rebuilt)
        if option == "concat":
            both, draws = jnp.concatenate([images, rebuilt.astype(images.dtype)]), draws.with_twins()
            maps, variables = network.train_maps(variables, both, draws, phase)
            logits, _, variables = network.train_answer(variables, maps["features"], draws, phase)
            logits, twin_logits = jnp.split(logits, 2)
            return logits, twin_logits, variables
        logits, _, variables = network.train_answer(variables, features, draws, phase)
        maps, twice = network.train_maps(variables, rebuilt, draws.for_twins(), phase)
        twin_logits, _, twice = network.train_answer(twice, maps["features"], draws.for_twins(), phase)
        return logits, twin_logits, twice if option == "update" else variables

    def predict(self, variables: Variables, images: Array, at: Taps | None = None) -> dict[str, Array]:
        """As the classifier's, and the reconstruction of the evaluation view where a decoder was trained."""
        features = self.features(variables, images, at)
        outputs = self.parts.task.outputs(variables, *self.parts.network.answer(variables, features))
        if self.has_decoder and not is_portable():  # a file would carry the decoder, for nobody
            outputs["reconstruction"] = self.decoder.apply(subtree(variables, "decoder"), features, train=False)
        return outputs

    def evaluate(self, variables: Variables, batch: Batch, phase: Objective) -> dict:
        logits, _ = self.parts.network.answer(variables, self.features(variables, batch["image"]))
        return {"loss": self.parts.task.held_out_term(variables, logits, batch, phase)}

    def stages(self) -> dict[str, str]:
        return self.parts.network.stages() | ({"decoder": TOP} if self.has_decoder else {})

    def trunks(self) -> dict[str, tuple[str, ...]]:
        return self.parts.network.trunks()

    def features(self, variables: Variables, images: Array, at: Taps | None = None) -> Array:
        """The last maps of stored uint8 images."""
        return self.parts.network.maps(variables, self.parts.pictures.evaluation_view(images), at)["features"]


def build(parts: Parts, settings: DecoderClassifierSettings) -> DecoderClassifier:
    """The method of these parts, with a decoder back to the size that the network is shown."""
    parts.refuse_patches()
    decoder = Decoder(parts.views.size, **to_plain(settings.decoder), dtype=parts.dtype)
    return DecoderClassifier(parts, decoder, settings)
