"""What pictures are composed of: random waves, scattered points, wandering paths and a smooth step."""

import numpy as np

Range = tuple[float, float]

Waves = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Plane waves: vectors [count, 2], phases [count], weights [count]."""


def smooth(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    y = 3 - 2 * x
    y *= x
    y *= x
    return y


def spectrum(
    rng: np.random.Generator, count: int, low: float, high: float, slope: float = 0.0, spread: float = np.pi
) -> Waves:
    """Random waves of unit variance between two frequencies (per field of view), weaker by `frequency ** -slope`."""
    heading = rng.uniform(0, 2 * np.pi) + rng.uniform(-spread, spread, count)
    frequency = low * (high / low) ** rng.random(count)
    weights = frequency**-slope
    return _polar(frequency, heading), rng.uniform(0, 2 * np.pi, count), weights * np.sqrt(2 / np.sum(weights**2))


def honeycomb(rng: np.random.Generator, period: float) -> Waves:
    """Waves of unit variance that peak on a hexagonal lattice, a little uneven."""
    base, weights = rng.uniform(0, 2 * np.pi), np.repeat([1.0, 0.5, 0.5], 3)
    heading = base + np.repeat(rng.normal(0, 0.12, 3), 3) + np.tile(2 * np.pi / 3 * np.arange(3), 3)
    frequency = np.repeat(rng.normal(1, 0.08, 3), 3) / period
    phases = rng.uniform(0, 2 * np.pi, (3, 3))
    phases -= phases.mean(1, keepdims=True)  # three that sum to zero make the peaks round and the valleys a net
    return _polar(frequency, heading), phases.ravel(), weights * np.sqrt(2 / np.sum(weights**2))


def scatter(rng: np.random.Generator, count: int, radius: float) -> np.ndarray:
    """Points spread evenly over a disc: [count, 2]."""
    heading, distance = rng.uniform(0, 2 * np.pi, count), radius * np.sqrt(rng.random(count))
    return distance[:, None] * np.stack([np.cos(heading), np.sin(heading)], -1)


def wander(
    rng: np.random.Generator, start: np.ndarray, heading: float, steps: int, step: float, bend: float
) -> np.ndarray:
    """A path that changes its heading a little at every step: [steps + 1, 2]."""
    headings = heading + np.cumsum(rng.normal(0, bend, steps))
    moves = step * np.stack([np.cos(headings), np.sin(headings)], -1)
    return start + np.concatenate([np.zeros((1, 2)), np.cumsum(moves, 0)])


def _polar(frequency: np.ndarray, heading: np.ndarray) -> np.ndarray:
    """Wave vectors: [count, 2]."""
    return 2 * np.pi * frequency[:, None] * np.stack([np.cos(heading), np.sin(heading)], -1)
