"""The exception for what a user can mend, a lookup whose error lists the known names, and how lines are shown."""

import contextlib
import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")
Print = Callable[[str], None]  # shows the user a line, as `print` does


class UserError(ValueError):
    """A mistake outside the program: bad data, a bad argument, a bad place to write.

    Its text is one sentence that says what is wrong, where, and what to do; commands print it without a traceback.
    """


@contextlib.contextmanager
def os_errors_as_user_errors(failure: str, remedy: str = "") -> Iterator[None]:
    """Turn an `OSError` of the block into a `UserError`: what failed, why, and what to do."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{failure}: {error.strerror or error}{remedy and '; '}{remedy}") from error


def first_line(error: BaseException) -> str:
    """What an error says, or what it is, in a line."""
    return (str(error) or type(error).__name__).splitlines()[0]


def lookup(kind: str, name: str, table: Mapping[str, T], elsewhere: Iterable[str] = ()) -> T:
    """The entry `name` of `table`, or a `UserError` that lists the known names and may point to one `elsewhere`.

    >>> lookup("loss", "focl", {"focal": 1, "cross_entropy": 2})
    Traceback (most recent call last):
    skinjax.core.errors.UserError: unknown loss 'focl' (did you mean 'focal'?); known: cross_entropy, focal
    """
    if isinstance(name, str) and name in table:
        return table[name]
    same = [path for path in elsewhere if path.endswith(f".{name}")]
    near = same or difflib.get_close_matches(str(name), [*table, *elsewhere], n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise UserError(f"unknown {kind} {name!r}{hint}; known: {', '.join(sorted(table))}")
