"""Class weights from training counts: the five formulae that the papers and their code use (papers.md, 1.4).

A formula maps counts [classes] to weights [classes], as arrays of numpy or of jax.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from skinjax.core.errors import UserError, lookup

Counts = Any  # an array of numpy or of jax


def class_weights(formula: str, counts: Sequence[int] | np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Weights [classes] by `formula` for training `counts` [classes]; but for `none`, every class needs an image.

    >>> class_weights("balanced", [6, 2], ["nv", "mel"]).round(3)
    array([0.667, 2.   ])
    """
    weigh = lookup("class weight formula", formula, CLASS_WEIGHTS)
    if formula != "none":
        check_every_class_has_images(counts, classes)
    return weigh(np.asarray(counts, np.float64))


def check_every_class_has_images(counts: Sequence[int] | np.ndarray, classes: Sequence[str]) -> None:
    """Refuse counts [classes] of which one is 0: a weight or prior of that class is undefined."""
    empty = [name for name, count in zip(classes, counts, strict=True) if count == 0]
    if empty:
        raise UserError(f"no training image of class {', '.join(empty)}: its weight is undefined; add some or drop it")


def odds_normalised(counts: Counts) -> Counts:
    """(N - N_i) / N_i divided by its sum: the weights published by paper 000's group."""
    odds = (counts.sum() - counts) / counts
    return odds / odds.sum()


def effective_number(counts: Counts, beta: float = 0.999) -> Counts:
    """(1 - beta) / (1 - beta^N_i), scaled to sum to the number of classes (class-balanced loss)."""
    # As expm1, because 1 - beta^1 has only four digits in float32.
    weights = (1 - beta) / -counts.__array_namespace__().expm1(counts * math.log(beta))
    return weights / weights.sum() * len(counts)


CLASS_WEIGHTS: dict[str, Callable[[Counts], Counts]] = {
    "none": lambda counts: 0 * counts + 1,
    # N / N_i: paper 003's loss weighting, and 1 / mean of the one-hot labels
    "inverse": lambda counts: counts.sum() / counts,
    # N / (C N_i), as scikit-learn's class_weight='balanced'
    "balanced": lambda counts: counts.sum() / (len(counts) * counts),
    "odds_normalised": odds_normalised,
    # the median class frequency over each class's frequency
    "median": lambda counts: counts.__array_namespace__().median(counts) / counts,
    "effective": effective_number,
}
