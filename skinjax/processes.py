"""Several processes that train one run: how they find each other, what the first tells the others, how they stop.

The first alone claims, reads and writes the folder of the run, so that none need be shared. The others work in a folder
of their own that is thrown away, with what the first has told them in it.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from skinjax.core.errors import UserError, first_line

T = TypeVar("T")
Arrays = dict[tuple[str, ...], np.ndarray]
HEARTBEAT_SECONDS = 30  # after which a process that is not heard of counts as lost


def join(coordinator: str | None = None, processes: int | None = None, process: int | None = None) -> None:
    """Join the other processes of this run, if there are any, before anything touches a device.

    Where not all three are given, what started this process tells: SLURM, Open MPI, or the metadata of a TPU VM.
    """
    given = {"--coordinator": coordinator, "--processes": processes, "--process": process}
    missing = [flag for flag, value in given.items() if value is None]
    how: dict[str, Any] = {}
    if not missing:
        assert coordinator is not None and processes is not None and process is not None  # noqa: PT018
        host, _, port = coordinator.rpartition(":")
        if not host or not port.isdigit():
            raise UserError(f"--coordinator={coordinator} is no HOST:PORT, as 10.0.0.1:8476 is")
        if not 0 <= process < processes:
            raise UserError(f"--process={process} is none of the {processes} processes, which count from 0")
        how = {"coordinator_address": coordinator, "num_processes": processes, "process_id": process}
        how["cluster_detection_method"] = "deactivate"
    elif len(missing) < len(given):
        raise UserError(f"{' and '.join(missing)} must be given too: --coordinator, --processes and --process together")
    else:
        method = started_by(os.environ)
        if method is None:
            return
        how = {"cluster_detection_method": method, "local_device_ids": own_devices(os.environ)}
    try:
        jax.distributed.initialize(heartbeat_timeout_seconds=HEARTBEAT_SECONDS, **how)
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the other processes of this run cannot be joined: {first_line(error)}") from error


def started_by(environment: Mapping[str, str]) -> str | None:
    """What started several processes, as jax calls it; None for one process.

    >>> started_by({"SLURM_STEP_NUM_TASKS": "4"}), started_by({"SLURM_NTASKS": "4"})
    ('slurm', None)
    """
    if int(environment.get("SLURM_STEP_NUM_TASKS", 1)) > 1:  # set by srun; a shell in an allocation has other variables
        return "slurm"
    if int(environment.get("OMPI_COMM_WORLD_SIZE", 1)) > 1:
        return "ompi"
    if "," in environment.get("TPU_WORKER_HOSTNAMES", ""):
        return "gketpu"
    if getattr(jax._src.cloud_tpu_init, "running_in_cloud_tpu_vm", False):
        return "gcetpu"
    return None


def own_devices(environment: Mapping[str, str]) -> list[int] | None:
    """The GPUs of the only task of a SLURM node: all; otherwise jax's own choice, which is one for each task.

    >>> own_devices({"SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_NUM_NODES": "2", "SLURM_GPUS_ON_NODE": "4"})
    [0, 1, 2, 3]
    """
    names = ("SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_NODES", "SLURM_GPUS_ON_NODE")
    tasks, nodes, gpus = map(environment.get, names)
    return list(range(int(gpus))) if tasks is not None and tasks == nodes and gpus else None


def leave() -> None:
    """Wait for the other processes to end as well: one that goes before is taken for lost."""
    if several():
        jax.distributed.shutdown()


def lost(error: RuntimeError) -> str:
    """What to say when jax fails because another process is gone."""
    return (
        f"error: another process of this run is gone, or cannot be reached ({first_line(error)[:200]}): start all of "
        "them again by the same command, and it goes on from the last checkpoint"
    )


def several() -> bool:
    """Whether there are other processes."""
    return jax.process_count() > 1


def leads() -> bool:
    """Whether this is the first process, which alone writes."""
    return jax.process_index() == 0


def told(make: Callable[[], T]) -> T:
    """What `make()`, which only the first process calls, gives there (plain JSON); its `UserError` is everybody's."""
    if not several():
        return make()
    answer: dict[str, Any] = {}
    if leads():
        try:
            answer = {"value": make()}
        except UserError as error:
            answer = {"error": str(error)}
    answer = json.loads(_broadcast(json.dumps(answer).encode()))
    if "error" in answer:
        raise UserError(answer["error"])
    return answer["value"]


def told_arrays(make: Callable[[], Arrays]) -> Arrays:
    """The arrays by path that `make()` gives on the first process; see `told`."""
    if not several():
        return make()
    made: Arrays = {}

    def described() -> list[list]:
        made.update(make())
        return [[list(path), list(array.shape), array.dtype.str] for path, array in made.items()]

    return {
        tuple(path): np.frombuffer(_broadcast(made[tuple(path)].tobytes() if leads() else b""), dtype).reshape(shape)
        for path, shape, dtype in told(described)
    }


@contextlib.contextmanager
def run_folder(workdir: Path) -> Iterator[Path]:
    """The folder that this process works in: the run's own for the first, one that is thrown away for the others."""
    if leads():
        yield workdir
    else:
        with tempfile.TemporaryDirectory(prefix="skinjax-") as own:
            yield Path(own)


def first_then_others(make: Callable[[], T], folder: Path, names: Sequence[str]) -> T:
    """`make()` on the first process, then on the others, whose `folder` has got the files `names` that it left."""
    if not several():
        return make()
    made: list[T] = []

    def files() -> dict[str, str]:
        made.append(make())
        return {name: (folder / name).read_text(encoding="utf-8") for name in names if (folder / name).exists()}

    for name, text in told(files).items():
        if not leads():
            (folder / name).write_text(text, encoding="utf-8")
    return made[0] if leads() else make()


class AgreedStop:
    """Asked at the same places by every process, it says at the same one to all that one of them is to stop.

    Under several processes jax's own notifier has SIGTERM, and a handler of Python's would never be called.
    """

    def __init__(self) -> None:
        self._asked = 0

    def __call__(self) -> bool:
        self._asked += 1
        return bool(multihost_utils.reached_preemption_sync_point(self._asked))


def _broadcast(data: bytes) -> bytes:
    """The bytes of the first process; as bytes, because jax would round what has 64 bits."""
    length = int(multihost_utils.broadcast_one_to_all(np.array(len(data), np.int32)))
    padded = np.frombuffer(data, np.uint8) if leads() else np.zeros(length, np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(padded)).tobytes()
