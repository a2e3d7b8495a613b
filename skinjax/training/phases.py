"""A phase: a stretch of training with its own images, schedule, frozen stages and loss, and a fresh optimiser."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any

from skinjax.core.settings import ABOVE_ZERO, Named, Settings, choice, number, one_of
from skinjax.data.sampling import SAMPLERS
from skinjax.data.sampling.samplers import Sampler
from skinjax.objectives.losses import ClassificationLoss
from skinjax.training.optimizers import EVERYTHING
from skinjax.training.schedules import SCHEDULES

UNITS = {unit: unit for unit in ("steps", "epochs", "examples")}


@dataclasses.dataclass(frozen=True)
class PhaseSettings(Settings):
    """A phase; `duration`, `warmup` and what its schedule counts are in `unit`."""

    place = "phase"

    duration: float = number(10.0, ABOVE_ZERO, 1e9)
    unit: str = choice("epochs", "duration unit", UNITS)
    schedule: Named = one_of("constant", "schedule", SCHEDULES)
    warmup: float = number(0.0, 0, 1e9)  # rises to the full rate, in front of any schedule
    learning_rate_multipliers: tuple[tuple[str, float], ...] = number(EVERYTHING, 0, 1e38)
    frozen: tuple[str, ...] = ()
    sampler: Named | None = one_of(None, "sampler", SAMPLERS)  # another than the run's
    classes: tuple[str, ...] = ()  # train on the images of these only
    # fields of `loss` that differ in this phase; those of the diagnosis are the run's
    loss: Mapping[str, Any] = dataclasses.field(default_factory=dict, metadata={"overrides": ClassificationLoss})


@dataclasses.dataclass(frozen=True)
class Phase:
    """`sampler` and `learning_rate` count steps from the start of the phase.

    `learning_rate_multipliers` are rows (stage, module or pattern, factor); see `optimizers.parameter_factors`.
    """

    name: str
    steps: int
    sampler: Sampler
    learning_rate: Callable
    learning_rate_multipliers: tuple[tuple[str, float], ...] = ((".*", 1.0),)
    frozen: tuple[str, ...] = ()
    loss_function: ClassificationLoss | None = None


def duration_in_steps(amount: float, unit: str, batch: int, epoch_length: int) -> int:
    """A duration given once, in any unit, as whole steps (at least one).

    >>> duration_in_steps(2, "epochs", batch=32, epoch_length=100)
    7
    """
    images = {"steps": batch, "epochs": epoch_length, "examples": 1}[unit]
    return max(1, math.ceil(amount * images / batch - 1e-9))
