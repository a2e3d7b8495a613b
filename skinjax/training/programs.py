"""Compiled programs, each made once for what it depends on, and time without what their compilation takes.

Runs of one process share them: methods, objectives and settings are values, so equal ones find the same program.
"""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import optax

from skinjax.methods.base import Batch, Method, Objective, Variables
from skinjax.models.layers import compiler_options
from skinjax.parallel import replicated
from skinjax.training.optimizers import OptimizerSettings, Rows, make_optimizer
from skinjax.training.state import begin_phase, make_train_step

KEPT = 8  # of each kind; a compiled step of a large network takes some megabytes
# Outputs of `predict` that go into the predictions table; the others are for explanation.
TABLE_OUTPUTS = ("probabilities", "scores")


class Program:
    """A jitted function; `Program.compiling` are the seconds that the calls of all programs which compiled took."""

    compiling = 0.0
    _compilations = 0

    def __init__(self, function: Callable, **options: Any):
        self._jitted = jax.jit(function, **options)

    def __call__(self, *arguments: Any) -> Any:
        before, start = Program._compilations, time.perf_counter()
        result = self._jitted(*arguments)
        if Program._compilations > before:
            Program.compiling += time.perf_counter() - start
        return result

    @staticmethod
    def heard(event: str, duration_secs: float, **details: Any) -> None:
        """What jax tells of its own work."""
        Program._compilations += event.startswith("/jax/core/compile/")


jax.monitoring.register_event_duration_secs_listener(Program.heard)


def working_seconds() -> float:
    """A clock that stands still while programs are compiled."""
    return time.perf_counter() - Program.compiling


@dataclasses.dataclass(frozen=True)
class Training:
    """All that the programs of a phase depend on: `paths` are its parameters, `rates` their multipliers."""

    method: Method
    phase: Objective
    optimizer: OptimizerSettings
    rates: Rows
    paths: tuple[str, ...]
    accumulate: int
    ema_decay: float
    mesh: jax.sharding.Mesh
    remat: tuple[str, ...] = ()

    def made_optimizer(self) -> optax.GradientTransformation:
        return make_optimizer(self.optimizer, self.paths, self.method.stages(), self.rates)


@functools.lru_cache(maxsize=KEPT)
def begin_program(of: Training) -> Program:
    """(step, seed, variables) to the state at the start of a phase."""
    begin = functools.partial(begin_phase, optimizer=of.made_optimizer(), frozen=of.phase.frozen, ema=of.ema_decay > 0)
    return Program(begin, out_shardings=replicated(of.mesh))


@functools.lru_cache(maxsize=KEPT)
def train_program(of: Training) -> Program:
    """See `make_train_step`; the state is donated."""
    step = make_train_step(of.method, of.phase, of.made_optimizer(), accumulate=of.accumulate, ema_decay=of.ema_decay)
    options = compiler_options(of.remat)
    return Program(step, donate_argnums=0, out_shardings=replicated(of.mesh), compiler_options=options)


@functools.lru_cache(maxsize=KEPT)
def evaluation_program(method: Method, phase: Objective, mesh: jax.sharding.Mesh) -> Program:
    """(variables, batch) to (outputs per image, {term: (sum, count)}), whole on every process."""

    def step(variables: Variables, batch: Batch) -> tuple[dict[str, Any], dict[str, Any]]:
        outputs = method.predict(variables, batch["image"])
        told = {name: outputs[name] for name in TABLE_OUTPUTS if name in outputs}
        return told, method.evaluate(variables, batch, phase)

    return Program(step, out_shardings=replicated(mesh), compiler_options=compiler_options())
