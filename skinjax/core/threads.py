"""Work on many items in threads, in order, without running far ahead of the consumer of the results."""

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
    """Iterate over the items; on a terminal, with a progress bar of `total` images."""
    return tqdm(items, total=total, unit="images", disable=not sys.stderr.isatty(), leave=False)


def map_in_order(function: Callable[[Item], Result], items: Iterable[Item], threads: int = 0) -> Iterator[Result]:
    """Apply `function` to the items in threads and yield the results in order, a few per thread ahead of the consumer.

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
