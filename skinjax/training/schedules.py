"""Learning rates as functions of the step, from optax: a warm-up, then a shape.

A new schedule is a function, settings of its own if it has any, and a line in `SCHEDULES`; one with cycles has another
in `CYCLES`.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from skinjax.core.errors import UserError
from skinjax.core.settings import ABOVE_ZERO, Kind, Named, choice, number

Schedule = Callable[[jax.Array | int], jax.Array]
InSteps = Callable[[float], int]  # of a duration in the phase's unit
MOST_CYCLES = 1000

# (rate, floor) to where the half cosine of a cycle begins and ends.
FORMULAS: Mapping[str, Callable[[float, float], tuple[float, float]]] = {
    "loshchilov": lambda rate, floor: (rate, floor),  # eq. 5 of SGDR
    "floor_added": lambda rate, floor: (rate + floor, floor),  # paper 002's with v in its place: v/2 (1 + cos) + eps
    "as_printed": lambda rate, floor: ((1 + rate) / 2 + floor, (1 - rate) / 2 + floor),  # 1/2 (1 + v cos) + eps
    "fastai": lambda rate, floor: (rate, floor),  # its first iterations apart, see `warm_restarts`
}


@dataclasses.dataclass(frozen=True)
class StepSettings(Named):
    """The rate times `factor` from each milestone on, which are counted in the phase's unit from its start."""

    name: str = "step"
    milestones: tuple[float, ...] = number((), ABOVE_ZERO, 1e9)
    factor: float = number(0.1, 0, 1e6)


@dataclasses.dataclass(frozen=True)
class InverseTimeSettings(Named):
    """rate / (1 + t / `half_after`), which is counted in the phase's unit."""

    name: str = "inverse_time"
    half_after: float = number(1.0, ABOVE_ZERO, 1e9)


@dataclasses.dataclass(frozen=True)
class OneCycleSettings(Named):
    """A cosine up to the rate and one down: from rate / `start_divisor` to that / `end_divisor`, at the last step."""

    name: str = "one_cycle"
    rise_share: float = number(0.3, 0, 0.99)  # of the steps
    start_divisor: float = number(25.0, 1, 1e38)
    end_divisor: float = number(1e4, 1, 1e38)


@dataclasses.dataclass(frozen=True)
class WarmRestartsSettings(Named):
    """SGDR: half cosines from the rate towards `floor`, the first `cycle` long in the phase's unit."""

    name: str = "warm_restarts"
    cycle: float = number(1.0, ABOVE_ZERO, 1e9)
    multiplier: float = number(1.0, 1, 1000)  # each cycle is so many times as long as the one before
    floor: float = number(0.0, 0, 1e38)
    formula: str = choice("loshchilov", "value of schedule.formula", FORMULAS)


class Span(NamedTuple):
    """What a shape fills: the `steps` of a phase after the `rise` steps of its warm-up, at its full rate."""

    learning_rate: float
    steps: int
    rise: int
    warmup: float  # in the phase's unit
    in_steps: InSteps

    @classmethod
    def of(cls, learning_rate: float, steps: int, warmup: float, in_steps: InSteps) -> "Span":
        """That of a phase of `steps`; `warmup` is in its unit."""
        rise = in_steps(warmup) if warmup else 0
        if rise > steps:
            raise UserError(f"the warm-up of {rise} steps does not fit into a phase of {steps} steps: shorten it")
        return cls(learning_rate, max(steps - rise, 1), rise, warmup, in_steps)

    def after(self, duration: float) -> int:
        """A `duration` after the warm-up, in steps; rounded with it, as the phase is, that the two end together."""
        return self.in_steps(self.warmup + duration) - self.rise


def make_schedule(
    settings: Named, learning_rate: float, steps: int, warmup: float = 0, in_steps: InSteps = int
) -> Schedule:
    """The schedule of `settings` over `steps`, after a linear warm-up.

    Warm-up step i of n has rate (i + 1) / n of the full one. `warmup` and what the settings count in the phase's unit
    become steps by `in_steps`.

    >>> schedule = make_schedule(StepSettings(milestones=(4, 8)), 1.0, 10)
    >>> [round(float(schedule(step)), 4) for step in (3, 4, 8)]
    [1.0, 0.1, 0.01]
    """
    span = Span.of(learning_rate, steps, warmup, in_steps)
    shape = SCHEDULES[settings.name].make(span, settings)
    if span.rise:
        rising = optax.linear_schedule(learning_rate / span.rise, learning_rate, max(span.rise - 1, 1))
        shape = optax.join_schedules([rising, shape], [span.rise])
    return lambda step: jnp.broadcast_to(jnp.asarray(shape(step), jnp.float32), jnp.shape(step))


def cycle_ends(settings: Named, steps: int, warmup: float = 0, in_steps: InSteps = int) -> tuple[int, ...]:
    """The steps of a phase after which whole cycles of its schedule end; none where that has no cycles."""
    if settings.name not in CYCLES:
        return ()
    span = Span.of(1.0, steps, warmup, in_steps)
    return tuple(span.rise + end for end in CYCLES[settings.name](span, settings) if span.rise + end <= steps)


def step_decay(span: Span, settings: StepSettings) -> optax.Schedule:
    """The rate times a factor from each milestone on."""
    counted = Counter(span.in_steps(milestone) - span.rise for milestone in settings.milestones)
    factors = {step: settings.factor**count for step, count in counted.items()}
    return optax.piecewise_constant_schedule(span.learning_rate, factors)


def inverse_time(span: Span, settings: InverseTimeSettings) -> optax.Schedule:
    """The rate divided by a line that is 1 at first and 2 after `half_after`; optax has none."""
    half_after = max(span.after(settings.half_after), 1)
    return lambda step: span.learning_rate / (1 + step / half_after)


def one_cycle(span: Span, settings: OneCycleSettings) -> optax.Schedule:
    """PyTorch's OneCycleLR; where the rise is no whole number of steps, optax rounds its end down."""
    divisors = (settings.start_divisor, settings.end_divisor)
    last = max(span.steps - 1, 1)
    shape = optax.cosine_onecycle_schedule(last, span.learning_rate, settings.rise_share, *divisors)
    return jnp.vectorize(shape)  # which is of one step at a time


def warm_restarts(span: Span, settings: WarmRestartsSettings) -> optax.Schedule:
    """A half cosine for each cycle; it ends a step before it would come to the floor."""
    rate, floor = span.learning_rate, settings.floor
    if floor > rate:
        raise UserError(f"schedule.floor is {floor:g} and optimizer.learning_rate {rate:g}: set the floor below it")
    lengths = np.diff(restart_ends(span, settings), prepend=0).tolist()
    first, last = FORMULAS[settings.formula](rate, floor)
    if last < 0:
        raise UserError(f"schedule.formula {settings.formula!r} goes below 0 from the rate {rate:g}: set one up to 1")
    cosine = {"init_value": first, "peak_value": first, "warmup_steps": 0, "end_value": last}
    shape = optax.sgdr_schedule([{**cosine, "decay_steps": length} for length in lengths])
    if settings.formula != "fastai":
        return shape
    return lambda step: jnp.where(step < lengths[0] / 20, rate / 100, shape(step))


def restart_ends(span: Span, settings: WarmRestartsSettings) -> list[int]:
    """The steps after the warm-up at which cycles end, the last one at the end of the span or beyond it."""
    ends, passed, length = [0], 0.0, settings.cycle
    while ends[-1] < span.steps:
        passed, length = passed + length, length * settings.multiplier
        ends.append(span.after(passed))
        if ends[-1] <= ends[-2] or len(ends) > MOST_CYCLES + 1:
            raise UserError(
                f"schedule.cycle is {settings.cycle:g}, too short for a phase of {span.steps} steps: a cycle has at "
                f"least one step, and a phase at most {MOST_CYCLES} cycles"
            )
    return ends[1:]


SCHEDULES: dict[str, Kind] = {
    "constant": Kind(Named, lambda span, settings: optax.constant_schedule(span.learning_rate)),
    "step": Kind(StepSettings, step_decay),
    "cosine": Kind(Named, lambda span, settings: optax.cosine_decay_schedule(span.learning_rate, span.steps)),
    "inverse_time": Kind(InverseTimeSettings, inverse_time),
    "one_cycle": Kind(OneCycleSettings, one_cycle),
    "warm_restarts": Kind(WarmRestartsSettings, warm_restarts),
}
LENGTHS = {"step": "milestones", "inverse_time": "half_after", "warm_restarts": "cycle"}  # in the phase's unit
CYCLES: dict[str, Callable[[Span, Any], list[int]]] = {"warm_restarts": restart_ends}


def stretched(settings: Named, factor: float) -> Named:
    """The settings with all that they count in the phase's unit so many times as long.

    >>> stretched(StepSettings(milestones=(4, 8)), 0.5).milestones
    (2.0, 4.0)
    """
    if settings.name not in LENGTHS:
        return settings
    field = LENGTHS[settings.name]
    value = getattr(settings, field)
    return settings.replace(**{field: tuple(factor * x for x in value) if isinstance(value, tuple) else factor * value})
