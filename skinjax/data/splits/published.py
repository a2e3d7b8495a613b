"""Splits that others made, in the three layouts in which they come: which image is in which part of which fold.

Group and class of an image come from the data set; only skinjax's own layout has them too, and must agree.
"""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skinjax.core.errors import UserError
from skinjax.core.hashes import digest_of
from skinjax.core.tables import Table, read_file, read_table
from skinjax.data.splits import split as splits
from skinjax.data.splits.split import PARTS, Split

LAYOUTS = (
    "a split file is a CSV with image_id,group,label,fold,split (as skinjax writes it), image_id,test_fold (folds from "
    "1) or image_id,fold1,fold2,... (each train, validation or test)"
)
TRAIN, VALIDATION, TEST = 0, 1, 2  # positions in PARTS
MOST_FOLDS = 1000
PICKLE_STARTS = (b"\x80", b"(d", b"}")


@dataclass(frozen=True, eq=False)
class PublishedSplit:
    """What a split file says of its n images.

    path: the file; sha256: of its content; where: what errors call an image's place in it, [n].
    parts: the part of each image in each fold, as positions in PARTS: int8 [folds, n].
    groups, labels: str [n], or None in layouts that do not have them.
    made_as: what the JSON beside skinjax's own layout says.
    """

    path: Path
    sha256: str
    image_ids: np.ndarray
    where: Sequence[str]
    parts: np.ndarray
    groups: np.ndarray | None = None
    labels: np.ndarray | None = None
    made_as: dict[str, Any] | None = None


def read_published(path: Path) -> PublishedSplit:
    """Read a split file in any layout."""
    data = read_file(path)
    if path.suffix in (".pkl", ".pickle") or data.startswith(PICKLE_STARTS):
        raise UserError(
            f"{path} is a pickle, and opening such a file can run any program that is in it: convert it once with "
            f"`python tools/convert_index_pickle.py {shlex.quote(str(path))} IMAGES.csv SPLIT.csv`, where IMAGES.csv "
            "is a table with all images in a column image_id"
        )
    digest = digest_of(data)
    table = read_table(data, str(path), ["image_id"], fix=LAYOUTS)
    if {"fold", "split"} & set(table.columns):
        return _from_skinjax_layout(path, digest, read_table(data, str(path), splits.COLUMNS, fix=LAYOUTS))
    table.unique("image_id")
    if "test_fold" in table.columns:
        parts = _test_fold_parts(path, table)
    elif "fold1" in table.columns:
        parts = _fold_column_parts(path, table)
    else:
        raise UserError(f"{path} line 1 has the columns {', '.join(table.columns)}: {LAYOUTS}")
    ids = np.array([row.cells["image_id"] for row in table.rows])
    return PublishedSplit(path, digest, ids, [row.where for row in table.rows], parts)


def fold_split(published: PublishedSplit, fold: int, columns: Sequence[np.ndarray] | None = None) -> Split:
    """One fold as a `Split`, without the images that are unlabelled.

    Args:
      columns: image ids, groups and class names ('' = unlabelled) of the data set; None takes those of the file.

    Raises:
      UserError: the file has no such fold, or names an image that the data set does not have, or has another group or
        class for it than the data set.
    """
    folds = len(published.parts)
    if not 0 <= fold < folds:
        raise UserError(f"fold {fold} is not one of the {folds} of {published.path}, which count from 0")
    if columns is not None:
        groups, labels = _from_dataset(published, *columns)
    elif published.groups is not None and published.labels is not None:
        groups, labels = published.groups, published.labels
    else:
        raise UserError(f"{published.path} does not say which images show the same lesion: name the data set too")
    parts = published.parts[fold]
    rows = np.flatnonzero(labels != "")
    if not (parts[rows] == TRAIN).any():
        raise UserError(f"{published.path} has no labelled training image in fold {fold}: is it the right file?")
    protocol = {"name": "file", "file": published.path.name, "sha256": published.sha256, "folds": folds, "fold": fold}
    in_fold = _held_out_in(published.parts)[rows]
    return Split(published.image_ids[rows], groups[rows], labels[rows], in_fold, np.array(PARTS)[parts[rows]], protocol)


def _from_dataset(
    published: PublishedSplit, image_ids: np.ndarray, groups: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The data set's groups and labels in the order of the file."""
    record_of = {image_id: record for record, image_id in enumerate(image_ids.tolist())}
    records = np.empty(len(published.image_ids), np.int64)
    for row, image_id in enumerate(published.image_ids.tolist()):
        if image_id not in record_of:
            raise UserError(
                f"{published.where[row]}: the data set has no image {image_id!r}; use the split of this data set, or "
                "take the line out"
            )
        records[row] = record_of[image_id]
    found = {"group": groups[records], "label": labels[records]}
    for column, theirs in (("group", published.groups), ("label", published.labels)):
        if theirs is not None and (theirs != found[column]).any():
            row = int(np.flatnonzero(theirs != found[column])[0])
            raise UserError(
                f"{published.where[row]}: image {str(published.image_ids[row])!r} has the {column} "
                f"{str(theirs[row])!r} here and {str(found[column][row])!r} in the data set: make the split anew"
            )
    return found["group"], found["label"]


def _held_out_in(parts: np.ndarray) -> np.ndarray:
    """The fold in which each image is held out, -1 for never: [n].

    Where the folds have different test parts, that is being tested; else it is being in the validation part.
    """
    tested = parts == TEST
    held_out = tested if (tested != tested[0]).any() else parts == VALIDATION
    return np.where(held_out.any(axis=0), held_out.argmax(axis=0), -1)


def _from_skinjax_layout(path: Path, digest: str, table: Table) -> PublishedSplit:
    """image_id,group,label,fold,split: `split` is that of one fold; the other folds follow from `fold`."""
    split = splits.from_table(table, splits.read_protocol(path))
    written = np.array([PARTS.index(part) for part in split.parts.tolist()], np.int8)
    folds = split.folds.max() + 1
    if folds > 1:
        _check_folds(path, "fold", split.folds[split.folds >= 0].tolist(), range(folds))
        parts = _skinjax_parts(path, written, split.folds)
    else:
        parts = written[None]
    where = [row.where for row in table.rows]
    return PublishedSplit(path, digest, split.image_ids, where, parts, split.groups, split.labels, split.protocol)


def _skinjax_parts(path: Path, written: np.ndarray, held_out_in: np.ndarray) -> np.ndarray:
    """[folds, n]; written: the parts of one of the folds, [n]."""
    # With a test part outside of the folds, a fold is the validation part; otherwise it is the test part.
    held_out = VALIDATION if (written[held_out_in < 0] == TEST).any() else TEST
    in_fold = np.arange(held_out_in.max() + 1)[:, None] == held_out_in
    parts = np.where(in_fold, held_out, np.where(held_out_in < 0, written, TRAIN)).astype(np.int8)
    agrees = ((written == held_out) == in_fold)[:, held_out_in >= 0].all(axis=1)
    if not agrees.any():
        raise UserError(f"{path}: the column split is that of no fold of the column fold: make the split anew")
    parts[agrees.argmax()] = written
    return parts


def _test_fold_parts(path: Path, table: Table) -> np.ndarray:
    """image_id,test_fold: the fold, from 1, that tests an image; in the others it trains."""
    for row in table.rows:
        cell = row.cells["test_fold"]
        if not (cell.isascii() and cell.isdigit() and len(cell) < 7 and int(cell) > 0):
            row.refuse(f"test_fold {cell!r} is not a number from 1")
    test_folds = np.array([int(row.cells["test_fold"]) for row in table.rows])
    folds = np.arange(1, test_folds.max() + 1)
    _check_folds(path, "test_fold", test_folds.tolist(), folds.tolist())
    return np.where(folds[:, None] == test_folds, TEST, TRAIN).astype(np.int8)


def _fold_column_parts(path: Path, table: Table) -> np.ndarray:
    """image_id,fold1,fold2,...: the part of an image in each fold."""
    columns = [column for column in table.columns if re.fullmatch(r"fold\d+", column)]
    expected = [f"fold{number + 1}" for number in range(len(columns))]
    if set(columns) != set(expected):
        raise UserError(f"{path} line 1 has the columns {', '.join(columns)}: number the folds from fold1 on")
    for row in table.rows:
        for column in expected:
            if row.cells[column] not in PARTS:
                row.refuse(f"{column} {row.cells[column]!r} is none of {', '.join(PARTS)}")
    return np.array([[PARTS.index(row.cells[column]) for row in table.rows] for column in expected], np.int8)


def _check_folds(path: Path, column: str, found: Iterable[int], expected: Sequence[int]) -> None:
    missing = sorted(set(expected) - set(found))
    if len(expected) > MOST_FOLDS:
        raise UserError(f"{path}: {column} goes up to {max(expected)}, which is more than {MOST_FOLDS} folds")
    if missing:
        raise UserError(f"{path}: no image has {column} {missing[0]}, but one has {max(expected)}: leave no gap")
