"""What changes while training, and the step that changes it."""

import functools
from collections.abc import Callable
from typing import Any

import flax.struct
import flax.traverse_util
import jax
import jax.numpy as jnp
import optax
from optax import GradientTransformation as Optimizer

from skinjax.core.errors import lookup
from skinjax.methods.base import Array, Batch, Method, Objective, Terms, Variables
from skinjax.methods.names import is_below

FlatParameters = dict[str, Array]
COEFFICIENT, COUNT = 0, 2  # of a term


@flax.struct.dataclass
class TrainState:
    """`variables` has params, batch_stats and constants; `ema` (params and batch_stats) is None when it is off.

    The seed is an array, so that another seed runs the same compiled program.
    """

    step: Array
    seed: Array
    variables: Variables
    optimizer: Any
    ema: Variables | None

    def evaluated(self) -> Variables:
        """The variables that are judged and kept: the averaged ones when there are any."""
        return self.variables if self.ema is None else {**self.variables, **self.ema}


def begin_phase(
    step: Array, seed: Array, variables: Variables, *, optimizer: Optimizer, frozen: tuple[str, ...], ema: bool
) -> TrainState:
    """The state at the start of a phase: a fresh optimiser for the unfrozen parameters, a fresh average."""
    trainable, _ = partition(variables["params"], frozen)
    average = {name: variables[name] for name in ("params", "batch_stats")} if ema else None
    # A copy, because the step donates its state and an array cannot be donated twice.
    return TrainState(step, seed, variables, optimizer.init(trainable), jax.tree.map(jnp.copy, average))


def make_train_step(
    method: Method, phase: Objective, optimizer: Optimizer, *, accumulate: int = 1, ema_decay: float = 0.0
) -> Callable[[TrainState, Batch, Array], tuple[TrainState, dict[str, Array]]]:
    """A function (state, batch, learning rate) -> (state, report), to be jitted.

    The report has `loss`, one value per term, `gradient_norm`, and the norm of what it may move, parameters and
    statistics, after the step: an update or a statistic that overflowed shows in no loss before it is saved.
    """

    def train_step(state: TrainState, batch: Batch, rate: Array) -> tuple[TrainState, dict[str, Array]]:
        rng = jax.random.fold_in(jax.random.key(state.seed), state.step)
        trainable, frozen = partition(state.variables["params"], phase.frozen)

        def terms_of(trainable: FlatParameters, stats: Any, part: Batch) -> tuple[Terms, Any]:
            variables = {**state.variables, "params": merge(trainable, frozen), "batch_stats": stats}
            terms, after = method.loss(variables, part, rng, step=state.step, phase=phase)
            for name, term in terms.items():
                if term[COEFFICIENT] is not None:
                    lookup("term of the loss, which `terms()` of its method must name:", name, method.terms())
            return terms, after

        before = state.variables["batch_stats"]
        gradients, values, stats = batch_gradient(terms_of, trainable, before, batch, accumulate)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, trainable)
        updates = jax.tree.map(lambda update: -rate * update, updates)
        trained = optax.apply_updates(trainable, updates)
        params = merge(trained, frozen)
        variables = {**state.variables, "params": params, "batch_stats": stats}
        ema = state.ema
        if ema is not None:
            current = {name: variables[name] for name in ema}
            ema = jax.tree.map(lambda old, new: old + (1 - ema_decay) * (new - old), ema, current)
        moved = (trained, partition(stats, phase.frozen)[0], ema)  # the norm of the rest takes time and says nothing
        norms = {"gradient_norm": optax.tree.norm(gradients), "state_norm": optax.tree.norm(moved)}
        return TrainState(state.step + 1, state.seed, variables, optimizer_state, ema), values | norms

    return train_step


def batch_gradient(
    terms_of: Callable, trainable: FlatParameters, stats: Any, batch: Batch, accumulate: int
) -> tuple[FlatParameters, dict[str, Array], Any]:
    """(gradient, values, batch statistics) of a whole batch, computed in `accumulate` parts.

    The values are `loss`, the sum of all terms that are trained on, and each term by its name. A part's sums are
    divided by the counts of the whole batch, so the gradient is that of the batch (BatchNorm apart, which sees the
    parts). A part takes rows from every device's share.
    """

    def gradient_of(
        stats: Any, part: Batch, counts: dict[str, Array | None] | None
    ) -> tuple[FlatParameters, dict[str, Array], Any]:
        def loss(trainable: FlatParameters) -> tuple[Any, tuple[dict[str, Array], Any]]:
            terms, new_stats = terms_of(trainable, stats, part)
            values = {
                name: term_value(coefficient, total, count if counts is None else counts[name])
                for name, (coefficient, total, count) in terms.items()
            }
            trained = [value for name, value in values.items() if terms[name][COEFFICIENT] is not None]
            total = functools.reduce(jnp.add, trained)
            return total, ({"loss": total, **values}, new_stats)

        gradient, (values, new_stats) = jax.grad(loss, has_aux=True)(trainable)
        return gradient, values, new_stats

    if accumulate == 1:
        return gradient_of(stats, batch, None)
    parts = jax.tree.map(lambda x: x.reshape(-1, accumulate, *x.shape[1:]).swapaxes(0, 1), batch)

    def counts_of(part: Batch) -> dict[str, Array | None]:
        # Counts depend on labels and masks only, so the compiler drops the networks from this pass.
        return {name: term[COUNT] for name, term in terms_of(trainable, stats, part)[0].items()}

    counts = jax.tree.map(functools.partial(jnp.sum, axis=0), jax.lax.map(counts_of, parts))

    def add(carry: tuple, part: Batch) -> tuple[tuple, None]:
        gradient, values, stats = carry
        *new, stats = gradient_of(stats, part, counts)
        return (*jax.tree.map(jnp.add, (gradient, values), tuple(new)), stats), None

    shapes = jax.eval_shape(lambda part: gradient_of(stats, part, counts)[:2], jax.tree.map(lambda x: x[0], parts))
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    return jax.lax.scan(add, (*zeros, stats), parts)[0]


def term_value(coefficient: Any, total: Array, count: Array | None) -> Array:
    """coefficient * sum / count, summed over a term's classes; nothing where the count is zero, no division by None.

    A term that is reported only has no coefficient, which is 1 here.
    """
    coefficient = 1.0 if coefficient is None else coefficient
    if count is None:
        return jnp.sum(coefficient * total)
    mean = jnp.where(count > 0, total / jnp.where(count > 0, count, 1), 0)
    return jnp.sum(coefficient * mean)


def partition(params: Variables, frozen: tuple[str, ...]) -> tuple[FlatParameters, FlatParameters]:
    """Flat parameters {path: array}: those that train, and those of `frozen` stages and modules."""
    flat = flax.traverse_util.flatten_dict(params, sep="/")
    still = {path for path in flat if is_below(path, frozen)}
    return {path: x for path, x in flat.items() if path not in still}, {path: flat[path] for path in still}


def merge(*parts: FlatParameters) -> Variables:
    """The nested tree of flat parameters."""
    flat = {path: x for part in parts for path, x in part.items()}
    return flax.traverse_util.unflatten_dict(flat, sep="/")
