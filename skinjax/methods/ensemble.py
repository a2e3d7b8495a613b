"""Networks that were trained apart, and answer together by the mean of their probabilities."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.core.errors import UserError
from skinjax.methods.base import Array, Batch, Method, Objective, Taps, Variables
from skinjax.methods.names import taps_of


@dataclasses.dataclass(frozen=True)
class Ensemble:
    """Methods whose variables lie in each collection below `member0`, `member1` and so on."""

    members: tuple[Method, ...]

    def init(self, rng: Array, batch: Batch) -> Variables:
        return united([of.init(jax.random.fold_in(rng, number), batch) for number, of in enumerate(self.members)])

    def constants(self, counts: np.ndarray, shares: np.ndarray) -> dict[str, Any]:
        return {name: of.constants(counts, shares) for name, of in self.named()}

    def terms(self) -> dict[str, float]:
        return {}

    def loss(self, variables: Variables, batch: Batch, rng: Array, *, step: Array, phase: Objective) -> NoReturn:
        raise UserError("an ensemble is not trained as one: train each of its members, and unite their variables")

    def predict(self, variables: Variables, images: Array, at: Taps | None = None) -> dict[str, Array]:
        each = [
            of.predict(own, images, taps_of(name, at))
            for (name, of), own in zip(self.named(), parted(variables, len(self.members)), strict=True)
        ]
        return united_outputs(each)

    def evaluate(self, variables: Variables, batch: Batch, phase: Objective) -> dict:
        return {}

    def stages(self) -> dict[str, str]:
        return {f"{name}/{stage}": group for name, of in self.named() for stage, group in of.stages().items()}

    def trunks(self) -> dict[str, tuple[str, ...]]:
        return {
            f"{name}/{trunk}": tuple(f"{name}/{head}" for head in heads)
            for name, of in self.named()
            for trunk, heads in of.trunks().items()
        }

    def named(self) -> Iterator[tuple[str, Method]]:
        """Each member with its name among variables and stages."""
        return zip(names(len(self.members)), self.members, strict=True)


def united_outputs(each: Sequence[dict[str, Array]]) -> dict[str, Array]:
    """The mean of the `probabilities`, its logarithm as `logits`, and `members` [batch, members, classes].

    `pooled` are the members' side by side, `scores`, `hard` and `soft` their means. Nothing where they tell no classes.
    """
    if "probabilities" not in each[0]:
        return {}
    members = jnp.stack([outputs["probabilities"] for outputs in each], axis=1)
    together = {"probabilities": members.mean(axis=1), "members": members}
    together["logits"] = jnp.log(together["probabilities"])
    if "pooled" in each[0]:
        together["pooled"] = jnp.concatenate([outputs["pooled"] for outputs in each], axis=-1)
    for name in {"scores", "hard", "soft"} & each[0].keys():
        together[name] = jnp.mean(jnp.stack([outputs[name] for outputs in each]), axis=0)
    return together


def names(size: int) -> list[str]:
    """The names of the members among variables and stages."""
    return [f"member{number}" for number in range(size)]


def united(members: Sequence[Variables]) -> Variables:
    """Join the variables of members to those of their ensemble."""
    return {kind: dict(zip(names(len(members)), (of[kind] for of in members), strict=True)) for kind in members[0]}


def parted(variables: Variables, size: int) -> list[Variables]:
    """The variables of each member of an ensemble: the inverse of `united`."""
    return [{kind: tree[name] for kind, tree in variables.items()} for name in names(size)]
