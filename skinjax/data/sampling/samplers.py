"""Which records make up batch t: pure functions of (seed, step), and the padded batches of an evaluation.

Oversampling and balanced batches are those of paper 003 (modes 3 and 12 of its code), downsampling is paper 001's,
static balancing paper 002's. Pairs and longer tuples are in `tuples.py`.
"""

import dataclasses
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import numpy as np

from skinjax.core.errors import UserError
from skinjax.core.settings import Named, choice
from skinjax.objectives.class_weights import CLASS_WEIGHTS, class_weights

COLUMN = "column"  # the data set's own weights, instead of a class weight formula


@dataclasses.dataclass(frozen=True)
class WeightedSettings(Named):
    """The weights that `weighted` draws by: a class weight formula, or `column`, the data set's own `weight`."""

    name: str = "weighted"
    weights: str = choice("inverse", "value of sampler.weights", {**CLASS_WEIGHTS, COLUMN: "its `weight`"})


@dataclasses.dataclass(frozen=True, eq=False)
class Images:
    """The images that a sampler draws from, at least as many as a batch, and the size of its batches.

    records: [n] record numbers of the data set; labels: [n] their classes; classes: the names of those that must be
    there (by default, those in `labels`); weights: [n] the data set's own, from 0 on and on any scale; run_seed: the
    seed that all phases of a run share, by default `seed`; places: the images of a row, 1 for a network alone.
    """

    records: np.ndarray
    labels: np.ndarray
    batch: int
    seed: int
    classes: Sequence[str] | None = None
    weights: np.ndarray | None = None
    run_seed: int | None = None
    places: int = 1

    def __post_init__(self) -> None:
        records, labels = np.array(self.records, dtype=np.int32), np.array(self.labels)  # copies
        weights = labels if self.weights is None else np.asarray(self.weights)
        if not records.shape == labels.shape == weights.shape == (records.size,):
            shapes = f"records {records.shape}, labels {labels.shape} and weights {weights.shape}"
            raise ValueError(f"{shapes} must be lists of one length")
        if len(records) == 0:
            raise UserError("there are no images to sample: choose another split, or other classes for the phase")
        if len(records) < self.batch:
            raise UserError(f"{len(records)} images are fewer than a batch of {self.batch}: lower the batch size")
        object.__setattr__(self, "records", records)
        object.__setattr__(self, "labels", labels)

    def by_class(self) -> list[np.ndarray]:
        """The records of each class: of all `classes` when they are named, else of the labels that occur."""
        check_labelled(self.labels)
        if self.classes is None:
            return [self.records[self.labels == label] for label in np.unique(self.labels)]
        if self.labels.max() >= len(self.classes):
            raise ValueError(f"label {self.labels.max()} is beyond the {len(self.classes)} classes")
        members = [self.records[self.labels == label] for label in range(len(self.classes))]
        empty = [repr(name) for name, member in zip(self.classes, members, strict=True) if not len(member)]
        if empty:
            raise UserError(f"no training images of {', '.join(empty)} to balance: sample 'natural' or split anew")
        return members


@dataclasses.dataclass(frozen=True)
class Sampler:
    """`sampler(step)` is the batch of that step: int32 [batch], record numbers ([batch, n] for n places).

    Steps may be asked for in any order and from any thread. `epoch_length` is the number of rows in an epoch; batches
    run across the borders of epochs and drop nothing. `copies(step)`, where a sampler has it, says for each of them
    which copy of its record each row shows: 0 is the original, any other number an augmentation that is always the same
    (see `skinjax.images.copies`).
    """

    batch: int
    epoch_length: int
    draw: Callable[[int], np.ndarray]
    shares: tuple[float, ...]  # see `class_shares`; of the classes up to the last that is drawn
    copies: Callable[[int], np.ndarray] | None = None

    def __call__(self, step: int) -> np.ndarray:
        return self.draw(int(step))

    def class_shares(self, classes: int) -> np.ndarray:
        """The expected share of each class among the labelled images of a batch [classes]; 0 where it is never drawn.

        >>> natural(Images(np.arange(4), np.array([0, 2, 2, 2]), batch=2, seed=0)).class_shares(4).tolist()
        [0.25, 0.0, 0.75, 0.0]
        """
        return np.pad(self.shares, (0, classes - len(self.shares)))


def side_by_side(streams: Sequence[Sampler]) -> Sampler:
    """A sampler of rows with an image of each of the `streams`, which have one epoch and one set of shares."""

    def joined(draws: Sequence[Callable[[int], np.ndarray]]) -> Callable[[int], np.ndarray]:
        return lambda step: np.stack([draw(step) for draw in draws], axis=1)

    copies = [stream.copies for stream in streams if stream.copies is not None]
    draw = joined([stream.draw for stream in streams])
    return dataclasses.replace(streams[0], draw=draw, copies=joined(copies) if copies else None)


def natural(images: Images) -> Sampler:
    """Every record once in an epoch, in a fresh order each time, whatever the labels and classes.

    >>> sampler = natural(Images(np.arange(4), np.zeros(4, int), batch=2, seed=0))
    >>> sorted(np.concatenate([sampler(0), sampler(1)]).tolist())
    [0, 1, 2, 3]
    """

    def epoch(number: int) -> np.ndarray:
        return generator(images.seed, "natural", number).permutation(images.records)

    return _epochs(images.batch, len(images.records), epoch, shares_by_class(images.labels))


def oversampled(images: Images) -> Sampler:
    """Every class repeated cyclically up to the size of the largest, in a fresh order (and remainder) each epoch."""
    members = images.by_class()
    return _levelled(images, members, max(map(len, members)), "oversampled")


def downsampled(images: Images) -> Sampler:
    """Every class cut to the size of the smallest, by a fresh choice in every epoch."""
    members = images.by_class()
    smallest = min(map(len, members))
    if smallest * len(members) < images.batch:
        raise UserError(
            f"downsampling leaves {len(members)} classes of {smallest} images, fewer than a batch of {images.batch}: "
            f"lower the batch size to {smallest * len(members)} or less, or choose another sampler"
        )
    return _levelled(images, members, smallest, "downsampled")


def balanced_batches(images: Images) -> Sampler:
    """Equal counts of every class in every batch; within one of each other where `batch` is no multiple of the classes.

    Classes take turns over the endless row of images, so that counts are equal in the long run for any batch size. Each
    class is a stream of its own that visits all its images before it starts again, reshuffled. An epoch is as long as
    that of `natural`.
    """
    batch, seed, members = images.batch, images.seed, images.by_class()
    # A chunk holds several rounds of a small class, so that a class of ten images does not cost a generator per round.
    rounds = [-(-1024 // len(member)) for member in members]
    lengths = [count * len(member) for count, member in zip(rounds, members, strict=True)]

    @lru_cache(maxsize=4 * len(members))
    def chunk(label: int, number: int) -> np.ndarray:
        fresh = generator(seed, "balanced_batches", number, label)
        return fresh.permuted(np.tile(members[label], (rounds[label], 1)), axis=1).ravel()

    turns_each = 256  # drawn at once

    def turns(number: int) -> np.ndarray:
        start, stop = turns_each * number, turns_each * (number + 1)
        streams = [_window(partial(chunk, label), length, start, stop) for label, length in enumerate(lengths)]
        return np.stack(streams, axis=1).ravel()

    in_turn = _epochs(batch, turns_each * len(members), turns, equal_shares(images.labels))

    def draw(step: int) -> np.ndarray:
        # Unshuffled, place k of a batch would always hold one class, and mixing by place always meet the same partner.
        return generator(seed, "balanced_batches order", step).permutation(in_turn(step))

    return Sampler(batch, len(images.records), draw, in_turn.shares)


def weighted(images: Images, settings: WeightedSettings) -> Sampler:
    """Every image drawn independently, with replacement, in proportion to its weight; one of weight zero never is.

    An epoch is as long as that of `natural`.
    """
    records, column = images.records, images.weights
    if settings.weights == COLUMN and column is None:
        instead = f"choose one of {', '.join(CLASS_WEIGHTS)}"
        raise UserError(f"sampler.weights is 'column' and the data set has no column `weight`: {instead}")
    by_column, by_class = settings.weights == COLUMN, (settings.weights, images.labels, images.classes)
    weights = np.asarray(column, float) if by_column else weights_by_class(*by_class)
    for row in np.flatnonzero(~((weights >= 0) & (weights < np.inf)))[:1]:
        raise UserError(f"the sampling weight of record {records[row]} is {weights[row]}; give numbers from 0 on")
    if not weights.any():
        raise UserError("every sampling weight is 0, so there is nothing to draw: give some images a positive weight")
    drawable = records[weights > 0]
    scaled = weights[weights > 0] / weights.max()  # so that no sum is infinite
    borders = np.cumsum(scaled)
    borders /= borders[-1]

    def draw(step: int) -> np.ndarray:
        drawn = generator(images.seed, "weighted", step).random(images.batch)
        return drawable[np.searchsorted(borders, drawn, side="right")]

    return Sampler(images.batch, len(records), draw, shares_by_class(images.labels[weights > 0], scaled))


def statically_balanced(images: Images) -> Sampler:
    """Every class filled up once to the size of the largest with fixed augmented copies: paper 002's static balancing.

    An epoch is a fixed list of (record, copy) in a fresh order: each image itself, and copies spread evenly over the
    images of its class. A copy stands for a picture augmented once and kept, so it looks the same whenever it comes;
    `oversampled` repeats originals instead, and all phases of a run have the same copies. The paper says nothing of how
    its copies were augmented.
    """
    batch, members = images.batch, images.by_class()
    largest = max(map(len, members))
    fixed = generator(images.seed if images.run_seed is None else images.run_seed, "copies", 0)
    first_copy = fixed.integers(2**30, dtype=np.int32)
    # The first images of a class have one copy more than its last ones, hence its order is drawn.
    rows = np.concatenate([np.resize(fixed.permutation(member), largest) for member in members])
    times_before = np.concatenate([np.arange(largest, dtype=np.int32) // len(member) for member in members])
    copy = np.where(times_before > 0, first_copy + times_before, 0).astype(np.int32)
    every = np.arange(len(rows), dtype=np.int32)

    def epoch(number: int) -> np.ndarray:
        return generator(images.seed, "statically_balanced", number).permutation(every)

    places = _epochs(batch, len(every), epoch, equal_shares(images.labels))
    return Sampler(batch, len(rows), lambda step: rows[places(step)], places.shares, lambda step: copy[places(step)])


def weights_by_class(formula: str, labels: np.ndarray, classes: Sequence[str] | None = None) -> np.ndarray:
    """Weights [n] for `weighted`: each image's is that of its class by a formula of `skinjax.objectives.class_weights`.

    labels: [n]; classes: the names of the classes that must be there (by default, those in `labels`).

    >>> weights_by_class("inverse", np.array([0, 0, 0, 1]))
    array([1.33333333, 1.33333333, 1.33333333, 4.        ])
    """
    check_labelled(labels)
    if classes is None:
        present, labels = np.unique(labels, return_inverse=True)
        classes = [str(number) for number in present]
    return class_weights(formula, np.bincount(labels, minlength=len(classes)), classes)[labels]


def shares_by_class(labels: np.ndarray, weights: np.ndarray | None = None) -> tuple[float, ...]:
    """Each class's part of the `weights` [n] (by default, of the number) of labelled images; labels: [n]."""
    labelled = labels >= 0
    drawn = np.bincount(labels[labelled], None if weights is None else weights[labelled])
    return tuple((drawn / (drawn.sum() or 1)).tolist())


def equal_shares(labels: np.ndarray) -> tuple[float, ...]:
    """One share for every class that occurs."""
    return shares_by_class(np.unique(labels))


@dataclasses.dataclass(frozen=True)
class EvaluationBatches:
    """The positions 0 ... count-1 in order, in `steps` batches of one size, and a mask that is False where padded.

    The padding repeats the last position.

    >>> EvaluationBatches(count=5, batch=3)(1)
    (array([3, 4, 4], dtype=int32), array([ True,  True, False]))
    """

    count: int
    batch: int

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UserError("there are no images to evaluate: this part of the split is empty")

    @property
    def steps(self) -> int:
        return -(-self.count // self.batch)

    def __call__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        if not 0 <= step < self.steps:
            raise IndexError(f"step {step} of an evaluation of {self.steps} steps")
        positions = np.arange(step * self.batch, (step + 1) * self.batch, dtype=np.int32)
        return np.minimum(positions, self.count - 1), positions < self.count


def generator(seed: int, purpose: str, number: int, label: int = 0) -> np.random.Generator:
    """A generator of its own for each purpose, epoch (or chunk, or step) and class."""
    entropy = [seed, zlib.crc32(purpose.encode()), number, label]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))


def check_labelled(labels: np.ndarray) -> None:
    """Refuse unlabelled images, which have no class to go by."""
    if (labels < 0).any():
        raise UserError(f"{np.sum(labels < 0)} images have no label to balance: leave them out or sample 'natural'")


def _levelled(images: Images, members: list[np.ndarray], count: int, purpose: str) -> Sampler:
    """Epochs that hold `count` images of every class: the class's fresh order, repeated cyclically or cut short."""

    def epoch(number: int) -> np.ndarray:
        fresh = generator(images.seed, purpose, number)
        return fresh.permutation(np.concatenate([np.resize(fresh.permutation(m), count) for m in members]))

    return _epochs(images.batch, count * len(members), epoch, equal_shares(images.labels))


def _epochs(batch: int, length: int, epoch: Callable[[int], np.ndarray], shares: tuple[float, ...]) -> Sampler:
    """Batches cut from the endless row of epochs, of which about two million records (8 MB) stay cached."""
    cached = lru_cache(maxsize=max(4, 2_000_000 // length))(epoch)
    return Sampler(batch, length, lambda step: _window(cached, length, step * batch, (step + 1) * batch), shares)


def _window(block: Callable[[int], np.ndarray], length: int, start: int, stop: int) -> np.ndarray:
    """A copy of the entries [start, stop) of the endless row block(0), block(1), ..., each `length` long."""
    numbers = range(start // length, (stop - 1) // length + 1)
    return np.concatenate([block(n)[max(start - n * length, 0) : stop - n * length] for n in numbers])
