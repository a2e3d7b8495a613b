"""Pairs of pictures that are copies of each other: encoded anew, resized, squashed, mirrored, turned, cropped a little.

Photographs of skin look alike to a plain perceptual hash: a blob in the middle. So a hash (the low frequencies of a
thumbnail, compared for all turns and mirrorings, and for crops) only proposes pairs, and the thumbnails, aligned with
each other, decide by their detail. What that finds, and takes for copies wrongly, is in docs/near_duplicates.md.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

SIDE = 32
LEAST_SIMILARITY = 0.75


class SimilarPair(NamedTuple):
    """Two pictures by their numbers, `first` < `second`, and how similar their detail is: 1 is the same."""

    first: int
    second: int
    similarity: float


def signature(pixels: np.ndarray) -> np.ndarray:
    """What is compared of a picture, uint8 [H, W, 3]: its grey thumbnail, squashed to a square, uint8 [1024].

    >>> signature(np.zeros((450, 600, 3), np.uint8)).shape
    (1024,)
    """
    thumbnail = Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(thumbnail).reshape(-1)


def find_copies(digests: Sequence[str], signatures: Sequence[np.ndarray]) -> Iterator[tuple[SimilarPair, bool]]:
    """Pairs of copies, and whether each is certain: identical files, each with the first of them, then lookalikes."""
    first: dict[str, int] = {}
    for number, digest in enumerate(digests):
        other = first.setdefault(digest, number)
        if other != number:
            yield SimilarPair(other, number, 1.0), True
    different = list(first.values())
    if different:
        for pair in near_duplicates(np.array([signatures[number] for number in different])):
            yield SimilarPair(different[pair.first], different[pair.second], pair.similarity), False


def near_duplicates(signatures: np.ndarray, least_similarity: float = LEAST_SIMILARITY) -> list[SimilarPair]:
    """The pairs of copies among `signatures`, uint8 [pictures, 1024], in ascending order.

    A picture without detail, as of one colour, is no copy of any other. Time grows with the square of the number of
    pictures, memory with the number.
    """
    thumbnails = _thumbnails(np.asarray(signatures, np.uint8).reshape(-1, SIDE, SIDE))
    proposals = _proposals(thumbnails.pixels)
    ends = np.sort(thumbnails.picture[proposals[:, :2]], axis=1)
    proposals, ends = proposals[ends[:, 0] < ends[:, 1]], ends[ends[:, 0] < ends[:, 1]]
    found: dict[tuple[int, int], float] = {}
    for start in range(0, len(proposals), VERIFIED_AT_ONCE):
        some = slice(start, start + VERIFIED_AT_ONCE)
        similarities = _similarities(thumbnails, proposals[some]).tolist()
        for (first, second), similarity in zip(ends[some].tolist(), similarities, strict=True):
            if similarity >= max(least_similarity, found.get((first, second), 0.0)):
                found[first, second] = similarity
    return [SimilarPair(*pair, similarity) for pair, similarity in sorted(found.items())]


COMPARED_AT_ONCE, PROPOSED_AT_ONCE, VERIFIED_AT_ONCE = 2**22, 2**16, 2**9
"""Numbers of pairs, which bound the memory."""
# The round field of a dermoscope: the dark around it, the same in all its photographs, would make them all alike.
DARK = 0.25  # of the bright parts
SMALL = 0.25  # of the picture


class Thumbnails(NamedTuple):
    """One of each picture without its dark surroundings, and one with them if they are small: a crop changes them.

    pixels: uint8 [n, SIDE, SIDE]; known: bool, where `pixels` are the picture's own; picture: its number, [n].
    """

    pixels: np.ndarray
    known: np.ndarray
    picture: np.ndarray


def _thumbnails(pixels: np.ndarray) -> Thumbnails:
    filled, known = pixels.copy(), np.ones(pixels.shape, bool)
    at_edge = np.ones((SIDE, SIDE), bool)
    at_edge[1:-1, 1:-1] = False
    bright = np.partition(pixels.reshape(-1, SIDE**2), int(0.9 * SIDE**2), axis=1)[:, int(0.9 * SIDE**2)]
    dark = pixels < DARK * bright[:, None, None].astype(np.float32)
    affected = np.flatnonzero((dark & at_edge).any((1, 2)))
    for start in range(0, len(affected), VERIFIED_AT_ONCE):
        some = affected[start : start + VERIFIED_AT_ONCE]
        surroundings = _grown(dark[some] & at_edge, dark[some])
        known[some] = _sums_of_neighbours(surroundings) == 0
        filled[some] = _filled(pixels[some], known[some])
    twice = affected[known[affected].mean((1, 2)) > 1 - SMALL]
    return Thumbnails(
        np.concatenate([filled, pixels[twice]]),
        np.concatenate([known, np.ones((len(twice), SIDE, SIDE), bool)]),
        np.concatenate([np.arange(len(pixels)), twice]),
    )


def _grown(seeds: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """All of `allowed` that is connected to `seeds`, both [m, SIDE, SIDE]."""
    while True:
        grown = (_sums_of_neighbours(seeds) > 0) & allowed
        if (grown == seeds).all():
            return grown
        seeds = grown


def _filled(pictures: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The pictures [m, SIDE, SIDE], the unknown parts of which are as bright as the nearest known pixels."""
    pictures = pictures * known.astype(np.float32)
    while True:
        count = _sums_of_neighbours(known)
        new = ~known & (count > 0)
        if not new.any():
            return pictures
        pictures = np.where(new, _sums_of_neighbours(pictures) / np.maximum(count, 1), pictures)
        known = known | new


def _sums_of_neighbours(pictures: np.ndarray) -> np.ndarray:
    """Over each pixel and the eight around it, of [m, SIDE, SIDE]."""
    near = np.tri(SIDE, k=1, dtype=np.float32) - np.tri(SIDE, k=-2, dtype=np.float32)
    return near @ pictures.astype(np.float32) @ near


# Proposing: the hash of a window of each picture against that of each whole picture.
FREQUENCIES = 12
LEAST_HASH_SIMILARITY = 0.9
WEAKEST_HASH = 300.0  # about four times what rounding to whole grey levels makes of a picture of one colour
# The top and bottom, and the left and right end of what a copy may show of a picture, as shares of the sides.
ALL, NOT_START, NOT_END, NOT_ENDS, INNER = (0, 1), (0.05, 1), (0, 0.95), (0.05, 0.95), (0.025, 0.975)
ONE_SIDE = [(NOT_START, ALL), (NOT_END, ALL), (ALL, NOT_START), (ALL, NOT_END)]
TWO_SIDES = [(rows, columns) for rows in (NOT_START, NOT_END) for columns in (NOT_START, NOT_END)]
WINDOWS = np.array([(ALL, ALL), *ONE_SIDE, *TWO_SIDES, (NOT_ENDS, NOT_ENDS), (INNER, INNER)], np.float32)


def _proposals(thumbnails: np.ndarray) -> np.ndarray:
    """Proposed copies, int [m, 4]: a picture, another, and the window and turn in which the first is the second."""
    whole = _hashes(thumbnails, WINDOWS[0])
    parts = [np.empty((0, 5))]
    for number, window in enumerate(WINDOWS):
        hashes = _hashes(thumbnails, window)
        for a, b in _similar_but_for_turns(hashes, whole):
            similarities = _hash_similarities(hashes[a], whole[b])
            pair, turn = np.nonzero(similarities >= LEAST_HASH_SIMILARITY)
            parts.append(np.stack([a[pair], b[pair], np.full(len(pair), number), turn, similarities[pair, turn]], 1))
    found = np.concatenate(parts)
    # Of the windows that propose the same pair and turn, the best is enough.
    keys = np.column_stack([np.sort(found[:, :2], axis=1), found[:, 3]])
    order = np.lexsort((-found[:, 4], *keys.T))
    is_first = (np.diff(keys[order], axis=0, prepend=-1) != 0).any(axis=1)
    return found[order[is_first], :4].astype(int)


def _hashes(thumbnails: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Cosine transforms of a window, of length 1 (less where there is no detail): [n, FREQUENCIES, FREQUENCIES]."""
    rows, columns = _cosines()[:FREQUENCIES] @ _interpolation(window)
    # The higher a frequency, the less of it is in photographs; zero is the brightness.
    weights = np.where(USED, np.hypot(*np.indices(USED.shape)), 0) ** 1.5
    hashes = np.empty((len(thumbnails), *USED.shape), np.float32)
    for thumbnail, place in zip(thumbnails, hashes, strict=True):
        place[:] = rows @ thumbnail @ columns.T * weights
    return hashes / np.maximum(np.linalg.norm(hashes, axis=(1, 2), keepdims=True), WEAKEST_HASH)


USED = np.hypot(*np.indices((FREQUENCIES, FREQUENCIES))) < FREQUENCIES - 0.5


def _similar_but_for_turns(hashes: np.ndarray, whole: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The row numbers [m], [m] of hashes that may be similar under some turn: all that are, and few that are not."""
    turnless, turnless_whole = _turnless(hashes), _turnless(whole).T
    rows = max(1, COMPARED_AT_ONCE // max(1, len(whole)))
    for start in range(0, len(hashes), rows):
        similar = turnless[start : start + rows] @ turnless_whole >= LEAST_HASH_SIMILARITY
        a, b = np.divmod(np.flatnonzero(similar), len(whole))
        a += start
        a, b = a[a != b], b[a != b]
        for first in range(0, len(a), PROPOSED_AT_ONCE):
            yield a[first : first + PROPOSED_AT_ONCE], b[first : first + PROPOSED_AT_ONCE]


def _turnless(hashes: np.ndarray) -> np.ndarray:
    """What all turns of a picture's hash share: [n, numbers]. Products of these bound the products of turned hashes."""
    sizes = np.abs(hashes)
    swapped = sizes.transpose(0, 2, 1)
    upper = np.triu(np.ones(USED.shape, bool))
    return np.where(upper, np.maximum(sizes, swapped), np.minimum(sizes, swapped))[:, USED]


def _hash_similarities(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Similarities [m, 8] of a, turned, to b: transposed or not, rows reversed or not, columns reversed or not."""
    products = np.stack([a * b, a.transpose(0, 2, 1) * b], axis=1).reshape(len(a), 2, -1)
    # Reversed, a cosine of odd frequency is its negative.
    row, column = (-1.0) ** np.indices(USED.shape, np.float32).reshape(2, -1)
    return (products @ np.stack([row**0, column, row, row * column], axis=1)).reshape(len(a), 8)


def _turn_back(pictures: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Undo turns, column numbers of `_hash_similarities`, of pictures [m, SIDE, SIDE]."""
    transposed, rows, columns = (turns[:, None, None] & bit > 0 for bit in (4, 2, 1))
    pictures = np.where(rows, pictures[:, ::-1], pictures)
    pictures = np.where(columns, pictures[:, :, ::-1], pictures)
    return np.where(transposed, pictures.transpose(0, 2, 1), pictures)


# Verifying: windows [m, 2, 2] of pictures are moved until they fit, then compared.
ALIGNING_STEPS = 2
FARTHEST = 0.12
BLOCK = 8
LITTLE_DETAIL = 0.05
LEAST_BLOCKS = 1 / 3


def _similarities(thumbnails: Thumbnails, proposals: np.ndarray) -> np.ndarray:
    """The similarity of detail in each of `proposals` [m, 4], after the ends of windows are moved to fit best: [m]."""
    a, b, window, turn = proposals.T
    whole, whole_known = (_turn_back(array[b].astype(np.float32), turn) for array in thumbnails[:2])
    part, part_known = (array[a].astype(np.float32) for array in thumbnails[:2])
    windows = WINDOWS[window]
    for _ in range(ALIGNING_STEPS):
        windows = _better_windows(part, windows, whole)
    seen, inside = _view(part, windows)
    compared = inside & (_view(part_known, windows)[0] > 0.99) & (whole_known > 0)
    return _lowest_correlations(_detail(seen) * compared, _detail(whole) * compared)


def _view(pictures: np.ndarray, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A window of each picture, and where it does not reach beyond the picture: both [m, SIDE, SIDE]."""
    rows, columns = _interpolation(windows).swapaxes(0, 1)
    places = _places(windows)
    inside = (places >= 0) & (places <= 1)
    return rows @ pictures @ columns.swapaxes(1, 2), inside[:, 0, :, None] & inside[:, 1, None, :]


def _interpolation(windows: np.ndarray) -> np.ndarray:
    """Matrices that interpolate a side linearly at the pixels of a window: [..., ends] to [..., SIDE, SIDE]."""
    pixels = np.clip(_places(windows) * SIDE - 0.5, 0, SIDE - 1)
    return np.maximum(0, 1 - np.abs(pixels[..., None] - np.arange(SIDE, dtype=np.float32)))


def _places(windows: np.ndarray) -> np.ndarray:
    """Where the pixels of windows [..., ends] lie, as shares of the side: [..., SIDE]."""
    return windows[..., :1] * (1 - CENTRES) + windows[..., 1:] * CENTRES


CENTRES = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE


def _better_windows(a: np.ndarray, windows: np.ndarray, b: np.ndarray) -> np.ndarray:
    """One step of Gauss and Newton to the least squares of gain * window of a + offset - b."""
    seen, inside = _view(a, windows)
    down, across = (np.gradient(seen, axis=axis) * SIDE for axis in (1, 2))
    column = CENTRES[:, None]
    slopes = np.stack(
        [down * (1 - column), down * column, across * (1 - CENTRES), across * CENTRES, seen, np.ones_like(seen)], axis=1
    ).reshape(len(a), 6, -1)
    within = slopes * inside.reshape(len(a), 1, -1)
    normal, right = within @ slopes.swapaxes(1, 2), within @ b.reshape(len(a), -1, 1)
    # What a picture says little about stays as it is.
    normal[:, range(4), range(4)] += 1e-3 * np.trace(normal[:, :4, :4], axis1=1, axis2=2)[:, None] / 4 + 1
    normal[:, range(4, 6), range(4, 6)] += 1e-3
    solution = np.linalg.solve(normal, right)[:, :, 0]
    step = np.clip(solution[:, :4] / np.maximum(solution[:, 4:5], 0.2), -0.04, 0.04)
    ends = np.array([0, 1], np.float32)
    return np.clip(windows + step.reshape(-1, 2, 2), ends - FARTHEST, ends + FARTHEST)


def _detail(pictures: np.ndarray) -> np.ndarray:
    """The detail of pictures [m, SIDE, SIDE] without their larger shapes, about equally strong everywhere."""
    fine, coarse = _blur(0.8), _blur(1.5)
    pictures = fine @ pictures @ fine.T
    detail = pictures - coarse @ pictures @ coarse.T
    return detail / np.sqrt(coarse @ detail**2 @ coarse.T + 1)


def _blur(deviation: float) -> np.ndarray:
    """A Gaussian blur of a side, which is mirrored at its ends: a matrix [SIDE, SIDE]."""
    kept = np.exp(-((np.pi * deviation * np.arange(SIDE) / SIDE) ** 2) / 2)
    return (_cosines().T * kept) @ _cosines()


def _cosines() -> np.ndarray:
    """The cosine transform of a side: an orthogonal matrix [SIDE, SIDE], frequencies by pixels."""
    cosines = np.cos(np.pi * np.arange(SIDE)[:, None] * CENTRES) * np.sqrt(2 / SIDE)
    cosines[0] /= np.sqrt(2)
    return cosines.astype(np.float32)


def _lowest_correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The correlations of blocks of a and b, both [m, SIDE, SIDE]: the mean of the third that is lowest, [m].

    The lowest, as photographs of one dermoscope agree in its round edge, but copies agree everywhere. Blocks in which
    neither has detail do not count; where fewer than a third count, the result is 0.
    """
    blocks = [sliding_window_view(x, (BLOCK, BLOCK), axis=(1, 2))[:, :: BLOCK // 2, :: BLOCK // 2] for x in (a, b)]
    a, b = (block.reshape(len(block), -1, BLOCK**2) for block in blocks)
    a, b = (block - block.mean(2, keepdims=True) for block in (a, b))
    sizes = np.sqrt(((a**2).mean(2) + LITTLE_DETAIL) * ((b**2).mean(2) + LITTLE_DETAIL))
    counts = sizes > 2 * LITTLE_DETAIL
    correlations = np.sort(np.where(counts, ((a * b).mean(2) + LITTLE_DETAIL) / sizes, np.inf), axis=1)
    third = np.maximum(1, np.ceil(counts.sum(1) / 3))
    lowest = np.where(np.arange(correlations.shape[1]) < third[:, None], correlations, 0).sum(1) / third
    return np.where(counts.mean(1) >= LEAST_BLOCKS, lowest, 0)
