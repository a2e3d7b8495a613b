"""Dermoscopy-like photographs drawn from a seed, at any size, for tests, demonstrations and benchmarks: a test bench, not medicine.

The classes differ partly in shape and colour and partly in fine structures (network, globules, dots, vessels, cysts) that
vanish when the photograph is made small. A photograph is a pure function of (generator version, seed, class, lesion, photo).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import simplejpeg
from PIL import Image, ImageDraw

from skinjax.errors import UserError

GENERATOR_VERSION = 1
"""Part of every seed and of every stored data set's name: another version draws other photographs."""

HAM10000_COUNTS = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}
HAM10000_RATIO = HAM10000_COUNTS["nv"] / HAM10000_COUNTS["df"]
MOST_CLASSES = 256


@dataclass(frozen=True)
class Settings:
    """What to draw.

    Args:
      images: how many photographs.
      height, width: pixels; the short side is the field of view, in units of which everything is drawn.
      classes: 7 are HAM10000's; any other number are invented ones.
      imbalance: 'ham10000' for its proportions (its ratio, when the classes are invented), or the largest class over the smallest.
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
            raise UserError(f"synthetic: classes is {self.classes}, but must lie between 2 and {MOST_CLASSES}")
        if self.images < self.classes:
            raise UserError(
                f"synthetic: {self.images} images cannot show {self.classes} classes; ask for at least as many"
            )
        if min(self.height, self.width) < 32:
            raise UserError(f"synthetic: {self.height}x{self.width} is too small; height and width must be at least 32")
        if self.seed < 0:
            raise UserError(f"synthetic: seed is {self.seed}, but must not be negative")
        if isinstance(self.imbalance, str):
            if self.imbalance != "ham10000":
                raise UserError(f"synthetic: imbalance is {self.imbalance!r}; give 'ham10000' or a number from 1 on")
        elif not 1 <= self.imbalance < np.inf:
            raise UserError(
                f"synthetic: imbalance is {self.imbalance}, but the largest class over the smallest is at least 1"
            )


def class_names(classes: int) -> tuple[str, ...]:
    """HAM10000's names for seven classes, invented ones for any other number.

    >>> class_names(3)
    ('class_000', 'class_001', 'class_002')
    """
    return (
        tuple(HAM10000_COUNTS) if classes == len(HAM10000_COUNTS) else tuple(f"class_{i:03d}" for i in range(classes))
    )


def class_counts(settings: Settings) -> np.ndarray:
    """Photographs per class, summing to `settings.images`: int [classes]; at least three each when there are enough."""
    ham = np.array(list(HAM10000_COUNTS.values()), float)
    named = settings.classes == len(ham)
    if named and settings.imbalance == "ham10000":
        shares = ham
    else:
        ratio = HAM10000_RATIO if isinstance(settings.imbalance, str) else settings.imbalance
        shares = ratio ** -np.linspace(0, 1, settings.classes)
        if named:
            shares = shares[np.argsort(np.argsort(-ham))]
    least = min(3, settings.images // settings.classes)
    return _apportion(shares / shares.sum(), settings.images, least)


def plan(settings: Settings) -> dict[str, np.ndarray]:
    """The columns of the data set, one row per photograph, in an order that says nothing about the class.

    Returns:
      image_id, group (the lesion), dx_type, sex, site: str [images]; label: int32 [images]; age: float32 [images].
    """
    return _Plan.make(settings).columns


class Painter:
    """Draws the photographs of one plan; several threads may share it.

    >>> Painter(Settings(images=7, height=32, width=40)).draw(3).shape
    (32, 40, 3)
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self._plan = _Plan.make(settings)
        self._recipes = RECIPES if settings.classes == len(RECIPES) else tuple(map(_invent, range(settings.classes)))

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """What `plan` returns."""
        return self._plan.columns

    def draw(self, row: int) -> np.ndarray:
        """The photograph of a row of the plan: uint8 [height, width, 3]."""
        settings = self.settings
        label, lesion, photo = (int(v) for v in self._plan.keys[row])
        lesion_rng = _generator(settings.seed, LESION, label, lesion)
        photo_rng = _generator(settings.seed, PHOTO, label, lesion, photo)
        clarity = CLARITY[str(self._plan.columns["dx_type"][row])]
        # A small photograph is a large one made small: thin structures fade instead of aliasing.
        finer = max(1, round(LEAST_SIDE / min(settings.height, settings.width)))
        view = View.random(settings.height * finer, settings.width * finer, photo_rng)
        layers = Layers(view.shape)
        _draw_skin(layers, view, lesion_rng)
        _draw_lesion(layers, view, self._recipes[label], clarity, lesion_rng)
        _draw_hairs(layers, view, photo_rng)
        _draw_light(layers, view, photo_rng)
        pixels = layers.develop(photo_rng)
        return pixels if finer == 1 else np.asarray(Image.fromarray(pixels).reduce(finer))


def encode(image: np.ndarray) -> bytes:
    """JPEG bytes of uint8 [height, width, 3], at a quality and chroma resolution that keep the fine structures."""
    return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=92, colorspace="RGB", colorsubsampling="444")


# Which photographs there are

ORDER, SIZES, DX_TYPE, AGE, SEX, SITE, LESION, PHOTO = range(1, 9)
"""Random streams: a column has its own, so that a lesion's row in it does not depend on how many lesions there are."""

LEAST_SIDE = 160
CLARITY = {"histo": 0.72, "consensus": 1.0, "confocal": 0.9, "follow_up": 1.0}
"""How strong the fine structures are: what needed a biopsy was hard to tell."""

SITES = ("back", "lower extremity", "trunk", "upper extremity", "abdomen", "face", "chest", "foot", "neck", "scalp")


@dataclass(frozen=True)
class Patients:
    """Who has the lesions of a class, after HAM10000's metadata."""

    dx_type: dict[str, float]
    photographs: tuple[float, ...]  # shares of lesions with 1, 2, 3, 4 photographs
    age: tuple[float, float]  # mean, standard deviation
    male: float
    sites: tuple[float, ...]  # shares of SITES


PATIENTS = (
    Patients({"histo": 1.0}, (0.66, 0.25, 0.08, 0.01), (67, 11), 0.68, (9, 20, 2, 19, 1, 35, 4, 2, 4, 4)),
    Patients({"histo": 1.0}, (0.56, 0.32, 0.11, 0.01), (67, 14), 0.62, (36, 11, 2, 10, 4, 20, 9, 1, 3, 4)),
    Patients(
        {"histo": 0.70, "consensus": 0.24, "confocal": 0.06},
        (0.60, 0.30, 0.09, 0.01),
        (64, 14),
        0.57,
        (18, 16, 7, 9, 4, 29, 7, 3, 4, 3),
    ),
    Patients(
        {"histo": 0.48, "consensus": 0.52}, (0.56, 0.32, 0.11, 0.01), (53, 13), 0.55, (2, 71, 1, 21, 3, 0, 0, 2, 0, 0)
    ),
    Patients({"histo": 1.0}, (0.40, 0.42, 0.15, 0.03), (61, 15), 0.62, (29, 17, 4, 19, 6, 9, 6, 4, 3, 3)),
    Patients(
        {"follow_up": 0.55, "histo": 0.37, "consensus": 0.08},
        (0.81, 0.14, 0.05, 0.0),
        (46, 15),
        0.51,
        (21, 22, 19, 10, 13, 2, 4, 4, 2, 3),
    ),
    Patients(
        {"histo": 0.47, "consensus": 0.53}, (0.65, 0.26, 0.08, 0.01), (51, 22), 0.49, (15, 19, 22, 8, 19, 6, 4, 3, 2, 2)
    ),
)


@dataclass(frozen=True)
class _Plan:
    columns: dict[str, np.ndarray]
    keys: np.ndarray  # [images, 3]: label, lesion within the class, photograph within the lesion

    @classmethod
    def make(cls, settings: Settings) -> "_Plan":
        seed = settings.seed
        keys = np.concatenate([_class_keys(seed, k, n) for k, n in enumerate(class_counts(settings))])
        keys = keys[_generator(seed, ORDER).permutation(len(keys))]
        _, first, lesion_of = np.unique(keys[:, 0] << 32 | keys[:, 1], return_index=True, return_inverse=True)
        numbers = np.argsort(np.argsort(first))[
            lesion_of
        ]  # by first appearance, so that a name says nothing of the class
        per_class = [_class_columns(seed, k, int(keys[keys[:, 0] == k, 1].max()) + 1) for k in range(settings.classes)]
        columns = {
            "image_id": np.array([f"synthetic_{i:07d}" for i in range(len(keys))]),
            "label": keys[:, 0].astype(np.int32),
            "group": np.array([f"lesion_{i:07d}" for i in numbers]),
        }
        for name in per_class[0]:
            columns[name] = np.array([per_class[k][name][lesion] for k, lesion, _ in keys])
        return cls(columns, keys)


def _class_keys(seed: int, label: int, images: int) -> np.ndarray:
    """(label, lesion, photograph) of a class's photographs: int64 [images, 3]; three lesions at least when it has three photographs."""
    patients = PATIENTS[label % len(PATIENTS)]
    wanted = 1 + _choose(_generator(seed, SIZES, label), patients.photographs, images)
    sizes: list[int] = []
    left = images
    while left:
        sizes.append(max(1, min(int(wanted[len(sizes)]), left - max(0, 2 - len(sizes)))))
        left -= sizes[-1]
    return np.array([(label, lesion, photo) for lesion, size in enumerate(sizes) for photo in range(size)])


def _class_columns(seed: int, label: int, lesions: int) -> dict[str, np.ndarray]:
    """What the data set knows of a class's lesions and their bearers: each [lesions]."""
    patients = PATIENTS[label % len(PATIENTS)]
    mean, deviation = patients.age
    age = mean + deviation * _generator(seed, AGE, label).standard_normal(lesions)
    return {
        "dx_type": np.array(list(patients.dx_type))[
            _choose(_generator(seed, DX_TYPE, label), tuple(patients.dx_type.values()), lesions)
        ],
        "age": (5 * np.round(age / 5)).clip(5, 85).astype(np.float32),
        "sex": np.where(_generator(seed, SEX, label).random(lesions) < patients.male, "male", "female"),
        "site": np.array(SITES)[_choose(_generator(seed, SITE, label), patients.sites, lesions)],
    }


def _choose(rng: np.random.Generator, shares: tuple[float, ...], count: int) -> np.ndarray:
    """Positions in `shares`, drawn in proportion: int [count]; a longer draw begins with the shorter one."""
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


def _generator(seed: int, stream: int, *key: int) -> np.random.Generator:
    # One is added because numpy reads [1, 2] and [1, 2, 0] as the same seed.
    return np.random.default_rng([GENERATOR_VERSION, seed, stream, *(part + 1 for part in key)])


# The camera and what it sees


@dataclass(frozen=True)
class View:
    """Where a photograph looks: lesion coordinates, in fields of view, from pixels. Everything is drawn exactly, at any size and angle."""

    x: np.ndarray  # [width], fields of view from the middle
    y: np.ndarray  # [height]
    angle: float
    zoom: float
    shift: np.ndarray  # [2], where the lesion's origin appears

    @classmethod
    def random(cls, height: int, width: int, rng: np.random.Generator) -> "View":
        side = min(height, width)
        y, x = ((np.arange(n, dtype=np.float32) + 0.5 - n / 2) / side for n in (height, width))
        return cls(x, y, rng.uniform(0, 2 * np.pi), rng.uniform(0.88, 1.18), rng.uniform(-0.1, 0.1, 2))

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.y), len(self.x)

    @property
    def turn(self) -> np.ndarray:
        """Lesion vectors to photograph vectors: [2, 2]."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        return self.zoom * np.array([[c, -s], [s, c]])

    def ellipse(self, a: float, b: float) -> np.ndarray:
        """Distance from the lesion's origin, 1 on an ellipse with half axes a and b: [height, width]."""
        back = (np.linalg.inv(self.turn) / ((a,), (b,))).astype(np.float32)
        x, y = self.x - np.float32(self.shift[0]), (self.y - np.float32(self.shift[1]))[:, None]
        squares = np.square(back[0, 0] * x + back[0, 1] * y)
        squares += np.square(back[1, 0] * x + back[1, 1] * y)
        return np.sqrt(squares, out=squares)

    def place(self, points: np.ndarray) -> np.ndarray:
        """Photograph coordinates of lesion coordinates: [points, 2] to [points, 2]."""
        return points @ self.turn.T + self.shift

    def waves(self, vectors: np.ndarray, phases: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Sum of `weights * cos(vectors . lesion position + phases)`: [height, width]; a plane wave is separable, so it is one product."""
        vectors = vectors @ np.linalg.inv(self.turn)
        phases = (phases - vectors @ self.shift).astype(np.float32)
        vectors = vectors.astype(np.float32)
        across = vectors[:, :1] * self.x
        down = vectors[:, 1:] * self.y + phases[:, None]
        rows = np.concatenate([np.cos(down), -np.sin(down)]) * np.tile(weights, 2)[:, None].astype(np.float32)
        return rows.T @ np.concatenate([np.cos(across), np.sin(across)])

    def blobs(self, centres: np.ndarray, radii: np.ndarray, heights: np.ndarray) -> np.ndarray:
        """Sum of round Gaussian spots at lesion positions: [height, width]; separable, like `waves`."""
        centres = self.place(centres)
        scale = -0.5 / (radii * self.zoom)[:, None] ** 2
        rows = heights[:, None] * np.exp(scale * (self.y - centres[:, 1:]) ** 2)
        columns = np.exp(scale * (self.x - centres[:, :1]) ** 2)
        return rows.astype(np.float32).T @ columns.astype(np.float32)

    def strokes(self, lines: list[tuple[np.ndarray, float]]) -> np.ndarray:
        """Polylines in photograph coordinates, with their thickness in fields of view: coverage [height, width] in 0..1."""
        height, width = self.shape
        side, sharper = min(height, width), 2
        canvas = Image.new("L", (width * sharper, height * sharper))
        pen = ImageDraw.Draw(canvas)
        for points, thickness in lines:
            pixels = (points * side + (width / 2, height / 2)) * sharper
            pen.line([tuple(p) for p in pixels.tolist()], fill=255, width=max(1, round(thickness * side * sharper)))
        return np.asarray(canvas.reduce(sharper), np.float32) / 255


class Layers:
    """What lies in and on the skin, as amounts per pixel; `develop` turns them into a photograph by Beer and Lambert's law."""

    def __init__(self, shape: tuple[int, int]):
        self.melanin, self.blood, self.blue, self.white, self.light = np.zeros((5, *shape), np.float32)

    def develop(self, rng: np.random.Generator) -> np.ndarray:
        """The photograph: uint8 [height, width, 3]."""
        shape = self.light.shape
        tint = np.exp(rng.normal(0, 0.04, 3) + rng.normal(0, 0.08))
        noise = np.frombuffer(rng.bytes(3 * self.light.size), np.int8).reshape(3, *shape)
        white = self.white.clip(0, 0.9)
        light = np.exp(self.light)
        pixels = np.empty((*shape, 3), np.uint8)
        value, other = np.empty((2, *shape), np.float32)
        for channel in range(3):
            np.multiply(self.melanin, np.float32(-MELANIN[channel]), out=value)
            value -= np.multiply(self.blood, np.float32(BLOOD[channel]), out=other)
            value -= np.multiply(self.blue, np.float32(BLUE[channel]), out=other)
            np.exp(value, out=value)
            value *= np.float32(SKIN[channel])
            value += np.multiply(np.subtract(np.float32(KERATIN[channel]), value, out=other), white, out=other)
            value *= light
            value *= np.float32(255 * tint[channel])
            value += np.multiply(noise[channel], np.float32(GRAIN / 128), out=other)
            pixels[..., channel] = np.clip(value, 0, 255, out=value)
        return pixels


SKIN = (0.92, 0.79, 0.74)
KERATIN = (0.95, 0.90, 0.87)
MELANIN = (0.43, 0.70, 0.95)
BLOOD = (0.07, 0.50, 0.36)
BLUE = (0.80, 0.52, 0.28)
"""Red, green and blue: reflectance of pale skin and of keratin; absorbance of one unit of each pigment."""

GRAIN = 4.0
"""The camera's noise, at most, in grey levels."""


# What the classes look like

Range = tuple[float, float]


@dataclass(frozen=True)
class Recipe:
    """A class: ranges from which each lesion draws its shape and colour, and the structures it may show, as (name, probability)."""

    radius: Range
    length: Range  # long over short axis
    roughness: Range  # of the outline
    softness: Range  # of the edge
    melanin: Range
    blood: Range
    blue: Range
    patchiness: Range  # of the colour
    pale_centre: Range
    structures: tuple[tuple[str, float], ...]


BROWN = {
    "radius": (0.20, 0.36),
    "length": (1.0, 1.5),
    "roughness": (0.08, 0.30),
    "softness": (0.08, 0.30),
    "melanin": (0.7, 1.7),
    "blood": (0.0, 0.5),
    "patchiness": (0.1, 0.4),
    "pale_centre": (0.0, 0.15),
}
PINK = {
    "radius": (0.18, 0.34),
    "length": (1.0, 1.6),
    "roughness": (0.1, 0.35),
    "softness": (0.15, 0.5),
    "melanin": (0.1, 0.6),
    "blood": (0.5, 1.2),
    "patchiness": (0.15, 0.4),
    "pale_centre": (0.0, 0.3),
}


def _recipe(base: dict[str, Range], structures: dict[str, float], **changes: Range) -> Recipe:
    return Recipe(**{"blue": (0.0, 0.1), **base, **changes}, structures=tuple(structures.items()))


RECIPES = (
    _recipe(PINK, {"red_network": 0.9, "scale": 0.7}, melanin=(0.2, 0.7)),
    _recipe(PINK, {"vessels": 0.9, "nests": 0.6}, softness=(0.1, 0.35)),
    _recipe(BROWN, {"ridges": 0.7, "cysts": 0.8, "openings": 0.4}, softness=(0.06, 0.2), melanin=(0.6, 1.5)),
    _recipe(
        BROWN,
        {"fine_network": 0.6},
        radius=(0.16, 0.28),
        roughness=(0.05, 0.15),
        melanin=(0.4, 0.9),
        blood=(0.2, 0.7),
        pale_centre=(0.5, 0.9),
    ),
    _recipe(BROWN, {"broken_network": 0.9, "dots": 0.8}, roughness=(0.12, 0.34), blue=(0.0, 0.3)),
    _recipe(BROWN, {"network": 0.75, "globules": 0.35}),
    _recipe(
        PINK,
        {"lacunae": 0.9},
        radius=(0.12, 0.24),
        roughness=(0.04, 0.15),
        softness=(0.05, 0.15),
        melanin=(0.0, 0.3),
        blood=(1.4, 2.8),
        blue=(0.0, 0.8),
    ),
)


def _invent(number: int) -> Recipe:
    """The recipe of an invented class. Colour, shape and structure step through 5, 8 and 7 kinds, so 280 numbers differ in one at least."""
    base = (BROWN, PINK, BROWN | PINK, PINK | BROWN, BROWN)[number % 5]
    return _recipe(base, {tuple(STRUCTURES)[number % 7]: 0.9})


def _draw_skin(layers: Layers, view: View, rng: np.random.Generator) -> None:
    """Skin of one of many tones, mottled, lined, sometimes freckled."""
    tone = rng.choice([0.0, 0.2, 0.5, 1.1], p=[0.45, 0.33, 0.15, 0.07]) + rng.uniform(0, 0.15)
    layers.melanin += _scaled(
        view.waves(*_spectrum(rng, 24, 1.0, 14.0, slope=0.7)), rng.uniform(0.03, 0.09)
    ) + np.float32(tone)
    layers.blood += _scaled(view.waves(*_spectrum(rng, 24, 1.0, 14.0, slope=0.7)), rng.uniform(0.03, 0.12))
    layers.blood += np.float32(rng.uniform(0.0, 0.35))
    layers.light += _scaled(view.waves(*_spectrum(rng, 24, 16.0, 30.0)), 0.015)
    count = rng.poisson(rng.choice([0, 0, 6]))
    if count:
        sizes, amounts = rng.uniform(0.008, 0.03, count), rng.uniform(0.1, 0.4, count)
        layers.melanin += view.blobs(rng.uniform(-0.7, 0.7, (count, 2)), sizes, amounts)


def _draw_lesion(layers: Layers, view: View, recipe: Recipe, clarity: float, rng: np.random.Generator) -> None:
    """The lesion: its outline, its colour, its structures."""
    radius, length = rng.uniform(*recipe.radius), np.sqrt(rng.uniform(*recipe.length))
    distance = view.ellipse(radius * length, radius / length)
    centre = np.exp(-4 * distance**2)
    distance += _scaled(
        view.waves(*_spectrum(rng, 32, 0.25 / radius, 2.5 / radius, slope=1.0)), rng.uniform(*recipe.roughness)
    )
    inside = _smooth(_scaled(1 - distance, 1 / rng.uniform(*recipe.softness)) + np.float32(0.5))
    patches = view.waves(*_spectrum(rng, 24, 0.4 / radius, 1.6 / radius, slope=0.5))
    body = (1 + np.float32(rng.uniform(*recipe.patchiness)) * patches) * inside
    pale = centre * np.float32(rng.uniform(*recipe.pale_centre)) * inside
    body *= 1 - pale
    layers.melanin += np.float32(rng.uniform(*recipe.melanin)) * body
    layers.blood += np.float32(rng.uniform(*recipe.blood)) * body
    layers.blue += np.float32(rng.uniform(*recipe.blue)) * body * _smooth(0.5 + patches)
    layers.white += _scaled(pale, 0.45)
    where = inside * _smooth(_scaled(patches, 0.4) + np.float32(0.8))
    for name, probability in recipe.structures:
        strength = clarity * rng.uniform(0.45, 1.0)
        if rng.random() < probability:
            STRUCTURES[name](layers, view, where * np.float32(strength), radius, rng)


# Structures: each adds to the layers, where `where` [height, width] says how much; `radius` is the lesion's, in fields of view

PERIOD = 1 / 24
"""Of networks, in fields of view: seven pixels of a 224x168 photograph, less than two of a 56x42 one."""


def _network(layers: Layers, view: View, where: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    layers.melanin += np.float32(0.8) * where * _lines(view.waves(*_honeycomb(rng, PERIOD)))


def _fine_network(layers: Layers, view: View, where: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    layers.melanin += np.float32(0.4) * where * _lines(view.waves(*_honeycomb(rng, 0.85 * PERIOD)))


def _broken_network(layers: Layers, view: View, where: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    layers.melanin += (
        np.float32(0.8) * where * _labyrinth(view.waves(*_spectrum(rng, 40, 0.45 / PERIOD, 0.75 / PERIOD)))
    )


def _red_network(layers: Layers, view: View, where: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    layers.blood += np.float32(1.0) * where * _lines(view.waves(*_honeycomb(rng, 1.1 * PERIOD)))


def _ridges(layers: Layers, view: View, where: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    waves = view.waves(*_spectrum(rng, 12, 0.9 / PERIOD, 1.1 / PERIOD, spread=0.35))
    layers.melanin += np.float32(0.8) * where * _lines(waves)


def _globules(layers: Layers, view: View, where: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    layers.melanin += np.float32(1.0) * where * _spots(view.waves(*_honeycomb(rng, 1.2 * PERIOD)))


def _dots(layers: Layers, view: View, where: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    centres = _scatter(rng, int(rng.integers(12, 40)), radius)
    layers.melanin += where * view.blobs(
        centres, rng.uniform(0.006, 0.012, len(centres)), rng.uniform(1.0, 2.2, len(centres))
    )


def _cysts(layers: Layers, view: View, where: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    centres = _scatter(rng, int(rng.integers(10, 30)), radius)
    layers.white += where * view.blobs(
        centres, rng.uniform(0.006, 0.012, len(centres)), rng.uniform(0.4, 0.9, len(centres))
    )


def _openings(layers: Layers, view: View, where: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    centres = _scatter(rng, int(rng.integers(4, 12)), radius)
    layers.melanin += where * view.blobs(
        centres, rng.uniform(0.012, 0.02, len(centres)), rng.uniform(1.0, 1.8, len(centres))
    )


def _nests(layers: Layers, view: View, where: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    centres = _scatter(rng, int(rng.integers(3, 9)), radius)
    layers.blue += where * view.blobs(
        centres, rng.uniform(0.012, 0.03, len(centres)), rng.uniform(0.7, 1.4, len(centres))
    )


def _scale(layers: Layers, view: View, where: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    layers.white += np.float32(0.5) * where * _smooth(view.waves(*_spectrum(rng, 40, 14.0, 30.0)) - 0.9)


def _lacunae(layers: Layers, view: View, where: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    centres = _scatter(rng, int(rng.integers(6, 16)), radius)
    spots = view.blobs(centres, rng.uniform(0.1, 0.25, len(centres)) * radius, np.ones(len(centres)))
    layers.blood += 2 * where * _smooth(3 * (spots - 0.5))
    layers.blue += np.float32(0.5) * where * _smooth(3 * (spots - 0.7))


def _vessels(layers: Layers, view: View, where: np.ndarray, radius: float, rng: np.random.Generator) -> None:
    lines = []
    for start in _scatter(rng, 5, radius):
        heading, thickness = rng.uniform(0, 2 * np.pi), rng.uniform(0.005, 0.009)
        stem = _wander(rng, start, heading, 10, 0.12 * radius)
        lines.append((view.place(stem), thickness * view.zoom))
        for fork in rng.integers(2, 9, 3):
            branch = _wander(rng, stem[fork], heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.1), 7, 0.09 * radius)
            lines.append((view.place(branch), 0.6 * thickness * view.zoom))
    layers.blood += np.float32(2.5) * where * view.strokes(lines)


Structure = Callable[[Layers, View, np.ndarray, float, np.random.Generator], None]
STRUCTURES: dict[str, Structure] = {
    "network": _network,
    "broken_network": _broken_network,
    "ridges": _ridges,
    "globules": _globules,
    "dots": _dots,
    "cysts": _cysts,
    "vessels": _vessels,
    "fine_network": _fine_network,
    "red_network": _red_network,
    "openings": _openings,
    "nests": _nests,
    "scale": _scale,
    "lacunae": _lacunae,
}


# What is there whatever the class


def _draw_hairs(layers: Layers, view: View, rng: np.random.Generator) -> None:
    """Dark or pale hairs in some photographs, a ruler's marks in a few."""
    count = rng.poisson(rng.choice([0, 0, 3, 10]))
    if count:
        lean = rng.uniform(0, 2 * np.pi)
        lines = []
        for start in rng.uniform(-0.7, 0.7, (count, 2)):
            points = _wander(rng, start, lean + rng.normal(0, 0.4), 16, rng.uniform(0.015, 0.05), bend=0.07)
            lines.append((points, rng.uniform(0.004, 0.008)))
        hairs = view.strokes(lines)
        if rng.random() < 0.8:
            layers.melanin += np.float32(rng.uniform(1.2, 2.5)) * hairs
            layers.light -= np.float32(0.4) * hairs
        else:
            layers.white += np.float32(0.5) * hairs
    if rng.random() < 0.12:
        layers.light -= np.float32(1.6) * view.strokes(_ruler(view, rng))


def _ruler(view: View, rng: np.random.Generator) -> list[tuple[np.ndarray, float]]:
    """Tick marks along one side of the photograph."""
    step, edge = rng.uniform(0.04, 0.08), rng.uniform(0.42, 0.47) * rng.choice([-1, 1])
    marks = []
    for i, place in enumerate(np.arange(-0.6, 0.6, step)):
        tip = edge - np.sign(edge) * (0.06 if i % 5 == 0 else 0.03)
        marks.append((np.array([(place, edge), (place, tip)]), 0.006))
    return marks


def _draw_light(layers: Layers, view: View, rng: np.random.Generator) -> None:
    """Uneven light, and in some photographs the dark corners of a dermatoscope."""
    slope = rng.normal(0, 0.12, 2)
    radius = np.sqrt((view.x - rng.normal(0, 0.03)) ** 2 + (view.y[:, None] - rng.normal(0, 0.03)) ** 2).astype(
        np.float32
    )
    layers.light += (slope[0] * view.x + slope[1] * view.y[:, None]).astype(np.float32)
    layers.light -= np.float32(rng.uniform(0, 0.35)) * radius**2
    if rng.random() < 0.3:
        layers.light -= 4 * _smooth(
            (radius - np.float32(rng.uniform(0.56, 0.72))) / np.float32(rng.uniform(0.02, 0.06))
        )


# Small tools


def _scaled(x: np.ndarray, factor: float) -> np.ndarray:
    """`x * factor`, in the place of `x`."""
    x *= np.float32(factor)
    return x


def _smooth(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    y = 3 - 2 * x
    y *= x
    y *= x
    return y


def _lines(waves: np.ndarray) -> np.ndarray:
    """Thin positive lines in the valleys of waves of unit variance; about zero on average."""
    return _smooth(-1.2 * waves + 0.2) - np.float32(0.33)


def _labyrinth(waves: np.ndarray) -> np.ndarray:
    """Winding positive lines where waves of unit variance pass through zero; about zero on average."""
    return _smooth(1 - np.abs(waves, out=waves)) - np.float32(0.36)


def _spots(waves: np.ndarray) -> np.ndarray:
    """Round positive spots on the peaks of waves of unit variance; about zero on average."""
    return _smooth(waves - 0.2) - np.float32(0.25)


def _spectrum(
    rng: np.random.Generator, count: int, low: float, high: float, slope: float = 0.0, spread: float = np.pi
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random waves between two frequencies (cycles per field of view), weaker by `frequency ** -slope`, headings within `spread`.

    Returns:
      vectors [count, 2], phases [count], weights [count] of unit variance: what `View.waves` takes.
    """
    heading = rng.uniform(0, 2 * np.pi) + rng.uniform(-spread, spread, count)
    frequency = low * (high / low) ** rng.random(count)
    vectors = 2 * np.pi * frequency[:, None] * np.stack([np.cos(heading), np.sin(heading)], -1)
    weights = frequency**-slope
    return vectors, rng.uniform(0, 2 * np.pi, count), weights * np.sqrt(2 / np.sum(weights**2))


def _honeycomb(rng: np.random.Generator, period: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Waves at 120 degrees that peak on a hexagonal lattice, a little uneven: as `_spectrum` gives them."""
    base, vectors, phases, weights = rng.uniform(0, 2 * np.pi), [], [], []
    for weight in (1.0, 0.35, 0.35):
        heading = base + rng.normal(0, 0.08) + 2 * np.pi / 3 * np.arange(3)
        vectors.append(2 * np.pi / period * rng.normal(1, 0.06) * np.stack([np.cos(heading), np.sin(heading)], -1))
        phase = rng.uniform(0, 2 * np.pi, 3)
        phases.append(phase - phase.mean())  # a sum of zero makes peaks round and valleys a net
        weights.append(np.full(3, weight))
    weights = np.concatenate(weights)
    return np.concatenate(vectors), np.concatenate(phases), weights * np.sqrt(2 / np.sum(weights**2))


def _scatter(rng: np.random.Generator, count: int, radius: float) -> np.ndarray:
    """Points spread evenly over a disc: [count, 2]."""
    heading, distance = rng.uniform(0, 2 * np.pi, count), radius * np.sqrt(rng.random(count))
    return distance[:, None] * np.stack([np.cos(heading), np.sin(heading)], -1)


def _wander(
    rng: np.random.Generator, start: np.ndarray, heading: float, steps: int, step: float, bend: float = 0.35
) -> np.ndarray:
    """A path that changes its heading a little at every step: [steps + 1, 2]."""
    headings = heading + np.cumsum(rng.normal(0, bend, steps))
    moves = step * np.stack([np.cos(headings), np.sin(headings)], -1)
    return start + np.concatenate([np.zeros((1, 2)), np.cumsum(moves, 0)])
