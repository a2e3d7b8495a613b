"""The same photograph in two parts of a split under two groups: what a comparison of groups cannot see."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from skinjax.core.hashes import digest_of
from skinjax.core.threads import map_in_order, progress
from skinjax.data.acquire.decoding import decode
from skinjax.data.acquire.near_duplicates import find_copies, signature
from skinjax.data.dataset import Dataset
from skinjax.data.splits.split import Split


class SamePhotograph(NamedTuple):
    """The ids of two images that show the same photograph: certainly when their bytes are the same, else likely."""

    first: str
    second: str
    certain: bool


def same_photographs(dataset: Dataset, image_ids: Sequence[str]) -> list[SamePhotograph]:
    """The pairs among these images that look the same; each image is decoded once, by all cores.

    Byte-identical images are each paired with the first of them, which stands for all in the other pairs.
    """
    record_of = {image_id: record for record, image_id in enumerate(dataset.columns["image_id"].tolist())}

    def look(image_id: str) -> tuple[str, np.ndarray]:
        data = dataset.encoded(record_of[image_id])
        return digest_of(data), signature(decode(data, None, fit="squash", filter="bilinear", name=image_id))

    digests, signatures = zip(*progress(map_in_order(look, image_ids), len(image_ids)), strict=True)
    found = find_copies(digests, signatures)
    return [SamePhotograph(image_ids[pair.first], image_ids[pair.second], certain) for pair, certain in found]


class Crossing(NamedTuple):
    """A pair whose images are in two parts and of two groups: (image id, group, part) of both, the held-out first."""

    held_out: tuple[str, str, str]
    other: tuple[str, str, str]
    certain: bool


def crossings(pairs: Sequence[SamePhotograph], split: Split) -> list[Crossing]:
    """The pairs that two parts of `split` share, certain ones first; pairs within a group are leaks of that."""
    places = _places(split)
    found = []
    for pair in pairs:
        if pair.first in places and pair.second in places:
            one, another = places[pair.first], places[pair.second]
            if one[1] != another[1] and one[2] != another[2]:
                held_out, other = sorted((one, another), key=lambda place: HELD_OUT_FIRST.index(place[2]))
                found.append(Crossing(held_out, other, pair.certain))
    return sorted(found, key=lambda crossing: not crossing.certain)


HELD_OUT_FIRST = ("test", "validation", "train")


def _places(split: Split) -> Mapping[str, tuple[str, str, str]]:
    columns = (split.image_ids.tolist(), split.groups.tolist(), split.parts.tolist())
    return {place[0]: place for place in zip(*columns, strict=True)}
