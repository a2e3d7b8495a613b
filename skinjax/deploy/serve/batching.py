"""One thread owns the model: photographs that wait together are answered together.

They are padded to one of a few sizes, so that one photograph does not cost a batch and nothing is compiled twice. The
program for one photograph is compiled before anything is answered, the others meanwhile; a size that is not there yet
is not used.
"""

import contextlib
import dataclasses
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.core.errors import UserError
from skinjax.deploy.bundle import blank
from skinjax.deploy.predictor import Predictor

Array = np.ndarray

LEAST_FULL = 0.75  # of a padded batch; below it the next smaller size is taken
LINGER = 0.1  # how long to wait for photographs on their way, in shares of the last batch's time


class FullError(Exception):
    """As many photographs are in the house as may be."""


class Batcher:
    """Answers photographs, uint8 [H, W, 3] as `Predictor.look` gives them, from any thread, while its context lasts.

    most: photographs in the house, from `admitted` to the answer
    """

    def __init__(self, predictor: Predictor, most: int = 512):
        self.predictor, self.most, self.inside = predictor, most, 0
        self.sizes = sizes_up_to(predictor.model.spec.batch)
        alone = predictor.model.spec.replace(batch=1)
        self._alone = dataclasses.replace(predictor, model=dataclasses.replace(predictor.model, spec=alone))
        self._programs: dict[int, Any] = {}
        self._photographs: deque[tuple[Array, Future]] = deque()
        self._jobs: deque[tuple[Callable[[], Any], Future]] = deque()
        self._seconds, self._closed, self._changed = 0.0, False, threading.Condition()
        self.compiled = threading.Event()
        self.batches: Counter[int] = Counter()  # answered, by the size that they were padded to
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._work, self._compile_others)]

    def __enter__(self) -> Self:
        self._compile(1)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    @contextlib.contextmanager
    def admitted(self, count: int) -> Iterator[None]:
        """Announce so many photographs, which may be asked about in the context; `FullError` if that is too many."""
        with self._changed:
            if self.inside + count > self.most:
                raise FullError
            self.inside += count
        try:
            yield
        finally:
            with self._changed:
                self.inside -= count

    def ask(self, pixels: Array) -> Future:
        """What `Predictor.outputs` says of one photograph, each without its first axis, and its `distance` if known."""
        return self._put(self._photographs, pixels)

    def explain(self, pixels: Array, label: int) -> Future:
        """What the answer to one photograph rests on, for the class with this number: see `overlays.rests_on`."""
        return self._put(self._jobs, lambda: self._explained(pixels, label))

    def outputs(self, images: Array) -> dict[str, Array]:
        """Those of `Predictor.outputs` for at most a batch of photographs, in the smallest program that holds them."""
        size = min(size for size in self._programs if size >= len(images))
        self.batches[size] += 1
        rows = np.pad(images, [(0, size - len(images)), (0, 0), (0, 0), (0, 0)])
        found = jax.device_get(self._programs[size](self.predictor.model.variables, rows))
        return {name: values[: len(images)] for name, values in found.items()}

    def _explained(self, pixels: Array, label: int) -> dict[str, Array]:
        from skinjax.deploy.overlays import rests_on  # after the first answers, as matplotlib takes a second

        return rests_on(self._alone, pixels[None], np.array([label]))

    def _put(self, queue: deque, asked: Any) -> Future:
        answer: Future = Future()
        with self._changed:
            queue.append((asked, answer))
            self._changed.notify_all()
        return answer

    def _work(self) -> None:
        while taken := self._taken():
            photographs, job = taken
            if photographs:
                _answer(photographs, self._answers)
            if job:
                _answer([job], lambda asked: [asked[0]()])

    def _taken(self) -> tuple[list, tuple | None] | None:
        """The photographs to answer next, and what else there is to do; None when all is over."""
        waiting = self._photographs
        with self._changed:
            self._changed.wait_for(lambda: waiting or (self._jobs and self.compiled.is_set()) or self._closed)
            if self._closed:
                return None
            until = time.monotonic() + LINGER * self._seconds
            while waiting and len(waiting) < min(self.inside, self.sizes[-1]) and not self._closed:
                if not self._changed.wait(until - time.monotonic()):
                    break
            count = chosen(len(waiting), sorted(self._programs)) if waiting else 0
            taken = [waiting.popleft() for _ in range(min(count, len(waiting)))]
            return taken, self._jobs.popleft() if self._jobs and self.compiled.is_set() else None

    def _answers(self, photographs: list[Array]) -> list[dict[str, Array]]:
        began = time.monotonic()
        found = self.outputs(np.stack(photographs))
        distances = self.predictor.distances(found)
        found |= {} if distances is None else {"distance": distances}
        self._seconds = time.monotonic() - began
        return [{name: values[place] for name, values in found.items()} for place in range(len(photographs))]

    def _compile_others(self) -> None:
        try:
            for size in reversed(self.sizes[1:]):
                if self._closed:
                    return
                self._compile(size)
            with contextlib.suppress(UserError):  # of a method that has no such maps
                self._explained(blank(self.predictor.model)[0], 0)
        finally:
            with self._changed:
                self.compiled.set()
                self._changed.notify_all()

    def _compile(self, size: int) -> None:
        stored = self.predictor.model.spec.stored_size
        images = jax.ShapeDtypeStruct((size, stored.height, stored.width, 3), jnp.uint8)
        program = self.predictor.program.lower(self.predictor.model.variables, images).compile()
        self._programs = {**self._programs, size: program}


def sizes_up_to(batch: int) -> list[int]:
    """The sizes that batches are padded to.

    >>> sizes_up_to(12)
    [1, 2, 4, 8, 12]
    """
    return [*(2**power for power in range(batch.bit_length()) if 2**power < batch), batch]


def chosen(waiting: int, sizes: list[int]) -> int:
    """The size of the next batch: the smallest that holds all, if it is nearly filled, else the largest that is filled.

    >>> [chosen(waiting, [1, 2, 4, 8]) for waiting in (1, 3, 5, 6, 30)]
    [1, 4, 4, 8, 8]
    """
    filled = max(size for size in sizes if size <= waiting)
    holds = [size for size in sizes if size >= waiting and waiting >= LEAST_FULL * size]
    return holds[0] if holds else filled


def _answer(asked: list[tuple[Any, Future]], answers: Callable[[list], list]) -> None:
    """Fill the futures that somebody still waits for; an error is theirs, and the thread lives."""
    wanted = [(what, future) for what, future in asked if future.set_running_or_notify_cancel()]
    if not wanted:
        return
    try:
        found = answers([what for what, _ in wanted])
    except Exception as error:
        for _, future in wanted:
            future.set_exception(error)
    else:
        for (_, future), of in zip(wanted, found, strict=True):
            future.set_result(of)
