"""Where a run keeps its decoded pixels: nowhere, in a file, or on every device; batches are the same bit for bit."""

import dataclasses
import functools
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np

from skinjax.core.errors import Print, UserError, lookup
from skinjax.core.files import check_room, human_bytes
from skinjax.core.hashes import short_hash
from skinjax.data.acquire.decoding import DECODER_VERSION
from skinjax.data.dataset import MANIFEST_FILE, Dataset, build_whole
from skinjax.data.pipeline import LoadPixels, StoredSize, load
from skinjax.parallel import Stored, check_fits, put_whole

CACHE_FOLDER, PIXELS_FILE = "pixels", "pixels.uint8"
CHUNK_BYTES = 2**23  # decoded by a thread before it is written
REPORT_EVERY = 5000


@dataclasses.dataclass(frozen=True, eq=False)
class Pixels:
    """Where the images of batches come from: `host` loads them for the pipeline, or `device` holds all of them.

    `host` is for `training_batches` and `held_out_batches`, `device` ({"image": uint8 [n, height, width, 3]}, or what
    stands for the images) for `prefetch`.
    """

    host: LoadPixels | None = None
    device: Stored = dataclasses.field(default_factory=dict)


def open_pixels(
    cache: str, dataset: Dataset, size: StoredSize, root: Path, mesh: jax.sharding.Mesh, say: Print = print
) -> Pixels:
    """The pixels of a data set at its stored size from the cache of that name; a cache that is kept is made once."""
    lookup("cache", cache, CACHES)
    if cache == "none":
        return Pixels(host=functools.partial(load, dataset, size=size))
    if cache == "device":
        check_fits(_bytes(dataset, size), mesh, _what(dataset, size), "set cache='host' or a smaller stored_size")
        return Pixels(device={"image": put_whole(host_cache(dataset, size, root, say), mesh)})
    images = host_cache(dataset, size, root, say)
    return Pixels(host=lambda records: np.take(images, records, axis=0))


CACHES = {"none": "nowhere", "host": "in a file", "device": "on every device"}


def host_cache(dataset: Dataset, size: StoredSize, root: Path, say: Print) -> np.ndarray:
    """All pixels of a data set, uint8 [n, height, width, 3], mapped from a file under `root` that is written once."""
    shape = (len(dataset), size.height, size.width, 3)
    identity = {"fingerprint": dataset.fingerprint, **dataclasses.asdict(size), "decoder": DECODER_VERSION}
    folder = root / CACHE_FOLDER / f"{dataset.name}-{size.height}x{size.width}-{short_hash(identity, length=16)}"

    def build(target: Path) -> None:
        needed = _bytes(dataset, size)
        check_room(root, needed, _what(dataset, size))
        say(f"decoding {len(dataset)} images once: {human_bytes(needed)} in {folder}")
        _decode_all(dataset, size, target / PIXELS_FILE, say)
        (target / MANIFEST_FILE).write_text(json.dumps({"dataset": dataset.name, "shape": shape, **identity}, indent=2))

    if not folder.exists():
        build_whole(folder, build)
    return _map(folder, shape)


def _bytes(dataset: Dataset, size: StoredSize) -> int:
    return len(dataset) * size.height * size.width * 3


def _what(dataset: Dataset, size: StoredSize) -> str:
    return f"the pixels of {dataset.name} at {size.height}x{size.width}"


def _map(folder: Path, shape: tuple[int, ...]) -> np.ndarray:
    path = folder / PIXELS_FILE
    try:
        found, wanted = path.stat().st_size, int(np.prod(shape))
        if found != wanted:
            raise ValueError(f"{PIXELS_FILE} has {found} bytes, not {wanted}")
        return np.memmap(path, np.uint8, mode="r", shape=shape).view(np.ndarray)
    except (OSError, ValueError) as error:
        raise UserError(f"the pixel cache {folder} is damaged ({error}); delete that folder and run again") from error


def _decode_all(dataset: Dataset, size: StoredSize, path: Path, say: Print) -> None:
    """Decode every record into its place of a file that is synced to disk.

    By file writes and never through a mapping, where a full disk would kill the process.
    """
    image_bytes = size.height * size.width * 3
    chunk = max(1, CHUNK_BYTES // image_bytes)
    with open(path, "xb", buffering=0) as file, ThreadPoolExecutor(os.cpu_count()) as pool:

        def write(first: int) -> None:
            records = np.arange(first, min(first + chunk, len(dataset)))
            data = load(dataset, records, size).reshape(-1).data
            start = 0
            while start < len(data):
                start += os.pwrite(file.fileno(), data[start:], first * image_bytes + start)

        starts = range(0, len(dataset), chunk)
        for first, _ in zip(starts, pool.map(write, starts), strict=True):
            done = first + chunk
            if first // REPORT_EVERY < done // REPORT_EVERY and done < len(dataset):
                say(f"decoded {done} of {len(dataset)} images")
        os.fsync(file.fileno())
