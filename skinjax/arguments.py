"""Command lines whose mistakes are one sentence: what `skinjax.main` and `skinjax VERB` share."""

import argparse
import os
import sys
from collections.abc import Callable

from skinjax.errors import UserError


class Parser(argparse.ArgumentParser):
    """A parser that raises a `UserError` where argparse prints its usage and exits."""

    def error(self, message: str):
        raise UserError(f"{message} (see {self.prog} --help)")


def exit_status(command: Callable[[], int]) -> int:
    """What `command` returns; a `UserError` becomes one sentence and status 1, a reader of the output that left, 1."""
    try:
        status = command()
        sys.stdout.flush()
        return status
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # What is still buffered has no reader; without this, Python complains about it when it leaves.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
