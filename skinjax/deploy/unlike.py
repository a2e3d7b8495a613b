"""How unlike the training photographs one is: how far the direction of its features is from the nearest of theirs."""

import numpy as np

from skinjax.core.errors import UserError

Array = np.ndarray

KEPT = 1000  # training photographs whose features are kept
SHARE = 0.95  # of the validation photographs that are not unlike


def directions(features: Array) -> Array:
    """Features [n, d] with length 1."""
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def reference(features: Array) -> Array:
    """What is kept of training photographs' features [n, d]."""
    return directions(features.astype(np.float32)).astype(np.float16)


def distances(features: Array, kept: Array) -> Array:
    """1 - the largest cosine between each row [n, d] and a kept one [m, d]: [n]."""
    if features.shape[1] != kept.shape[1]:
        raise UserError(f"features have {features.shape[1]} numbers, and those that are kept {kept.shape[1]}")
    return 1 - (directions(features.astype(np.float32)) @ kept.astype(np.float32).T).max(axis=1)


def threshold(of_validation: Array) -> float:
    """The distance that a share of the validation photographs does not exceed."""
    return float(np.quantile(of_validation, SHARE))
