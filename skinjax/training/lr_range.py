"""The learning rate range test (L. N. Smith): train while the rate rises, and read a rate off the curve of the loss.

As in fastai 0.7, which paper 002 uses: the smoothed loss has a best from the twelfth batch on, the batch that exceeds
four times that best is not kept, and the first ten batches and the last six are not looked at.
"""

import contextlib
import dataclasses
import math
from collections.abc import Generator, Iterable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.core.errors import UserError
from skinjax.core.settings import ABOVE_ZERO, Settings, number
from skinjax.methods.base import Variables
from skinjax.training.logs import Progress
from skinjax.training.loop import Trainer
from skinjax.training.phases import Phase
from skinjax.training.programs import train_program

BETA, BEST_FROM, DIVERGED = 0.98, 11, 4.0  # of the average; the index of the first best; times the best
SHOWN, LEAST_SHOWN = slice(10, -6), 20  # the batches of a curve that are looked at, and how many there must be


@dataclasses.dataclass(frozen=True)
class Sweep(Settings):
    """How rates rise, over how many batches (0 = those of an epoch), and for how many seeds."""

    start: float = number(1e-5, ABOVE_ZERO, 1e38)
    end: float = number(10.0, ABOVE_ZERO, 1e38)
    steps: int = number(0, 0, 10**6)
    repeats: int = number(1, 1, 1000)
    per_group: bool = False  # a curve for each row of the phase's multipliers, while the others hold still

    def rates(self, batches: int) -> np.ndarray:
        """The learning rate of each of so many batches, which rises by the same factor every time."""
        if self.start >= self.end:
            raise UserError(f"the learning rate cannot rise from {self.start:g} to {self.end:g}: give a higher end")
        return self.start * (self.end / self.start) ** (np.arange(batches) / batches)


class Suggestion(NamedTuple):
    """What a curve says; `steepest`, where it falls fastest on the logarithmic axis, is the suggestion."""

    steepest: float
    minimum: float
    tenth_of_minimum: float


class Curve(NamedTuple):
    """The batches until training diverged, float64 [n] each; `group` is a row of the multipliers, or `all`."""

    seed: int
    group: str
    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray

    def shown(self) -> "Curve":
        """The part that is looked at."""
        return self._replace(rates=self.rates[SHOWN], losses=self.losses[SHOWN], smoothed=self.smoothed[SHOWN])

    def suggestion(self) -> Suggestion:
        """What that part says."""
        return suggest(self.shown().rates, self.shown().smoothed)


def until_divergence(losses: Iterable[float]) -> tuple[np.ndarray, np.ndarray]:
    """The losses and their debiased moving average, up to the batch that diverges, after which none is asked for.

    >>> until_divergence([1, 2, 3, float("nan"), 4])[1].round(4).tolist()
    [1.0, 1.5051, 2.0135]
    """
    kept: list[tuple[float, float]] = []
    average, best = 0.0, math.inf
    for index, loss in enumerate(losses):
        average = BETA * average + (1 - BETA) * loss
        smoothed = average / (1 - BETA ** (index + 1))
        if not math.isfinite(smoothed) or smoothed > DIVERGED * best:
            break
        if index >= BEST_FROM:
            best = min(best, smoothed)
        kept.append((loss, smoothed))
    columns = np.array(kept, float).reshape(-1, 2)
    return columns[:, 0], columns[:, 1]


def suggest(rates: np.ndarray, smoothed: np.ndarray) -> Suggestion:
    """The rates, spaced evenly on the logarithmic axis, at which a curve is steepest and lowest.

    The slope at a batch is that of a line through the fifth of the curve around it: from one batch to the next, the
    first few of an average have the largest steps, whatever the rate.
    """
    half = max(1, len(rates) // 10)
    slopes = np.correlate(smoothed, np.arange(-half, half + 1), "valid")
    if slopes.min() >= 0:
        raise UserError(f"the loss falls at no rate from {rates[0]:.3g} to {rates[-1]:.3g}: give a lower --start")
    minimum = float(rates[np.argmin(smoothed)])
    return Suggestion(float(rates[half + np.argmin(slopes)]), minimum, minimum / 10)


def curve(
    trainer: Trainer, phase: Phase, step: jax.Array, variables: Variables, sweep: Sweep, group: str = "all"
) -> Curve:
    """Train a phase from its first batch on, with a fresh optimiser; `variables`, of `step` updates, stay untouched.

    Raises:
      UserError: the loss falls nowhere, or not for long enough.
    """
    batches = sweep.steps or math.ceil(phase.sampler.epoch_length / trainer.settings.batch)
    rates, seed = sweep.rates(batches), trainer.settings.seed
    if len(rates[SHOWN]) < LEAST_SHOWN:
        raise UserError(
            f"{batches} batches of phase {phase.name!r} are too few for a curve, which leaves out the first 10 and the "
            "last 6: give --steps=100, over as many epochs as that takes"
        )
    phase = dataclasses.replace(trainer.resolved(phase), steps=batches)

    def trained() -> Generator[float, None, None]:
        # Of a copy, because the step donates its state.
        state = trainer.begin(phase, *jax.tree.map(jnp.copy, (step, variables)))
        train_step = train_program(trainer.training(phase, state.variables))
        progress = Progress(0, batches, trainer.settings.batch)
        with (
            contextlib.closing(progress),
            contextlib.closing(trainer.on_devices(phase, state.variables, 0)) as on_devices,
        ):
            for done, (rate, batch) in enumerate(zip(rates.astype(np.float32), on_devices, strict=True), start=1):
                state, report = train_step(state, batch, rate)
                loss = float(report["loss"])
                if progress.due():
                    progress.report(done, {"loss": loss})
                yield loss

    with contextlib.closing(trained()) as losses:
        kept, smoothed = until_divergence(losses)
    if len(kept[SHOWN]) < LEAST_SHOWN:
        raise UserError(
            f"phase {phase.name!r} with seed {seed} diverged at batch {len(kept) + 1} of {batches}, at the rate "
            f"{rates[len(kept)]:.3g}, before there was a curve: give a lower --start, or more --steps"
        )
    found = Curve(seed, group, rates[: len(kept)], kept, smoothed)
    found.suggestion()  # or it is refused
    return found
