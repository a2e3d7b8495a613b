"""Rows of n images, any two places of which agree in class about half of the time: paper 004's pairs, and its tuples.

The paper draws pairs at random and keeps 45-55 % of a batch within one class; random pairs of ISIC-2016 would be 69 %.
It does not say how, and the two ways here give the classes other shares: of ISIC-2016's malignant ones, 19.2 % of its
images, 27.7 and 34.6 %.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from skinjax.core.errors import UserError
from skinjax.core.settings import Named, choice, number
from skinjax.data.sampling.samplers import Images, Sampler, check_labelled, generator, natural, shares_by_class

PAIRS = {
    "conditioned": "random rows, of which such batches are kept as hold the share",
    "partner": "a place is the batch of `natural`, and the others are of its class or of another image's",
}
CANDIDATES = 256  # batches begun at once
ATTEMPTS = 256  # times so many, before a share is called impossible


@dataclasses.dataclass(frozen=True)
class TuplesSettings(Named):
    """In each batch any two places of a row are of one class in `least` to `most` of the rows."""

    name: str = "tuples"
    pairs: str = choice("conditioned", "value of sampler.pairs", PAIRS)
    least: float = number(0.45, 0, 1)
    most: float = number(0.55, 0, 1)

    def check(self) -> None:
        if self.least > self.most:
            raise UserError(f"sampler.least is {self.least:g} and sampler.most {self.most:g}: lower the least")


def tuples(images: Images, settings: TuplesSettings) -> Sampler:
    """`sampler(step)` is int32 [batch, n] for `images.places` = n; no image comes twice in a row.

    An epoch is as long as that of `natural`, which this is for one place. The places of `partner` change roles from
    step to step: at step t, place t % n is `natural`'s. There a row has at most two classes, of which the second is
    that of an image drawn from all classes but the first.

    >>> labels = np.array([0, 0, 0, 1, 1])
    >>> rows = tuples(Images(np.arange(5), labels, batch=4, seed=0, places=2), TuplesSettings())(0)
    >>> int((labels[rows[:, 0]] == labels[rows[:, 1]]).sum())
    2
    """
    n, batch, seed = images.places, images.batch, images.seed
    if n == 1:
        return natural(images)
    groups, patterns = Groups(images), Patterns(batch, n, settings.least, settings.most)
    parts, partner = groups.sizes / groups.sizes.sum(), settings.pairs == "partner"
    if partner:
        odds = parts / (1 - parts)
        classes = [np.stack([parts, parts * (odds.sum() - odds)])] * len(patterns.blocks)
        chances = patterns.chances(np.array([max(blocks) < 2 for blocks in patterns.blocks], float))
    else:
        found = [_distinct(parts, np.bincount(blocks).tolist()) for blocks in patterns.blocks]
        classes, chances = [of for _, of in found], patterns.chances(np.array([chance for chance, _ in found]))
    patterns.draw(generator(seed, "tuples, a try", 0), chances, ATTEMPTS)  # or the share is impossible
    stream = natural(Images(np.arange(len(images.records)), groups.labels, batch, seed))

    def draw(step: int) -> np.ndarray:
        fresh = generator(seed, "tuples", step)
        blocks = patterns.blocks[patterns.draw(fresh, chances)]
        if not partner:
            powers = np.stack([np.cumsum(parts**size) for size in range(1, n + 1)])
            return groups.rows(fresh, _classes(fresh, powers / powers[:, -1:], blocks))
        first = stream(step)
        own = groups.labels[first]
        others = fresh.integers(0, (len(groups.labels) - groups.sizes[own]))
        others += np.where(others >= groups.starts[own], groups.sizes[own], 0)
        of_block = np.stack([own, groups.labels[groups.order[others]]], axis=1)
        rows = groups.rows(fresh, np.take_along_axis(of_block, blocks, axis=1), groups.rank[first])
        return np.roll(rows, step, axis=1)

    shares = np.zeros(len(parts))
    for chance, blocks, of in zip(chances, patterns.blocks, classes, strict=True):
        shares += chance * sum(of[block] for block in blocks if block < len(of)) / n
    return Sampler(batch, len(images.records), draw, shares_by_class(groups.present, shares))


class Groups:
    """The images of each class: `labels` [n] count classes from zero without gaps, of which `sizes` are the images.

    Positions count the images by class: `order` are theirs in `images`, `rank` the positions of those.
    """

    def __init__(self, images: Images):
        n = images.places
        check_labelled(images.labels)
        self.present, self.labels = np.unique(images.labels, return_inverse=True)
        names = [repr(images.classes[k] if images.classes is not None else int(k)) for k in self.present]
        self.sizes = np.bincount(self.labels)
        if len(self.sizes) == 1:
            raise UserError(f"all images are of the class {names[0]}: pairs of different classes need a second one")
        short = [f"{name} ({size})" for name, size in zip(names, self.sizes, strict=True) if size < n]
        if short:
            raise UserError(
                f"tuples of {n} take up to {n} different images of one class, and there are fewer of "
                f"{', '.join(short)}: leave such classes out or change the split"
            )
        self.order = np.argsort(self.labels, kind="stable")
        self.rank, self.starts = np.argsort(self.order), np.cumsum(self.sizes) - self.sizes
        self._records = images.records[self.order]

    def rows(self, fresh: np.random.Generator, classes: np.ndarray, first: np.ndarray | None = None) -> np.ndarray:
        """Records [batch, n] of these classes, different ones in a row; `first` are positions [batch] of one place."""
        positions = np.zeros(classes.shape, int)
        again = np.arange(len(classes))
        while len(again):
            of = classes[again]
            positions[again] = self.starts[of] + fresh.integers(0, self.sizes[of])
            if first is not None:
                positions[again, 0] = first[again]
            again = again[_repeats(positions[again])]
        return self._records[positions]


class Patterns:
    """Which places of a row are of one class: partitions of n places, a batch of which agrees as often as it should.

    `blocks` [partitions, n] is the block that each place is in, counted as they come; `agree` [partitions, pairs].
    """

    def __init__(self, batch: int, n: int, least: float, most: float):
        self._batch, self._n, self._wanted = batch, n, f"{least:.0%} to {most:.0%} of {batch} rows"
        # A share of 0.55 of 20 rows is 11, whatever its last bit says.
        self._least, self._most = math.ceil(least * batch - 1e-9), math.floor(most * batch + 1e-9)
        if self._least > self._most:
            raise UserError(f"no whole number of pairs is {self._wanted}: choose a larger or an even batch")
        self.blocks = np.array(list(_partitions(n)))
        pairs = itertools.combinations(range(n), 2)
        self.agree = np.stack([self.blocks[:, a] == self.blocks[:, b] for a, b in pairs], axis=1)

    def chances(self, weights: np.ndarray) -> np.ndarray:
        """In proportion to weights * exp(t * pairs that agree), with the t by which as many do as in the batches kept.

        Which batches are kept does not depend on t; how many of those that are begun does.
        """
        agreeing, wanted = self.agree.sum(axis=1), (self._least + self._most) / 2 / self._batch * self.agree.shape[1]
        low, high = -50.0, 50.0
        for _ in range(60):
            tilt = (low + high) / 2
            found = weights * np.exp(tilt * (agreeing - wanted))
            found /= found.sum()
            low, high = (tilt, high) if found @ agreeing < wanted else (low, tilt)
        return found

    def draw(self, fresh: np.random.Generator, chances: np.ndarray, attempts: int | None = None) -> np.ndarray:
        """The partitions of a batch by number [batch]; `attempts` are the candidates after which it is given up."""
        for _ in range(attempts) if attempts else itertools.count():
            begun = fresh.choice(len(chances), (CANDIDATES, self._batch), p=chances)
            agreeing = self.agree[begun].sum(axis=1)
            kept = np.flatnonzero(((agreeing >= self._least) & (agreeing <= self._most)).all(axis=1))
            if len(kept):
                return begun[kept[0]]
        raise UserError(
            f"no tuples of {self._n} were found of which any two places agree in {self._wanted}: choose a larger "
            "batch, a multiple of 4, or a share nearer to a half"
        )


def _partitions(n: int) -> Iterator[tuple[int, ...]]:
    """The block of each of n places, for every way to put them into blocks.

    >>> list(_partitions(2))
    [(0, 0), (0, 1)]
    """
    if n == 0:
        yield ()
    for blocks in _partitions(n - 1) if n else ():
        yield from ((*blocks, block) for block in range(max(blocks, default=-1) + 2))


def _distinct(parts: np.ndarray, sizes: Sequence[int]) -> tuple[float, np.ndarray]:
    """The chance that blocks of places, each of a class by its `parts`, are of one class each and no two of the same.

    And each block's chances of the classes where they are [blocks, classes].
    """
    chance, of = float(_over_distinct(lambda size: (parts**size).sum(), sizes)), []
    for block, size in enumerate(sizes):
        others = [*sizes[:block], *sizes[block + 1 :]]
        of.append(parts**size * _over_distinct(lambda k: (parts**k).sum() - parts**k, others) / (chance or 1))
    # What is left of sums that cancel is no chance: no draw would ever have so many classes.
    return (chance if len(sizes) <= np.count_nonzero(parts) else 0.0), np.stack(of)


def _over_distinct(powers: Callable[[int], Any], sizes: Sequence[int]) -> Any:
    """The sum over all choices of different classes for the blocks of products of p ** size; powers(k): sum p ** k."""
    if not len(sizes):
        return 1.0
    *rest, last = sizes
    found = powers(last) * _over_distinct(powers, rest)
    for place, size in enumerate(rest):  # less those in which the last block is of another one's class
        found = found - _over_distinct(powers, [*rest[:place], size + last, *rest[place + 1 :]])
    return found


def _classes(fresh: np.random.Generator, borders: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """The class of each place [batch, n], another for each block; borders[k - 1]: of classes by p ** k, cumulated."""
    sizes = np.stack([(blocks == block).sum(axis=1) for block in range(blocks.shape[1])], axis=1)
    of_block, again, none = np.zeros(blocks.shape, int), np.arange(len(blocks)), -1 - np.arange(blocks.shape[1])
    while len(again):
        drawn = (borders[sizes[again] - 1] <= fresh.random((*of_block[again].shape, 1))).sum(axis=2)
        of_block[again] = np.where(sizes[again] > 0, drawn, none)
        again = again[_repeats(of_block[again])]
    return np.take_along_axis(of_block, blocks, axis=1)


def _repeats(rows: np.ndarray) -> np.ndarray:
    """Whether a number comes twice in a row."""
    in_order = np.sort(rows, axis=1)
    return (in_order[:, 1:] == in_order[:, :-1]).any(axis=1)
