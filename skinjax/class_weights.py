"""Class weights from training counts: the five formulae that the papers and their code use (papers.md, 1.4)."""

from collections.abc import Callable, Sequence

import numpy as np

from skinjax.errors import UserError, lookup


def class_weights(formula: str, counts: Sequence[int] | np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Weights [classes] by `formula` for training `counts` [classes]; but for `none`, every class needs an image.

    >>> class_weights("balanced", [6, 2], ["nv", "mel"]).round(3)
    array([0.667, 2.   ])
    """
    counts = np.asarray(counts, np.float64)
    empty = [name for name, count in zip(classes, counts, strict=True) if count == 0]
    if empty and formula != "none":
        raise UserError(
            f"no training image of class {', '.join(empty)}: its weight is undefined; add images or drop it"
        )
    return lookup("class weight formula", formula, CLASS_WEIGHTS)(counts)


def inverse(counts: np.ndarray, exponent: float = 1.0) -> np.ndarray:
    """(N / N_i)^exponent: paper 003's loss weighting, and 1 / mean of the one-hot labels."""
    return (counts.sum() / counts) ** exponent


def balanced(counts: np.ndarray) -> np.ndarray:
    """N / (C N_i), as scikit-learn's class_weight='balanced'."""
    return counts.sum() / (len(counts) * counts)


def odds_normalised(counts: np.ndarray) -> np.ndarray:
    """(N - N_i) / N_i divided by its sum: the weights published by paper 000's group."""
    odds = (counts.sum() - counts) / counts
    return odds / odds.sum()


def median_frequency(counts: np.ndarray) -> np.ndarray:
    """The median class frequency over each class's frequency."""
    return np.median(counts) / counts


def effective_number(counts: np.ndarray, beta: float = 0.999) -> np.ndarray:
    """(1 - beta) / (1 - beta^N_i), scaled to sum to the number of classes (class-balanced loss)."""
    weights = (1 - beta) / (1 - beta**counts)
    return weights / weights.sum() * len(counts)


CLASS_WEIGHTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "none": np.ones_like,
    "inverse": inverse,
    "balanced": balanced,
    "odds_normalised": odds_normalised,
    "median": median_frequency,
    "effective": effective_number,
}
