"""How fast images come in: the pipeline and its caches beside a bare decoding loop and PyTorch's DataLoader.

    python tools/benchmark_input.py [--dataset=NAME] [--images=400] [--height=224] [--width=224] [--threads=2]

All do the same work on the same photographs in one run: decode a JPEG, squash it to the stored size (bilinear), and,
but for the bare loop, collect batches of 32. They take turns; printed are the medians of images per second, of the
ratio to the bare loop of the same turn, and of the processor time that an image costs this process, which other
programs on the machine change little. Then: the memory of this process while many batches go by.

The synthetic set is drawn at 600x450 pixels, once, under --data_dir; of another data set the first --images are read.
DataLoader is left out where torch is not installed. Two minutes on 2 cores, and drawing before that.
"""

import argparse
import functools
import importlib.util
import io
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image

BATCH = 32
PASSES = 4  # over the images in a turn of a decoder
BARE = "bare decoding loop"
CACHED_IMAGES = 20_000  # in a turn: caches are too fast for the few images that a decoder gets
Turn = Callable[[], int]  # does its work and says how many images that was


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="synthetic")
    parser.add_argument("--data_dir")
    for name, default in {"images": 400, "height": 224, "width": 224, "threads": os.cpu_count(), "turns": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    size = (options.height, options.width)
    encoded, streams = open_streams(options)
    print(f"{len(encoded)} images to {size[0]}x{size[1]}, {options.threads} threads, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.threads) as pool:
        contestants: dict[str, Turn] = {BARE: functools.partial(bare_loop, pool, PASSES * encoded, size)}
        steps = {cache: (PASSES * len(encoded) if cache == "none" else CACHED_IMAGES) // BATCH for cache in streams}
        for cache, stream in streams.items():
            contestants[f"skinjax, cache={cache!r}"] = functools.partial(count, stream, BATCH, steps[cache])
        contestants |= data_loaders(encoded, Path(folder), options.threads, size)
        compare(contestants, options.turns)
    for cache, milestones in {"host": (100, 1000, 10_000), "none": (10, 100, 1000)}.items():
        watch_memory(cache, streams[cache], batch=8, milestones=milestones)
    print(f"load {os.getloadavg()[0]:.1f} at the end")


def open_streams(options: argparse.Namespace) -> tuple[list[bytes], dict[str, Callable[[int, int], Iterable]]]:
    """The encoded images, and for each cache a function from (batch, steps) to that many batches of them."""
    from absl import flags

    from skinjax.data.caches import CACHES, open_pixels
    from skinjax.data.dataset import data_root, open_dataset
    from skinjax.data.pipeline import StoredSize, training_batches
    from skinjax.data.sampling.samplers import Images, natural
    from skinjax.parallel import make_mesh, prefetch

    flags.FLAGS.mark_as_parsed()  # grain reads them
    drawn = {"images": options.images, "width": 600, "height": 450} if options.dataset == "synthetic" else {}
    root, mesh = data_root(options.data_dir), make_mesh()
    dataset = open_dataset(options.dataset, drawn, root)
    records = np.arange(min(options.images, len(dataset)))

    def stream(cache: str, batch: int, steps: int) -> Iterable:
        sampler = natural(Images(records, dataset.columns["label"][records], batch, seed=0))
        source = pixels[cache]
        batches = training_batches(dataset, sampler, source.host, start=0, stop=steps, threads=options.threads)
        return prefetch(batches, mesh, stored=source.device) if source.device else batches

    size = StoredSize(options.height, options.width)
    pixels = {cache: open_pixels(cache, dataset, size, root, mesh) for cache in CACHES}
    return [dataset.records[record] for record in records], {
        cache: functools.partial(stream, cache) for cache in CACHES
    }


def bare_loop(pool: ThreadPoolExecutor, encoded: list[bytes], size: tuple[int, int]) -> int:
    """Decode and resize, nothing else."""
    return sum(1 for _ in pool.map(functools.partial(decode, size=size), encoded))


def decode(data: bytes, size: tuple[int, int]) -> np.ndarray:
    """What every contestant does to an image; a JPEG that is upright and in colours."""
    image = Image.fromarray(simplejpeg.decode_jpeg(data))
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def decode_by_pillow(data: bytes, size: tuple[int, int]) -> np.ndarray:
    """The same by what most programs decode with."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    return np.asarray(image.resize((size[1], size[0]), Image.Resampling.BILINEAR))


def count(stream: Callable[[int, int], Iterable], batch: int, steps: int) -> int:
    """Take all batches, those on a device until they are really there."""
    for taken in stream(batch, steps):
        if hasattr(taken["image"], "block_until_ready"):
            taken["image"].block_until_ready()
    return batch * steps


class Files:
    """JPEG files as a PyTorch data set."""

    def __init__(self, paths: list[Path], decode: Callable, size: tuple[int, int]):
        self.paths, self.decode, self.size = paths, decode, size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> np.ndarray:
        image = self.decode(self.paths[number].read_bytes(), self.size)
        return image.copy()  # PyTorch warns of arrays that it may not write to


def data_loaders(encoded: list[bytes], folder: Path, workers: int, size: tuple[int, int]) -> dict[str, Turn]:
    """PyTorch's DataLoader over files in `folder`, decoding by simplejpeg and by Pillow, with its workers started."""
    if importlib.util.find_spec("torch") is None:
        return {}
    from torch.utils.data import DataLoader

    paths = [folder / f"{number}.jpg" for number in range(len(encoded))]
    for path, data in zip(paths, encoded, strict=True):
        path.write_bytes(data)
    turns: dict[str, Turn] = {}
    for decoder, function in {"simplejpeg": decode, "Pillow": decode_by_pillow}.items():
        loader = DataLoader(
            Files(PASSES * paths, function, size),
            BATCH,
            shuffle=True,
            num_workers=workers,
            persistent_workers=True,
            multiprocessing_context="spawn",  # jax's threads do not survive a fork
        )
        turns[f"DataLoader, {decoder}"] = lambda loader=loader: sum(len(batch) for batch in loader)
    return turns


def compare(contestants: dict[str, Turn], turns: int) -> None:
    """Let all take turns, after one that does not count, and print the medians."""
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    costs: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(turns + 1):
        for name, run in contestants.items():
            start, used = time.perf_counter(), time.process_time()
            images = run()
            if turn:
                rates[name].append(images / (time.perf_counter() - start))
                costs[name].append(1e6 * (time.process_time() - used) / images)
    print(f"{'':<24}{'images/s':>10}{'of the bare loop':>18}{'processor time':>18}")
    for name in contestants:
        ratio = statistics.median(rate / bare for rate, bare in zip(rates[name], rates[BARE], strict=True))
        cost = "in other processes" if name.startswith("DataLoader") else f"{statistics.median(costs[name]):.0f} us"
        print(f"{name:<24}{statistics.median(rates[name]):>10.0f}{100 * ratio:>16.0f} %{cost:>18}")


def watch_memory(cache: str, stream: Callable[[int, int], Iterable], batch: int, milestones: tuple[int, ...]) -> None:
    """Print the resident memory of this process after so many batches, and how much of it is the mapped file."""
    for number, _ in enumerate(stream(batch, milestones[-1]), start=1):
        if number in milestones:
            private, mapped = (resident(kind) for kind in ("RssAnon", "RssFile"))
            print(f"cache={cache!r}: {private:.0f} MB and {mapped:.0f} MB of files after {number} batches of {batch}")


def resident(kind: str) -> float:
    """A line of /proc/self/status in megabytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith(kind))


if __name__ == "__main__":
    main()
