"""Fine structures of lesions, by name: patterns drawn into a layer of the skin, dense ones about zero on average."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from skinjax.data.synthetic.camera import View
from skinjax.data.synthetic.elements import Range, honeycomb, scatter, smooth, spectrum, wander

PERIOD = 1 / 29
"""Of a network, in fields of view: six pixels of a photograph of 224x168, one and a half of one of 56x42."""


def _network(view: View, radius: float, rng: np.random.Generator, period: float = PERIOD) -> np.ndarray:
    """Thin lines around the cells of a honeycomb."""
    return smooth(np.float32(0.2) - np.float32(1.2) * view.waves(honeycomb(rng, period))) - np.float32(0.33)


def _globules(view: View, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Round spots in the cells of a honeycomb."""
    return smooth(view.waves(honeycomb(rng, 1.2 * PERIOD)) - np.float32(0.2)) - np.float32(0.25)


def _labyrinth(view: View, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Winding, branching lines: where random waves pass through zero, which is twice in their period."""
    waves = view.waves(spectrum(rng, 40, 0.5 / PERIOD, 0.75 / PERIOD))
    return smooth(1 - np.abs(waves, out=waves)) - np.float32(0.36)


def _ridges(view: View, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Lines side by side, as of a fingerprint."""
    waves = view.waves(spectrum(rng, 12, 0.9 / PERIOD, 1.1 / PERIOD, spread=0.4))
    return smooth(np.float32(0.2) - np.float32(1.2) * waves) - np.float32(0.33)


def _flakes(view: View, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Small islands."""
    return smooth(view.waves(spectrum(rng, 40, 14.0, 30.0)) - np.float32(0.9))


def _specks(view: View, radius: float, rng: np.random.Generator, count: Range, size: Range) -> np.ndarray:
    """Round spots, anywhere."""
    centres = scatter(rng, int(rng.uniform(*count)), radius)
    return view.blobs(centres, rng.uniform(*size, len(centres)), rng.uniform(0.5, 1.0, len(centres)))


def _lacunae(view: View, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Pools with clear edges."""
    centres = scatter(rng, int(rng.integers(10, 26)), radius)
    pools = view.blobs(centres, rng.uniform(0.07, 0.14, len(centres)) * radius, np.ones(len(centres)))
    return smooth(3 * (pools - np.float32(0.4)))


def _vessels(view: View, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Thin stems with thinner branches."""
    lines = []
    for start in scatter(rng, 5, radius):
        heading, thickness = rng.uniform(0, 2 * np.pi), view.zoom * rng.uniform(0.005, 0.009)
        stem = wander(rng, start, heading, 10, 0.12 * radius, bend=0.35)
        lines.append((view.place(stem), thickness))
        for fork in rng.integers(2, 9, 3):
            aside = heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.1)
            lines.append((view.place(wander(rng, stem[fork], aside, 7, 0.09 * radius, bend=0.35)), 0.6 * thickness))
    return view.strokes(lines)


@dataclass(frozen=True)
class Structure:
    """A pattern, the layer it is drawn in, and how strong."""

    layer: str
    amount: float
    pattern: Callable[[View, float, np.random.Generator], np.ndarray]


STRUCTURES = {
    "network": Structure("melanin", 1.1, _network),
    "labyrinth": Structure("melanin", 1.2, _labyrinth),
    "ridges": Structure("melanin", 1.1, _ridges),
    "globules": Structure("melanin", 1.3, _globules),
    "dots": Structure("melanin", 2.5, partial(_specks, count=(20, 60), size=(0.006, 0.010))),
    "cysts": Structure("white", 0.9, partial(_specks, count=(15, 40), size=(0.006, 0.010))),
    "vessels": Structure("blood", 2.5, _vessels),
    "fine_network": Structure("melanin", 0.4, partial(_network, period=0.85 * PERIOD)),
    "red_network": Structure("blood", 1.0, partial(_network, period=1.1 * PERIOD)),
    "openings": Structure("melanin", 1.6, partial(_specks, count=(4, 12), size=(0.012, 0.02))),
    "nests": Structure("blue", 1.4, partial(_specks, count=(3, 9), size=(0.012, 0.03))),
    "scale": Structure("white", 0.5, _flakes),
    "lacunae": Structure("blood", 2.2, _lacunae),
}
