"""Photographs in two parts of a split: pairs of one group or of one part are none, certain ones come first."""

import numpy as np

from skinjax.data.splits.check import Crossing, SamePhotograph, crossings
from skinjax.data.splits.split import Split

ROWS = [
    ("a", "g1", "train"),
    ("b", "g1", "test"),
    ("c", "g2", "validation"),
    ("d", "g3", "train"),
    ("e", "g4", "test"),
]


def test_pairs_that_two_parts_share_under_two_groups_are_found_held_out_image_first():
    ids, groups, parts = (np.array(column) for column in zip(*ROWS, strict=True))
    split = Split(ids, groups, np.full(5, "nv"), np.full(5, -1), parts, {"name": "file"})
    pairs = [
        SamePhotograph("a", "b", certain=True),  # one group: the comparison of groups reports it
        SamePhotograph("a", "d", certain=True),  # one part
        SamePhotograph("d", "nowhere", certain=True),  # takes no part
        SamePhotograph("d", "c", certain=False),
        SamePhotograph("c", "e", certain=False),
        SamePhotograph("d", "e", certain=True),
    ]
    c, d, e = ROWS[2:]
    assert crossings(pairs, split) == [
        Crossing(e, d, certain=True),
        Crossing(c, d, certain=False),
        Crossing(e, c, certain=False),
    ]
    assert crossings([], split) == []
