"""What a network is shown: named training views (data), evaluation views, and the keys that make them reproducible.

A training view interpolates once, changes colour, then normalises. Departures from the torchvision pipelines of papers
000 and 003: colour comes after the geometry (so it is of the smaller picture; only contrast sees the empty corners),
what one step moves out of the frame can come back in the next (a chain of pictures loses it), and turned pictures are
antialiased where they shrink, as upright ones are (torchvision takes single pixels of them).
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from skinjax.core.errors import UserError, lookup
from skinjax.core.settings import Settings, choice, number
from skinjax.images import geometry
from skinjax.images.colour import NORMALISATIONS, Normalisation, colour_jitter, lighting, normalise
from skinjax.images.correction import CORRECTIONS, corrected
from skinjax.images.crops import Grid, cut, grid_of, ordered_corners
from skinjax.images.geometry import Pair, Size
from skinjax.images.resampling import low_pass, resize, stretch, warp

WEIGHTS = "weights"
REPEATS = {
    "none": "once",
    "mirrored": "twice, as it is and mirrored",
    "turned": "eight times, by quarter turns and mirrored",
    "windows": "five times, as windows of views.size in the corners and the middle",
}
TrainView = Callable[..., Array]
EvaluationView = Callable[..., Array]


@dataclasses.dataclass(frozen=True)
class ViewSettings(Settings):
    """What the network is shown of a stored picture, in training and in evaluation."""

    size: tuple[int, int] = number((224, 224), 1)
    train: str = choice("plain", "training view", lambda: VIEWS)
    evaluation: str = choice("squash", "evaluation view", lambda: EVALUATION_VIEWS)
    # (height, width) that the evaluation view centre_crop cuts and resizes to `size`; without it, `size` itself
    window: tuple[int, int] | None = number(None, 1)
    crops: int = number(9, 1, 2**10)  # of the view ordered_crop: 5 (corners and centre), 9, 16 or another square
    grid: tuple[int, int] | None = number(None, 1)  # its (rows, columns), instead of `crops`
    # how often, and how, a trained network is shown a picture; it answers by the mean
    repeats: str = choice("none", "value of views.repeats", REPEATS)
    # a name, or `weights`: that of model.weights
    normalisation: str = choice("imagenet", "normalisation", {**NORMALISATIONS, WEIGHTS: "that of the weights"})
    corrections: tuple[str, ...] = choice((), "correction", CORRECTIONS)  # before either view, in this order

    @property
    def several_in_training(self) -> bool:
        """Whether training shows several patches of an image."""
        return VIEWS[self.train].ordered

    @property
    def several_in_evaluation(self) -> bool:
        """Whether evaluation shows several patches of an image."""
        return self.evaluation == "ordered_crop"

    @property
    def same_in_training(self) -> bool:
        """Whether training shows a picture as evaluation does, each time."""
        return VIEWS[self.train] == View() and self.evaluation == "squash"

    def check(self) -> None:
        if len(set(self.corrections)) < len(self.corrections):
            raise UserError("views.corrections names one twice: name each once, in the order in which they are made")
        if self.several_in_training or self.several_in_evaluation:
            self.crop_grid()
        if self.repeats != "none" and self.several_in_evaluation:
            raise UserError("views.repeats is of one picture, and views.evaluation shows several: set one of the two")
        if self.repeats == "turned" and self.size[0] != self.size[1]:
            raise UserError(
                f"views.repeats is 'turned', and views.size {self.size} is not square: set it to 'mirrored'"
            )

    def crop_grid(self) -> Grid:
        """The grid of the ordered crops."""
        return grid_of(self.crops, self.grid or ())

    def shown_crops(self) -> int | None:
        """How many ordered crops a prediction is made from; None if it is made from one picture."""
        if not self.several_in_evaluation:
            return None
        return self.grid[0] * self.grid[1] if self.grid else self.crops


@functools.cache  # the same views for the same settings, so that programs that hold them are compiled once
def make_views(settings: ViewSettings, normalisation: Normalisation) -> tuple[TrainView, EvaluationView]:
    """The training view, of keys and stored images, and the evaluation view, of stored images, both corrected alike."""
    correct, grid = corrected(settings.corrections), settings.crop_grid()
    training = train_view(VIEWS[settings.train], settings.size, normalisation, grid=grid)
    evaluation = evaluation_view(settings.evaluation, settings.size, normalisation, settings.window, grid=grid)
    train = lambda keys, images, *turns: training(keys, correct(images), *turns)  # noqa: E731
    return train, lambda images, *turns: evaluation(correct(images), *turns)


class RepeatedView(NamedTuple):
    """How often a picture is shown, and it at one of these places, a traced number: (place, images) -> [batch, ...]."""

    places: int
    show: Callable[[Array, Array], Array]


def repeated_view(settings: ViewSettings, normalisation: Normalisation) -> RepeatedView:
    """The evaluation view of these settings, shown as `repeats` says."""
    view = make_views(settings, normalisation)[1]
    if settings.repeats == "windows":
        crops = dataclasses.replace(settings, repeats="none", evaluation="ordered_crop", crops=5, grid=None)
        windows = make_views(crops, normalisation)[1]
        return RepeatedView(5, lambda place, images: windows(images)[:, place])
    turns = 4 if settings.repeats == "turned" else 1
    flips = [
        functools.partial(_dihedral, turns=number % turns, mirrored=number >= turns) for number in range(2 * turns)
    ]
    return RepeatedView(2 * turns, lambda place, images: jax.lax.switch(place, flips, view(images)))


def _dihedral(images: Array, turns: int, mirrored: bool) -> Array:
    """Images [batch, h, w, 3] after quarter turns, and then mirrored left to right."""
    turned = jnp.rot90(images, turns, axes=(1, 2))
    return turned[:, :, ::-1] if mirrored else turned


class Step(NamedTuple):
    """One drawn operation of a view's geometry.

    matrices: of keys [batch], a stored picture's (H, W) and the network's input size: [batch, 2, 3]; shrink: of these
    sizes, by how much the picture becomes smaller at most; turns: whether its rows become slanted; window: whether it
    is an upright window that fills the input; upright: what takes its place where the angle of a picture is to be told
    """

    matrices: Callable[[Array, Size, Size], Array]
    shrink: Callable[[Size, Size], float] = lambda stored, size: 1.0
    turns: bool = False
    window: bool = False
    upright: "tuple[Step, ...] | None" = None  # None: itself


def flips(horizontal: float = 0.5, vertical: float = 0.5) -> Step:
    """Left-right and top-bottom mirrors with these probabilities."""
    upright = (flips(horizontal, 0.0),) if vertical else None  # both together are a half turn
    return Step(lambda keys, stored, size: geometry.random_flips(keys, stored, horizontal, vertical), upright=upright)


def rotation(degrees: float, share: float = 1.0) -> Step:
    """A turn about the centre, up to `degrees` either way, of this share of all pictures."""
    return Step(
        lambda keys, stored, size: geometry.random_rotation(keys, stored, degrees, share), turns=True, upright=()
    )


def affine(degrees: float, translate: Pair = (0.0, 0.0), scale: Pair = (1.0, 1.0), shear: Pair = (0.0, 0.0)) -> Step:
    """A turn, shift (fractions of width and height), zoom and shear (degrees) about the centre."""
    shrink = math.prod(1 + math.tan(math.radians(most)) for most in shear) / scale[0]
    return Step(
        lambda keys, stored, size: geometry.random_affine(keys, stored, degrees, translate, scale, shear),
        lambda stored, size: shrink,
        turns=True,
        upright=(),
    )


def resized_crop(scale: Pair = (0.08, 1.0), ratio: Pair = (3 / 4, 4 / 3)) -> Step:
    """A window of random area (`scale`, part of the picture) and aspect ratio, stretched to the input's size."""
    return Step(
        lambda keys, stored, size: geometry.random_resized_crop(keys, stored, size, scale, ratio),
        lambda stored, size: max(stored[0] / size[0], stored[1] / size[1]),
        window=True,
    )


def zoomed_crop(most: float, share: float = 1.0) -> Step:
    """The largest window of the input's shape at a random place, zoomed up to `most` in this share of all pictures."""
    return Step(
        lambda keys, stored, size: geometry.random_zoom(keys, stored, size, most, share),
        lambda stored, size: min(stored[0] / size[0], stored[1] / size[1]),
        window=True,
    )


RANDOM_CROP = Step(geometry.random_crop)  # a window of the input's size at a random place


@dataclasses.dataclass(frozen=True)
class View:
    """A training view: geometry in the order it is applied, the crop that ends it, and colour.

    Without a crop the whole picture is first resized to the input's size, antialiased as in evaluation; an `ordered`
    view keeps its size, and is cut into the ordered crops at the very end, so that a crop's place stays its place.
    What a turn brings in from beyond the border is black, or the picture `mirrored`.
    """

    geometry: tuple[Step, ...] = ()
    crop: Step | None = None
    colour: Callable[[Array, Array], Array] = colour_jitter
    ordered: bool = False
    mirrored: bool = False


PATCH_JITTER = functools.partial(colour_jitter, brightness=32 / 255, saturation=0.5)

VIEWS: dict[str, View] = {
    "none": View(),
    "plain": View((flips(),), RANDOM_CROP),
    "skin7_group": View(
        (flips(), rotation(180), affine(180, translate=(0.1, 0.1), scale=(0.7, 1.3))),
        RANDOM_CROP,
        functools.partial(colour_jitter, brightness=0.02, contrast=0.02, saturation=0.02, hue=0.01),
    ),
    "resized_crop": View((flips(),), resized_crop(scale=(0.35, 1.0))),
    "downsampling": View((flips(),), None, PATCH_JITTER),
    "single_crop": View((flips(),), resized_crop(), PATCH_JITTER),
    "multi_crop": View((flips(),), RANDOM_CROP, PATCH_JITTER),
    "ordered_crop": View((flips(),), None, PATCH_JITTER, ordered=True),
    # transforms_side_on of fastai 0.7 with max_zoom=1.1, but for light that is drawn after the crop (paper 002)
    "side_on": View(
        (flips(0.5, 0.0), rotation(10, share=0.75)),
        zoomed_crop(1.1, share=0.75),
        functools.partial(lighting, most=0.05),
        mirrored=True,
    ),
    "turns_and_flips": View((flips(), rotation(10))),  # paper 004, which does not say how far it turns
}


def example_keys(key: Array, positions: Array) -> Array:
    """One key per position in the global batch, the same however the batch is cut up.

    key: the step's; positions: [batch] int32 (for tuples: position * n + slot); returns [batch] keys
    """
    return jax.vmap(jax.random.fold_in, (None, 0))(key, positions)


def train_view(
    view: View, size: Size, normalisation: Normalisation, dtype: DTypeLike = jnp.float32, grid: Grid = (3, 3)
) -> Callable[..., Array]:
    """A function (keys [batch], images [batch, H, W, 3] uint8) -> [batch, h, w, 3], augmented and normalised.

    An ordered view gives [batch, crops, h, w, 3]: the crops of `grid`. A third argument, angles in degrees [batch],
    turns what is shown, in the same warp, and the view itself then turns nothing, nor upside down.
    """
    mean, std = normalisation
    upright = [part for step in view.geometry for part in ((step,) if step.upright is None else step.upright)]

    def show(keys: Array, images: Array, turns: Array | None = None) -> Array:
        if view.crop is None and not view.ordered:
            images = resize(images, size)
        steps = [*(view.geometry if turns is None else upright), *([view.crop] if view.crop else [])]
        stored = (images.shape[1], images.shape[2])
        shown = stored if view.ordered else size
        drawn = [step.matrices(_stream(keys, 1 + i), stored, shown) for i, step in enumerate(steps)]
        drawn += [] if turns is None else [geometry.rotation(shown, turns)]
        if drawn:
            matrices, shrink = geometry.compose(*drawn), math.prod(step.shrink(stored, shown) for step in steps)
            slanted = turns is not None or any(step.turns for step in steps)
            if view.crop and view.crop.window and not slanted:
                images = stretch(images, matrices, shown)
            else:
                images = warp(low_pass(images, matrices, shrink), matrices, shown, mirrored=view.mirrored)
        images = view.colour(_stream(keys, 0), images)
        images = normalise(images, mean, std, dtype)
        return cut(images, ordered_corners(stored, size, grid), size) if view.ordered else images

    return show


def evaluation_view(
    kind: str,
    size: Size,
    normalisation: Normalisation,
    crop: Size | None = None,
    dtype: DTypeLike = jnp.float32,
    grid: Grid = (3, 3),
) -> Callable[..., Array]:
    """A function images [batch, H, W, 3] uint8 -> [batch, h, w, 3], the same for every run.

    A second argument, angles in degrees [batch], turns what is shown.

    kind: `squash` shows the whole picture, `centre_crop` its middle window of `crop` pixels (default `size`; paper 003
    cuts 336x336 and shows 224x224); both are resized with antialiasing. `ordered_crop` shows the crops of `grid` as
    they are: [batch, crops, h, w, 3].
    """
    lookup("evaluation view", kind, EVALUATION_VIEWS)
    mean, std = normalisation

    def show(images: Array, turns: Array | None = None) -> Array:
        stored = (images.shape[1], images.shape[2])
        if kind == "ordered_crop":
            return normalise(cut(images, ordered_corners(stored, size, grid), size), mean, std, dtype)
        if kind == "centre_crop":
            height, width = crop or size
            top, left = geometry.centre_corner(stored, (height, width))
            images = images[:, top : top + height, left : left + width]
        images = resize(images, size)
        images = images if turns is None else warp(images, geometry.rotation(size, turns), size)
        return normalise(images, mean, std, dtype)

    return show


EVALUATION_VIEWS: dict[str, str] = {
    "squash": "the whole picture",
    "centre_crop": "its middle",
    "ordered_crop": "windows at the same places of every picture",
}


def _stream(keys: Array, purpose: int) -> Array:
    """Keys [batch] for one of several independent draws of each example."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, purpose)
