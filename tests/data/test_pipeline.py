"""Batches: functions of the step alone, cut over processes without a change, padded and masked at the end."""

import dataclasses
import functools
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.data.acquire.decoding import decode
from skinjax.data.dataset import read_dataset
from skinjax.data.pipeline import StoredSize, held_out_batches, load, training_batches
from skinjax.data.sampling.samplers import EvaluationBatches, Images, Sampler, balanced_batches, natural

SIZE = StoredSize(24, 20)


@pytest.fixture(scope="module")
def sampler(photographs):
    labels = photographs.columns["label"][:48]
    return balanced_batches(Images(np.arange(48), labels, 8, seed=3, classes=photographs.classes))


@pytest.fixture(scope="module")
def pixels(photographs):
    return functools.partial(load, photographs, size=SIZE)


@pytest.fixture(scope="module")
def expected(photographs, sampler, pixels) -> list[dict]:
    """The first six batches, one thread of our own."""
    return list(training_batches(photographs, sampler, pixels, start=0, stop=6, threads=0))


def assert_equal(found: list[dict], expected: list[dict]) -> None:
    assert len(found) == len(expected)
    for batch, other in zip(found, expected, strict=True):
        assert batch.keys() == other.keys()
        for name in batch:
            assert batch[name].dtype == other[name].dtype
            np.testing.assert_array_equal(batch[name], other[name])


def test_a_batch_is_what_the_sampler_says(photographs, sampler, expected):
    for step, batch in enumerate(expected):
        records = sampler(step)
        assert {name: (x.shape, x.dtype) for name, x in batch.items()} == {
            "image": ((8, 24, 20, 3), np.uint8),
            "label": ((8,), np.int32),
            "index": ((8,), np.int32),
            "weight": ((8,), np.float32),
            "mask": ((8,), bool),
            "position": ((8,), np.int32),
        }
        np.testing.assert_array_equal(batch["index"], records)
        np.testing.assert_array_equal(batch["label"], photographs.columns["label"][records])
        np.testing.assert_array_equal(batch["position"], np.arange(8))
        assert batch["mask"].all()
        assert (batch["weight"] == 1).all()
        image = decode(photographs.records[records[5]], (24, 20), fit="squash", filter="bilinear", name="x")
        np.testing.assert_array_equal(batch["image"][5], image)


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_batches_are_the_same_for_any_threads_and_from_any_start(photographs, sampler, pixels, expected, threads):
    for start in (0, 1, 4):
        found = training_batches(photographs, sampler, pixels, start=start, stop=6, threads=threads)
        assert_equal(list(found), expected[start:])
    assert list(training_batches(photographs, sampler, pixels, start=6, stop=6, threads=threads)) == []


@pytest.mark.parametrize("processes", [2, 4])
def test_the_slices_of_all_processes_are_the_global_batch(photographs, sampler, pixels, expected, processes):
    slices = [np.arange(8)[index::processes] for index in range(processes)]  # as where devices interleave
    parts = [training_batches(photographs, sampler, pixels, start=2, stop=4, rows=rows, threads=1) for rows in slices]
    order = np.argsort(np.concatenate(slices))
    joined = [
        {name: np.concatenate([part[name] for part in step])[order] for name in step[0]}
        for step in zip(*parts, strict=True)
    ]
    assert_equal(joined, expected[2:4])


@pytest.mark.parametrize("threads", [0, 4])
def test_held_out_images_come_in_order_once_and_the_tail_is_masked(photographs, pixels, threads):
    records = np.array([3, 1, 4, 15, 9, 2, 6, 50, 35, 8, 59])
    batches = list(held_out_batches(photographs, records, EvaluationBatches(11, 4), pixels, threads=threads))
    assert [batch["index"].tolist() for batch in batches] == [[3, 1, 4, 15], [9, 2, 6, 50], [35, 8, 59, 59]]
    assert [batch["mask"].tolist() for batch in batches] == [[True] * 4, [True] * 4, [True, True, True, False]]
    assert all("position" not in batch for batch in batches)
    images = np.concatenate([batch["image"] for batch in batches])
    np.testing.assert_array_equal(images[:11], load(photographs, records, SIZE))
    halves = [
        list(held_out_batches(photographs, records, EvaluationBatches(11, 4), pixels, rows=rows, threads=threads))
        for rows in (slice(0, 2), slice(2, 4))
    ]
    joined = [{name: np.concatenate([a[name], b[name]]) for name in a} for a, b in zip(*halves, strict=True)]
    assert_equal(joined, batches)


PAIRS = np.array([[3, 1], [4, 15], [9, 2], [6, 50], [35, 8], [58, 9]])


@pytest.mark.parametrize("threads", [0, 2])
def test_tuples_have_a_column_more_in_everything_but_their_position(photographs, pixels, threads):
    pairs = Sampler(6, 6, lambda step: PAIRS + step, ())
    _, batch = training_batches(photographs, pairs, pixels, start=0, stop=2, rows=slice(3, 6), threads=threads)
    shapes = {"image": (3, 2, 24, 20, 3), "position": (3,)}
    assert {name: x.shape for name, x in batch.items()} == {
        **dict.fromkeys(("label", "index", "weight", "mask"), (3, 2)),
        **shapes,
    }
    np.testing.assert_array_equal(batch["index"], [[7, 51], [36, 9], [59, 10]])
    np.testing.assert_array_equal(batch["position"], [3, 4, 5])
    np.testing.assert_array_equal(batch["image"][1, 1], load(photographs, np.array([9]), SIZE)[0])


def test_weights_are_those_given_and_the_data_sets_own_where_nothing_trains(photographs, sampler, pixels):
    weights = np.linspace(0, 2, 60)
    weighted = dataclasses.replace(photographs, columns={**photographs.columns, "weight": weights})
    for_all = functools.partial(training_batches, weighted, sampler, pixels, start=0, stop=1, threads=0)
    (batch,) = for_all(weights=3 * weights)
    assert batch["weight"].dtype == np.float32
    np.testing.assert_array_equal(batch["weight"], (3 * weights[sampler(0)]).astype(np.float32))
    (batch,) = for_all()
    np.testing.assert_array_equal(batch["weight"], np.ones(8, np.float32))
    (batch,) = held_out_batches(weighted, np.array([59, 0]), EvaluationBatches(2, 2), pixels, threads=0)
    np.testing.assert_array_equal(batch["weight"], [2, 0])


def test_copies_are_named_where_a_sampler_has_them(photographs, sampler, pixels):
    with_copies = dataclasses.replace(sampler, copies=lambda step: 10 * step + np.arange(8, dtype=np.int32))
    batches = training_batches(photographs, with_copies, pixels, start=1, stop=3, rows=slice(4, 8), threads=0)
    assert [batch["copy"].tolist() for batch in batches] == [[14, 15, 16, 17], [24, 25, 26, 27]]


def test_without_pixels_a_batch_names_its_records_only(photographs, sampler, expected):
    batches = list(training_batches(photographs, sampler, None, start=0, stop=6, threads=1))
    assert_equal(batches, [{name: x for name, x in batch.items() if name != "image"} for batch in expected])


def test_the_stored_size_decides_shape_fit_and_filter(photographs):
    shapes = [load(photographs, np.arange(2), StoredSize(16, 48, fit=fit)) for fit in ("squash", "cover", "pad")]
    assert {images.shape for images in shapes} == {(2, 16, 48, 3)}
    assert len({images.tobytes() for images in shapes}) == 3
    sharp = load(photographs, np.arange(2), StoredSize(16, 48, filter="bicubic"))
    assert (sharp != shapes[0]).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 8), "StoredSize.height is 0; it must be a whole number from 1 to 16384"),
        ((8, -1), "StoredSize.width is -1; it must be a whole number from 1 to 16384"),
        ((8, 8, "stretch"), "unknown fit 'stretch'.*; known: cover, pad, squash"),
        ((8, 8, "pad", "nearest"), "unknown filter 'nearest'.*; known: bicubic, bilinear"),
    ],
)
def test_a_stored_size_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        StoredSize(*arguments)


# Damaged images


@pytest.mark.parametrize("threads", [0, 2])
def test_an_image_that_cannot_be_decoded_is_named(photographs, threads):
    records = [photographs.records[record] for record in range(60)]
    records[17] = records[17][:300]
    broken = dataclasses.replace(photographs, records=records)
    pixels = functools.partial(load, broken, size=SIZE)
    batches = held_out_batches(broken, np.arange(60), EvaluationBatches(60, 8), pixels, threads=threads)
    assert [next(batches)["index"][0] for _ in range(2)] == [0, 8]
    with pytest.raises(UserError, match=r"image 'synthetic_0000017' cannot be decoded: .* remove it"):
        next(batches)
    batches.close()


def test_a_record_that_cannot_be_read_is_named(prepared, photographs, tmp_path):
    for source in prepared.rglob("*"):
        target = tmp_path / source.relative_to(prepared)
        target.mkdir() if source.is_dir() else target.write_bytes(source.read_bytes())
    path = next(tmp_path.rglob("*.array_record-*"))
    content = bytearray(path.read_bytes())
    written = np.flatnonzero(np.frombuffer(bytes(content), np.uint8))
    content[written[len(written) // 2]] ^= 1  # in one of the records in the middle
    path.write_bytes(content)
    broken = read_dataset(tmp_path, "synthetic")
    unreadable = []
    for record in range(60):
        try:
            load(broken, np.array([record]), SIZE)
        except UserError as error:
            unreadable.append((record, str(error)))
    ((record, text),) = unreadable
    assert text.startswith(f"image 'synthetic_{record:07d}' of synthetic cannot be read: ")
    assert text.endswith("; delete the folder of this data set under the data folder and make it again")


# Leaving


LEAVE = """
    import sys
    from pathlib import Path
    import numpy as np
    from absl import flags
    from skinjax.data.dataset import read_dataset
    from skinjax.data.pipeline import StoredSize, load, training_batches
    from skinjax.data.sampling.samplers import Sampler

    flags.FLAGS.mark_as_parsed()
    dataset = read_dataset(Path(sys.argv[1]), "synthetic")
    sampler = Sampler(8, 8, lambda step: np.arange(8), ())
    pixels = lambda records: load(dataset, records, StoredSize(64, 64))
    left, closed = (training_batches(dataset, sampler, pixels, start=0, stop=10**6) for _ in range(2))
    next(left), next(closed)
    closed.close()
    raise ValueError("the end")
"""


def test_a_process_that_leaves_its_batches_half_read_comes_to_an_end(prepared: Path):
    command = [sys.executable, "-c", textwrap.dedent(LEAVE), str(prepared)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 1
    assert ended.stderr.rstrip().endswith("ValueError: the end")


def test_batches_that_were_closed_give_no_more(photographs, pixels):
    sampler = natural(Images(np.arange(60), photographs.columns["label"], 8, seed=0))
    batches = training_batches(photographs, sampler, pixels, start=0, stop=10**6, threads=2)
    next(batches)
    batches.close()
    with pytest.raises(ValueError, match="closed"):
        next(batches)
