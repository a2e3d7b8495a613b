"""Train and evaluate what a config asks for; the same command goes on with a run that was interrupted."""

import argparse
import ctypes
import os
import sys

from skinjax.core.arguments import Parser, exit_status
from skinjax.core.errors import UserError, lookup

JOINING = ("--coordinator", "--processes", "--process")
KNOWN_FLAGS = dict.fromkeys(("--config", "--config.FIELD", "--workdir", "--data_dir", "--help", *JOINING))


def parse(arguments: list[str]) -> argparse.Namespace:
    """The flags; `changes` are those of config fields."""
    parser = Parser(prog="python -m skinjax.main", description=__doc__, allow_abbrev=False, add_help=False)
    parser.add_argument(
        "--help", "-h", action="store_true", help="show this, and with --config all fields as it has them"
    )
    parser.add_argument("--config", metavar="FILE[:VARIANT]", help="as in configs/cdc.py:demo")
    parser.add_config_changes()
    parser.add_argument("--workdir", help="the folder of the run (default: runs/CONFIG-VARIANT-HASH)")
    parser.add_data_dir()
    joined = "; all three, where several processes train the run and nothing else tells them of each other"
    parser.add_argument("--coordinator", metavar="HOST:PORT", help=f"a free port of the first process{joined}")
    parser.add_number("--processes", None, 1, 2**16, "how many there are")
    parser.add_number("--process", None, 0, 2**16, "which of them this is, from 0", metavar="I")
    parsed, unknown = parser.parse_known_args(arguments)
    for argument in unknown:
        lookup("argument", argument.partition("=")[0], KNOWN_FLAGS)
    if parsed.help:
        print(parser.format_help())
    elif parsed.config is None:
        raise UserError("no config is given: start with --config=configs/cdc.py")
    return parsed


def main(arguments: list[str]) -> int:
    """Run and return the exit status: 0 done, or stopped by a signal after a checkpoint; 1 a user's mistake."""
    return exit_status(lambda: start(arguments))


def start(arguments: list[str]) -> int:
    """The status of the run that `arguments` ask for."""
    flags = parse(arguments)
    if not flags.config:
        return 0  # help was asked for and given
    from skinjax.recipe.config_files import load_config

    config = load_config(flags.config, flags.changes)
    if flags.help:
        from skinjax.core.settings import help_lines

        print("\n".join(help_lines(config, "--config")))
        return 0
    # These import jax, which takes a while: a wrong command is refused before.
    from skinjax import processes
    from skinjax.runs.experiment import run
    from skinjax.training.signals import Interrupted

    processes.join(flags.coordinator, flags.processes, flags.process)
    try:
        run(config, flags.workdir, flags.data_dir, print if processes.leads() else lambda line: None)
    except Interrupted as stop:
        print(stop, file=sys.stderr)
    except RuntimeError as error:
        if not processes.several():
            raise
        print(processes.lost(error), file=sys.stderr)
        return 1
    processes.leave()
    return 0


def keep_memory() -> None:
    """Have glibc keep what a step frees for the next: taking it anew costs a CPU a seventh of its time."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", lambda option, value: 0)
    for option, value in ((-4, 0), (-1, 2**31 - 1), (-8, 1)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_ARENA_MAX
        mallopt(option, value)


if __name__ == "__main__":
    keep_memory()
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of a loader that an error left half-way must not keep the process.
    os._exit(status)
