"""Paper 004: networks side by side that also learn whether their images are of one class (synergic deep learning).

Each of n networks has weights and images of its own. For any two of them a synergic head reads both embeddings, which
is what their last layers read: L = sum of l_a + sum of l_S(a, b). The networks feel lambda times the gradient of l_S,
the heads the gradient itself (eq. 5). They predict together, by the mean of their probabilities for one image (eq. 6).

Eq. 4 as printed lacks its minus sign and swaps the labels, and is unbounded below; l_S is the cross-entropy it means.
"""

import dataclasses
import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax

from skinjax.core.errors import UserError
from skinjax.core.settings import choice, number
from skinjax.methods.base import Array, Batch, MethodSettings, Module, Objective, Taps, Terms, Variables
from skinjax.methods.ensemble import united_outputs
from skinjax.methods.names import TOP
from skinjax.methods.parts import Draws, Network, Parts, by_collection, module_key, train_pass
from skinjax.models.heads.synergic import SynergicHead

GRADIENTS = {
    "paper": "the synergic loss moves networks by `synergy` times its gradient, and its own heads by that itself",
    "total_loss": "the synergic loss counts `synergy` times in the sum, and moves its heads so much faster as well",
}


@dataclasses.dataclass(frozen=True)
class SynergicSettings(MethodSettings):
    """Paper 004's method; each step takes an image for every member, by the sampler `tuples` or independent streams."""

    name: str = "synergic"
    members: int = number(2, 1, 4)
    synergy: float | None = number(3.0, 0, 1e6)  # lambda; None: no synergic heads, and networks that are trained apart
    gradient: str = choice("paper", "value of method.gradient", GRADIENTS)

    @property
    def places(self) -> int:
        return self.members

    @property
    def reach(self) -> float:
        """By how much the gradient of the synergic loss is larger in the networks than in its heads."""
        return self.synergy or 0.0 if self.gradient == "paper" else 1.0

    @property
    def weight(self) -> float:
        """How often the synergic loss counts."""
        return 1.0 if self.gradient == "paper" else self.synergy or 0.0

    def check(self) -> None:
        super().check()
        if self.synergy is not None and self.members > 1 and self.mixing:
            raise UserError("mixup leaves no pair of images that are of one class or not: set method.synergy to None")


@dataclasses.dataclass(frozen=True)
class Synergic:
    """Networks with a synergic head for any two of them."""

    parts: Parts
    networks: tuple[Network, ...]
    head: Module
    settings: SynergicSettings

    def pairs(self) -> dict[str, tuple[int, int]]:
        """The name of each synergic head, and the places of the networks that it compares."""
        pairs = itertools.combinations(range(len(self.networks)), 2) if self.settings.synergy is not None else ()
        return {f"synergy{a + 1}{b + 1}": (a, b) for a, b in pairs}

    def init(self, rng: Array, batch: Batch) -> Variables:
        images, modules = self.parts.pictures.evaluation_view(batch["image"]), dict[str, Variables]()
        for network in self.networks:
            modules |= network.init(rng, images)
        answers = self.answers(by_collection(modules), images)
        for name, pair in self.pairs().items():
            embeddings = paired([answers[place][1] for place in pair])
            modules[name] = self.head.init(module_key(rng, name), embeddings, train=False)
        return by_collection(modules)

    def constants(self, counts: np.ndarray, shares: np.ndarray) -> dict[str, np.ndarray]:
        return self.parts.task.constants(counts)

    def terms(self) -> dict[str, float]:
        return {"classification": 1.0, "synergic": float(bool(self.pairs()))}

    def loss(
        self, variables: Variables, batch: Batch, rng: Array, *, step: Array, phase: Objective
    ) -> tuple[Terms, dict]:
        """Of batches with columns [batch, n], but for the `position` [batch]; for n = 1 the classifier's."""
        places, task = range(len(self.networks)), self.parts.task
        classification, synergic = (phase.coefficient(name, default) for name, default in self.terms().items())
        images_of = [in_place(batch, place, len(places)) for place in places]
        losses, embeddings, after = [], [], variables
        for network, own in zip(self.networks, images_of, strict=True):
            images, targets, weights = self.parts.pictures.for_training(own, rng, len(task.classes), phase)
            draws = Draws.for_batch(rng, own)
            maps, after = network.train_maps(after, images, draws, phase)
            logits, embedding, after = network.train_answer(after, maps["features"], draws, phase)
            losses.append(task.term(variables, logits, targets, weights, phase))
            embeddings.append(embedding)
        terms: Terms = {"classification": (classification, *together(losses))} if classification else {}
        found: list[tuple[Array, ...]] = []
        for name, pair in self.pairs().items() if synergic else ():
            read = paired([embeddings[place] for place in pair], self.settings.reach)
            draws = Draws.for_batch(rng, images_of[pair[0]])
            logits, _, after = train_pass(self.head, name, after, read, draws, train=phase.trains(name))
            found.append(told(logits, *(images_of[place] for place in pair)))
        if found:
            count, loss, right, same = map(jnp.stack, zip(*found, strict=True))
            terms["synergic"] = (synergic * self.settings.weight, loss, count)
            terms["synergic_accuracy"] = (None, right.sum(), count.sum())
            terms["same_class"] = (None, same.sum(), count.sum())
        return terms, after["batch_stats"]

    def answers(self, variables: Variables, shown: Array, at: Taps | None = None) -> list[tuple[Array, Array | None]]:
        """(logits, embeddings) of each network for the same images, as they are shown."""
        maps = (network.maps(variables, shown, at)["features"] for network in self.networks)
        return [network.answer(variables, features) for network, features in zip(self.networks, maps, strict=True)]

    def predict(self, variables: Variables, images: Array, at: Taps | None = None) -> dict[str, Array]:
        """Of the networks together; see `united_outputs`."""
        answers = self.answers(variables, self.parts.pictures.evaluation_view(images), at)
        return united_outputs([self.parts.task.outputs(variables, *answer) for answer in answers])

    def evaluate(self, variables: Variables, batch: Batch, phase: Objective) -> dict:
        """The mean of the networks' losses."""
        answers = self.answers(variables, self.parts.pictures.evaluation_view(batch["image"]))
        losses = [self.parts.task.held_out_term(variables, logits, batch, phase) for logits, _ in answers]
        sums, counts = together(losses)
        return {"loss": (sums.mean(axis=0), None if counts is None else counts[0])}

    def stages(self) -> dict[str, str]:
        stages = {stage: group for network in self.networks for stage, group in network.stages().items()}
        return stages | dict.fromkeys(self.pairs(), TOP)

    def trunks(self) -> dict[str, tuple[str, ...]]:
        return {trunk: heads for network in self.networks for trunk, heads in network.trunks().items()}


def in_place(batch: Batch, place: int, n: int) -> Batch:
    """The batch of one network: a column of every [batch, n], and positions that no other place has."""
    columns = {name: column if n == 1 else column[:, place] for name, column in batch.items() if name != "position"}
    return columns | {"position": batch["position"] * n + place}


def paired(embeddings: Sequence[Array | None], reach: float = 1.0) -> Array:
    """What a synergic head reads of two networks [batch, 2 * features], which feel its gradient `reach` times."""
    found = [embedding for embedding in embeddings if embedding is not None]
    assert len(found) == len(embeddings)  # every head tells what its last layer reads
    return jnp.concatenate([x + (reach - 1) * (x - jax.lax.stop_gradient(x)) for x in found], axis=-1)


def told(logits: Array, one: Batch, other: Batch) -> tuple[Array, ...]:
    """Of pairs: how many count, and the sums of the synergic loss, of right answers and of pairs of one class."""
    same, weights = (one["label"] == other["label"]).astype(logits.dtype), jnp.ones_like(logits)
    for side in (one, other):
        weights *= side["weight"] * side["mask"] * (side["label"] >= 0)
    sums = (optax.sigmoid_binary_cross_entropy(logits, same), (logits > 0) == (same > 0), same)
    return weights.sum(), *(jnp.sum(weights * of_pairs) for of_pairs in sums)


def together(terms: Sequence[tuple[Array, Array | None]]) -> tuple[Array, Array | None]:
    """The (sum, count) of several terms as those of one that adds them up."""
    sums, counts = zip(*terms, strict=True)
    return jnp.stack(sums), None if counts[0] is None else jnp.stack(counts)


def build(parts: Parts, settings: SynergicSettings) -> Synergic:
    """The method of these parts, with a copy of their network for every member."""
    parts.refuse_patches()
    named = ({"trunk": f"backbone{number}", "top": f"head{number}"} for number in range(1, settings.members + 1))
    networks = tuple(dataclasses.replace(parts.network, **names) for names in named)
    return Synergic(parts, networks, SynergicHead(), settings)
