"""What networks side by side cost: the step and the memory of SDL^n over those of one network, in one run.

    python tools/benchmark_members.py [--members=1,2,3,4] [--steps=10] [--rounds=5] [--config.FIELD=VALUE ...]

Steps of all sizes take turns, on a batch that is on the device already; ratios are of medians. Memory is what XLA sets
aside to compute with, and with --config.model.remat=STAGES, what it sets aside then.
"""

import argparse
import itertools
import statistics

from benchmark_train import prepare, timed

from skinjax.data.dataset import data_root
from skinjax.recipe.config_files import load_config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="configs/synergic.py")
    parser.add_argument("--data_dir")
    parser.add_argument("--members", default="1,2,3,4")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    options, rest = parser.parse_known_args()
    changes = [change.removeprefix("--config.") for change in rest]
    made, seconds = {}, {}
    for members in map(int, options.members.split(",")):
        config = load_config(options.config, [*changes, f"method.members={members}"])
        made[members] = prepare(config, data_root(options.data_dir), 3)
        seconds[members] = []
    states = {members: one.state for members, one in made.items()}
    for turn in range(options.rounds + 1):
        for members, one in made.items():
            batches = itertools.repeat(one.first, options.steps)
            states[members], times = timed(one.compiled, states[members], batches)
            seconds[members] += [took for _, took in times] if turn else []  # the first turn warms up
    first, *_ = medians = {members: statistics.median(times) for members, times in seconds.items()}
    for members, median in medians.items():
        memory = made[members].compiled.memory_analysis().temp_size_in_bytes
        ratio = memory / made[first].compiled.memory_analysis().temp_size_in_bytes
        print(
            f"{members} networks: {1000 * median:8.1f} ms a step, {median / medians[first]:.2f} times; "
            f"{memory / 1e6:.0f} MB, {ratio:.2f} times"
        )


if __name__ == "__main__":
    main()
