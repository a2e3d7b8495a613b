"""Programs that leave this machine: what is traced within `portable` keeps to operations that run and export anywhere.

Elsewhere what a platform computes fastest takes their place; it may be written so that only that platform has it.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_PORTABLE: ContextVar[bool] = ContextVar("portable", default=False)


@contextlib.contextmanager
def portable() -> Iterator[None]:
    """The programs traced within are for any platform; it is read in this thread, while they are traced."""
    token = _PORTABLE.set(True)
    try:
        yield
    finally:
        _PORTABLE.reset(token)


def is_portable() -> bool:
    """Whether a program for any platform is traced."""
    return _PORTABLE.get()
