"""A phase: a stretch of training with its own images, schedule, frozen stages and loss, and a fresh optimiser."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from skinjax.core.errors import UserError
from skinjax.core.settings import ABOVE_ZERO, Named, Settings, choice, number, one_of
from skinjax.data.dataset import DatasetSettings
from skinjax.data.sampling import SAMPLERS
from skinjax.data.sampling.samplers import Sampler
from skinjax.evaluation.confusion import METRICS
from skinjax.evaluation.scores import LOWER_IS_BETTER, SCORE_METRICS
from skinjax.methods.base import Objective
from skinjax.objectives.losses import ClassificationLoss
from skinjax.training.optimizers import EVERYTHING
from skinjax.training.schedules import SCHEDULES, stretched

UNITS = {unit: unit for unit in ("steps", "epochs", "examples")}
CLASS_FIGURES = {**METRICS, **SCORE_METRICS}
HIGHER_IS_BETTER = CLASS_FIGURES.keys() - LOWER_IS_BETTER
BETTER = {"": "higher for most figures of the classes, lower for losses and terms", "higher": "", "lower": ""}
FEATURES = {
    "computed": "the network reads every picture anew",
    "stored": "the frozen trunk reads every picture once, and the head trains on what it said",
}
BEGINS = {"last": "the last state of the phase before", "best": "its best, by its own metric"}


@dataclasses.dataclass(frozen=True)
class Evaluations(Settings):
    """When a phase is judged on the validation part, and by what."""

    every: float = number(1.0, 0, 1e12)
    unit: str = choice("epochs", "duration unit", UNITS)
    metric: str = "macro_recall"  # a figure of the classes, or a term that the method evaluates, as `loss`
    better: str = choice("", "value of evaluations.better", BETTER)
    # evaluations without a better one that end a phase, or whole cycles where its schedule has some; 0 = none do
    patience: int = number(0, 0, 2**31)
    target: float | None = number(None, -1e38, 1e38)  # the first evaluation that reaches it ends the run

    def check(self) -> None:
        if self.target is not None and self.metric in HIGHER_IS_BETTER and not 0 <= self.target <= 1:
            raise UserError(f"evaluations.target is {self.target:g}, and {self.metric} is a number from 0 to 1")

    @property
    def lower_is_better(self) -> bool:
        """Whether a lower value of the metric is better."""
        return self.better == "lower" or not (self.better or self.metric in HIGHER_IS_BETTER)

    def reaches_target(self, value: float) -> bool:
        """Whether a value of the metric is as good as the target, if there is one; NaN never is."""
        return self.target is not None and (value <= self.target if self.lower_is_better else value >= self.target)


@dataclasses.dataclass(frozen=True)
class Saves(Settings):
    """When a phase is saved, beside its end and its best evaluation."""

    every: float = number(1.0, 0, 1e12)
    unit: str = choice("epochs", "duration unit", UNITS)


@dataclasses.dataclass(frozen=True)
class PhaseSettings(Settings):
    """A phase; `duration`, `warmup` and what its schedule counts are in `unit`."""

    duration: float = number(10.0, ABOVE_ZERO, 1e9)
    unit: str = choice("epochs", "duration unit", UNITS)
    schedule: Named = one_of("constant", "schedule", SCHEDULES)
    warmup: float = number(0.0, 0, 1e9)  # rises to the full rate, in front of any schedule
    learning_rate_multipliers: tuple[tuple[str, float], ...] = number(EVERYTHING, 0, 1e38)
    frozen: tuple[str, ...] = ()
    augment: bool = True  # False: pictures as in evaluation, and no mixup
    features: str = choice("computed", "value of features", FEATURES)
    sampler: Named | None = one_of(None, "sampler", SAMPLERS)  # instead of the run's
    classes: tuple[str, ...] = ()  # train on the images of these only
    unlabelled: bool = False  # train on the images without a label too
    # another data set, all of whose images it trains on, without labels: fields that differ from the run's
    dataset: Mapping[str, Any] = dataclasses.field(default_factory=dict, metadata={"overrides": DatasetSettings})
    begin: str = choice("last", "value of begin", BEGINS)  # where it goes on from
    terms: Mapping[str, float] = dataclasses.field(default_factory=dict)  # coefficients that differ; 0 = not built
    # fields of the run's sections that differ in this phase; those of the diagnosis are the run's
    loss: Mapping[str, Any] = dataclasses.field(default_factory=dict, metadata={"overrides": ClassificationLoss})
    evaluations: Mapping[str, Any] = dataclasses.field(default_factory=dict, metadata={"overrides": Evaluations})
    checkpoints: Mapping[str, Any] = dataclasses.field(default_factory=dict, metadata={"overrides": Saves})

    def lasting(self, steps: int) -> "PhaseSettings":
        """The same phase over so many steps, with all that it counts in its unit; it is judged at its end."""
        factor = steps / self.duration
        evaluations = {name: value for name, value in self.evaluations.items() if name not in ("every", "unit")}
        schedule = stretched(self.schedule, factor)
        return self.replace(
            duration=float(steps),
            unit="steps",
            warmup=factor * self.warmup,
            schedule=schedule,
            evaluations={**evaluations, "every": 0.0},
            checkpoints={},
        )


@dataclasses.dataclass(frozen=True)
class Phase:
    """`sampler` and `learning_rate` count steps from the start of the phase.

    `learning_rate_multipliers` are rows (stage, module or pattern, factor); see `optimizers.parameter_factors`. It is
    judged by `evaluations`, and `evaluate_every`, `checkpoint_every` are in steps (0 = at its end alone). It is also
    judged at `cycle_ends`, of its schedule, and with `snapshots` the states there are kept.
    """

    name: str
    steps: int
    sampler: Sampler
    learning_rate: Callable
    learning_rate_multipliers: tuple[tuple[str, float], ...] = ((".*", 1.0),)
    objective: Objective = dataclasses.field(default_factory=Objective)
    evaluations: Evaluations = dataclasses.field(default_factory=Evaluations)
    evaluate_every: int = 0
    checkpoint_every: int = 0
    begins_from_best: bool = False
    cycle_ends: tuple[int, ...] = ()
    snapshots: bool = False

    @functools.cached_property
    def rates(self) -> np.ndarray:
        """The learning rate of each step, float32 [steps], on the host."""
        return np.broadcast_to(np.asarray(self.learning_rate(np.arange(self.steps)), np.float32), self.steps)

    def whole_cycles(self, since: int, until: int) -> int:
        """How many cycles begin at the step `since` or later and have ended by the step `until`."""
        begins = (0, *self.cycle_ends)
        return sum(since <= begin and end <= until for begin, end in zip(begins, self.cycle_ends, strict=False))


def duration_in_steps(amount: float, unit: str, batch: int, epoch_length: int) -> int:
    """A duration given once, in any unit, as whole steps (at least one).

    >>> duration_in_steps(2, "epochs", batch=32, epoch_length=100)
    7
    """
    images = {"steps": batch, "epochs": epoch_length, "examples": 1}[unit]
    return max(1, math.ceil(amount * images / batch - 1e-9))
