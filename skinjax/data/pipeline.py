"""From step to batch: record numbers, bytes, uint8 pixels; the same for any number of threads and after any restart."""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

from skinjax.core.settings import Settings, choice, number
from skinjax.data.acquire.decoding import FILTERS, FITS, decode
from skinjax.data.dataset import Dataset
from skinjax.data.sampling.samplers import EvaluationBatches, Sampler

HostBatch = dict[str, np.ndarray]
# Record numbers [...] to their pixels, uint8 [..., height, width, 3].
LoadPixels = Callable[[np.ndarray], np.ndarray]
READ_AT_ONCE = 16  # images; in turns of one, reading and decoding would evict each other from the caches


@dataclasses.dataclass(frozen=True)
class StoredSize(Settings):
    """The one shape that all images are brought to on the host, and how."""

    height: int = number(224, 1, 2**14)
    width: int = number(224, 1, 2**14)
    fit: str = choice("squash", "fit", FITS)
    filter: str = choice("bilinear", "filter", FILTERS)


def load(dataset: Dataset, records: np.ndarray, size: StoredSize) -> np.ndarray:
    """The pixels of `records` [...], decoded: uint8 [..., height, width, 3]."""
    ids, numbers = dataset.columns["image_id"], records.ravel().tolist()
    images = np.empty((len(numbers), size.height, size.width, 3), np.uint8)
    shape = (size.height, size.width)
    for first in range(0, len(numbers), READ_AT_ONCE):
        group = numbers[first : first + READ_AT_ONCE]
        encoded = [dataset.encoded(record) for record in group]
        for slot, (record, data) in enumerate(zip(group, encoded, strict=True), start=first):
            pixels = decode(data, shape, fit=size.fit, filter=size.filter, name=str(ids[record]))
            # Copied by numpy, it would give up the GIL and wait for it again: a tenth of the time of a small image.
            images[slot].data.cast("B")[:] = pixels.data.cast("B")
    return images.reshape(*records.shape, *images.shape[1:])


def training_batches(
    dataset: Dataset,
    sampler: Sampler,
    pixels: LoadPixels | None,
    *,
    start: int,
    stop: int,
    rows: np.ndarray | slice = slice(None),
    threads: int = 4,
    weights: np.ndarray | None = None,
) -> Iterator[HostBatch]:
    """The batches of steps start ... stop-1; `rows` is the part of each global batch that this process loads.

    `pixels` gives the images (see `skinjax.data.caches`); None leaves them out, for they are on the devices already.
    `weights` are what the data set's records [n] weigh in the loss, all the same where they are not given.
    """

    def batch(step: int) -> HostBatch:
        records = sampler(step)
        extra = {"position": np.arange(len(records), dtype=np.int32)}
        if sampler.copies is not None:
            extra["copy"] = sampler.copies(step)
        return _batch(dataset, records[rows], pixels, weights) | {name: column[rows] for name, column in extra.items()}

    return _threaded(batch, start, stop, threads)


def held_out_batches(
    dataset: Dataset,
    records: np.ndarray,
    batches: EvaluationBatches,
    pixels: LoadPixels | None,
    *,
    rows: np.ndarray | slice = slice(None),
    threads: int = 4,
) -> Iterator[HostBatch]:
    """`records` in order in batches of one size, the last one padded and masked; `pixels`: see `training_batches`."""

    def batch(step: int) -> HostBatch:
        positions, mask = batches(step)
        return _batch(dataset, records[positions][rows], pixels, dataset.columns.get("weight")) | {"mask": mask[rows]}

    return _threaded(batch, 0, batches.steps, threads)


def _batch(dataset: Dataset, records: np.ndarray, pixels: LoadPixels | None, weights: np.ndarray | None) -> HostBatch:
    batch = {
        "label": dataset.columns["label"][records].astype(np.int32),
        "index": records.astype(np.int32),
        "weight": np.ones(records.shape, np.float32) if weights is None else weights[records].astype(np.float32),
        "mask": np.ones(records.shape, bool),
    }
    return batch if pixels is None else batch | {"image": pixels(records)}


def _threaded(batch: Callable[[int], HostBatch], start: int, stop: int, threads: int) -> Iterator[HostBatch]:
    """Whole batches from grain's threads, in order; the decoders release the GIL."""
    import grain  # slow to import, with orbax, and not needed to open a trained network

    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
    return iter(grain.MapDataset.range(start, max(start, stop)).map(batch).to_iter_dataset(options))
