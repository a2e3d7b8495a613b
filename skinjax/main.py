"""Train and evaluate what a config asks for; the same command goes on with a run that was interrupted."""

import os
import sys

from skinjax.arguments import Parser, exit_status
from skinjax.errors import UserError, lookup

KNOWN_FLAGS = dict.fromkeys(("--config", "--config.FIELD", "--workdir", "--data_dir", "--help"))


def parse(arguments: list[str]):
    """The flags, and the changes of config fields as a list of FIELD=VALUE."""
    parser = Parser(prog="python -m skinjax.main", description=__doc__, allow_abbrev=False)
    parser.add_argument("--config", metavar="FILE[:VARIANT]", help="as in configs/cdc.py:demo")
    parser.add_argument("--config.FIELD", metavar="VALUE", help="another value of a field: --config.seed=1")
    parser.add_argument("--workdir", help="the folder of the run (default: runs/CONFIG-VARIANT-HASH)")
    parser.add_argument("--data_dir", help="where data sets lie (default: $SKINJAX_DATA, else the user's cache)")
    changes = [argument.removeprefix("--config.") for argument in arguments if argument.startswith("--config.")]
    rest = [argument for argument in arguments if not argument.startswith("--config.")]
    parsed, unknown = parser.parse_known_args(rest)
    for argument in unknown:
        lookup("argument", argument.partition("=")[0], KNOWN_FLAGS)
    if parsed.config is None:
        raise UserError("no config is given: start with --config=configs/cdc.py")
    return parsed, changes


def main(arguments: list[str]) -> int:
    """Run and return the exit status: 0 done, or stopped by a signal after a checkpoint; 1 a user's mistake."""
    return exit_status(lambda: start(arguments))


def start(arguments: list[str]) -> int:
    """The status of the run that `arguments` ask for."""
    flags, changes = parse(arguments)
    from skinjax.config_files import load_config

    config = load_config(flags.config, changes)
    # These import jax: what is wrong with the command is told before.
    from skinjax.experiment import run
    from skinjax.training.signals import Interrupted

    try:
        run(config, flags.workdir, flags.data_dir)
    except Interrupted as stop:
        print(stop, file=sys.stderr)
    return 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of a loader that an error left half-way must not keep the process.
    os._exit(status)
