"""Kill a run at random moments, restart it by the same command each time, and compare it with one left alone.

    python tools/fault_injection.py --folder=/tmp/faults [--kills=20] [--seed=0] [--config=FILE] [--config.FIELD=VALUE]

Kills (SIGKILL) fall into the drawing of the data, the first compilation, checkpoints, training, evaluation and the
final predictions. At the end predictions, figures and every array of the last checkpoint must be bit-identical. Both
runs have data folders of their own, compilation cache included. With the demo: about 20 minutes on 2 cores.
"""

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp


class Run:
    """One launch of the command, in a process group of its own."""

    def __init__(self, folder: Path, arguments: list[str]):
        self.workdir, self.data = folder / "run", folder / "data"
        command = [sys.executable, "-m", "skinjax.main", f"--workdir={self.workdir}", f"--data_dir={self.data}"]
        self.log = folder / "output.txt"
        self.started = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "a") as log:
            self.process = subprocess.Popen([*command, *arguments], stdout=log, stderr=log, start_new_session=True)

    def printed(self, text: str) -> bool:
        with open(self.log, errors="replace") as log:
            log.seek(self.started)
            return text in log.read()

    def running(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


# moment -> (what to wait for, the longest random delay after it in seconds)
MOMENTS: dict[str, tuple[Callable[[Run], bool], float]] = {
    "drawing the data": (lambda run: any(run.data.glob(".synthetic*.unfinished")), 2.0),
    "compiling": (lambda run: (run.workdir / "environment.json").exists() and run.printed("run in"), 6.0),
    "training": (lambda run: run.printed(" images/s "), 4.0),
    "checkpoint": (lambda run: any(run.workdir.glob("checkpoints/*orbax*tmp*")), 0.05),
    "evaluation": (lambda run: run.printed(": validation "), 0.5),
    "final predictions": (lambda run: (run.workdir / "predictions_validation.csv").exists(), 0.3),
}


def schedule(kills: int, rng: random.Random) -> list[str]:
    """Moments in the order of a run, each at least once when there are enough kills, the middle ones more often."""
    extra = rng.choices(["compiling", "training", "checkpoint", "evaluation"], k=max(0, kills - len(MOMENTS)))
    order = list(MOMENTS)
    return sorted([*order[:kills], *extra], key=order.index)


def wait_for(run: Run, moment: str, rng: random.Random) -> bool:
    """Whether the moment came before the run ended."""
    condition, longest = MOMENTS[moment]
    while run.running():
        if condition(run):
            time.sleep(rng.uniform(0, longest))
            return run.running()
        time.sleep(0.003)
    return False


def finish(run: Run) -> None:
    if run.process.wait() != 0:
        sys.exit(f"the run failed; its output is in {run.log}:\n{run.log.read_text()[-2000:]}")


def last_state(workdir: Path) -> dict[str, np.ndarray]:
    newest = max(path for path in (workdir / "checkpoints").iterdir() if path.is_dir())
    handler = ocp.PyTreeCheckpointer()
    tree = handler.metadata(newest.absolute()).item_metadata.tree
    as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
    state = handler.restore(newest.absolute(), restore_args=as_numpy)
    return {str(path): np.asarray(x) for path, x in ocp.tree.to_flat_dict(state).items() if x is not None}


def compare(alone: Path, killed: Path) -> list[str]:
    """What differs between two workdirs, empty if nothing does."""
    names = sorted(
        path.name
        for pattern in ("predictions_*", "metrics_*.json", "split.csv", "model.*")
        for path in alone.glob(pattern)
    )
    different = [name for name in names if (alone / name).read_bytes() != (killed / name).read_bytes()]
    a, b = last_state(alone), last_state(killed)
    if a.keys() != b.keys():
        return [*different, "the names in the checkpoints"]
    return [*different, *[f"array {name}" for name in a if a[name].tobytes() != b[name].tobytes()]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder to work in")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--config", default="configs/cdc.py")
    options, changes = parser.parse_known_args()
    arguments = [f"--config={options.config}", *changes]
    rng = random.Random(options.seed)
    for name in ("alone", "killed"):
        (options.folder / name).mkdir(parents=True)
    start = time.perf_counter()
    finish(Run(options.folder / "alone", arguments))
    print(f"left alone: {time.perf_counter() - start:.0f} s", flush=True)
    done = 0
    for moment in schedule(options.kills, rng):
        run = Run(options.folder / "killed", arguments)
        if not wait_for(run, moment, rng):
            finish(run)
            print(f"the run ended before the moment {moment!r} came", flush=True)
            continue
        run.kill()
        done += 1
        print(f"kill {done}: {moment}", flush=True)
    finish(Run(options.folder / "killed", arguments))
    different = compare(options.folder / "alone" / "run", options.folder / "killed" / "run")
    print(f"{done} kills, {time.perf_counter() - start:.0f} s in all: ", end="")
    print(f"DIFFERENT: {', '.join(different)}" if different else "bit-identical predictions, figures and state")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
