"""From step to batch: record numbers, bytes, uint8 pixels; the same for any number of threads and after any restart."""

import dataclasses
from collections.abc import Callable, Iterator

import grain
import numpy as np

from skinjax.data.dataset import Dataset
from skinjax.data.decoding import FILTERS, FITS, decode
from skinjax.data.sampling import EvaluationBatches
from skinjax.errors import UserError, lookup

HostBatch = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class StoredSize:
    """The one shape that all images are brought to on the host, and how."""

    height: int
    width: int
    fit: str = "squash"
    filter: str = "bilinear"

    def __post_init__(self):
        lookup("fit", self.fit, FITS)
        lookup("filter", self.filter, FILTERS)
        if min(self.height, self.width) < 1:
            raise UserError(f"the stored size is {self.height}x{self.width}; both sides must be positive")


def load(dataset: Dataset, records: np.ndarray, size: StoredSize) -> np.ndarray:
    """The pixels of `records` [batch], uint8 [batch, height, width, 3]."""
    images = np.empty((len(records), size.height, size.width, 3), np.uint8)
    ids = dataset.columns["image_id"]
    for slot, record in enumerate(records):
        name = str(ids[record])
        try:
            data = dataset.records[record]
        except RuntimeError as error:  # array_record's word for bytes that do not match their checksum
            raise UserError(
                f"image {name!r} of {dataset.name} cannot be read: {error}; delete the prepared data set and run again"
            ) from error
        images[slot] = decode(data, (size.height, size.width), fit=size.fit, filter=size.filter, name=name)
    return images


def training_batches(
    dataset: Dataset,
    sampler: Callable[[int], np.ndarray],
    size: StoredSize,
    *,
    start: int,
    stop: int,
    rows: slice = slice(None),
    threads: int = 4,
) -> Iterator[HostBatch]:
    """The batches of steps start ... stop-1; `rows` is the part of each global batch that this process loads."""

    def batch(step: int) -> HostBatch:
        records = sampler(step)
        positions = np.arange(len(records), dtype=np.int32)
        return _batch(dataset, records[rows], size) | {"position": positions[rows]}

    return _threaded(batch, start, stop, threads)


def held_out_batches(
    dataset: Dataset,
    records: np.ndarray,
    batches: EvaluationBatches,
    size: StoredSize,
    *,
    rows: slice = slice(None),
    threads: int = 4,
) -> Iterator[HostBatch]:
    """`records` in order in batches of one size, the last one padded and masked."""

    def batch(step: int) -> HostBatch:
        positions, mask = batches(step)
        return _batch(dataset, records[positions][rows], size) | {"mask": mask[rows]}

    return _threaded(batch, 0, batches.steps, threads)


def _batch(dataset: Dataset, records: np.ndarray, size: StoredSize) -> HostBatch:
    return {
        "image": load(dataset, records, size),
        "label": dataset.columns["label"][records].astype(np.int32),
        "index": records.astype(np.int32),
        "weight": np.ones(len(records), np.float32),
        "mask": np.ones(len(records), bool),
    }


def _threaded(batch: Callable[[int], HostBatch], start: int, stop: int, threads: int) -> Iterator[HostBatch]:
    """Whole batches from grain's threads, in order; the decoders release the GIL."""
    options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
    return iter(grain.MapDataset.range(start, max(start, stop)).map(batch).to_iter_dataset(options))
