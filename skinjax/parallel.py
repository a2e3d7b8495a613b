"""Devices, mesh and processes: the whole parallel layer. One program for one device, many devices, many hosts."""

import functools
import os
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from skinjax.core.errors import UserError
from skinjax.core.files import human_bytes

Stored = Mapping[str, jax.Array]  # by name, with a row for each record of the data set, whole on every device


def make_mesh() -> Mesh:
    """All devices of all processes as ('fold', 'data'), with one fold."""
    return jax.make_mesh((1, jax.device_count()), ("fold", "data"), axis_types=(AxisType.Auto, AxisType.Auto))


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device: the state."""
    return NamedSharding(mesh, PartitionSpec())


def over_data(mesh: Mesh) -> NamedSharding:
    """The first axis cut over `data`: a batch."""
    return NamedSharding(mesh, PartitionSpec("data"))


def check_batch(batch: int, mesh: Mesh, accumulate: int = 1) -> None:
    """Refuse a batch that does not divide over the devices, with each part of it when gradients are accumulated."""
    devices = mesh.shape["data"]
    share = devices * accumulate
    if batch < 1 or batch % share:
        parts = f" in {accumulate} accumulated parts" if accumulate > 1 else ""
        over = f"{devices} devices" if devices > 1 else "1 device"
        raise UserError(f"a batch of {batch}{parts} does not divide over {over}; choose a multiple of {share}")


def padded_batch(batch: int, mesh: Mesh) -> int:
    """The smallest batch of at least `batch` that divides over the devices, for padded evaluation."""
    devices = mesh.shape["data"]
    return -(-batch // devices) * devices


def put(batch: Mapping[str, np.ndarray], mesh: Mesh, stored: Stored | None = None) -> dict[str, jax.Array]:
    """This process's rows of a batch as global arrays cut over `data`; returns before the copy is done.

    Of the arrays `stored` it gets the rows that its `index` names.
    """
    placed = {name: jax.make_array_from_process_local_data(over_data(mesh), rows) for name, rows in batch.items()}
    return placed | {name: _rows_of(mesh)(array, placed["index"]) for name, array in (stored or {}).items()}


def prefetch(
    batches: Iterable[Mapping[str, np.ndarray]], mesh: Mesh, ahead: int = 2, stored: Stored | None = None
) -> Generator[dict[str, Any], None, None]:
    """Put batches on the devices (see `put`), `ahead` of them while one is computed on; closes `batches` at the end."""
    waiting: list[dict[str, Any]] = []
    try:
        for batch in batches:
            waiting.append(put(batch, mesh, stored))
            if len(waiting) > ahead:
                yield waiting.pop(0)
        yield from waiting
    finally:
        if hasattr(batches, "close"):
            batches.close()


def put_whole(array: np.ndarray, mesh: Mesh) -> jax.Array:
    """The same `array` on every device (see `check_fits`)."""
    return jax.make_array_from_process_local_data(replicated(mesh), array)


def check_fits(needed: int, mesh: Mesh, what: str, instead: str) -> None:
    """Refuse what would take more than half of the memory that is free on a device; the other half is for training."""
    for device in mesh.local_devices:
        free = free_memory(device)
        if needed > free / 2:
            raise UserError(
                f"{what} need {human_bytes(needed)} on each device, and {device} has {human_bytes(free)} free, of "
                f"which half is kept for training: {instead}"
            )


def free_memory(device: jax.Device) -> int:
    """Bytes that can still be allocated on a device; simulated devices share the memory of their host."""
    statistics = device.memory_stats()
    if statistics and "bytes_limit" in statistics:
        return statistics["bytes_limit"] - statistics["bytes_in_use"]
    return _available_on_host() // jax.local_device_count()


def _available_on_host() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # no Linux
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


@functools.cache
def _rows_of(mesh: Mesh) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """A function of an array that is whole on every device, and row numbers cut over `data`, to those rows."""

    def rows(array: jax.Array, index: jax.Array) -> jax.Array:
        return array.at[index].get(mode="promise_in_bounds")

    return jax.jit(rows, out_shardings=over_data(mesh))
