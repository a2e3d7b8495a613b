"""Reads fabricated sources of data sets."""

import contextlib
import itertools
from collections.abc import Callable, Iterator

import pytest

from skinjax.data.acquire.builders.base import Listing
from skinjax.data.acquire.sources import Source, open_source

from .fabricated import Files, write

Read = Callable[[Callable[[Source], Listing], Files], Listing]


@pytest.fixture
def read(tmp_path) -> Iterator[Read]:
    """`read(reader, files)` gives the listing; its photographs can be read until the test ends."""
    numbers = itertools.count()
    with contextlib.ExitStack() as opened:

        def read(reader: Callable[[Source], Listing], files: Files) -> Listing:
            folder = write(tmp_path / f"source{next(numbers)}", files)
            return reader(opened.enter_context(open_source(folder)))

        yield read
