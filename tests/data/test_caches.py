"""Caches: the same bits whichever is used, made once by one process, whole or not there, and refused when too large."""

import dataclasses
import functools
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from skinjax import parallel
from skinjax.core.errors import UserError
from skinjax.data import caches
from skinjax.data.caches import host_cache, open_pixels
from skinjax.data.pipeline import StoredSize, held_out_batches, load, training_batches
from skinjax.data.sampling.samplers import EvaluationBatches, Images, Sampler, balanced_batches
from skinjax.parallel import make_mesh, prefetch
from tests.disks import small_disk

SIZE = StoredSize(24, 20)
ALL = np.arange(60)


def silent(text: str) -> None:
    pass


@pytest.fixture(scope="module")
def mesh():
    return make_mesh()


@pytest.fixture
def small_chunks(monkeypatch):
    """Seven images are decoded before they are written, so that there is a half-way."""
    monkeypatch.setattr(caches, "CHUNK_BYTES", 7 * 24 * 20 * 3)


def files(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


@pytest.mark.parametrize("cache", ["host", "device"])
@pytest.mark.parametrize("rows", [slice(None), slice(0, 4)])
def test_batches_on_the_devices_are_the_same_bits(photographs, root, mesh, cache, rows):
    balanced = balanced_batches(Images(ALL, photographs.columns["label"], 8, seed=3, classes=photographs.classes))
    pairs = Sampler(8, 60, lambda step: balanced(step).reshape(4, 2).repeat(2, axis=0), balanced.shares)

    def batches(cache):
        pixels = open_pixels(cache, photographs, SIZE, root, mesh, silent)
        for sampler in (balanced, pairs):
            host = training_batches(photographs, sampler, pixels.host, start=1, stop=3, rows=rows, threads=1)
            yield from prefetch(host, mesh, stored=pixels.device)
        host = held_out_batches(photographs, ALL[:11], EvaluationBatches(11, 4), pixels.host, threads=0)
        yield from prefetch(host, mesh, stored=pixels.device)

    for plain, cached in zip(batches("none"), batches(cache), strict=True):
        assert plain.keys() == cached.keys()
        for name in plain:
            assert plain[name].sharding == cached[name].sharding
            assert plain[name].dtype == cached[name].dtype
            np.testing.assert_array_equal(plain[name], cached[name])


def test_an_unknown_cache_names_the_known_ones(photographs, root, mesh):
    with pytest.raises(UserError, match=r"unknown cache 'disk'; known: device, host, none"):
        open_pixels("disk", photographs, SIZE, root, mesh)


def test_a_cache_is_written_once_and_says_how_far_it_is(photographs, tmp_path, small_chunks, monkeypatch):
    monkeypatch.setattr(caches, "REPORT_EVERY", 25)
    said: list[str] = []
    images = host_cache(photographs, SIZE, tmp_path, said.append)
    (folder,) = (tmp_path / "pixels").glob("synthetic-24x20-*")
    assert said == [
        f"decoding 60 images once: 86.4 kB in {folder}",
        "decoded 28 of 60 images",
        "decoded 56 of 60 images",
    ]
    assert (images.shape, images.dtype, images.flags.writeable) == ((60, 24, 20, 3), np.uint8, False)
    np.testing.assert_array_equal(images, load(photographs, ALL, SIZE))
    said.clear()
    np.testing.assert_array_equal(host_cache(photographs, SIZE, tmp_path, said.append), images)
    assert said == []


@pytest.mark.parametrize(
    "changes",
    [{"height": 20, "width": 24}, {"fit": "pad"}, {"filter": "bicubic"}, {"fingerprint": "0" * 16}, {"decoder": "0"}],
)
def test_what_the_pixels_depend_on_makes_another_file(photographs, tmp_path, changes, monkeypatch):
    host_cache(photographs, SIZE, tmp_path, silent)
    if "decoder" in changes:
        monkeypatch.setattr(caches, "DECODER_VERSION", changes["decoder"])
    other = dataclasses.replace(photographs, fingerprint=changes.get("fingerprint", photographs.fingerprint))
    sizes = {name: value for name, value in changes.items() if name in ("height", "width", "fit", "filter")}
    size = dataclasses.replace(SIZE, **sizes)
    np.testing.assert_array_equal(host_cache(other, size, tmp_path, silent), load(photographs, ALL, size))
    assert len(list((tmp_path / "pixels").glob("*/pixels.uint8"))) == 2


# Damage, full disks, kills


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: os.truncate(path, 1000), r"pixels.uint8 has 1000 bytes, not 86400"),
        (lambda path: os.truncate(path, 86401), r"pixels.uint8 has 86401 bytes, not 86400"),
        (lambda path: path.unlink(), r".*No such file or directory.*"),
    ],
)
def test_a_damaged_cache_is_refused_until_it_is_deleted(photographs, tmp_path, damage, reason):
    host_cache(photographs, SIZE, tmp_path, silent)
    (path,) = (tmp_path / "pixels").glob("*/pixels.uint8")
    damage(path)
    with pytest.raises(UserError, match=rf"the pixel cache .*-24x20-\w+ is damaged \({reason}\); delete that folder"):
        host_cache(photographs, SIZE, tmp_path, silent)


def test_an_image_that_cannot_be_decoded_is_named_and_nothing_is_kept(photographs, tmp_path, small_chunks):
    records = [photographs.records[record] for record in range(60)]
    records[31] = records[31][:300]
    broken = dataclasses.replace(photographs, records=records)
    with pytest.raises(UserError, match="image 'synthetic_0000031' cannot be decoded"):
        host_cache(broken, SIZE, tmp_path, silent)
    assert [Path(name).suffix for name in files(tmp_path)] == [".lock"]


def test_the_room_is_checked_before_anything_is_decoded(photographs, tmp_path):
    unread = dataclasses.replace(photographs, records=[])
    message = rf"the pixels of synthetic at 24x20 need 86.4 kB in {tmp_path} and [\d.]+ kB are free: make room or"
    with small_disk(tmp_path, "40k"):
        with pytest.raises(UserError, match=message):
            host_cache(unread, SIZE, tmp_path, silent)
        assert [Path(name).suffix for name in files(tmp_path)] == [".lock"]


def test_a_disk_that_fills_half_way_leaves_nothing(photographs, tmp_path, small_chunks, monkeypatch):
    monkeypatch.setattr(caches, "check_room", lambda *arguments: None)
    with small_disk(tmp_path, "40k"):
        with pytest.raises(UserError, match=r"cannot write .*: No space left on device"):
            host_cache(photographs, SIZE, tmp_path, silent)
        assert [Path(name).suffix for name in files(tmp_path)] == [".lock"]


PROCESS = """
    import os, signal, sys
    from pathlib import Path
    import numpy as np
    from skinjax.data import caches
    from skinjax.data.dataset import read_dataset
    from skinjax.data.pipeline import StoredSize

    caches.CHUNK_BYTES, caches.REPORT_EVERY = 10000, 30

    def say(text):
        print(text, flush=True)
        if "decoded" in text and sys.argv[3] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)

    images = caches.host_cache(read_dataset(Path(sys.argv[1]), "synthetic"), StoredSize(24, 20), Path(sys.argv[2]), say)
    print("sum", images.sum(dtype=np.int64))
"""


def test_a_build_that_was_killed_is_made_again_by_one_of_two_processes(prepared, photographs, tmp_path):
    command = [sys.executable, "-c", textwrap.dedent(PROCESS), str(prepared), str(tmp_path)]
    start = functools.partial(subprocess.Popen, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    killed = start([*command, "killed"])
    output, errors = killed.communicate()
    assert killed.returncode == -signal.SIGKILL, errors
    assert "decoded 30 of 60 images" in output
    (left,) = (tmp_path / "pixels").glob(".*.unfinished/pixels.uint8")
    assert left.exists()

    both = [start([*command, "whole"]) for _ in range(2)]
    outputs = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    total = load(photographs, ALL, SIZE).sum(dtype=np.int64)
    lines = [output.splitlines() for output, _ in outputs]
    assert [own[-1] for own in lines] == [f"sum {total}"] * 2
    assert sorted(len(own) for own in lines) == [1, 3]  # one of them decoded
    assert not list((tmp_path / "pixels").glob(".*.unfinished"))


# Devices


def test_pixels_that_do_not_fit_are_refused_with_both_sizes(photographs, root, mesh, monkeypatch):
    monkeypatch.setattr(parallel, "free_memory", lambda device: 150_000)
    message = (
        r"the pixels of synthetic at 24x20 need 86.4 kB on each device, and .* has 150 kB free, of which half is kept "
        r"for training: set cache='host' or a smaller stored_size"
    )
    unread = dataclasses.replace(photographs, records=[], fingerprint="0" * 16)  # told before anything is decoded
    with pytest.raises(UserError, match=message):
        open_pixels("device", unread, SIZE, root, mesh, silent)
    monkeypatch.setattr(parallel, "free_memory", lambda device: 172_800)
    pixels = open_pixels("device", photographs, SIZE, root, mesh, silent)
    assert (pixels.host, pixels.device["image"].shape) == (None, (60, 24, 20, 3))
