"""What tests compile in."""

import functools

import jax

# `jax.jit` with as little optimisation as XLA offers: it compiles in two thirds of the time, and runs slower. For what
# runs once or twice.
jitted = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
