"""Compiled programs, each made once for what it depends on, and time without what their compilation takes.

Runs of one process share them: methods, objectives and settings are values, so equal ones find the same program.
"""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict
from jax.sharding import PartitionSpec

from skinjax.methods.base import TABLE_OUTPUTS, Array, Batch, FeatureMethod, Method, Objective, Variables
from skinjax.models.layers import compiler_options
from skinjax.parallel import over_folds, put_whole, replicated
from skinjax.training.optimizers import OptimizerSettings, Rows, make_optimizer
from skinjax.training.state import TrainState, begin_phase, make_train_step

Given = Callable[[Variables], Mapping[tuple[str, ...], np.ndarray]]  # from shapes to the arrays, by path, not to draw
T = TypeVar("T")
KEPT = 8  # of each kind; a compiled step of a large network takes some megabytes


class Program:
    """A jitted function; `Program.compiling` are the seconds that the calls of all programs which compiled took."""

    compiling = 0.0
    _compilations = 0

    def __init__(self, function: Callable, **options: Any):
        self._jitted = jax.jit(function, **options)
        self._working_bytes: dict[Any, int] = {}

    def __call__(self, *arguments: Any) -> Any:
        return self._timed(lambda: self._jitted(*arguments))

    def working_bytes(self, *arguments: Any) -> int:
        """What a call with such arguments takes on a device beside them, by the compiler; nothing is compiled twice."""
        leaves, tree = jax.tree.flatten(arguments)
        like = tree, *((np.shape(leaf), leaf.dtype, getattr(leaf, "sharding", None)) for leaf in leaves)
        if like not in self._working_bytes:
            found = self._timed(lambda: self._jitted.lower(*arguments).compile().memory_analysis())
            bytes_ = found.temp_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes if found else 0
            self._working_bytes[like] = bytes_
        return self._working_bytes[like]

    @staticmethod
    def _timed(call: Callable[[], T]) -> T:
        before, start = Program._compilations, time.perf_counter()
        result = call()
        if Program._compilations > before:
            Program.compiling += time.perf_counter() - start
        return result

    @staticmethod
    def count_compilation(event: str, duration_secs: float, **details: Any) -> None:
        """Listen to what jax reports of its work."""
        Program._compilations += event.startswith("/jax/core/compile/")


jax.monitoring.register_event_duration_secs_listener(Program.count_compilation)


def working_seconds() -> float:
    """A clock that stands still while programs are compiled."""
    return time.perf_counter() - Program.compiling


def draw(
    init: Callable[[Array], Variables], seed: Array, mesh: jax.sharding.Mesh, given: Given | None = None
) -> Variables:
    """`init(seed)` on every device, except for the arrays that `given(shapes)` has, which are not drawn at all."""
    shapes = shapes_of(init)
    arrays = given(shapes) if given else {}
    drawn = draw_program(init, frozenset(arrays), mesh)(seed)
    placed = {path: put_whole(array, mesh) for path, array in arrays.items()}
    empty = flatten_dict(shapes, keep_empty_nodes=True)
    return unflatten_dict({**empty, **drawn, **placed})


@functools.lru_cache(maxsize=KEPT)
def shapes_of(init: Callable[[Array], Variables]) -> Variables:
    """The shapes of what `init(seed)` gives."""
    return jax.eval_shape(init, jax.ShapeDtypeStruct((), jnp.uint32))


@functools.lru_cache(maxsize=KEPT)
def draw_program(init: Callable[[Array], Variables], without: frozenset, mesh: jax.sharding.Mesh) -> Program:
    """seed to {path: array} of `init`, except for the paths `without`."""

    def others(seed: Array) -> dict[tuple[str, ...], Array]:
        return {path: leaf for path, leaf in flatten_dict(init(seed)).items() if path not in without}

    return Program(others, out_shardings=replicated(mesh))


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

    def make_optimizer(self) -> optax.GradientTransformation:
        return make_optimizer(self.optimizer, self.paths, self.method.stages(), self.rates)


@functools.lru_cache(maxsize=KEPT)
def begin_program(training: Training) -> Program:
    """(step, seed, variables) to the state at the start of a phase."""
    optimizer, frozen = training.make_optimizer(), training.phase.frozen
    begin = functools.partial(begin_phase, optimizer=optimizer, frozen=frozen, ema=training.ema_decay > 0)
    return Program(begin, out_shardings=replicated(training.mesh))


@functools.lru_cache(maxsize=KEPT)
def train_program(training: Training) -> Program:
    """See `make_train_step`; the state is donated."""
    optimizer, decay, options = training.make_optimizer(), training.ema_decay, compiler_options(training.remat)
    step = make_train_step(training.method, training.phase, optimizer, accumulate=training.accumulate, ema_decay=decay)
    return Program(step, donate_argnums=0, out_shardings=replicated(training.mesh), compiler_options=options)


@functools.lru_cache(maxsize=KEPT)
def folds_program(training: Training) -> Program:
    """The same step of a stack of states and batches, one for each fold of the mesh, which hear nothing of each other.

    Each fold's computation is that of one run over its devices: only the axis `fold` is mapped by hand.
    """
    optimizer, decay, options = training.make_optimizer(), training.ema_decay, compiler_options(training.remat)
    step = make_train_step(training.method, training.phase, optimizer, accumulate=training.accumulate, ema_decay=decay)

    def of_fold(state: TrainState, batch: Batch, rate: Array) -> tuple[TrainState, dict[str, Array]]:
        own_state, own_batch = jax.tree.map(lambda x: x[0], (state, batch))
        return jax.tree.map(lambda x: x[None], step(own_state, own_batch, rate))

    cut = PartitionSpec("fold")
    apart = jax.shard_map(
        of_fold,
        mesh=training.mesh,
        in_specs=(cut, cut, PartitionSpec()),
        out_specs=cut,
        axis_names={"fold"},
        check_vma=False,
    )
    return Program(apart, donate_argnums=0, out_shardings=over_folds(training.mesh), compiler_options=options)


@functools.lru_cache(maxsize=KEPT)
def stack_program(mesh: jax.sharding.Mesh) -> Program:
    """States, one of each fold, to their stack."""
    return Program(lambda *states: jax.tree.map(lambda *x: jnp.stack(x), *states), out_shardings=over_folds(mesh))


@functools.lru_cache(maxsize=KEPT)
def unstack_program(mesh: jax.sharding.Mesh) -> Program:
    """(stack, number of a fold) to its state."""
    return Program(lambda stack, fold: jax.tree.map(lambda x: x[fold], stack), out_shardings=replicated(mesh))


@functools.lru_cache(maxsize=KEPT)
def evaluation_program(method: Method, phase: Objective, mesh: jax.sharding.Mesh) -> Program:
    """(variables, batch) to (outputs per image, {term: (sum, count)}), whole on every process."""

    def step(variables: Variables, batch: Batch) -> tuple[dict[str, Any], dict[str, Any]]:
        if "features" in batch:
            assert isinstance(method, FeatureMethod)  # or the phase was refused
            outputs = method.predict_from(variables, batch["features"])
        else:
            outputs = method.predict(variables, batch["image"])
        per_image = {name: outputs[name] for name in TABLE_OUTPUTS if name in outputs}
        return per_image, method.evaluate(variables, batch, phase)

    return Program(step, out_shardings=replicated(mesh), compiler_options=compiler_options())


@functools.lru_cache(maxsize=KEPT)
def features_program(method: FeatureMethod, mesh: jax.sharding.Mesh) -> Program:
    """(variables, batch) to ({"features": what the head reads of each image}, no terms), whole on every process."""

    def step(variables: Variables, batch: Batch) -> tuple[dict[str, Array], dict[str, Any]]:
        return {"features": method.features(variables, batch["image"])}, {}

    return Program(step, out_shardings=replicated(mesh), compiler_options=compiler_options())
