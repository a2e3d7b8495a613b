"""Which images train and which are held out: tables drawn by lesion or image, stored as CSV, and checked for leaks.

`lesion_grouped` is the protocol of paper 003's published split. `image_stratified` is that of papers 000 and 001, in
which 37-39 % of HAM10000's held-out photographs show a lesion that training has seen. Splits of other makers are read
in `published`; `protocols` makes the split that a config names.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skinjax.core.errors import UserError, lookup
from skinjax.core.files import write_atomically
from skinjax.core.tables import Row, Table, csv_text, read_table_file

PARTS = ("train", "validation", "test")
HELD_OUT_AND_OTHER = (("test", "train"), ("validation", "train"), ("test", "validation"))
COLUMNS = ("image_id", "group", "label", "fold", "split")
LEAK_IS_AN_ERROR = {"lesion_grouped": True, "image_stratified": False, "file": True, "official": True}


@dataclass(frozen=True, eq=False)
class Split:
    """One row per image: `image_ids`, `groups` (lesions), `labels` (class names), `folds` and `parts`, all [n].

    folds: the fold in which the image is held out, -1 for never; parts: 'train', 'validation' or 'test';
    protocol: how the split was made, stored with every number that is measured on it.
    """

    image_ids: np.ndarray
    groups: np.ndarray
    labels: np.ndarray
    folds: np.ndarray
    parts: np.ndarray
    protocol: dict[str, Any]

    def rows(self, part: str) -> np.ndarray:
        """The row numbers of one part, ascending."""
        return np.flatnonzero(self.parts == part)


class Leak(NamedTuple):
    """The groups found in both of two parts, and how many images of the first part (and what share of it) they make."""

    groups: tuple[str, ...]
    images: int
    share: float


def lesion_grouped(
    image_ids: Sequence[str],
    groups: Sequence[str],
    labels: Sequence[str],
    *,
    seed: int,
    test: float = 0.0,
    validation: float = 0.0,
    folds: int = 1,
    fold: int = 0,
) -> Split:
    """A split by class in which all images of a group stay together.

    With one fold, the fractions `test` and `validation` of each class are held out; either may be 0. With more folds
    and a `test` fraction, the test part is fixed and fold `fold` of the rest is the validation part (paper 003). With
    more folds and no `test`, fold `fold` is the test part and `validation`, a fraction that may be 0, comes from the
    other folds (papers 000 and 001). The folds, and a test part beside them, depend on the seed but not on `fold`;
    nothing depends on the order of the images.

    A group with several labels, as patients have, is dealt with the rarest; every class is in every part all the same.

    >>> split = lesion_grouped(list("abcd"), ["x", "x", "y", "z"], ["mel"] * 4, test=0.5, seed=0)
    >>> len(set(split.parts[:2]))
    1
    """
    table = _checked_table(image_ids, groups, labels)
    drawn = {"seed": seed, "test": test, "validation": validation, "folds": folds, "fold": fold}
    protocol, units = {"name": "lesion_grouped", **drawn}, table.groups
    unit = "images" if np.array_equal(units, table.image_ids) else "groups"
    generator = np.random.default_rng([seed, 0])
    if folds == 1:
        shares = {"train": 1 - test - validation, "validation": validation, "test": test}
        parts = np.array(PARTS)[_deal(units, table.labels, shares, generator, unit)]
        return replace(table, folds=np.where(parts == "validation", 0, -1), parts=parts, protocol=protocol)
    shares = {"test": test} | {f"fold {k}": (1 - test) / folds for k in range(folds)}
    held_out_in = _deal(units, table.labels, shares, generator, unit) - 1
    parts = table.parts.copy()
    parts[held_out_in == -1] = "test"
    parts[held_out_in == fold] = "validation" if test else "test"
    if validation:
        rest = parts == "train"
        shares = {"train": 1 - 1 / folds - validation, "validation": validation}
        dealt = _deal(units[rest], table.labels[rest], shares, np.random.default_rng([seed, 1 + fold]), unit)
        parts[rest] = np.array(PARTS)[dealt]
    return replace(table, folds=held_out_in, parts=parts, protocol=protocol)


def image_stratified(
    image_ids: Sequence[str], groups: Sequence[str], labels: Sequence[str], *, seed: int, **parts: Any
) -> Split:
    """As `lesion_grouped`, with its `parts`, but image by image: photographs of one lesion may be on both sides.

    `protocol['leak_percent']` says for each held-out part how many of its images share a group with training.
    """
    split = lesion_grouped(image_ids, image_ids, labels, seed=seed, **parts)
    protocol = split.protocol | {"name": "image_stratified"}
    return with_leak_percent(replace(split, groups=np.asarray(groups, dtype=str), protocol=protocol))


def with_validation(split: Split, share: float, seed: int, by_image: bool = False) -> Split:
    """`split` with a share of its training images made the validation part, by class, groups whole or image by image.

    Two folds of one file get different validation parts.
    """
    train = split.rows("train")
    shares = {"train": 1 - share, "validation": share}
    generator = np.random.default_rng([seed, 1 + split.protocol["fold"]])
    parts = split.parts.astype(f"<U{max(map(len, PARTS))}")
    units, called = (split.image_ids, "images") if by_image else (split.groups, "groups")
    parts[train] = np.array(PARTS)[_deal(units[train], split.labels[train], shares, generator, called)]
    asked = {"validation": share, "seed": seed} | ({"validation_by": "image"} if by_image else {})
    return replace(split, parts=parts, protocol=split.protocol | asked)


def with_leak_percent(split: Split) -> Split:
    """`split` whose protocol says how many images of each held-out part share a group with training, in percent."""
    found = leaks(split)
    percent = {part: round(100 * found[part, "train"].share, 2) for part in PARTS[1:] if len(split.rows(part))}
    return replace(split, protocol=split.protocol | {"leak_percent": percent})


def leaks(split: Split) -> dict[tuple[str, str], Leak]:
    """For each ordered pair of parts what they share: `leaks(split)['test', 'train'].share` is the usual question."""
    found = {}
    for part, other in permutations(reversed(PARTS), 2):
        here, there = split.groups[split.parts == part], split.groups[split.parts == other]
        shared = np.isin(here, there)
        share = float(shared.mean()) if len(here) else 0.0
        found[part, other] = Leak(tuple(np.unique(here[shared]).tolist()), int(shared.sum()), share)
    return found


def check(split: Split) -> None:
    """Raise `UserError` when a group is on two sides, or in two folds, of a split whose protocol forbids it."""
    name = split.protocol["name"]
    if not lookup("split protocol", name, LEAK_IS_AN_ERROR) or split.protocol.get("allow_leak"):
        return
    way_out = "split by lesion"
    if name in ("file", "official"):
        way_out += ", or set split.allow_leak to use it all the same, with the leak beside every figure"
    found = leaks(split)
    for part, other in HELD_OUT_AND_OTHER:
        leak = found[part, other]
        if leak.groups:
            shared = "1 group is" if len(leak.groups) == 1 else f"{len(leak.groups)} groups are"
            raise UserError(
                f"this {name} split leaks: {shared} in both {part} and {other} (such as {leak.groups[0]!r}), with "
                f"{leak.images} images, {100 * leak.share:.1f} % of {part}; {way_out}"
            )
    seen: dict[str, int] = {}
    for group, fold in zip(split.groups.tolist(), split.folds.tolist(), strict=True):
        if seen.setdefault(group, fold) != fold:
            raise UserError(f"this {name} split leaks: group {group!r} is in folds {seen[group]} and {fold}; {way_out}")


def remarks(split: Split) -> list[str]:
    """What a person should know of a split before trusting its figures, a sentence each."""
    protocol, found = split.protocol, []
    if protocol.get("unlabelled"):
        found.append(f"unlabelled images, in no part of the split: {protocol['unlabelled']}")
    if protocol.get("left_out"):
        found.append(f"images that the {protocol['name']} split leaves out: {protocol['left_out']}")
    if protocol["name"] != "image_stratified" and len(np.unique(split.groups)) == len(split.groups):
        found.append("no two images are known to show one lesion: if some do, only their `group` keeps them together")
    for part, percent in protocol.get("leak_percent", {}).items():
        if percent:
            found.append(f"LEAK: {percent:.1f} % of the {part} images share a group with a training image")
    return found


def write_split(path: str | Path, split: Split) -> None:
    """Write `image_id,group,label,fold,split` to `path` and the protocol to the JSON of the same name beside it."""
    table, protocol = split_texts(split)
    write_atomically(protocol_path(path), protocol)
    write_atomically(Path(path), table)


def split_texts(split: Split) -> tuple[str, str]:
    """The CSV and the JSON that `write_split` writes."""
    columns = (split.image_ids, split.groups, split.labels, split.folds, split.parts)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return csv_text(COLUMNS, rows), json.dumps(split.protocol, indent=2) + "\n"


def read_split(path: str | Path) -> Split:
    """Read what `write_split` wrote. A CSV without a JSON beside it is someone else's: its protocol is 'file'.

    Leaks are not looked for here: `check` does that.
    """
    return from_table(read_table_file(Path(path), COLUMNS), read_protocol(path))


def from_table(table: Table, protocol: dict[str, Any]) -> Split:
    """The split of a table with at least `COLUMNS`, one row of either per image."""
    table.unique("image_id")
    image_ids, groups, labels, folds, parts = zip(*map(_checked_row, table.rows), strict=True)
    return Split(np.array(image_ids), np.array(groups), np.array(labels), np.array(folds), np.array(parts), protocol)


def read_protocol(path: str | Path) -> dict[str, Any]:
    """The protocol in the JSON beside a split; {'name': 'file'} where there is none."""
    path = protocol_path(path)
    if not path.exists():
        return {"name": "file"}
    try:
        protocol = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # of the encoding or of the JSON
        raise UserError(f"{path} is not JSON ({error}): restore or remove it to read the split as a file") from error
    if not isinstance(protocol, dict) or not isinstance(protocol.get("name"), str):
        raise UserError(f"{path} has no protocol 'name': restore it, or remove it to read the split as a file")
    lookup(f"split protocol in {path}", protocol["name"], LEAK_IS_AN_ERROR)
    return protocol


def protocol_path(path: str | Path) -> Path:
    """The JSON beside a split's CSV."""
    return Path(path).with_suffix(".json")


def _deal(
    units: np.ndarray, labels: np.ndarray, shares: dict[str, float], generator: np.random.Generator, unit: str
) -> np.ndarray:
    """For each image the number of its share: [n]. Units stay whole, and the shares hold for every class.

    Class by class, units are dealt from the largest to the smallest, each to the share that is furthest behind its
    target when half of the unit is counted (Webster's rule for proportional seats). So every share gets large and small
    lesions alike, ends within about one unit of its target, and holds every class. A unit with several classes is dealt
    with the rarest of them, and its other images count when the units of those are dealt.
    """
    table = _UnitsByClass(units, labels)
    wanted = [number for number, share in enumerate(shares.values()) if share > 0]
    fractions = list(shares.values())
    share_of_unit = np.empty(len(table.dealt_with), dtype=np.int64)
    held = [[0] * len(shares) for _ in table.names]  # images of each class
    dealt = [0] * len(shares)  # over all classes: breaks the ties within one
    for label in table.order:
        _check_enough(table, label, shares, wanted, unit)
        members = generator.permutation(np.flatnonzero(table.dealt_with == label))
        members = members[np.argsort(-table.dealt_images[members], kind="stable")]
        filled, total = held[label], int(table.images_of_class[label])
        for position, member in enumerate(members.tolist()):
            size = int(table.dealt_images[member])
            empty = [number for number in wanted if filled[number] == 0]
            candidates = empty if len(empty) >= len(members) - position else wanted
            progress = [((filled[n] + size / 2) / (fractions[n] * total), dealt[n] / fractions[n]) for n in candidates]
            chosen = candidates[progress.index(min(progress))]
            share_of_unit[member] = chosen
            for other, images in table.contents(member):
                held[other][chosen] += images
                dealt[chosen] += images
    for name, filled in zip(table.names, held, strict=True):
        for number in wanted:
            if not filled[number]:
                raise UserError(
                    f"no image of class {name!r} falls into {list(shares)[number]}, because its {unit} are those of "
                    "rarer classes too: choose another seed, or ask for fewer parts"
                )
    return share_of_unit[table.unit_of_image]


class _UnitsByClass:
    """Which classes the images of each unit have, and the class with which a unit is dealt: the rarest of them."""

    def __init__(self, units: np.ndarray, labels: np.ndarray):
        self.unit_of_image = np.unique(units, return_inverse=True)[1]
        names, label_of_image = np.unique(labels, return_inverse=True)
        self.names: list[str] = names.tolist()
        pairs = np.unique(np.stack([self.unit_of_image, label_of_image]), axis=1, return_counts=True)
        (unit_of_pair, label_of_pair), images = pairs
        self.units_of_class = np.bincount(label_of_pair)
        self.images_of_class = np.bincount(label_of_image)
        rank = np.empty(len(names), np.int64)  # 0 is the rarest
        rank[np.lexsort((self.images_of_class, self.units_of_class))] = np.arange(len(names))
        by_rank = np.lexsort((rank[label_of_pair], unit_of_pair))
        first = by_rank[np.unique(unit_of_pair[by_rank], return_index=True)[1]]
        self.dealt_with, self.dealt_images = label_of_pair[first], images[first]
        # Classes that are dealt with rarer ones too come last, the rarest of them first.
        shared = self.units_of_class > np.bincount(self.dealt_with, minlength=len(names))
        self.order: list[int] = np.lexsort((np.arange(len(names)), np.where(shared, rank, -1))).tolist()
        self._first = np.searchsorted(unit_of_pair, np.arange(len(first) + 1)).tolist()
        self._contents = list(zip(label_of_pair.tolist(), images.tolist(), strict=True))

    def contents(self, unit: int) -> list[tuple[int, int]]:
        """(class, images) of a unit."""
        return self._contents[self._first[unit] : self._first[unit + 1]]


def _check_enough(table: _UnitsByClass, label: int, shares: dict[str, float], wanted: Sequence[int], unit: str) -> None:
    """Raise `UserError` for a class that is in fewer units than there are parts."""
    count = int(table.units_of_class[label])
    if count < len(wanted):
        raise UserError(
            f"class {table.names[label]!r} has {f'1 {unit[:-1]}' if count == 1 else f'{count} {unit}'}, fewer than the "
            f"{len(wanted)} parts that need one ({', '.join(list(shares)[number] for number in wanted)}): ask for "
            "fewer, or leave the class out"
        )


def _checked_table(image_ids: Sequence[str], groups: Sequence[str], labels: Sequence[str]) -> Split:
    """The columns as arrays, all in training so far."""
    ids, group_names, label_names = (np.asarray(column, dtype=str) for column in (image_ids, groups, labels))
    if len(ids) == 0:
        raise UserError("there are no images to split")
    never, train = np.full(len(ids), -1), np.full(len(ids), "train", dtype="<U10")
    return Split(ids, group_names, label_names, never, train, protocol={})


def _checked_row(row: Row) -> tuple[str, str, str, int, str]:
    """The cells in the order of `COLUMNS`."""
    cells = row.cells
    empty = [column for column in COLUMNS if column != "label" and not cells[column]]
    if empty:
        row.refuse(f"{', '.join(empty)} is empty")
    if cells["split"] not in PARTS:
        row.refuse(f"split {cells['split']!r} is none of {', '.join(PARTS)}")
    fold = cells["fold"]
    if fold != "-1" and not (fold.isascii() and fold.isdigit() and len(fold) < 7):
        row.refuse(f"fold {fold!r} is not a number from 0, or -1 for images that no fold holds out")
    return cells["image_id"], cells["group"], cells["label"], int(fold), cells["split"]
