"""Batches on devices: what divides, what is padded, and that prefetching keeps the order."""

import types

import jax
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.parallel import (
    check_fits,
    check_step_fits,
    devices_for,
    free_memory,
    make_mesh,
    over_data,
    padded_batch,
    prefetch,
    put,
    put_whole,
    replicated,
)


def devices(count: int):
    """As much of a mesh as the arithmetic needs."""
    return types.SimpleNamespace(shape={"fold": 1, "data": count})


def test_the_mesh_holds_every_device_in_one_fold():
    mesh = make_mesh()
    assert mesh.axis_names == ("fold", "data")
    assert dict(mesh.shape) == {"fold": 1, "data": jax.device_count()}


@pytest.mark.parametrize(
    ("batch", "accumulate", "local", "processes", "expected"),
    [
        (32, 1, 8, 1, 8),
        (42, 1, 8, 1, 7),  # paper 003's
        (5, 1, 8, 1, 5),
        (7, 1, 4, 1, 1),
        (32, 4, 8, 1, 8),
        (12, 3, 8, 1, 4),
        (12, 1, 4, 2, 6),
        (0, 1, 4, 2, 8),
    ],
)
def test_a_batch_takes_the_most_devices_that_it_divides_over(batch, accumulate, local, processes, expected):
    assert devices_for(batch, accumulate, local, processes) == expected


@pytest.mark.parametrize(
    ("batch", "accumulate", "processes", "message"),
    [
        (9, 2, 1, "a batch of 9 in 2 accumulated parts does not divide; the nearest is 8 or 10"),
        (42, 1, 4, "a batch of 42 does not divide over 4 processes; the nearest is 40 or 44"),
        (2, 1, 4, "a batch of 2 does not divide over 4 processes; the nearest is 4"),
    ],
)
def test_a_batch_that_leaves_a_process_without_a_device_is_refused(batch, accumulate, processes, message):
    with pytest.raises(UserError) as caught:
        devices_for(batch, accumulate, 8, processes)
    assert str(caught.value) == message


@pytest.mark.parametrize(("batch", "count", "padded"), [(8, 1, 8), (8, 4, 8), (9, 4, 12), (1, 8, 8), (30, 7, 35)])
def test_an_evaluation_batch_is_padded_to_the_devices(batch, count, padded):
    assert padded_batch(batch, devices(count)) == padded


def test_put_places_rows_over_data():
    mesh = make_mesh()
    rows = {"image": np.arange(24, dtype=np.uint8).reshape(4, 3, 2), "mask": np.array([True, False, True, True])}
    placed = put(rows, mesh)
    assert {name: x.sharding for name, x in placed.items()} == {name: over_data(mesh) for name in rows}
    assert {name: x.dtype for name, x in placed.items()} == {"image": np.uint8, "mask": bool}
    for name, x in placed.items():
        np.testing.assert_array_equal(x, rows[name])
    assert over_data(mesh) != replicated(mesh)


@pytest.mark.parametrize("index", [[3, 0, 3, 2], [[3, 0], [1, 1]]])
def test_a_batch_gets_the_rows_of_stored_arrays_that_its_index_names(index):
    mesh = make_mesh()
    pixels = np.arange(4 * 2 * 5 * 3, dtype=np.uint8).reshape(4, 2, 5, 3)
    features = np.array([[0.5], [1.5], [2.5], [3.5]], np.float32)
    stored = {"image": put_whole(pixels, mesh), "features": put_whole(features, mesh)}
    assert stored["image"].sharding == replicated(mesh)
    placed = put({"index": np.array(index, np.int32)}, mesh, stored)
    assert placed.keys() == {"index", "image", "features"}
    assert placed["image"].sharding == placed["features"].sharding == over_data(mesh)
    np.testing.assert_array_equal(placed["image"], pixels[np.array(index)])
    np.testing.assert_array_equal(placed["features"], features[np.array(index)])


def device(limit: int, used: int):
    """As much of a device as its memory."""
    statistics = {"bytes_limit": limit, "bytes_in_use": used, "peak_bytes_in_use": limit}
    return types.SimpleNamespace(memory_stats=lambda: statistics)


def test_free_memory_is_what_the_device_says_or_its_share_of_the_host():
    assert free_memory(device(80_000, 30_000)) == 50_000
    silent = types.SimpleNamespace(memory_stats=lambda: None)
    assert 0 < free_memory(silent) < 2**50


def test_half_of_the_free_memory_of_every_device_is_kept_for_training():
    mesh = types.SimpleNamespace(local_devices=[device(80_000, 30_000), device(60_000, 20_000)])
    check_fits(20_000, mesh, "the pixels of x", "set cache='host'")
    message = (
        r"the pixels of x need 20 kB on each device, and .* has 40 kB free, of which half is kept for training: "
        r"set cache='host'"
    )
    with pytest.raises(UserError, match=message):
        check_fits(20_001, mesh, "the pixels of x", "set cache='host'")


class Source:
    """Batches 0 ... count-1, which remembers how many were taken and whether it was closed."""

    def __init__(self, count: int, broken_at: int | None = None):
        self.count, self.broken_at = count, broken_at
        self.taken, self.closed = 0, False

    def __iter__(self):
        return self

    def __next__(self):
        if self.taken == self.broken_at:
            raise UserError("image 'x' cannot be decoded")
        if self.taken == self.count:
            raise StopIteration
        self.taken += 1
        return {"index": np.array([self.taken - 1])}

    def close(self):
        self.closed = True


def numbers(batches) -> list[int]:
    return [int(batch["index"][0]) for batch in batches]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("ahead", [0, 1, 2, 5])
def test_prefetch_keeps_the_order_and_drops_nothing(count, ahead):
    source = Source(count)
    assert numbers(prefetch(source, make_mesh(), ahead)) == list(range(count))
    assert source.closed


def test_prefetch_reads_no_further_ahead_than_told():
    source = Source(9)
    batches = prefetch(source, make_mesh(), ahead=2)
    assert source.taken == 0
    for number in range(3):
        assert int(next(batches)["index"][0]) == number
        assert source.taken == number + 3
    batches.close()
    assert (source.taken, source.closed) == (5, True)


def test_prefetch_passes_errors_on_and_closes():
    source = Source(9, broken_at=4)
    with pytest.raises(UserError, match="image 'x' cannot be decoded"):
        numbers(prefetch(source, make_mesh()))
    assert source.closed


def test_prefetch_takes_a_plain_list():
    assert numbers(prefetch([{"index": np.array([3])}], make_mesh())) == [3]


def test_a_step_that_does_not_fit_is_refused_with_advice_and_one_that_does_is_told(monkeypatch):
    said = []
    check_step_fits(2**20, 32, make_mesh(), said.append)
    assert said[0].startswith("a step takes 1.05 MB of the ")
    with pytest.raises(UserError, match=r"a step of 32 images needs 1.13e\+03 TB on each device.*set accumulate to 2"):
        check_step_fits(2**50, 32, make_mesh(), said.append)
