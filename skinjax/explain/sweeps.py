"""How an answer moves while a correction's setting does (paper 002 shows pictures before and after)."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from skinjax.core.errors import lookup
from skinjax.images import correction
from skinjax.model import Model


class Sweep(NamedTuple):
    """A correction by one setting: a function of pictures and it, what it is, its values, the one that does nothing."""

    correct: Callable[[Array, float], Array]
    setting: str
    values: tuple[float, ...]
    unchanged: float


def strength_of(whole: correction.Correction) -> Callable[[Array, float], Array]:
    """A correction in parts: at 0 the pictures as they are, at 1 as corrected, between them a mixture of both."""

    def correct(images: Array, strength: float) -> Array:
        mixed = images + jnp.float32(strength) * (whole(images).astype(jnp.float32) - images)
        return jnp.round(mixed).astype(jnp.uint8)

    return jax.jit(correct)


def _values(low: float, high: float) -> tuple[float, ...]:
    return tuple(np.linspace(low, high, 9).round(6).tolist())


STRENGTH = "strength (0: as it is, 1: corrected)", _values(0, 1), 0.0
SWEEPS: dict[str, Sweep] = {
    # A third of each side is a ninth of the picture: beyond it most lesions are cut.
    "zoom": Sweep(correction.zoom, "zoom (the middle 1 / zoom of each side)", _values(1, 3), 1.0),
    # From 0.5 on skin in the shade counts as frame.
    "field_of_view_crop": Sweep(
        jax.jit(correction.field_of_view_crop), "darkness (of what counts as frame)", _values(0, 0.5), 0.0
    ),
    # As far either way, by factors; the paper has 1.2 to 1.5, without saying in which direction.
    "gamma": Sweep(correction.gamma, "gamma (above 1 shadows are brighter)", tuple(2**x for x in _values(-1, 1)), 1.0),
    "even_illumination": Sweep(strength_of(correction.even_illumination), *STRENGTH),
    "shades_of_grey": Sweep(strength_of(correction.shades_of_grey), *STRENGTH),
    "remove_hair": Sweep(strength_of(correction.remove_hair), *STRENGTH),
}


def sweep(model: Model, images: np.ndarray, name: str) -> tuple[Sweep, np.ndarray]:
    """What the correction `name` is swept over, and the probabilities [n, settings, classes] of photographs by it.

    images: uint8 [n, H, W, 3] as `Model.read` gives them; the corrections of the run itself come after
    """
    found = lookup("correction", name, SWEEPS)
    every = [np.asarray(found.correct(jnp.asarray(images), value)) for value in found.values]
    return found, np.stack([model.predict(pictures)["probabilities"] for pictures in every], axis=1)
