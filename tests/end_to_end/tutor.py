"""A method of its own for test_new_method.py: a second, smaller network that learns beside the first, and pulls at it.

All that a method is: its settings, its modules, its terms and `build`. It has a line in `METHODS` while it is tested.
"""

import dataclasses

import jax
import jax.numpy as jnp

from skinjax.core.settings import choice, number
from skinjax.methods.base import MethodSettings
from skinjax.methods.parts import Draws, Network, Parts, by_collection, labels_of
from skinjax.models import BACKBONES, make_backbone
from skinjax.models.heads.classifiers import LinearHead


@dataclasses.dataclass(frozen=True)
class TutorSettings(MethodSettings):
    """A tutor and how much its opinion counts."""

    name: str = "tutor"
    tutor: str = choice("resnet_tiny", "backbone", BACKBONES)
    pull: float = number(0.5, 0, 100)


@dataclasses.dataclass(frozen=True)
class Tutored:
    """The run's network, and a tutor that is trained beside it."""

    parts: Parts
    tutor: Network
    settings: TutorSettings

    def init(self, rng, batch):
        images = self.parts.pictures.evaluation_view(batch["image"])
        return by_collection(self.parts.network.init(rng, images) | self.tutor.init(rng, images))

    def constants(self, counts, shares):
        return self.parts.task.constants(counts)

    def terms(self):
        return {"classification": 1.0, "tutor": 1.0, "agreement": self.settings.pull}

    def loss(self, variables, batch, rng, *, step, phase):
        task = self.parts.task
        images, targets, weights = self.parts.pictures.for_training(batch, rng, len(task.classes), phase)
        draws, logits = Draws.for_batch(rng, batch), {}
        for name, network in (("classification", self.parts.network), ("tutor", self.tutor)):
            maps, variables = network.train_maps(variables, images, draws, phase)
            logits[name], _, variables = network.train_answer(variables, maps["features"], draws, phase)
        own = self.terms()
        terms = {
            name: (phase.coefficient(name, own[name]), *task.term(variables, answer, targets, weights, phase))
            for name, answer in logits.items()
        }
        pull = phase.coefficient("agreement", own["agreement"])
        terms["agreement"] = (pull, *disagreement(*logits.values(), weights))
        right, labelled = logits["tutor"].argmax(-1) == batch["label"], weights * (batch["label"] >= 0)
        terms["tutor_accuracy"] = (None, jnp.sum(right * labelled), jnp.sum(labelled))  # reported alone
        return terms, variables["batch_stats"]

    def predict(self, variables, images, at=None):
        logits, pooled = self.answer(self.parts.network, variables, images, at)
        return self.parts.task.outputs(variables, logits, pooled)

    def evaluate(self, variables, batch, phase):
        ours, theirs = (
            self.answer(network, variables, batch["image"])[0] for network in (self.parts.network, self.tutor)
        )
        _, weights = labels_of(batch, len(self.parts.task.classes))
        loss = self.parts.task.held_out_term(variables, ours, batch, phase)
        return {"loss": loss, "disagreement": disagreement(ours, theirs, weights)}

    def stages(self):
        return self.parts.network.stages() | self.tutor.stages()

    def trunks(self):
        return self.parts.network.trunks() | self.tutor.trunks()

    def answer(self, network, variables, images, at=None):
        maps = network.maps(variables, self.parts.pictures.evaluation_view(images), at)
        return network.answer(variables, maps["features"])


def disagreement(ours, theirs, weights):
    """(sum, count) of the squared distance of two answers."""
    distance = jnp.sum(jnp.square(jax.nn.softmax(ours) - jax.nn.softmax(theirs)), axis=-1)
    return jnp.sum(weights * distance), jnp.sum(weights)


def build(parts: Parts, settings: TutorSettings) -> Tutored:
    head = LinearHead(len(parts.task.classes))
    tutor = Network(make_backbone(settings.tutor, parts.dtype), head, trunk="tutor", top="tutor_head")
    return Tutored(parts, tutor, settings)
