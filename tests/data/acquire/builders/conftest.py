"""Reads fabricated sources with a builder."""

import contextlib
import itertools
from collections.abc import Callable, Iterator

import pytest

from skinjax.data.acquire.builders.base import Listing, PhotographBuilder
from skinjax.data.acquire.sources import open_source

from .fabricated import Files, write

Read = Callable[[type[PhotographBuilder], Files], Listing]


@pytest.fixture
def read(tmp_path) -> Iterator[Read]:
    """`read(builder, files)` gives the listing; its photographs can be read until the test ends."""
    numbers = itertools.count()
    with contextlib.ExitStack() as opened:

        def read(builder: type[PhotographBuilder], files: Files) -> Listing:
            folder = write(tmp_path / f"source{next(numbers)}", files)
            return builder.read(opened.enter_context(open_source(folder)))

        yield read
