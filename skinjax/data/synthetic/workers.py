"""Photographs drawn by several processes at once, in the order of the plan.

The workers are fresh interpreters that run this file. A fork would copy the threads of jax; a process pool would run
the caller's script again in each of its processes, and leave them behind when the caller is killed.
"""

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import BinaryIO

from skinjax.core.errors import UserError
from skinjax.data.synthetic.photographs import Painter, encode
from skinjax.data.synthetic.settings import Settings

LEAST_SHARE = 100  # photographs: so many take as long to draw as a worker takes to start

ONE_THREAD = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
"""For speed, and because threads that share a matrix product round otherwise: in one picture of a hundred, by a grey
level in a pixel or two."""

LENGTH_BYTES = 4


def encoded_photographs(settings: Settings, processes: int | None = None) -> Iterator[bytes]:
    """The encoded photograph of every row in order, the same bytes by any number of processes (default: the cores)."""
    count = processes or max(1, min(_cores(), settings.images // LEAST_SHARE))
    with contextlib.ExitStack() as running:
        # Leaving closes the pipes, and a worker ends when nobody reads what it draws.
        workers = [running.enter_context(_start(settings, first, count)) for first in range(count)]
        for row in range(settings.images):
            yield _read(workers[row % count], row)


def _start(settings: Settings, first: int, step: int) -> subprocess.Popen[bytes]:
    """A worker that draws the rows `first`, `first + step`, ... into its pipe."""
    what = json.dumps(dataclasses.asdict(settings))
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "skinjax.data.synthetic.workers", what, str(first), str(step)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=os.environ | ONE_THREAD | {"PYTHONPATH": path},
        start_new_session=True,  # Ctrl-C is for the reader
    )


def _read(worker: subprocess.Popen[bytes], row: int) -> bytes:
    pipe = worker.stdout
    assert pipe is not None
    length = int.from_bytes(pipe.read(LENGTH_BYTES), "big")
    image = pipe.read(length)
    if not length or len(image) < length:
        raise UserError(
            f"the process that draws photograph {row} of the synthetic set ended early, with status {worker.wait()}: "
            "start the same command again"
        )
    return image


def _write(settings: Settings, first: int, step: int, pipe: BinaryIO) -> None:
    """Draw a worker's photographs and write each behind its length."""
    painter = Painter(settings)
    for row in range(first, settings.images, step):
        image = encode(painter.draw(row))
        pipe.write(len(image).to_bytes(LENGTH_BYTES, "big") + image)
        pipe.flush()


def _cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    _write(Settings(**json.loads(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3]), sys.stdout.buffer)
