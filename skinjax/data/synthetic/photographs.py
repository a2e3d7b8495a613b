"""Dermoscopy-like photographs drawn from a seed, at any size: for tests, demonstrations and benchmarks, not medicine.

The classes differ partly in shape and colour and partly in fine structures (network, globules, dots, vessels, cysts)
that vanish when the photograph is made small. A photograph depends on version, seed, class and number only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import simplejpeg
from PIL import Image, ImageDraw

from skinjax.core.errors import UserError

GENERATOR_VERSION = 1
"""Part of every random seed; belongs in the name of whatever is stored. Another version draws other photographs."""

HAM10000_COUNTS = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}
HAM10000_RATIO = HAM10000_COUNTS["nv"] / HAM10000_COUNTS["df"]
MOST_CLASSES = 256


@dataclass(frozen=True)
class Settings:
    """What to draw.

    Args:
      images: how many photographs.
      height, width: pixels; the shorter side is the field of view, in units of which everything is drawn.
      classes: 7 are HAM10000's; any other number are invented ones.
      imbalance: the largest class over the smallest, the others in geometric steps between; or 'ham10000' for its
        counts (with invented classes: its ratio).
      seed: another seed draws other lesions of the same classes.
    """

    images: int = 1500
    height: int = 168
    width: int = 224
    classes: int = 7
    imbalance: str | float = "ham10000"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.classes <= MOST_CLASSES:
            raise UserError(f"synthetic: classes is {self.classes}; give 2 to {MOST_CLASSES}")
        if self.images < self.classes:
            raise UserError(f"synthetic: images is {self.images}; give at least one for each of {self.classes} classes")
        if min(self.height, self.width) < 32:
            raise UserError(f"synthetic: size is {self.height}x{self.width}; give a height and a width of at least 32")
        if self.seed < 0:
            raise UserError(f"synthetic: seed is {self.seed}; give 0 or a positive number")
        if isinstance(self.imbalance, str):
            if self.imbalance != "ham10000":
                raise UserError(f"synthetic: imbalance is {self.imbalance!r}; give 'ham10000' or a number from 1 on")
        elif not 1 <= self.imbalance < np.inf:
            raise UserError(f"synthetic: imbalance is {self.imbalance}; give 'ham10000' or a number from 1 on")


def class_names(classes: int) -> tuple[str, ...]:
    """HAM10000's names for seven classes, invented ones for any other number.

    >>> class_names(3)
    ('class_000', 'class_001', 'class_002')
    """
    if classes == len(HAM10000_COUNTS):
        return tuple(HAM10000_COUNTS)
    return tuple(f"class_{i:03d}" for i in range(classes))


def class_counts(settings: Settings) -> np.ndarray:
    """Photographs per class, which sum to `settings.images`, three at least where there are enough: int [classes]."""
    ham = np.array(list(HAM10000_COUNTS.values()), float)
    named = settings.classes == len(ham)
    if named and settings.imbalance == "ham10000":
        shares = ham
    else:
        ratio = HAM10000_RATIO if isinstance(settings.imbalance, str) else settings.imbalance
        rank = np.argsort(np.argsort(-ham)) if named else np.arange(settings.classes)
        shares = ratio ** (-rank / (settings.classes - 1))
    return _apportion(shares / shares.sum(), settings.images, least=min(3, settings.images // settings.classes))


def plan(settings: Settings) -> dict[str, np.ndarray]:
    """The columns of the data set, one row per photograph, in an order that says nothing about the class.

    Returns:
      image_id, group (the lesion), dx_type, sex, site: str [images]; label: int32 [images]; age: float32 [images].
    """
    return _plan(settings)[0]


class Painter:
    """Draws the photographs of one plan (its `columns`); threads may share it.

    >>> Painter(Settings(images=7, height=32, width=40)).draw(3).shape
    (32, 40, 3)
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self.columns, self._keys = _plan(settings)
        named = settings.classes == len(RECIPES)
        self._recipes = tuple(RECIPES.values()) if named else tuple(map(_invent, range(settings.classes)))

    def draw(self, row: int) -> np.ndarray:
        """The photograph of a row of the plan: uint8 [height, width, 3]."""
        seed, height, width = self.settings.seed, self.settings.height, self.settings.width
        label, lesion, photo = (int(part) for part in self._keys[row])
        clarity = CLARITY[str(self.columns["dx_type"][row])]
        lesion_rng, photo_rng = _rng(seed, LESION, label, lesion), _rng(seed, PHOTO, label, lesion, photo)
        # A small photograph is a large one made small: thin structures fade instead of aliasing.
        finer = max(1, round(LEAST_SIDE / min(height, width)))
        view = View.random(height * finer, width * finer, photo_rng)
        layers = dict(zip(LAYERS, np.zeros((len(LAYERS), *view.shape), np.float32), strict=True))
        _draw_skin(layers, view, lesion_rng)
        _draw_lesion(layers, view, self._recipes[label], clarity, lesion_rng)
        _draw_hairs(layers, view, photo_rng)
        _draw_light(layers, view, photo_rng)
        pixels = _develop(layers, photo_rng)
        return pixels if finer == 1 else np.asarray(Image.fromarray(pixels).reduce(finer))


def encode(image: np.ndarray) -> bytes:
    """A JPEG of uint8 [height, width, 3], at a quality and a colour resolution that keep the fine structures."""
    return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=92, colorspace="RGB", colorsubsampling="444")


# Which photographs there are

ORDER, SIZES, DX_TYPE, AGE, SEX, SITE, LESION, PHOTO = range(1, 9)
"""Random streams. Each column has its own, so that a lesion's value does not depend on how many lesions there are."""

LEAST_SIDE = 160
"""Pixels, about: a photograph with a shorter side is drawn some whole number of times larger, then averaged."""

CLARITY = {"histo": 0.75, "consensus": 1.0, "confocal": 0.9, "follow_up": 1.0}
"""How strong the fine structures are, by dx_type: what was excised had been hard to tell."""

SITES = ("back", "lower extremity", "trunk", "upper extremity", "abdomen", "face", "chest", "foot", "neck", "scalp")


@dataclass(frozen=True)
class Patients:
    """Who has the lesions of a class, after HAM10000's metadata. Shares need not sum to one."""

    dx_type: dict[str, float]
    photographs: tuple[float, ...]  # shares of the lesions with 1, 2, 3 and 4
    age: tuple[float, float]  # mean and standard deviation
    male: float
    sites: tuple[float, ...]  # shares of SITES


HISTO = {"histo": 1.0}
PATIENTS = {
    "akiec": Patients(HISTO, (66, 25, 8, 1), (67, 11), 0.68, (9, 20, 2, 19, 1, 35, 4, 2, 4, 4)),
    "bcc": Patients(HISTO, (56, 32, 11, 1), (67, 14), 0.62, (36, 11, 2, 10, 4, 20, 9, 1, 3, 4)),
    "bkl": Patients(
        {"histo": 70, "consensus": 24, "confocal": 6}, (60, 30, 9, 1), (64, 14), 0.57, (18, 16, 7, 9, 4, 29, 7, 3, 4, 3)
    ),
    "df": Patients({"histo": 48, "consensus": 52}, (56, 32, 11, 1), (53, 13), 0.55, (2, 71, 1, 21, 3, 0, 0, 2, 0, 0)),
    "mel": Patients(HISTO, (40, 42, 15, 3), (61, 15), 0.62, (29, 17, 4, 19, 6, 9, 6, 4, 3, 3)),
    "nv": Patients(
        {"follow_up": 55, "histo": 37, "consensus": 8},
        (81, 14, 5, 0),
        (46, 15),
        0.51,
        (21, 22, 19, 10, 13, 2, 4, 4, 2, 3),
    ),
    "vasc": Patients(
        {"histo": 47, "consensus": 53}, (65, 26, 8, 1), (51, 22), 0.49, (15, 19, 22, 8, 19, 6, 4, 3, 2, 2)
    ),
}


def _plan(settings: Settings) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The columns of `plan`, and each row's (label, lesion of the class, photograph of it): int64 [images, 3]."""
    seed = settings.seed
    patients = [tuple(PATIENTS.values())[label % len(PATIENTS)] for label in range(settings.classes)]
    keys = np.concatenate([_keys(seed, k, patients[k], n) for k, n in enumerate(class_counts(settings))])
    keys = keys[_rng(seed, ORDER).permutation(len(keys))]
    _, first, lesion = np.unique(keys[:, 0] << 32 | keys[:, 1], return_index=True, return_inverse=True)
    by_class = [_metadata(seed, k, patients[k], len(keys)) for k in range(settings.classes)]
    columns = {
        "image_id": np.array([f"synthetic_{i:07d}" for i in range(len(keys))]),
        "label": keys[:, 0].astype(np.int32),
        # Numbered as they first appear, so that the name says nothing about the class.
        "group": np.array([f"lesion_{i:07d}" for i in np.argsort(np.argsort(first))[lesion]]),
    }
    columns |= {name: np.array([by_class[k][name][i] for k, i, _ in keys]) for name in by_class[0]}
    return columns, keys


def _keys(seed: int, label: int, patients: Patients, images: int) -> np.ndarray:
    """The keys of a class's photographs: int64 [images, 3]. At least three lesions, where there are enough."""
    wanted = 1 + _choose(_rng(seed, SIZES, label), patients.photographs, images)
    sizes: list[int] = []
    left = images
    while left:
        lesions_to_come = max(0, 2 - len(sizes))
        sizes.append(max(1, min(int(wanted[len(sizes)]), left - lesions_to_come)))
        left -= sizes[-1]
    return np.array([(label, lesion, photo) for lesion, size in enumerate(sizes) for photo in range(size)])


def _metadata(seed: int, label: int, patients: Patients, lesions: int) -> dict[str, np.ndarray]:
    """Columns of a class's lesions, each [lesions]."""
    dx_type = _choose(_rng(seed, DX_TYPE, label), tuple(patients.dx_type.values()), lesions)
    age = patients.age[0] + patients.age[1] * _rng(seed, AGE, label).standard_normal(lesions)
    return {
        "dx_type": np.array(list(patients.dx_type))[dx_type],
        "age": (5 * np.round(age / 5)).clip(5, 85).astype(np.float32),
        "sex": np.where(_rng(seed, SEX, label).random(lesions) < patients.male, "male", "female"),
        "site": np.array(SITES)[_choose(_rng(seed, SITE, label), patients.sites, lesions)],
    }


def _choose(rng: np.random.Generator, shares: tuple[float, ...], count: int) -> np.ndarray:
    """Positions in `shares`, in proportion to them: int [count]. A longer draw begins with the shorter one."""
    edges = np.cumsum(shares) / np.sum(shares)
    return np.searchsorted(edges[:-1], rng.random(count), side="right")


def _apportion(shares: np.ndarray, total: int, least: int) -> np.ndarray:
    """Whole numbers near `total * shares` that sum to `total`, none below `least`: int [classes]."""
    counts = np.maximum(np.floor(total * shares).astype(int), least)
    while counts.sum() != total:
        lacking = total * shares - counts
        if counts.sum() < total:
            counts[np.argmax(lacking)] += 1
        else:
            counts[np.argmin(np.where(counts > least, lacking, np.inf))] -= 1
    return counts


def _rng(seed: int, stream: int, *key: int) -> np.random.Generator:
    # One is added because numpy takes [1, 2] and [1, 2, 0] for the same seed.
    return np.random.default_rng([GENERATOR_VERSION, seed, stream, *(part + 1 for part in key)])


# The camera

Waves = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Plane waves: vectors [count, 2], phases [count], weights [count]."""


@dataclass(frozen=True)
class View:
    """Where a photograph looks. Drawn from lesion coordinates (fields of view), exactly, at any size and angle."""

    x: np.ndarray  # [width], fields of view from the middle of the photograph
    y: np.ndarray  # [height]
    turn: np.ndarray  # [2, 2], from lesion vectors to photograph vectors
    shift: np.ndarray  # [2], where the lesion's origin appears

    @classmethod
    def random(cls, height: int, width: int, rng: np.random.Generator) -> "View":
        """A photograph of [height, width] pixels, turned, zoomed and shifted at random."""
        y, x = ((np.arange(n, dtype=np.float32) + 0.5 - n / 2) / min(height, width) for n in (height, width))
        angle, zoom = rng.uniform(0, 2 * np.pi), rng.uniform(0.88, 1.18)
        turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return cls(x, y, turn, rng.uniform(-0.1, 0.1, 2))

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.y), len(self.x)

    @property
    def zoom(self) -> float:
        return float(np.hypot(*self.turn[0]))

    def place(self, points: np.ndarray) -> np.ndarray:
        """Photograph coordinates of lesion coordinates: both [points, 2]."""
        return points @ self.turn.T + self.shift

    def ellipse(self, a: float, b: float) -> np.ndarray:
        """Distance from the lesion's origin, 1 on the ellipse with half axes a and b: [height, width]."""
        back = (np.linalg.inv(self.turn) / ((a,), (b,))).astype(np.float32)
        x, y = self.x - np.float32(self.shift[0]), (self.y - np.float32(self.shift[1]))[:, None]
        squares = np.square(back[0, 0] * x + back[0, 1] * y)
        squares += np.square(back[1, 0] * x + back[1, 1] * y)
        return np.sqrt(squares, out=squares)

    def waves(self, waves: Waves, gain: float = 1.0) -> np.ndarray:
        """The sum of `gain * weights * cos(vectors . position + phases)`: [height, width].

        A plane wave is separable at any angle, so the sum is one matrix product.
        """
        vectors, phases, weights = waves
        vectors = vectors @ np.linalg.inv(self.turn)
        phases = (phases - vectors @ self.shift).astype(np.float32)
        vectors = vectors.astype(np.float32)
        across = vectors[:, :1] * self.x
        down = vectors[:, 1:] * self.y + phases[:, None]
        weights = (gain * np.tile(weights, 2)).astype(np.float32)
        rows = np.concatenate([np.cos(down), -np.sin(down)]) * weights[:, None]
        return rows.T @ np.concatenate([np.cos(across), np.sin(across)])

    def blobs(self, centres: np.ndarray, radii: np.ndarray, heights: np.ndarray) -> np.ndarray:
        """The sum of round Gaussian spots: [height, width]; separable, like `waves`."""
        centres = self.place(centres)
        scale = -0.5 / (radii * self.zoom)[:, None] ** 2
        rows = heights[:, None] * np.exp(scale * (self.y - centres[:, 1:]) ** 2)
        columns = np.exp(scale * (self.x - centres[:, :1]) ** 2)
        return rows.astype(np.float32).T @ columns.astype(np.float32)

    def strokes(self, lines: list[tuple[np.ndarray, float]]) -> np.ndarray:
        """How far polylines (photograph coordinates [points, 2], thickness) cover a pixel, 0 to 1: [height, width]."""
        height, width = self.shape
        side, finer = min(height, width), 2
        canvas = Image.new("L", (width * finer, height * finer))
        pen = ImageDraw.Draw(canvas)
        for points, thickness in lines:
            corners = (points * side + (width / 2, height / 2)) * finer
            pen.line([tuple(p) for p in corners.tolist()], fill=255, width=max(1, round(thickness * side * finer)))
        return np.asarray(canvas.reduce(finer), np.float32) / 255


LAYERS = ("melanin", "blood", "blue", "white", "light")
"""What lies in and on the skin, an amount per pixel, and the logarithm of the light that falls on it."""

Layers = dict[str, np.ndarray]

SKIN = (0.92, 0.79, 0.74)
KERATIN = (0.95, 0.90, 0.87)
ABSORBED = {"melanin": (0.43, 0.70, 0.95), "blood": (0.07, 0.50, 0.36), "blue": (0.80, 0.52, 0.28)}
"""Red, green and blue: reflectance of bare skin and of the white layer; absorbance of one unit of each pigment."""

GRAIN = 4.0
"""The camera's noise, at most, in grey levels."""


def _develop(layers: Layers, rng: np.random.Generator) -> np.ndarray:
    """The photograph, by Beer and Lambert's law: uint8 [height, width, 3]."""
    shape = layers["light"].shape
    exposure = 255 * np.exp(rng.normal(0, 0.08) + rng.normal(0, 0.04, 3))
    noise = np.frombuffer(rng.bytes(3 * shape[0] * shape[1]), np.int8).reshape(3, *shape)
    light, white = np.exp(layers["light"]), layers["white"].clip(0, 0.9)
    pixels = np.empty((*shape, 3), np.uint8)
    value, other = np.empty((2, *shape), np.float32)
    # In place: at this size the allocation of temporaries costs as much as the arithmetic.
    for channel in range(3):
        value[:] = 0
        for pigment, absorbed in ABSORBED.items():
            value -= np.multiply(layers[pigment], np.float32(absorbed[channel]), out=other)
        np.exp(value, out=value)
        value *= np.float32(SKIN[channel])
        np.subtract(np.float32(KERATIN[channel]), value, out=other)
        value += np.multiply(other, white, out=other)
        value *= light
        value *= np.float32(exposure[channel])
        value += np.multiply(noise[channel], np.float32(GRAIN / 128), out=other)
        pixels[..., channel] = np.clip(value, 0, 255, out=value)
    return pixels


# What the classes look like

Range = tuple[float, float]


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


def _invent(number: int) -> Recipe:
    """The recipe of an invented class."""
    # 5 shapes, 8 colours and 7 structures share no divisor: 280 numbers in a row are 280 combinations.
    shape, colour = tuple(SHAPES.values())[number % 5], tuple(COLOURS.values())[number % 8]
    return Recipe(shape, colour, {tuple(STRUCTURES)[number % 7]: 0.95})


def _draw_skin(layers: Layers, view: View, rng: np.random.Generator) -> None:
    """Skin of one of many tones, mottled, lined, sometimes freckled."""
    tone = rng.choice([0.0, 0.2, 0.5, 1.1], p=[0.45, 0.33, 0.15, 0.07]) + rng.uniform(0, 0.15)
    for layer, amount, gain in (("melanin", tone, 0.09), ("blood", rng.uniform(0.0, 0.35), 0.12)):
        layers[layer] += view.waves(_spectrum(rng, 24, 1.0, 14.0, slope=0.7), rng.uniform(0.03, gain))
        layers[layer] += np.float32(amount)
    layers["light"] += view.waves(_spectrum(rng, 24, 16.0, 30.0), 0.015)
    freckles = rng.poisson(rng.choice([0, 0, 6]))
    if freckles:
        radii, amounts = rng.uniform(0.008, 0.03, freckles), rng.uniform(0.1, 0.4, freckles)
        layers["melanin"] += view.blobs(rng.uniform(-0.7, 0.7, (freckles, 2)), radii, amounts)


def _draw_lesion(layers: Layers, view: View, recipe: Recipe, clarity: float, rng: np.random.Generator) -> None:
    """The lesion: its outline, its colour, its structures."""
    shape, colour = recipe.shape, recipe.colour
    radius, length = rng.uniform(*shape.radius), np.sqrt(rng.uniform(*shape.length))
    distance = view.ellipse(radius * length, radius / length)
    centre = np.exp(-4 * np.square(distance))
    outline = _spectrum(rng, 32, 0.25 / radius, 2.5 / radius, slope=1.0)
    distance += view.waves(outline, rng.uniform(*shape.roughness))
    inside = _smooth((1 - distance) * np.float32(1 / rng.uniform(*shape.softness)) + np.float32(0.5))
    patches = view.waves(_spectrum(rng, 24, 0.4 / radius, 1.6 / radius, slope=0.5))
    body = (1 + np.float32(rng.uniform(*colour.patchiness)) * patches) * inside
    pale = centre * np.float32(rng.uniform(*colour.pale_centre)) * inside
    body *= 1 - pale
    layers["melanin"] += np.float32(rng.uniform(*colour.melanin)) * body
    layers["blood"] += np.float32(rng.uniform(*colour.blood)) * body
    layers["blue"] += np.float32(rng.uniform(*colour.blue)) * body * _smooth(patches + np.float32(0.5))
    layers["white"] += np.float32(0.45) * pale
    where = inside * _smooth(np.float32(0.4) * patches + np.float32(0.8))
    for name, share in recipe.structures.items():
        strength = clarity * rng.uniform(0.35, 1.0)
        if rng.random() < share:
            structure = STRUCTURES[name]
            pattern = structure.pattern(view, radius, rng)
            pattern *= np.float32(strength * structure.amount)
            pattern *= where
            layers[structure.layer] += pattern


# Fine structures: patterns (view, radius of the lesion, generator) -> [height, width], dense ones about zero on average

PERIOD = 1 / 29
"""Of a network, in fields of view: six pixels of a photograph of 224x168, one and a half of one of 56x42."""


def _network(view: View, radius: float, rng: np.random.Generator, period: float = PERIOD) -> np.ndarray:
    """Thin lines around the cells of a honeycomb."""
    return _smooth(np.float32(0.2) - np.float32(1.2) * view.waves(_honeycomb(rng, period))) - np.float32(0.33)


def _globules(view: View, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Round spots in the cells of a honeycomb."""
    return _smooth(view.waves(_honeycomb(rng, 1.2 * PERIOD)) - np.float32(0.2)) - np.float32(0.25)


def _labyrinth(view: View, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Winding, branching lines: where random waves pass through zero, which is twice in their period."""
    waves = view.waves(_spectrum(rng, 40, 0.5 / PERIOD, 0.75 / PERIOD))
    return _smooth(1 - np.abs(waves, out=waves)) - np.float32(0.36)


def _ridges(view: View, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Lines side by side, as of a fingerprint."""
    waves = view.waves(_spectrum(rng, 12, 0.9 / PERIOD, 1.1 / PERIOD, spread=0.4))
    return _smooth(np.float32(0.2) - np.float32(1.2) * waves) - np.float32(0.33)


def _flakes(view: View, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Small islands."""
    return _smooth(view.waves(_spectrum(rng, 40, 14.0, 30.0)) - np.float32(0.9))


def _specks(view: View, radius: float, rng: np.random.Generator, count: Range, size: Range) -> np.ndarray:
    """Round spots, anywhere."""
    centres = _scatter(rng, int(rng.uniform(*count)), radius)
    return view.blobs(centres, rng.uniform(*size, len(centres)), rng.uniform(0.5, 1.0, len(centres)))


def _lacunae(view: View, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Pools with clear edges."""
    centres = _scatter(rng, int(rng.integers(10, 26)), radius)
    pools = view.blobs(centres, rng.uniform(0.07, 0.14, len(centres)) * radius, np.ones(len(centres)))
    return _smooth(3 * (pools - np.float32(0.4)))


def _vessels(view: View, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Thin stems with thinner branches."""
    lines = []
    for start in _scatter(rng, 5, radius):
        heading, thickness = rng.uniform(0, 2 * np.pi), view.zoom * rng.uniform(0.005, 0.009)
        stem = _wander(rng, start, heading, 10, 0.12 * radius, bend=0.35)
        lines.append((view.place(stem), thickness))
        for fork in rng.integers(2, 9, 3):
            aside = heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.1)
            lines.append((view.place(_wander(rng, stem[fork], aside, 7, 0.09 * radius, bend=0.35)), 0.6 * thickness))
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


# What a photograph shows whatever the class


def _draw_hairs(layers: Layers, view: View, rng: np.random.Generator) -> None:
    """Dark or pale hairs in some photographs, the marks of a ruler in a few."""
    count = rng.poisson(rng.choice([0, 0, 3, 10]))
    if count:
        lean, lines = rng.uniform(0, 2 * np.pi), []
        for start in rng.uniform(-0.7, 0.7, (count, 2)):
            hair = _wander(rng, start, lean + rng.normal(0, 0.4), 16, rng.uniform(0.015, 0.05), bend=0.07)
            lines.append((hair, rng.uniform(0.004, 0.008)))
        hairs = view.strokes(lines)
        if rng.random() < 0.8:
            layers["melanin"] += np.float32(rng.uniform(1.2, 2.5)) * hairs
            layers["light"] -= np.float32(0.4) * hairs
        else:
            layers["white"] += np.float32(0.5) * hairs
    if rng.random() < 0.12:
        layers["light"] -= np.float32(1.6) * view.strokes(_ruler(rng))


def _ruler(rng: np.random.Generator) -> list[tuple[np.ndarray, float]]:
    """Marks along the upper or the lower edge, every fifth a long one."""
    edge, inwards, marks = rng.uniform(0.42, 0.47), rng.choice([-1, 1]), []
    for i, x in enumerate(np.arange(-0.6, 0.6, rng.uniform(0.04, 0.08))):
        tip = edge - (0.06 if i % 5 == 0 else 0.03)
        marks.append((np.array([(x, inwards * edge), (x, inwards * tip)]), 0.006))
    return marks


def _draw_light(layers: Layers, view: View, rng: np.random.Generator) -> None:
    """Uneven light and, in some photographs, the dark corners of a dermatoscope."""
    x, y = view.x - np.float32(rng.normal(0, 0.03)), (view.y - np.float32(rng.normal(0, 0.03)))[:, None]
    radius = np.sqrt(x * x + y * y)
    slope, dusk = rng.normal(0, 0.12, 2).astype(np.float32), np.float32(rng.uniform(0, 0.35))
    layers["light"] += (slope[0] * x - dusk * x * x) + (slope[1] * y - dusk * y * y)
    if rng.random() < 0.3:
        edge, blur = np.float32(rng.uniform(0.56, 0.72)), np.float32(1 / rng.uniform(0.02, 0.06))
        layers["light"] -= 4 * _smooth((radius - edge) * blur)


# Small tools


def _smooth(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    y = 3 - 2 * x
    y *= x
    y *= x
    return y


def _spectrum(
    rng: np.random.Generator, count: int, low: float, high: float, slope: float = 0.0, spread: float = np.pi
) -> Waves:
    """Random waves of unit variance between two frequencies (per field of view), weaker by `frequency ** -slope`."""
    heading = rng.uniform(0, 2 * np.pi) + rng.uniform(-spread, spread, count)
    frequency = low * (high / low) ** rng.random(count)
    weights = frequency**-slope
    return _polar(frequency, heading), rng.uniform(0, 2 * np.pi, count), weights * np.sqrt(2 / np.sum(weights**2))


def _honeycomb(rng: np.random.Generator, period: float) -> Waves:
    """Waves of unit variance that peak on a hexagonal lattice, a little uneven."""
    base, weights = rng.uniform(0, 2 * np.pi), np.repeat([1.0, 0.5, 0.5], 3)
    heading = base + np.repeat(rng.normal(0, 0.12, 3), 3) + np.tile(2 * np.pi / 3 * np.arange(3), 3)
    frequency = np.repeat(rng.normal(1, 0.08, 3), 3) / period
    phases = rng.uniform(0, 2 * np.pi, (3, 3))
    phases -= phases.mean(1, keepdims=True)  # three that sum to zero make the peaks round and the valleys a net
    return _polar(frequency, heading), phases.ravel(), weights * np.sqrt(2 / np.sum(weights**2))


def _polar(frequency: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """Wave vectors: [count, 2]."""
    return 2 * np.pi * frequency[:, None] * np.stack([np.cos(heading), np.sin(heading)], -1)


def _scatter(rng: np.random.Generator, count: int, radius: float) -> np.ndarray:
    """Points spread evenly over a disc: [count, 2]."""
    heading, distance = rng.uniform(0, 2 * np.pi, count), radius * np.sqrt(rng.random(count))
    return distance[:, None] * np.stack([np.cos(heading), np.sin(heading)], -1)


def _wander(
    rng: np.random.Generator, start: np.ndarray, heading: float, steps: int, step: float, bend: float
) -> np.ndarray:
    """A path that changes its heading a little at every step: [steps + 1, 2]."""
    headings = heading + np.cumsum(rng.normal(0, bend, steps))
    moves = step * np.stack([np.cos(headings), np.sin(headings)], -1)
    return start + np.concatenate([np.zeros((1, 2)), np.cumsum(moves, 0)])
