"""What the lesions of each class look like: outline, colour, and the fine structures that some of them show."""

from dataclasses import dataclass

import numpy as np

from skinjax.data.synthetic.camera import Layers, View
from skinjax.data.synthetic.elements import Range, smooth, spectrum
from skinjax.data.synthetic.structures import STRUCTURES


@dataclass(frozen=True)
class Shape:
    """Ranges from which a lesion draws its outline."""

    radius: Range  # fields of view
    length: Range  # long axis over short axis
    roughness: Range
    softness: Range  # of the edge, in radii


@dataclass(frozen=True)
class Colour:
    """Ranges from which a lesion draws its pigments."""

    melanin: Range
    blood: Range
    blue: Range = (0.0, 0.1)
    patchiness: Range = (0.1, 0.4)
    pale_centre: Range = (0.0, 0.3)


@dataclass(frozen=True)
class Recipe:
    """The lesions of a class: shape, colour, and for each fine structure the share of lesions that show it."""

    shape: Shape
    colour: Colour
    structures: dict[str, float]


SHAPES = {
    "even": Shape((0.17, 0.36), (1.0, 1.5), (0.06, 0.22), (0.10, 0.35)),
    "jagged": Shape((0.18, 0.37), (1.0, 1.6), (0.12, 0.30), (0.08, 0.30)),
    "sharp": Shape((0.17, 0.36), (1.0, 1.6), (0.06, 0.25), (0.05, 0.20)),
    "small": Shape((0.10, 0.24), (1.0, 1.3), (0.04, 0.15), (0.05, 0.20)),
    "soft": Shape((0.17, 0.36), (1.0, 1.7), (0.08, 0.30), (0.20, 0.55)),
}
COLOURS = {
    "brown": Colour((0.5, 1.4), (0.0, 0.5)),
    "pink": Colour((0.1, 0.6), (0.5, 1.2)),
    "scar": Colour((0.4, 1.0), (0.1, 0.7), pale_centre=(0.45, 0.9)),
    "veiled": Colour((0.5, 1.4), (0.0, 0.5), blue=(0.0, 0.3), patchiness=(0.15, 0.45)),
    "red": Colour((0.0, 0.3), (1.2, 2.5), blue=(0.0, 0.6), patchiness=(0.05, 0.2)),
    "tan": Colour((0.3, 0.8), (0.0, 0.3)),
    "grey": Colour((0.1, 0.5), (0.1, 0.4), blue=(0.5, 1.1)),
    "black": Colour((1.7, 2.8), (0.0, 0.4), blue=(0.1, 0.5)),
}
RECIPES = {
    "akiec": Recipe(SHAPES["soft"], COLOURS["pink"], {"red_network": 0.9, "scale": 0.7}),
    "bcc": Recipe(SHAPES["even"], COLOURS["pink"], {"vessels": 0.9, "nests": 0.6}),
    "bkl": Recipe(SHAPES["sharp"], COLOURS["brown"], {"ridges": 0.75, "cysts": 0.85, "openings": 0.4}),
    "df": Recipe(SHAPES["even"], COLOURS["scar"], {"fine_network": 0.6}),
    "mel": Recipe(SHAPES["jagged"], COLOURS["veiled"], {"labyrinth": 0.9, "dots": 0.8}),
    "nv": Recipe(SHAPES["even"], COLOURS["brown"], {"network": 0.8, "globules": 0.4}),
    "vasc": Recipe(SHAPES["small"], COLOURS["red"], {"lacunae": 0.95}),
}


def invent(number: int) -> Recipe:
    """The recipe of an invented class."""
    # 5 shapes, 8 colours and 7 structures share no divisor: 280 numbers in a row are 280 combinations.
    shape, colour = tuple(SHAPES.values())[number % 5], tuple(COLOURS.values())[number % 8]
    return Recipe(shape, colour, {tuple(STRUCTURES)[number % 7]: 0.95})


def draw_lesion(layers: Layers, view: View, recipe: Recipe, clarity: float, rng: np.random.Generator) -> None:
    """The lesion: its outline, its colour, its structures."""
    shape, colour = recipe.shape, recipe.colour
    radius, length = rng.uniform(*shape.radius), np.sqrt(rng.uniform(*shape.length))
    distance = view.ellipse(radius * length, radius / length)
    centre = np.exp(-4 * np.square(distance))
    outline = spectrum(rng, 32, 0.25 / radius, 2.5 / radius, slope=1.0)
    distance += view.waves(outline, rng.uniform(*shape.roughness))
    inside = smooth((1 - distance) * np.float32(1 / rng.uniform(*shape.softness)) + np.float32(0.5))
    patches = view.waves(spectrum(rng, 24, 0.4 / radius, 1.6 / radius, slope=0.5))
    body = (1 + np.float32(rng.uniform(*colour.patchiness)) * patches) * inside
    pale = centre * np.float32(rng.uniform(*colour.pale_centre)) * inside
    body *= 1 - pale
    layers["melanin"] += np.float32(rng.uniform(*colour.melanin)) * body
    layers["blood"] += np.float32(rng.uniform(*colour.blood)) * body
    layers["blue"] += np.float32(rng.uniform(*colour.blue)) * body * smooth(patches + np.float32(0.5))
    layers["white"] += np.float32(0.45) * pale
    where = inside * smooth(np.float32(0.4) * patches + np.float32(0.8))
    for name, share in recipe.structures.items():
        strength = clarity * rng.uniform(0.35, 1.0)
        if rng.random() < share:
            structure = STRUCTURES[name]
            pattern = structure.pattern(view, radius, rng)
            pattern *= np.float32(strength * structure.amount)
            pattern *= where
            layers[structure.layer] += pattern
