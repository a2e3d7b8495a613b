"""A phase: a stretch of training with its own images, schedule, frozen stages and loss, and a fresh optimiser."""

import dataclasses
import math
from collections.abc import Callable

from skinjax.core.errors import UserError, lookup
from skinjax.data.sampling.samplers import Sampler
from skinjax.objectives.losses import ClassificationLoss

UNITS = {unit: unit for unit in ("steps", "epochs", "examples")}


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
    images = {"steps": batch, "epochs": epoch_length, "examples": 1}[lookup("duration unit", unit, UNITS)]
    if not 0 < amount < math.inf:
        raise UserError(f"a duration is {amount} {unit}; it must be positive")
    return max(1, math.ceil(amount * images / batch - 1e-9))
