"""Learning rates as functions of the step, usable under jit and on the host."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

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
    shape = lookup("schedule", name, SCHEDULES)

    def schedule(step):
        step = jnp.asarray(step, jnp.float32)
        after = shape(jnp.maximum(step - warmup, 0), max(steps - warmup, 1), [m - warmup for m in milestones], factor)
        rising = (step + 1) / warmup if warmup else 1.0
        return learning_rate * jnp.where(step < warmup, rising, after)

    return schedule


def constant(step, steps, milestones, factor):
    """Always the full rate."""
    del steps, milestones, factor
    return jnp.ones_like(step)


def step_decay(step, steps, milestones, factor):
    """The rate times `factor` from each milestone on."""
    del steps
    return factor ** sum((step >= milestone).astype(jnp.float32) for milestone in milestones)


def cosine(step, steps, milestones, factor):
    """Half a cosine from the full rate at step 0 to zero at `steps` (never reached inside the phase)."""
    del milestones, factor
    return 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(step / steps, 1.0)))


SCHEDULES = {"constant": constant, "step": step_decay, "cosine": cosine}
