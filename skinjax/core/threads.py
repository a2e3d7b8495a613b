"""Work on many items by threads, in order, without running far ahead of whoever takes the results."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")


def progress(items: Iterable[Item], total: int) -> Iterable[Item]:
    """The items; on a terminal a bar shows how many of `total` images have come."""
    return tqdm(items, total=total, unit="images", disable=not sys.stderr.isatty(), leave=False)


def map_in_order(function: Callable[[Item], Result], items: Iterable[Item], threads: int = 0) -> Iterator[Result]:
    """`function` of each item in order; at most a few results per thread wait to be taken, whatever their number.

    >>> list(map_in_order(abs, [-2, 1], threads=2))
    [2, 1]
    """
    threads = threads or os.cpu_count() or 1
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 4 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
