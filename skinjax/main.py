"""python -m skinjax.main --config=configs/cdc.py[:VARIANT] [--workdir=DIR] [--data_dir=DIR] [--config.FIELD=VALUE]"""

import os
import sys
import traceback

from absl import flags
from ml_collections import config_flags

from skinjax.errors import UserError

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "A config file, with a variant behind a colon: configs/cdc.py:demo. Fields: --config.seed=1."
)
WORKDIR = flags.DEFINE_string("workdir", None, "The folder of the run [runs/CONFIG-VARIANT-HASH].")
DATA_DIR = flags.DEFINE_string("data_dir", None, "Where prepared data sets lie [$SKINJAX_DATA, else the user's cache].")


def parse(arguments: list[str]):
    """The config that the command line asks for; everything wrong with it is a `UserError`."""
    try:
        rest = flags.FLAGS(arguments)
    except UserError:
        raise
    except (flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        raise UserError(f"{error}".strip()) from error
    except Exception as error:  # the config is a program of the user's: whatever it raises is told with its place
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{where.filename}, line {where.lineno}"
        raise UserError(f"the config cannot be read: {type(error).__name__}: {error} ({place})") from error
    if len(rest) > 1:
        raise UserError(f"unknown argument {rest[1]!r}; flags start with -- (see --help)")
    if CONFIG.value is None:
        raise UserError("no config: start with --config=configs/cdc.py")
    return CONFIG.value


def main(arguments: list[str]) -> int:
    """Run and return the exit status: 0 done or stopped by a signal after a checkpoint, 1 a user's mistake."""
    if {"--help", "-h"} & set(arguments):
        print(f"{__doc__}\n\n{flags.FLAGS.module_help(sys.modules[__name__])}")
        return 0
    try:
        config = parse(arguments)
        from skinjax import experiment  # after parsing: it imports jax, and a typo is told at once

        try:
            experiment.run(config, WORKDIR.value, DATA_DIR.value)
        except experiment.Interrupted as stop:
            print(stop, file=sys.stderr)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    status = main(sys.argv)
    sys.stdout.flush()
    # Threads of a loader that was left half-way must not keep the process.
    os._exit(status) if status else sys.exit(status)
