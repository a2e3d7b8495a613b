"""Rows of n images whose places agree in class about half of the time: paper 004's pairs, and its tuples for n > 2.

The paper draws pairs at random and keeps 45-55 % of a batch within one class; random pairs of ISIC-2016 would be 69 %.
"""

import math
from collections.abc import Sequence

import numpy as np

from skinjax.core.errors import UserError
from skinjax.data.sampling.samplers import Images, Sampler, check_labelled, generator, natural, shares_by_class

ATTEMPTS = 256  # patterns begun for a sampler; a step takes one of those that came out and shuffles its rows


def tuples(images: Images, n: int = 2, share: tuple[float, float] = (0.45, 0.55)) -> Sampler:
    """`sampler(step)` is int32 [batch, n]: in every batch, any two places hold one class in `share` of the rows.

    One place is the batch of `natural`. The others hold another image of its class or one of the row's second class,
    which is that of an image drawn from all the other classes; no image comes twice in a row. So the classes of a
    partner are not those of the data set, and the places change roles from step to step: at step t, place t % n is
    `natural`'s. An epoch is as long as that of `natural`.

    share: the least and the largest part of the rows, for every pair of places.

    >>> labels = np.array([0, 0, 0, 1, 1])
    >>> rows = tuples(Images(np.arange(5), labels, batch=4, seed=0))(0)
    >>> int((labels[rows[:, 0]] == labels[rows[:, 1]]).sum())
    2
    """
    records, batch, seed, present = images.records, images.batch, images.seed, np.unique(images.labels)
    labels, sizes = _classes(images.labels, images.classes, n)
    pool = _pattern_pool(batch, n, share, generator(seed, "tuples patterns", 0))
    # Images by class: position p of class c stands at starts[c] + p.
    order = np.argsort(labels, kind="stable")
    by_class, starts, rank = records[order], np.cumsum(sizes) - sizes, np.argsort(order)
    stream = natural(Images(np.arange(len(records)), labels, batch, seed))

    def draw(step: int) -> np.ndarray:
        fresh = generator(seed, "tuples", step)
        image = stream(step)
        label = labels[image]
        partner = fresh.integers(0, len(records) - sizes[label])
        partner += np.where(partner >= starts[label], sizes[label], 0)
        other = labels[order[partner]]
        same = pool[fresh.integers(len(pool))][:, fresh.permutation(batch)].T
        chosen = np.where(
            same,
            starts[label, None] + _distinct(fresh, rank[image] - starts[label], sizes[label], n),
            starts[other, None] + _distinct(fresh, partner - starts[other], sizes[other], n),
        )
        return np.roll(by_class[chosen], step, axis=1)

    return Sampler(batch, len(records), draw, shares_by_class(present, _shares(sizes, n, pool[:, 1:].mean())))


def _classes(labels: np.ndarray, classes: Sequence[str] | None, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The labels counted from zero without gaps, and the images of each class, all of which can fill a row."""
    if n < 2:
        raise UserError(f"tuples of {n} hold no pair of images: choose n of 2 or more")
    check_labelled(labels)
    numbers, labels = np.unique(labels, return_inverse=True)
    names = [repr(classes[number] if classes is not None else int(number)) for number in numbers]
    sizes = np.bincount(labels)
    if len(sizes) == 1:
        raise UserError(f"all images are of the class {names[0]}: pairs of different classes need a second one")
    short = [f"{name} ({size})" for name, size in zip(names, sizes, strict=True) if size < n]
    if short:
        raise UserError(
            f"tuples of {n} take up to {n} different images of one class, and there are fewer of {', '.join(short)}: "
            "leave such classes out or change the split"
        )
    return labels, sizes


def _shares(sizes: np.ndarray, n: int, same: float) -> np.ndarray:
    """Each class's share of rows of n, whose partners are of the row's class by `same`; sizes: images [classes].

    A partner's other class is that of an image drawn from all the classes but the row's own.
    """
    first = sizes / sizes.sum()
    other = sizes * (np.sum(first / (1 - first)) - first / (1 - first)) / sizes.sum()
    return (first + (n - 1) * (same * first + (1 - same) * other)) / n


def _pattern_pool(batch: int, n: int, share: tuple[float, float], fresh: np.random.Generator) -> np.ndarray:
    """Patterns bool [up to ATTEMPTS, n, batch], True where a place holds the class of the first place."""
    # A share of 0.55 of 20 rows is 11, whatever its last bit says.
    least, most = math.ceil(share[0] * batch - 1e-9), math.floor(share[1] * batch + 1e-9)
    wanted = f"{share[0]:.0%} to {share[1]:.0%} of {batch} rows"
    if least > most:
        raise UserError(f"no whole number of pairs is {wanted}: choose a larger or an even batch")
    begun = (_pattern(batch, n, least, most, fresh) for _ in range(ATTEMPTS))
    patterns = [pattern for pattern in begun if pattern is not None]
    if not patterns:
        raise UserError(
            f"no tuples of {n} were found of which any two places agree in {wanted}: choose a larger batch, a "
            "multiple of 4"
        )
    return np.stack(patterns)


def _pattern(batch: int, n: int, least: int, most: int, fresh: np.random.Generator) -> np.ndarray | None:
    """One pattern [n, batch], any two places of which agree in `least` to `most` rows; None if chance finds none."""
    places = np.ones((1, batch), bool)
    while len(places) < n:
        # All agree with the first place as they should, about 0.4 of 32 rows do so with each further one.
        count = min(4 ** (len(places) - 1), 4096)
        same = fresh.integers(least, most + 1, (count, 1))
        candidates = fresh.random((count, batch)).argsort(axis=1) < same
        agreeing = (candidates[:, None] == places).sum(axis=2)
        usable = np.flatnonzero(((agreeing >= least) & (agreeing <= most)).all(axis=1))
        if not len(usable):
            return None
        places = np.concatenate([places, candidates[usable[:1]]])
    return places


def _distinct(fresh: np.random.Generator, first: np.ndarray, sizes: np.ndarray, n: int) -> np.ndarray:
    """Positions [batch, n] without repetition, uniform in range(size) row by row, that begin with `first` [batch]."""
    taken = first[:, None]
    while taken.shape[1] < n:
        # The r-th of the positions that are left: step over each one taken, in order.
        position = fresh.integers(0, sizes - taken.shape[1])
        for earlier in np.sort(taken, axis=1).T:
            position += position >= earlier
        taken = np.concatenate([taken, position[:, None]], axis=1)
    return taken
