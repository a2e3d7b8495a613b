"""Devices, mesh and processes: the whole parallel layer. One program for one device, many devices, many hosts."""

from collections.abc import Generator, Iterable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from skinjax.errors import UserError


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
    """A batch, and each part of it when gradients are accumulated, must fall evenly onto the devices."""
    if accumulate < 1:
        raise UserError(f"accumulate is {accumulate}; 1 takes each batch at once")
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


def put(batch: Mapping[str, np.ndarray], mesh: Mesh) -> dict[str, jax.Array]:
    """This process's rows of a batch as global arrays cut over `data`; returns before the copy is done."""
    sharding = over_data(mesh)
    return {name: jax.make_array_from_process_local_data(sharding, rows) for name, rows in batch.items()}


def prefetch(
    batches: Iterable[Mapping[str, np.ndarray]], mesh: Mesh, ahead: int = 2
) -> Generator[dict[str, Any], None, None]:
    """The batches on the devices, `ahead` of them on their way while one is computed on; closes what it reads from."""
    waiting: list[dict[str, Any]] = []
    try:
        for batch in batches:
            waiting.append(put(batch, mesh))
            if len(waiting) > ahead:
                yield waiting.pop(0)
        yield from waiting
    finally:
        if hasattr(batches, "close"):
            batches.close()
