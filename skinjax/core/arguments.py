"""Parse the command lines of `skinjax.main` and `skinjax VERB`, and report a user's mistake in one sentence."""

import argparse
import errno
import io
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from skinjax.core.errors import UserError


class Parser(argparse.ArgumentParser):
    """A parser that raises a `UserError` where argparse prints its usage and exits."""

    takes_changes = False

    def add_number(self, flag: str, default: int | None, low: int, high: int, help: str, metavar: str = "N") -> None:
        """Add a flag that takes a whole number from `low` to `high`."""

        def number(text: str) -> int:
            if not low <= int(text) <= high:
                raise argparse.ArgumentTypeError(f"{text} is no number from {low} to {high}")
            return int(text)

        self.add_argument(flag, type=number, default=default, help=help, metavar=metavar)

    def add_data_dir(self) -> None:
        """Add --data_dir, which `skinjax.data.dataset.data_root` resolves."""
        self.add_argument("--data_dir", help="where data sets lie (default: $SKINJAX_DATA, else the user's cache)")

    def add_matrix(self, workdir: str) -> None:
        """Add what every command of many runs takes; `workdir` says where they lie by default."""
        self.add_number("--seeds", 1, 1, 1000, "how many seeds of each run, from the config's on (default 1)")
        self.add_argument("--workdir", metavar="DIR", help=workdir)
        gpus = "of each run on a Ray cluster (default 1, if it has any)"
        self.add_argument("--gpus", type=float, metavar="N", help=gpus)
        self.add_argument("--status", action="store_true", help="tell what is done, and do nothing")
        self.add_argument("--dry_run", action="store_true", help="tell which runs there are and what they cost")
        self.add_data_dir()
        self.add_config_changes()

    def add_config_changes(self) -> None:
        """Accept --config.FIELD=VALUE anywhere and any number of times; `changes` lists their FIELD=VALUE."""
        self.add_argument("--config.FIELD", metavar="VALUE", help="another value of a field: --config.seed=1")
        self.takes_changes = True

    def parse_known_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:
        if not self.takes_changes:
            return super().parse_known_args(args, namespace)
        given = sys.argv[1:] if args is None else list(args)
        rest = [argument for argument in given if not argument.startswith("--config.")]
        options, unknown = super().parse_known_args(rest, namespace)
        options.changes = [argument.removeprefix("--config.") for argument in given if argument not in rest]
        return options, unknown

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see {self.prog} --help)")


def exit_status(command: Callable[[], int]) -> int:
    """Run `command` and return its status; 1 after a `UserError`, which is printed, or if nobody reads the output."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may have letters that the terminal lacks
    try:
        status = command()
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        _drop_output()
        return 1
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            where = f"cannot write {error.filename}" if error.filename else "cannot write"
            print(f"error: {where}: {error.strerror}; make room and start the same command again", file=sys.stderr)
            _drop_output()
        elif error.filename:
            print(f"error: {str(error.filename)[:200]}: {error.strerror}", file=sys.stderr)
        else:
            raise
        return 1
    except RuntimeError as error:
        if "home directory" not in str(error):  # what `~nobody` leads to
            raise
        print(f"error: a path begins with ~: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _drop_output() -> None:
    """Discard buffered output that cannot be written; otherwise Python complains about it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
