"""Paper 001: a U-Net puts the patches of a picture back in their places, and a classifier reads what it restored.

The pretext needs no labels. Where it is trained on, pictures are disordered first; without its term, and in evaluation,
they are whole, and the classifier still reads what the restorer makes of them.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.core.errors import UserError
from skinjax.core.settings import number
from skinjax.images.pretexts import disorder
from skinjax.images.views import example_keys
from skinjax.methods.base import Array, Batch, MethodSettings, Module, Objective, Taps, Terms, Variables
from skinjax.methods.names import EARLY
from skinjax.methods.parts import Draws, Network, Parts, by_collection, module_key, subtree, train_pass
from skinjax.models.families.unet import Restorer, UNet


@dataclasses.dataclass(frozen=True)
class RestorationSettings(MethodSettings):
    """Paper 001's second pretext; the U-Net's levels have 1, 2, 4, 8 and 16 times `width` channels."""

    name: str = "restoration"
    patch: int = number(8, 1, 4096)  # pixels of a side
    swaps: int = number(20, 1, 10_000)
    width: int = number(32, 1, 1024)


@dataclasses.dataclass(frozen=True)
class Restoration:
    """A U-Net, and a network that classifies what it restored."""

    parts: Parts
    encoder: Module
    restorer: Module
    settings: RestorationSettings

    def init(self, rng: Array, batch: Batch) -> Variables:
        images = self.parts.pictures.evaluation_view(batch["image"])
        maps, encoder = self.encoder.init_with_output(module_key(rng, "encoder"), images, train=False)
        modules = {"encoder": encoder, "restorer": self.restorer.init(module_key(rng, "restorer"), maps, train=False)}
        return by_collection(modules | self.parts.network.init(rng, images))

    def constants(self, counts: np.ndarray, shares: np.ndarray) -> dict[str, np.ndarray]:
        return self.parts.task.constants(counts)

    def terms(self) -> dict[str, float]:
        return {"classification": 1.0, "restoration": 1.0}

    def pretexts(self) -> tuple[str, ...]:
        return ("restoration",)

    def loss(
        self, variables: Variables, batch: Batch, rng: Array, *, step: Array, phase: Objective
    ) -> tuple[Terms, dict]:
        network, task = self.parts.network, self.parts.task
        classification, restoration = (phase.coefficient(name, default) for name, default in self.terms().items())
        draws = Draws.for_batch(rng, batch)
        images, targets, weights = self.parts.pictures.for_training(batch, rng, len(task.classes), phase)
        keys = example_keys(module_key(rng, "restoration"), batch["position"])
        shown = self.disordered(keys, images) if restoration else images
        unet = Network(self.encoder, self.restorer, "encoder", "restorer")
        maps, after = unet.train_maps(variables, shown, draws, phase)
        restored, _, after = train_pass(self.restorer, "restorer", after, maps, draws, train=phase.trains("restorer"))
        terms: Terms = {}
        if restoration:
            terms["restoration"] = (restoration, *squared_error(restored, images, batch["mask"]))
        if classification:
            maps, after = network.train_maps(after, restored.astype(images.dtype), draws, phase)
            logits, _, after = network.train_answer(after, maps["features"], draws, phase)
            terms["classification"] = (classification, *task.term(variables, logits, targets, weights, phase))
        return terms, after["batch_stats"]

    def disordered(self, keys: Array, images: Array) -> Array:
        """Images as they are shown, with patches out of their places."""
        return disorder(keys, images, self.settings.patch, self.settings.swaps)

    def shown(self, rng: Array, images: Array) -> Array:
        keys = example_keys(rng, jnp.arange(len(images)))
        return self.disordered(keys, self.parts.pictures.train_view(keys, images))

    def restored(self, variables: Variables, images: Array) -> Array:
        """What the U-Net makes of whole images, as they are shown."""
        maps = self.encoder.apply(subtree(variables, "encoder"), images, train=False)
        return self.restorer.apply(subtree(variables, "restorer"), maps, train=False)

    def answer(self, variables: Variables, images: Array, at: Taps | None = None) -> tuple[Array, tuple]:
        """(the restored images, (logits, embeddings)) of stored uint8 images."""
        restored = self.restored(variables, self.parts.pictures.evaluation_view(images))
        maps = self.parts.network.maps(variables, restored, at)
        return restored, self.parts.network.answer(variables, maps["features"])

    def predict(self, variables: Variables, images: Array, at: Taps | None = None) -> dict[str, Array]:
        """As the classifier's, and the `reconstruction`."""
        restored, answer = self.answer(variables, images, at)
        return self.parts.task.outputs(variables, *answer) | {"reconstruction": restored}

    def evaluate(self, variables: Variables, batch: Batch, phase: Objective) -> dict:
        """The loss, and the error of the pretext, where it is trained on; each picture is disordered in its own way."""
        _, (logits, _) = self.answer(variables, batch["image"])
        terms = {"loss": self.parts.task.held_out_term(variables, logits, batch, phase)}
        if phase.coefficient("restoration", 1.0):
            images = self.parts.pictures.evaluation_view(batch["image"])
            shown = self.disordered(example_keys(jax.random.key(0), batch["index"]), images)
            terms["restoration"] = squared_error(self.restored(variables, shown), images, batch["mask"])
        return terms

    def stages(self) -> dict[str, str]:
        """The U-Net's, all of them early, then the classifier's."""
        unet = [*(f"encoder/{stage}" for stage in self.encoder.stages), "restorer"]
        return dict.fromkeys(unet, EARLY) | self.parts.network.stages()

    def trunks(self) -> dict[str, tuple[str, ...]]:
        return self.parts.network.trunks()


def squared_error(restored: Array, images: Array, mask: Array) -> tuple[Array, Array]:
    """(sum, count) of the mean squared difference of each image, labelled or not."""
    errors = jnp.square(restored - images).mean(axis=(1, 2, 3))
    counted = mask.astype(errors.dtype)
    return jnp.sum(counted * errors), counted.sum()


def build(parts: Parts, settings: RestorationSettings) -> Restoration:
    """The method of these parts, with a U-Net before them."""
    parts.refuse_patches()
    if any(side % settings.patch for side in parts.views.size):
        raise UserError(f"method.patch {settings.patch} does not divide views.size {parts.views.size}: choose another")
    if max(parts.views.size) == settings.patch:
        raise UserError(
            f"method.patch {settings.patch} is the whole picture, which has one place: choose a smaller one"
        )
    widths = tuple(settings.width * 2**level for level in range(5))
    return Restoration(parts, UNet(widths=widths, dtype=parts.dtype), Restorer(dtype=parts.dtype), settings)
