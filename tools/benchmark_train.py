"""How fast a config trains: step time, images per second, and the share of the time spent waiting for input.

    python tools/benchmark_train.py --config=configs/cdc.py [--steps=40] [--config.FIELD=VALUE ...]

The loop is the trainer's: prefetched batches of the pipeline and a donated, jitted step. "resident" repeats one batch
that is already on the device; "waiting for input" is the share of the time in which the loop waited for a batch.
Memory is what XLA sets aside for the step: its state and batch, and what it computes with. Where a view shows several
patches, crops per second are printed too, and what attention between them takes: each block and its gradient on their
own, as a share of the step.
"""

import argparse
import dataclasses
import functools
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax

from skinjax.data.caches import open_pixels
from skinjax.data.dataset import data_root
from skinjax.methods.base import Batch, Method
from skinjax.methods.parts import subtree
from skinjax.methods.patches import Patches, attention_at
from skinjax.models.backbone import PIXELS
from skinjax.models.heads.patches import PatchAttention
from skinjax.models.layers import compiler_options
from skinjax.parallel import make_mesh, prefetch, replicated
from skinjax.recipe import Recipe
from skinjax.recipe.config_files import load_config
from skinjax.runs import building
from skinjax.training.optimizers import make_optimizer
from skinjax.training.state import TrainState, begin_phase, make_train_step, partition


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/cdc.py")
    parser.add_argument("--data_dir")
    parser.add_argument("--steps", type=int, default=40)
    options, rest = parser.parse_known_args()
    config = load_config(options.config, [change.removeprefix("--config.") for change in rest])
    made = prepare(config, data_root(options.data_dir), options.steps)
    method, state, compiled, memory = made.method, made.state, made.compiled, made.compiled.memory_analysis()
    print(
        f"{config.name}:{config.variant} on {jax.device_count()} {jax.devices()[0].device_kind}, batch {config.batch}"
    )
    print(f"compile          {made.seconds:8.2f} s")
    print(
        f"memory           {(memory.argument_size_in_bytes + memory.temp_size_in_bytes) / 1e6:8.0f} MB, of which "
        f"{memory.temp_size_in_bytes / 1e6:.0f} to compute with"
    )
    shape = (config.batch, config.stored_size.height, config.stored_size.width, 3)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), config.batch))
    shown = jax.eval_shape(method.parts.pictures.train_view, keys, jax.ShapeDtypeStruct(shape, jax.numpy.uint8)).shape
    patches = shown[1] if len(shown) > len(shape) else 1

    state, resident = timed(compiled, state, itertools.repeat(made.first, options.steps))
    state, fed = timed(compiled, state, itertools.islice(made.stream, options.steps))
    total = sum(step for _, step in fed)
    waiting = sum(wait for wait, _ in fed)
    for name, seconds in (("resident", resident), ("with input", fed)):
        median = statistics.median(step for _, step in seconds)
        rate = config.batch / median
        crops = f", {rate * patches:.1f} crops/s of {patches} an image" if patches > 1 else ""
        print(f"{name:<12} step {1000 * median:8.1f} ms (median of {len(seconds)}), {rate:8.1f} images/s{crops}")
    print(f"waiting for input {100 * waiting / total:7.1f} % of the time")
    places = method.settings.attention if isinstance(method, Patches) else ()
    if places:
        step_seconds = statistics.median(step for _, step in resident)
        seconds = sum(attention_seconds(method, state, place, shown) for place in places)
        print(f"attention        {1000 * seconds:8.2f} ms at {', '.join(places)}: {100 * seconds / step_seconds:.2f} %")


class Prepared(NamedTuple):
    """A config's first phase, ready to be timed: its compiled step of (state, batch), and how long that took."""

    method: Method
    state: TrainState
    stream: Iterator
    first: Batch
    compiled: Callable
    seconds: float


def prepare(config: Recipe, root: Path, steps: int) -> Prepared:
    """Data, state, batches for so many steps and a few more, and the compiled step."""
    mesh = make_mesh()
    with tempfile.TemporaryDirectory() as folder:
        data = building.make_data(config, Path(folder), root, print)
    method = building.make_method(config, data.dataset.classes)
    phase = building.make_phases(config, data)[0]
    objective = phase.objective.resolved(method, phase.name)
    variables = jax.jit(building.initialisation(method, data.size))(config.seed)
    variables["constants"] = building.constants_of(method, data, phase)
    trainable, frozen = partition(variables["params"], objective.frozen)
    optimizer = make_optimizer(
        config.optimizer, [*trainable, *frozen], method.stages(), phase.learning_rate_multipliers
    )
    state = begin_phase(
        jax.numpy.int32(0),
        jax.numpy.uint32(0),
        variables,
        optimizer=optimizer,
        frozen=objective.frozen,
        ema=config.ema_decay > 0,
    )
    state = jax.device_put(state, replicated(mesh))
    step_of = make_train_step(method, objective, optimizer, accumulate=config.accumulate, ema_decay=config.ema_decay)
    rate = jax.numpy.float32(config.optimizer.learning_rate)
    step = jax.jit(
        lambda state, batch: step_of(state, batch, rate),
        donate_argnums=0,
        out_shardings=replicated(mesh),
        compiler_options=compiler_options(config.model.remat),
    )
    pixels = open_pixels(config.cache, data.dataset, data.size, root, mesh)
    phase = dataclasses.replace(phase, steps=steps + 3)
    stream = prefetch(building.phase_batches(config, data, pixels.host, phase, start=0), mesh, stored=pixels.device)
    first, start = next(stream), time.perf_counter()
    compiled = step.lower(state, first).compile()
    return Prepared(method, state, stream, first, compiled, time.perf_counter() - start)


def attention_seconds(method: Patches, state: TrainState, place: str, shown: tuple[int, ...]) -> float:
    """The median time of one attention block and its gradient on patches of the shape `shown` [batch, patches, ...]."""
    batch, patches, *size = shown
    variables = state.evaluated()
    if place != PIXELS:
        maps = functools.partial(method.parts.network.backbone.apply, train=False)
        images = jax.ShapeDtypeStruct((batch * patches, *size), jax.numpy.float32)
        size = jax.eval_shape(maps, subtree(variables, "backbone"), images)[place].shape[1:]
    x = jax.random.normal(
        jax.random.key(0), (batch, patches, *size), method.parts.network.backbone.dtype or jax.numpy.float32
    )
    params = subtree(variables, attention_at(place))

    def loss(params, x):
        return PatchAttention().apply(params, x)[0].astype(jax.numpy.float32).sum()

    # Pixels have no gradient.
    block = jax.jit(jax.value_and_grad(loss, argnums=0 if place == PIXELS else (0, 1)))
    _, seconds = timed(lambda state, x: (state, block(params, x)), None, itertools.repeat(x, 23))
    return statistics.median(total for _, total in seconds[3:])


def timed(step, state, batches):
    """Run the steps one by one; (state, [(seconds waited for the batch, seconds in all)])."""
    seconds = []
    batches = iter(batches)
    while True:
        start = time.perf_counter()
        batch = next(batches, None)
        if batch is None:
            return state, seconds
        got = time.perf_counter()
        state, report = step(state, batch)
        jax.block_until_ready(report)
        seconds.append((got - start, time.perf_counter() - start))


if __name__ == "__main__":
    main()
