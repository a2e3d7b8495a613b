"""What many runs in one process spend outside their steps and evaluations, and outside the first one's compilation.

    python tools/benchmark_matrix.py --folder=runs/benchmark_matrix [--steps=1500] [--data_dir=DIR]

Five folds and two seeds of configs/cdc.py:demo, whose programs have the same shapes: about a minute each with the given
steps, eleven minutes in all on 2 idle cores. Everything after a run's last step but its last evaluation counts as
outside, so the share is an upper bound.
"""

import argparse
import json
import shutil
import time
from pathlib import Path

from skinjax.core.compilation_cache import use_compilation_cache
from skinjax.data.dataset import data_root
from skinjax.matrix import crossval, jobs
from skinjax.recipe.config_files import load_config
from skinjax.training.programs import Program


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--data_dir")
    options = parser.parse_args()
    use_compilation_cache(data_root(options.data_dir) / "compilation_cache")
    shutil.rmtree(options.folder, ignore_errors=True)
    changes = [f"phases.train.duration={options.steps}", "phases.train.unit=steps", "logging.every=100"]
    asked = crossval.jobs_of(load_config("configs/cdc.py:demo", changes), folds=5, seeds=2)
    jobs.do(asked[:1], options.folder / "drawing", options.data_dir)  # the set is drawn, decoded and warm
    started, compiling = time.perf_counter(), []
    within = 0.0
    for job in asked:
        before = Program.compiling
        jobs.refuse_missing(jobs.do([job], options.folder, options.data_dir), "this script")
        compiling.append(Program.compiling - before)
        lines = (job.folder(options.folder) / "metrics.jsonl").read_text().splitlines()
        within += json.loads(lines[-1])["seconds"]
    whole = time.perf_counter() - started
    outside = whole - within - compiling[0]
    print(
        f"10 runs of {options.steps:,} steps: {whole:.1f} s, of them {within:.1f} s of steps and evaluations; "
        f"compilation {compiling[0]:.1f} s in the first run and {sum(compiling[1:]):.1f} s in the others; "
        f"outside {outside:.1f} s, {100 * outside / whole:.1f} %"
    )


if __name__ == "__main__":
    main()
