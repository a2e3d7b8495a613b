"""Learning rates as functions of the step, from optax: a warm-up, then a shape.

A new schedule is a function, settings of its own if it has any, and a line in `SCHEDULES`.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from skinjax.core.errors import UserError
from skinjax.core.settings import ABOVE_ZERO, Kind, Named, number

Schedule = Callable[[jax.Array | int], jax.Array]


@dataclasses.dataclass(frozen=True)
class StepSettings(Named):
    """The rate times `factor` from each milestone on, which are counted in the phase's unit from its start."""

    place = "schedule"

    name: str = "step"
    milestones: tuple[float, ...] = number((), ABOVE_ZERO, 1e9)
    factor: float = number(0.1, 0, 1e6)


class Span(NamedTuple):
    """What a shape fills: the `steps` of a phase after its `warmup`, at its full rate."""

    learning_rate: float
    steps: int
    warmup: int
    in_steps: Callable[[float], int]  # of a duration in the phase's unit


def make_schedule(
    settings: Named, learning_rate: float, steps: int, warmup: int = 0, in_steps: Callable[[float], int] = int
) -> Schedule:
    """The schedule of `settings` over `steps`, after a linear warm-up of `warmup` steps.

    Warm-up step i of n has rate (i + 1) / n of the full one. What the settings count in the phase's unit is `in_steps`.

    >>> schedule = make_schedule(StepSettings(milestones=(4, 8)), 1.0, 10)
    >>> [round(float(schedule(step)), 4) for step in (3, 4, 8)]
    [1.0, 0.1, 0.01]
    """
    if warmup > steps:
        raise UserError(f"the warm-up of {warmup} steps does not fit into a phase of {steps} steps: shorten it")
    span = Span(learning_rate, max(steps - warmup, 1), warmup, in_steps)
    shape = SCHEDULES[settings.name].make(span, settings)
    if warmup:
        rising = optax.linear_schedule(learning_rate / warmup, learning_rate, max(warmup - 1, 1))
        shape = optax.join_schedules([rising, shape], [warmup])
    return lambda step: jnp.broadcast_to(jnp.asarray(shape(step), jnp.float32), jnp.shape(step))


def step_decay(span: Span, settings: StepSettings) -> optax.Schedule:
    """The rate times a factor from each milestone on."""
    counted = Counter(span.in_steps(milestone) - span.warmup for milestone in settings.milestones)
    factors = {step: settings.factor**count for step, count in counted.items()}
    return optax.piecewise_constant_schedule(span.learning_rate, factors)


SCHEDULES: dict[str, Kind] = {
    "constant": Kind(Named, lambda span, settings: optax.constant_schedule(span.learning_rate)),
    "step": Kind(StepSettings, step_decay),
    "cosine": Kind(Named, lambda span, settings: optax.cosine_decay_schedule(span.learning_rate, span.steps)),
}
