"""What a frozen trunk saves: no backward pass, and with its features stored hardly any time at all.

    python tools/benchmark_features.py [--backbone=mobilenetv2_100] [--size=96] [--images=4000] [--batch=64]

Two runs of the same head phase on synthetic photographs, one through the network, one on stored features: median
seconds per epoch with its evaluation, from the `seconds` of their logs, which leave compilation out. Then steps on one
resident batch, which take turns: the trunk's forward pass, a step of the head through the network, a step of all.
Weights are random. Photographs are decoded once beforehand (cache `host`); the best epochs and the last are saved. Four
minutes on 2 cores.
"""

import argparse
import functools
import itertools
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from skinjax.core.settings import from_plain
from skinjax.data.caches import open_pixels
from skinjax.data.dataset import data_root
from skinjax.methods.base import Objective
from skinjax.parallel import make_mesh, put
from skinjax.recipe.recipe import Recipe
from skinjax.runs import building
from skinjax.runs.experiment import run
from skinjax.training.optimizers import EVERYTHING, OptimizerSettings
from skinjax.training.programs import Training, begin_program, draw, features_program, train_program
from skinjax.training.state import partition

EPOCHS = {"computed": 4, "stored": 21}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="mobilenetv2_100")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--data_dir")
    options = parser.parse_args()
    device = jax.devices()[0]
    print(f"{options.backbone}, {options.size} px, batch {options.batch} on {jax.device_count()} {device.device_kind}")
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, jax {jax.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        seconds = {features: epochs(recipe(options, features), Path(folder) / features, options) for features in EPOCHS}
        for features, (first, others) in seconds.items():
            low, high = min(others), max(others)
            median = statistics.median(others)
            print(f"{features:<9} first epoch {first:8.3f} s, others {median:8.3f} s ({low:.3f} to {high:.3f})")
        through, stored = (statistics.median(others) for _, others in seconds.values())
        print(f"an epoch on stored features is {through / stored:.1f} times as fast")
        steps(recipe(options, "computed"), Path(folder), options)


def recipe(options: argparse.Namespace, features: str) -> Recipe:
    """The head phase of `options`, through the network or on stored features."""
    sides = {"height": options.size, "width": options.size}
    head = {"duration": float(EPOCHS[features]), "frozen": ("backbone",), "augment": False, "features": features}
    plain: dict[str, Any] = {
        "name": "benchmark_features",
        "dataset": {"name": "synthetic", "arguments": {"images": options.images, **sides}},
        "split": {"test": 0.1, "validation": 0.2},
        "stored_size": sides,
        "views": {"size": (options.size, options.size)},
        "model": {"backbone": options.backbone, "dtype": "float32"},
        "batch": options.batch,
        "cache": "host",
        "phases": {"head": head},
        "phase_order": ("head",),
        "checkpoints": {"every": 0.0},
        "logging": {"every": 1000, "tensorboard": False, "threads": 2},
    }
    return from_plain(Recipe, plain, "config")


def epochs(recipe: Recipe, workdir: Path, options: argparse.Namespace) -> tuple[float, list[float]]:
    """Seconds of the first epoch of a run, in which features are computed, and of each other one."""
    run(recipe, str(workdir), options.data_dir, say=lambda line: None)
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    ends = [line["seconds"] for line in lines if "validation/macro_recall" in line]
    return ends[0], np.diff(ends).tolist()


def steps(recipe: Recipe, folder: Path, options: argparse.Namespace) -> None:
    """Print the median milliseconds of each kind of step and its ratio to a forward pass of the same turn."""
    mesh, root = make_mesh(), data_root(options.data_dir)
    data = building.make_data(recipe, folder, root, lambda line: None)
    method, phase = building.make_method(recipe, data.dataset.classes), building.make_phases(recipe, data)[0]
    pixels = open_pixels(recipe.cache, data.dataset, data.size, root, mesh)
    batch = put(next(building.phase_batches(recipe, data, pixels.host, phase, start=0)), mesh)
    variables = draw(building.initialisation(method, data.size), jax.numpy.uint32(0), mesh)
    variables["constants"] = jax.device_put(building.constants_of(method, data, phase))

    def training(frozen: tuple[str, ...]) -> Callable[[], Any]:
        objective = Objective(frozen, augment=False).resolved(method, "head")
        paths = tuple(itertools.chain(*map(sorted, partition(variables["params"], objective.frozen))))
        of = Training(method, objective, OptimizerSettings(), EVERYTHING, paths, 1, 0.0, mesh)
        step = train_program(of)
        copied = jax.tree.map(jax.numpy.copy, variables)
        states = [begin_program(of)(jax.numpy.int32(0), jax.numpy.uint32(0), copied)]

        def once() -> Any:
            state, report = step(states.pop(), batch, np.float32(1e-3))
            states.append(state)
            return report

        return once

    kinds = {
        "forward pass": functools.partial(features_program(method, mesh), variables, batch),
        "step of the head": training(("backbone",)),
        "step of all": training(()),
    }
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for _ in range(options.turns + 2):
        for name, once in kinds.items():
            jax.block_until_ready(once())  # the one before it left its own memory and caches
            start = time.perf_counter()
            jax.block_until_ready(once())
            times[name].append(time.perf_counter() - start)
    for name, found in times.items():
        ratio = statistics.median(np.divide(found, times["forward pass"])[2:])
        print(f"{name:<19} {1000 * statistics.median(found[2:]):8.1f} ms, {ratio:.2f} forward passes")


if __name__ == "__main__":
    main()
