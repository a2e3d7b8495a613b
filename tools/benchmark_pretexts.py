"""How fast paper 001's pretexts are: the puzzle beside decoding, and a joint pretext beside its two networks.

    python tools/benchmark_pretexts.py [--size=128] [--batch=32] [--rounds=5] [--data_dir=DIR]

They take turns in one run, and ratios are of medians. The puzzle (patches of 8, 20 swaps) works on a batch that is on
the device; decoding is one core's, of drawn photographs at 256x192 to the same size. A joint step of the demo is timed
beside a step of the U-Net alone, one of the classifier alone, and, of rotation, one of the classifier.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from benchmark_train import prepare, timed

from skinjax.data.dataset import data_root, open_dataset
from skinjax.data.pipeline import StoredSize, load
from skinjax.images.pretexts import disorder
from skinjax.images.views import example_keys
from skinjax.recipe.config_files import load_config

DRAWN = {"images": 256, "height": 192, "width": 256}
JOINT = {
    "restoration, both": ["--config=configs/restoration.py"],
    "restoration alone": ["--config=configs/restoration.py", "phases.train.terms.classification=0.0"],
    "classifier on restored pictures": ["--config=configs/restoration.py", "phases.train.terms.restoration=0.0"],
    "classifier": ["--config=configs/focal.py"],
    "rotation, both": ["--config=configs/rotation.py"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data_dir")
    options = parser.parse_args()
    puzzle(options.size, options.batch, options.rounds, options.data_dir)
    joint(options.rounds, options.data_dir)


def puzzle(size: int, batch: int, rounds: int, data_dir: str | None) -> None:
    """Print images per second of the puzzle and of decoding."""
    dataset = open_dataset("synthetic", DRAWN, data_root(data_dir))
    stored = StoredSize(size, size)
    images = jnp.asarray(load(dataset, np.arange(batch), stored))
    keys = example_keys(jax.random.key(0), jnp.arange(batch))
    mix = jax.jit(lambda images: disorder(keys, images, 8, 20))
    mix(images).block_until_ready()

    def rate(work: Callable[[], int]) -> float:
        started = time.perf_counter()
        return work() / (time.perf_counter() - started)

    def puzzles() -> int:
        for _ in range(50):
            found = mix(images)
        found.block_until_ready()
        return 50 * batch

    def decoded() -> int:
        load(dataset, np.arange(DRAWN["images"]), stored)
        return DRAWN["images"]

    turns = [(rate(puzzles), rate(decoded)) for _ in range(rounds)]
    fast, slow = (statistics.median(of) for of in zip(*turns, strict=True))
    ratio = statistics.median(a / b for a, b in turns)
    print(f"puzzle at {size} px: {fast:,.0f} images/s; decoding, one core: {slow:,.0f}; {ratio:.1f} times")


def joint(rounds: int, data_dir: str | None) -> None:
    """Print the time of a step of each of JOINT."""
    made = {}
    for name, (config, *changes) in JOINT.items():
        made[name] = prepare(load_config(config.removeprefix("--config="), changes), data_root(data_dir), 3)
    states, seconds = {name: one.state for name, one in made.items()}, {name: [] for name in made}
    for turn in range(rounds + 1):
        for name, one in made.items():
            states[name], times = timed(one.compiled, states[name], itertools.repeat(one.first, 5))
            seconds[name] += [took for _, took in times] if turn else []  # the first turn warms up
    medians = {name: 1000 * statistics.median(times) for name, times in seconds.items()}
    for name, median in medians.items():
        print(f"{name}: {median:.1f} ms a step")
    whole, parts = medians["restoration, both"], medians["restoration alone"] + medians["classifier"]
    print(f"restoration, both, over its two networks apart: {whole / parts:.2f} times")
    print(f"rotation, both, over the classifier: {medians['rotation, both'] / medians['classifier']:.2f} times")


if __name__ == "__main__":
    main()
