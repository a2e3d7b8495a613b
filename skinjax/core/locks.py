"""Locks between processes, which die with the process that holds them."""

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from skinjax.core.errors import UserError


class Busy(UserError):  # noqa: N818 (to be waited for, as it were)
    """Another process holds what was asked for."""


@contextlib.contextmanager
def exclusive(path: Path, refusal: str = "") -> Iterator[None]:
    """Hold the lock file `path` alone: wait for another process that has it, or raise `refusal` as a `UserError`."""
    with open(path, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (fcntl.LOCK_NB if refusal else 0))
        except BlockingIOError:
            raise Busy(refusal) from None
        yield
