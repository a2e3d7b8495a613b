"""A method that sees every picture several times, turned or cut otherwise, and answers by the mean of what it says."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.core.errors import UserError
from skinjax.images.views import RepeatedView
from skinjax.methods.base import TABLE_OUTPUTS, Array, Batch, Method, Objective, Taps, Variables


@dataclasses.dataclass(frozen=True)
class Repeated:
    """`member` shown `views.places` pictures of each image; it is compiled once, and they follow each other."""

    member: Any  # a method made of parts
    views: RepeatedView

    def init(self, rng: Array, batch: Batch) -> Variables:
        return self.member.init(rng, batch)

    def constants(self, counts: np.ndarray, shares: np.ndarray) -> dict[str, Any]:
        return self.member.constants(counts, shares)

    def terms(self) -> dict[str, float]:
        return {}

    def loss(self, variables: Variables, batch: Batch, rng: Array, *, step: Array, phase: Objective) -> NoReturn:
        raise UserError("pictures are repeated in evaluation alone: train the method that is shown them")

    def predict(self, variables: Variables, images: Array, at: Taps | None = None) -> dict[str, Array]:
        """What a table is made of, the mean over the pictures; `logits` are the logarithm of the probabilities."""

        def seen(place: Array) -> dict[str, Array]:
            outputs = self.shown(place).predict(variables, images, at)
            return {name: outputs[name] for name in (*TABLE_OUTPUTS, "pooled") if name in outputs}

        outputs = jax.lax.map(seen, jnp.arange(self.views.places))
        means = {name: values.mean(axis=0) for name, values in outputs.items()}
        return means | {"logits": jnp.log(means["probabilities"])}

    def shown(self, place: Array) -> Method:
        """The member, whose evaluation view is that of a place."""
        parts = self.member.parts
        view = lambda images: self.views.show(place, images)  # noqa: E731
        pictures = dataclasses.replace(parts.pictures, evaluation_view=view)
        return dataclasses.replace(self.member, parts=dataclasses.replace(parts, pictures=pictures))

    def evaluate(self, variables: Variables, batch: Batch, phase: Objective) -> dict:
        return {}

    def stages(self) -> Mapping[str, str]:
        return self.member.stages()

    def trunks(self) -> Mapping[str, Sequence[str]]:
        return self.member.trunks()
