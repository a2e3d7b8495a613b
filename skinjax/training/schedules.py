"""Learning rates as functions of the step, from optax: a warm-up, then a shape."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import optax

from skinjax.core.errors import UserError, lookup

Schedule = Callable[[jax.Array | int], jax.Array]


def make_schedule(
    name: str, learning_rate: float, steps: int, *, warmup: int = 0, milestones: Sequence[int] = (), factor: float = 0.1
) -> Schedule:
    """The schedule `name` over `steps`, after a linear warm-up of `warmup` steps.

    Warm-up step i of n has rate (i + 1) / n of the full one. `milestones` and `factor` belong to `step`.

    >>> [round(float(make_schedule("step", 1.0, 10, milestones=(4, 8))(step)), 4) for step in (3, 4, 8)]
    [1.0, 0.1, 0.01]
    """
    if learning_rate <= 0:
        raise UserError(f"the learning rate is {learning_rate}; it must be positive")
    if not 0 <= warmup <= steps:
        raise UserError(f"the warm-up of {warmup} steps does not fit into a phase of {steps} steps")
    rest = max(steps - warmup, 1)
    shape = lookup("schedule", name, SCHEDULES)(learning_rate, rest, [m - warmup for m in milestones], factor)
    if warmup:
        rising = optax.linear_schedule(learning_rate / warmup, learning_rate, max(warmup - 1, 1))
        shape = optax.join_schedules([rising, shape], [warmup])
    return lambda step: jnp.broadcast_to(jnp.asarray(shape(step), jnp.float32), jnp.shape(step))


def step_decay(rate: float, steps: int, milestones: Sequence[int], factor: float) -> optax.Schedule:
    """The rate times `factor` from each milestone on."""
    del steps
    return optax.piecewise_constant_schedule(rate, {m: factor**count for m, count in Counter(milestones).items()})


SCHEDULES: Mapping[str, Callable[[float, int, Sequence[int], float], optax.Schedule]] = {
    "constant": lambda rate, steps, milestones, factor: optax.constant_schedule(rate),
    "step": step_decay,
    "cosine": lambda rate, steps, milestones, factor: optax.cosine_decay_schedule(rate, steps),
}
