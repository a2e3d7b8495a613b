"""Paper 000: an auxiliary decoder and a twin classifier, L = L_c + alpha L_r + beta L_t (eq. 1).

The decoder rebuilds the augmented, normalised input from the last map; L_r is the class-weighted reconstruction error
(eq. 2, in one of two `RECONSTRUCTION_REDUCTIONS`); L_t is the classification loss of the same classifier on the
reconstruction. CD is beta = 0; with alpha = beta = 0 nothing is added and the method is the plain classifier.
"""

import dataclasses
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.core.settings import choice, number, section, to_plain
from skinjax.methods.base import Array, Batch, MethodSettings, Module, Parts, PhaseOfMethod, Terms, Variables
from skinjax.methods.classifier import Classifier, Draws, module_key, own, train_pass
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
class DecoderClassifier(Classifier):
    """The classifier with a decoder and a twin pass that shares its weights."""

    decoder: Module = None
    alpha: float = 10.0
    beta: float = 0.2
    norm: str = "l2"
    reconstruction_weight_formula: str = "odds_normalised"
    reconstruction_reduction: str = "per_image"
    twin_batch_norm: str = "update"
    stop_reconstruction_gradient: bool = False

    @property
    def has_decoder(self) -> bool:
        return self.alpha > 0 or self.beta > 0

    def stages(self) -> tuple[str, ...]:
        return (*super().stages(), "decoder") if self.has_decoder else super().stages()

    def init(self, rng: Array, batch: Batch) -> Variables:
        variables = super().init(rng, batch)
        if self.has_decoder:
            images = self.evaluation_view(batch["image"])
            features = self.backbone.apply(own(variables, "backbone"), images, train=False)["features"]
            decoder = self.decoder.init(module_key(rng, "decoder"), features, train=False)
            for collection in variables:
                variables[collection]["decoder"] = decoder[collection]
        return variables

    def constants(self, counts: np.ndarray, shares: np.ndarray) -> dict[str, np.ndarray]:
        """As the classifier's, and what an image of each class weighs in the reconstruction term."""
        constants = super().constants(counts, shares)
        if self.alpha > 0:
            formula, reduction = self.reconstruction_weight_formula, self.reconstruction_reduction
            weights = reconstruction_weights(formula, reduction, counts, shares, self.classes)
            constants["reconstruction_weights"] = weights.astype(np.float32)
        return constants

    def loss(
        self, variables: Variables, batch: Batch, rng: Array, *, step: Array, phase: PhaseOfMethod
    ) -> tuple[Terms, dict]:
        if not self.has_decoder:
            return super().loss(variables, batch, rng, step=step, phase=phase)
        images, targets, weights = self.training_inputs(batch, rng)
        draws = Draws(module_key(rng, "dropout"), batch["position"])
        maps, after = self.encode(variables, images, draws, phase)
        rebuilt, after = self.decode(after, maps["features"], draws, phase)
        terms: Terms = {}
        if self.beta > 0:
            if self.twin_batch_norm == "concat":
                statistics = {**after["batch_stats"], "backbone": variables["batch_stats"]["backbone"]}
                after = {**after, "batch_stats": statistics}
            logits, twin_logits, after = self.with_twin(after, images, rebuilt, maps["features"], draws, phase)
            terms["twin"] = (self.beta, *self.classify(variables, twin_logits, targets, weights, phase))
        else:
            logits, after = self.decide(after, maps["features"], draws, phase)
        terms["classification"] = (1.0, *self.classify(variables, logits, targets, weights, phase))
        if self.alpha > 0:
            of_classes, reduction = variables["constants"]["reconstruction_weights"], self.reconstruction_reduction
            term = reconstruction(rebuilt, images, targets, of_classes, weights, self.norm, reduction)
            terms["reconstruction"] = (self.alpha * term[0], *term[1:])
        return terms, after["batch_stats"]

    def decode(
        self, variables: Variables, features: Array, draws: Draws, phase: PhaseOfMethod
    ) -> tuple[Array, Variables]:
        """The reconstruction [batch, height, width, 3], and the variables with the decoder's statistics."""
        train = "decoder" not in phase.frozen
        return train_pass(self.decoder, "decoder", variables, features, draws, train=train)

    def with_twin(
        self,
        variables: Variables,
        images: Array,
        rebuilt: Array,
        features: Array,
        draws: Draws,
        phase: PhaseOfMethod,
    ) -> tuple[Array, Array, Variables]:
        """(logits of the images, of the reconstructions, variables) under the chosen BatchNorm option."""
        if self.stop_reconstruction_gradient:
            rebuilt = jax.lax.stop_gradient(rebuilt)
        if self.twin_batch_norm == "concat":
            both, draws = jnp.concatenate([images, rebuilt.astype(images.dtype)]), draws.with_twins()
            maps, variables = self.encode(variables, both, draws, phase)
            logits, variables = self.decide(variables, maps["features"], draws, phase)
            logits, twin_logits = jnp.split(logits, 2)
            return logits, twin_logits, variables
        logits, variables = self.decide(variables, features, draws, phase)
        maps, twice = self.encode(variables, rebuilt, draws.of_twins(), phase)
        twin_logits, twice = self.decide(twice, maps["features"], draws.of_twins(), phase)
        return logits, twin_logits, twice if self.twin_batch_norm == "update" else variables

    def predict(
        self, variables: Variables, images: Array, at: Mapping[str, Callable] | None = None
    ) -> dict[str, Array]:
        """Class probabilities, and the reconstruction of the evaluation view where a decoder was trained."""
        outputs = super().predict(variables, images, at)
        if self.has_decoder:
            maps = self.backbone.apply(own(variables, "backbone"), self.evaluation_view(images), train=False, at=at)
            outputs["reconstruction"] = self.decoder.apply(own(variables, "decoder"), maps["features"], train=False)
        return outputs


def build(parts: Parts, settings: DecoderClassifierSettings) -> DecoderClassifier:
    """The method of these parts, with a decoder back to the size that the network is shown."""
    parts.refuse_patches()
    return DecoderClassifier(
        **parts.of_every_method(settings),
        decoder=Decoder(parts.views.size, **to_plain(settings.decoder), dtype=parts.dtype),
        alpha=settings.alpha,
        beta=settings.beta,
        norm=settings.norm,
        reconstruction_weight_formula=settings.reconstruction_weights,
        reconstruction_reduction=settings.reconstruction_reduction,
        twin_batch_norm=settings.twin_batch_norm,
        stop_reconstruction_gradient=settings.stop_reconstruction_gradient,
    )
