"""What the near-duplicate finder finds of copies of 200 pictures, and what it takes for copies wrongly.

    python tools/measure_near_duplicates.py [--source=DIR [--lesions=TABLE]] [--images=N] [--copies=200] [--seeds 0 1]

The default is the embedded synthetic set, no two pictures of which are the same, at 128x96; a minute on 2 cores.
Of a folder of photographs nobody knows which are the same: the pairs found are printed, to be looked at. With a table
of `image_id` and `lesion_id` (HAM10000_metadata.csv) pairs of one lesion, which may be the same, are counted apart.
"""

import argparse
import io
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from skinjax.core.tables import read_table_file
from skinjax.core.threads import map_in_order
from skinjax.data.acquire.decoding import decode
from skinjax.data.acquire.near_duplicates import LEAST_SIMILARITY, near_duplicates, signature
from skinjax.data.acquire.sources import images, open_source
from skinjax.data.synthetic.photographs import Painter
from skinjax.data.synthetic.settings import Settings

CROP = 0.05
SWEEP = (0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)


class Pictures(NamedTuple):
    """`draw(number)` gives the pixels of a picture; `lesions` are '' where unknown."""

    names: Sequence[str]
    lesions: Sequence[str]
    draw: Callable[[int], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, help="a folder of photographs, or of archives of them")
    parser.add_argument("--lesions", type=Path, help="a table with image_id (a file's name) and lesion_id")
    parser.add_argument("--images", type=int, default=3000, help="how many synthetic pictures")
    parser.add_argument("--copies", type=int, default=200, help="of how many pictures copies are made")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="which pictures these are, once per seed")
    options = parser.parse_args()
    if options.source is None:
        measure(synthetic(options.images), options.copies, options.seeds)
    else:
        with open_source(options.source) as source:
            files = images(source)
            table = read_table_file(options.lesions, ["image_id", "lesion_id"]).rows if options.lesions else []
            lesion = {row.cells["image_id"]: row.cells["lesion_id"] for row in table}

            def draw(number: int) -> np.ndarray:
                path = files[number].path
                return decode(files[number].read(), None, fit="squash", filter="bilinear", name=path)

            lesions = [lesion.get(file.stem, "") for file in files]
            measure(Pictures([file.path for file in files], lesions, draw), options.copies, options.seeds)


def synthetic(images: int) -> Pictures:
    """A test bench, not medicine."""
    painter = Painter(Settings(images=images, height=96, width=128))
    return Pictures(list(painter.columns["image_id"]), list(painter.columns["group"]), painter.draw)


def measure(pictures: Pictures, copies: int, seeds: Sequence[int]) -> None:
    """Print recall by kind of copy and seed, the pairs found between pictures, and what other thresholds would give."""
    numbers = range(len(pictures.names))
    signatures = np.stack(list(map_in_order(lambda number: signature(pictures.draw(number)), numbers)))
    chosen = [np.random.default_rng(seed).permutation(len(numbers))[:copies] for seed in seeds]
    found = [similarities(pictures, signatures, some) for some in chosen]
    print(f"recall of copies of {len(chosen[0])} pictures of {len(numbers)}, in %")
    print(f"| copy | {' | '.join(f'seed {seed}' for seed in seeds)} |")
    print(f"|---|{'---|' * len(seeds)}")
    for kind in COPIES | BEYOND:
        print(f"| {kind} | {' | '.join(f'{recall(seen[kind], LEAST_SIMILARITY):.1f}' for seen in found)} |")

    started = time.perf_counter()
    near_duplicates(signatures)
    print(f"\n{len(numbers)} pictures compared in {time.perf_counter() - started:.1f} s on {os.cpu_count()} cores")
    pairs = near_duplicates(signatures, SWEEP[0])
    apart = [pair for pair in pairs if not one_lesion(pictures, pair.first, pair.second)]
    print(f"| least similarity | lowest recall, seed {seeds[0]} | pairs of one lesion | other pairs | per 10,000 |")
    print("|---|---|---|---|---|")
    for least in SWEEP:
        total, others = (sum(pair.similarity >= least for pair in some) for some in (pairs, apart))
        lowest = min(recall(found[0][kind], least) for kind in COPIES)
        print(f"| {least} | {lowest:.1f} | {total - others} | {others} | {1e4 * others / len(numbers):.1f} |")
    print(f"\nother pairs, the most similar first (threshold {LEAST_SIMILARITY}):")
    for pair in sorted(apart, key=lambda pair: -pair.similarity)[:20]:
        print(f"{pair.similarity:.3f} {pictures.names[pair.first]} {pictures.names[pair.second]}")


def one_lesion(pictures: Pictures, first: int, second: int) -> bool:
    return bool(pictures.lesions[first]) and pictures.lesions[first] == pictures.lesions[second]


def similarities(pictures: Pictures, signatures: np.ndarray, chosen: np.ndarray) -> dict[str, np.ndarray]:
    """By kind of copy, how similar each chosen picture and its copy were found, 0 if they were no pair: [chosen]."""
    kinds = COPIES | BEYOND

    def signed_copies(number: int) -> list[np.ndarray]:
        pixels = pictures.draw(number)
        return [signature(make(pixels)) for make in kinds.values()]

    signed = list(map_in_order(signed_copies, chosen))
    result = {}
    for kind, copies in zip(kinds, zip(*signed, strict=True), strict=True):
        pairs = near_duplicates(np.concatenate([signatures[chosen], np.stack(copies)]), SWEEP[0])
        known = {(pair.first, pair.second): pair.similarity for pair in pairs}
        result[kind] = np.array([known.get((place, place + len(chosen)), 0.0) for place in range(len(chosen))])
    return result


def recall(found: np.ndarray, least_similarity: float) -> float:
    return 100 * float((found >= least_similarity).mean())


# The copies: those that are to be found, and some to see where the finding ends


def resized(pixels: np.ndarray, height: float, width: float) -> np.ndarray:
    """To shares of the sides."""
    size = round(width * pixels.shape[1]), round(height * pixels.shape[0])
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def encoded_anew(pixels: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=40)
    return np.asarray(Image.open(file).convert("RGB"))


def squashed(pixels: np.ndarray) -> np.ndarray:
    """To a square."""
    return resized(pixels, 1, pixels.shape[0] / pixels.shape[1])


def cropped(pixels: np.ndarray, top: float = 0, bottom: float = 0, left: float = 0, right: float = 0) -> np.ndarray:
    height, width = pixels.shape[:2]
    rows = slice(round(top * height), height - round(bottom * height))
    return np.ascontiguousarray(pixels[rows, round(left * width) : width - round(right * width)])


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "encoded anew, JPEG quality 40": encoded_anew,
    "half the size": lambda pixels: resized(pixels, 0.5, 0.5),
    "double the size": lambda pixels: resized(pixels, 2, 2),
    "squashed to a square": squashed,
    "left and right exchanged": lambda pixels: np.ascontiguousarray(pixels[:, ::-1]),
    "top and bottom exchanged": lambda pixels: np.ascontiguousarray(pixels[::-1]),
    "half turn": lambda pixels: np.ascontiguousarray(pixels[::-1, ::-1]),
    "quarter turn": lambda pixels: np.ascontiguousarray(np.rot90(pixels)),
    "5 % cropped at the left": lambda pixels: cropped(pixels, left=CROP),
    "5 % cropped at the right": lambda pixels: cropped(pixels, right=CROP),
    "5 % cropped at the top": lambda pixels: cropped(pixels, top=CROP),
    "5 % cropped at the bottom": lambda pixels: cropped(pixels, bottom=CROP),
    "2.5 % cropped at all four sides": lambda pixels: cropped(pixels, *[CROP / 2] * 4),
    "5 % cropped at all four sides": lambda pixels: cropped(pixels, *[CROP] * 4),
    "5 % cropped at top and left": lambda pixels: cropped(pixels, top=CROP, left=CROP),
    "half, mirrored, quality 40": lambda pixels: encoded_anew(resized(pixels[:, ::-1].copy(), 0.5, 0.5)),
    "5 % cropped at the left, half, mirrored, quality 40": lambda pixels: encoded_anew(
        resized(cropped(pixels, left=CROP)[:, ::-1].copy(), 0.5, 0.5)
    ),
    "5 % cropped at all four sides, half, mirrored, quality 40": lambda pixels: encoded_anew(
        resized(cropped(pixels, *[CROP] * 4)[:, ::-1].copy(), 0.5, 0.5)
    ),
}
BEYOND = {
    "7 % cropped at all four sides": lambda pixels: cropped(pixels, *[0.07] * 4),
    "10 % cropped at the left": lambda pixels: cropped(pixels, left=0.1),
    "10 % cropped at all four sides": lambda pixels: cropped(pixels, *[0.1] * 4),
    "turned by 5 degrees": lambda pixels: np.asarray(Image.fromarray(pixels).rotate(5, Image.Resampling.BICUBIC)),
}


if __name__ == "__main__":
    main()
