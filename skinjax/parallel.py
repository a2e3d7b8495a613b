"""Devices and their mesh: one program for one device, many devices, many processes (see `skinjax.processes`)."""

import functools
import os
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from skinjax.core.errors import Print, UserError
from skinjax.core.files import human_bytes

Stored = Mapping[str, jax.Array]  # by name, with a row for each record of the data set, whole on every device


def make_mesh(batch: int = 0, accumulate: int = 1, say: Print = print, folds: int = 1) -> Mesh:
    """The devices that train a batch of each fold as ('fold', 'data'): as many of each process as it divides over.

    Every process must keep a device. Without a batch all devices are taken.
    """
    devices = devices_for(batch, accumulate, jax.local_device_count() // folds, jax.process_count())
    if devices * folds < jax.device_count():
        of_each = f" of each of {folds} folds" if folds > 1 else ""
        idle = f"divides over {devices * folds} of {jax.device_count()} devices: the others are idle"
        say(f"a batch of {batch}{of_each} {idle}")
    each = devices * folds // jax.process_count()
    chosen = [device for p in range(jax.process_count()) for device in jax.local_devices(p)[:each]]
    types = (AxisType.Auto, AxisType.Auto)
    return jax.make_mesh((folds, devices), ("fold", "data"), axis_types=types, devices=chosen)


def devices_for(batch: int, accumulate: int, local: int, processes: int) -> int:
    """The most devices, as many of each process, that every accumulated part of a batch divides over.

    >>> devices_for(42, 1, local=8, processes=1), devices_for(32, 2, local=8, processes=2)
    (7, 16)
    """
    if batch == 0:
        return local * processes
    for each in range(local, 0, -1):
        if batch % (each * processes * accumulate) == 0:
            return each * processes
    share = processes * accumulate
    parts = f" in {accumulate} accumulated parts" if accumulate > 1 else ""
    over = f" over {processes} processes" if processes > 1 else ""
    near = sorted({max(1, batch // share) * share, -(-batch // share) * share})
    raise UserError(f"a batch of {batch}{parts} does not divide{over}; the nearest is {' or '.join(map(str, near))}")


def replicated(mesh: Mesh) -> NamedSharding:
    """The whole array on every device: the state."""
    return NamedSharding(mesh, PartitionSpec())


def over_data(mesh: Mesh) -> NamedSharding:
    """The first axis cut over `data`, a batch; of several folds side by side the first over `fold`, then so."""
    return NamedSharding(mesh, PartitionSpec("fold", "data") if mesh.shape["fold"] > 1 else PartitionSpec("data"))


def over_folds(mesh: Mesh) -> NamedSharding:
    """The first axis cut over `fold`: what several folds have each for itself."""
    return NamedSharding(mesh, PartitionSpec("fold"))


def process_rows(batch: int, mesh: Mesh) -> np.ndarray:
    """The rows of a global batch that lie on devices of this process, ascending."""
    cut = NamedSharding(mesh, PartitionSpec("data"))
    places = cut.addressable_devices_indices_map((batch,)).values()
    return np.unique(np.concatenate([np.arange(batch)[place] for place in places]))


def padded_batch(batch: int, mesh: Mesh) -> int:
    """The smallest batch of at least `batch` that divides over the devices, for padded evaluation."""
    devices = mesh.shape["data"]
    return -(-batch // devices) * devices


def put(batch: Mapping[str, np.ndarray], mesh: Mesh, stored: Stored | None = None) -> dict[str, jax.Array]:
    """This process's rows of a batch as global arrays cut over `data`; returns before the copy is done.

    Of the arrays `stored` it gets the rows that its `index` names.
    """
    placed = {name: _placed(rows, mesh) for name, rows in batch.items()}
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


def check_step_fits(needed: int, batch: int, mesh: Mesh, say: Print = print) -> None:
    """Say what a training step takes on each device; refuse one for which there is no room, before it is tried."""
    for device in mesh.local_devices:
        free = free_memory(device)
        if needed > free:
            raise UserError(
                f"a step of {batch} images needs {human_bytes(needed)} on each device, and {device} has "
                f"{human_bytes(free)} free: set accumulate to 2 or more (the same batch in parts), model.dtype to "
                "bfloat16, model.remat to the first stages, or a smaller batch"
            )
    free = min(map(free_memory, mesh.local_devices))
    say(f"a step takes {human_bytes(needed)} of the {human_bytes(free)} that are free on each device")


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


def _placed(rows: np.ndarray, mesh: Mesh) -> jax.Array:
    """This process's rows (see `process_rows`) in their places of the global array."""
    if jax.process_count() == 1:
        return jax.make_array_from_process_local_data(over_data(mesh), rows)
    whole = len(rows) * jax.process_count()
    first = {int(row): place for place, row in enumerate(process_rows(whole, mesh))}

    def on_device(index: Any) -> np.ndarray:
        start, stop, _ = index[0].indices(whole)
        return rows[first[start] : first[start] + stop - start]

    return jax.make_array_from_callback((whole, *rows.shape[1:]), over_data(mesh), on_device)


@functools.cache
def _rows_of(mesh: Mesh) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """A function of an array that is whole on every device, and row numbers cut over `data`, to those rows."""

    def rows(array: jax.Array, index: jax.Array) -> jax.Array:
        return array.at[index].get(mode="promise_in_bounds")

    return jax.jit(rows, out_shardings=over_data(mesh))
