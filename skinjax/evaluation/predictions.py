"""The predictions table: one row per image, and all that the judging half (metrics, intervals, report) ever reads.

On disk it is a CSV `image_id,group,label,split[,<metadata>...],p_<class>...[,s_<class>...]`, its protocol a JSON of the
same stem.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from skinjax.core.errors import UserError
from skinjax.core.files import write_atomically
from skinjax.core.tables import Row, csv_lines, read_file, read_table

UNLABELLED = -1
SUM_TOLERANCE = 1e-3
NUMBER = "%.9g"  # enough to give every float32 back exactly
TEXT_COLUMNS = ("image_id", "group", "label", "split")


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """What a classifier said about N images, validated; sequences are turned into arrays.

    image_ids, groups, splits: text [N]; ids are unique, and a group is the lesion (or patient) that images share.
    labels: class numbers [N], -1 where the truth is unknown.
    probabilities: [N, classes], rows summing to 1 within 1e-3.
    scores: raw sigmoids [N, classes] of heads whose probabilities were normalised, or None.
    metadata: what else is known of each image, text [N] by column (age, sex, dx_type, ...), '' where it is not.
    protocol: what the numbers were measured on (split protocol, checkpoint, views, seed, ...), JSON-ready.
    place: says in an error where a row came from (a reader names file and line); by default its number and image.

    >>> Predictions(["a", "b"], ["l1", "l2"], [0, -1], ["test"] * 2, [[0.9, 0.1], [0.2, 0.8]], ("mel", "nv")).predicted
    array([0, 1])
    """

    image_ids: np.ndarray
    groups: np.ndarray
    labels: np.ndarray
    splits: np.ndarray
    probabilities: np.ndarray
    classes: tuple[str, ...]
    protocol: dict = dataclasses.field(default_factory=dict)
    scores: np.ndarray | None = None
    metadata: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    place: dataclasses.InitVar[Callable[[int], str] | None] = None

    def __post_init__(self, place: Callable[[int], str] | None) -> None:
        for name in ("image_ids", "groups", "splits"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=str))
        for name in ("labels", "probabilities", "scores"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.asarray(getattr(self, name)))
        object.__setattr__(self, "classes", tuple(self.classes))
        texts = {name: np.asarray(column, dtype=str) for name, column in self.metadata.items()}
        object.__setattr__(self, "metadata", texts)
        _check_classes(self.classes, "predictions")
        _check_shapes(self)
        _check_rows(self, place or (lambda row: f"predictions: row {row} (image {str(self.image_ids[row])!r})"))

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class [N]; the first of equally probable ones."""
        return self.probabilities.argmax(axis=1)

    @property
    def labelled(self) -> np.ndarray:
        """Which rows have a known truth, bool [N]."""
        return self.labels >= 0


def write_predictions(path: str | os.PathLike, predictions: Predictions) -> None:
    """Write the table to `path` (`.csv`) and its protocol to the `.json` beside it, each whole or not at all.

    The same table always gives the same bytes.
    """
    path = _csv_path(path)
    names = np.array([*predictions.classes, ""])[predictions.labels]
    known = predictions.metadata
    texts = zip(predictions.image_ids, predictions.groups, names, predictions.splits, *known.values(), strict=True)
    blocks = {"p_": predictions.probabilities} | ({} if predictions.scores is None else {"s_": predictions.scores})
    numbers = [f"{prefix}{name}" for prefix in blocks for name in predictions.classes]
    heading, *starts = csv_lines([[*TEXT_COLUMNS, *known, *numbers], *texts])
    # One template per row takes half the time of one call per number.
    template = ",".join([NUMBER] * len(numbers))
    rows = (template % tuple(np.concatenate(row).tolist()) for row in zip(*blocks.values(), strict=True))
    lines = [heading, *(f"{start},{row}" for start, row in zip(starts, rows, strict=True))]
    protocol = json.dumps(predictions.protocol, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    # The table comes last: where it exists, its protocol does too.
    write_atomically(path.with_suffix(".json"), protocol + "\n")
    write_atomically(path, "\n".join([*lines, ""]))


def read_predictions(path: str | os.PathLike) -> Predictions:
    """The table at `path`, also one made elsewhere, in any dialect of `read_table` and without a protocol JSON.

    A missing `group` column, or an empty group, means that the image is a group of its own; a missing `split` is empty;
    an empty `label` is unlabelled. The classes are the `p_` columns in their order; other columns are metadata.
    """
    path = _csv_path(path)
    _, columns, rows = read_table(read_file(path), str(path), ("image_id", "label"), optional=("group", "split"))
    classes = tuple(name[2:] for name in columns if name.startswith("p_"))
    _check_classes(classes, str(path))
    missing = [f"s_{name}" for name in classes if f"s_{name}" not in columns]
    if 0 < len(missing) < len(classes):
        raise UserError(f"{path} has no column {missing[0]}, though other classes have an s_ column; give all or none")
    return Predictions(
        image_ids=np.array([row.cells["image_id"] for row in rows]),
        groups=np.array([row.cells.get("group") or row.cells["image_id"] for row in rows]),
        labels=_labels(rows, classes),
        splits=np.array([row.cells.get("split", "") for row in rows]),
        probabilities=_numbers(rows, "p_", classes),
        classes=classes,
        protocol=_read_protocol(path.with_suffix(".json")),
        scores=None if missing else _numbers(rows, "s_", classes),
        metadata={name: np.array([row.cells[name] for row in rows]) for name in columns if _is_metadata(name)},
        place=lambda row: rows[row].where,
    )


def chosen_rows(predictions: Predictions, rows: np.ndarray) -> Predictions:
    """The table of some rows, by number or bool [N]."""
    return dataclasses.replace(
        predictions,
        image_ids=predictions.image_ids[rows],
        groups=predictions.groups[rows],
        labels=predictions.labels[rows],
        splits=predictions.splits[rows],
        probabilities=predictions.probabilities[rows],
        scores=None if predictions.scores is None else predictions.scores[rows],
        metadata={name: column[rows] for name, column in predictions.metadata.items()},
    )


def joined(tables: Sequence[Predictions]) -> Predictions:
    """One table of the rows of several of the same classes, such as the test parts of all folds."""
    first = tables[0]
    ordered = [in_classes(table, first.classes) for table in tables]
    known = [name for name in first.metadata if all(name in table.metadata for table in ordered)]
    names = ("image_ids", "groups", "labels", "splits", "probabilities")
    columns: dict[str, Any] = {name: np.concatenate([getattr(table, name) for table in ordered]) for name in names}
    return dataclasses.replace(
        first,
        **columns,
        scores=None,
        metadata={name: np.concatenate([table.metadata[name] for table in ordered]) for name in known},
    )


def in_classes(predictions: Predictions, classes: Sequence[str]) -> Predictions:
    """The table with its classes in this order; other classes are refused."""
    if set(predictions.classes) != set(classes):
        odd = sorted(set(predictions.classes) ^ set(classes))
        raise UserError(f"the tables have different classes ({', '.join(odd)} in one only); they cannot be compared")
    order = [predictions.classes.index(name) for name in classes]
    return dataclasses.replace(
        predictions,
        labels=np.array([*np.argsort(order), UNLABELLED])[predictions.labels],
        probabilities=predictions.probabilities[:, order],
        classes=tuple(classes),
        scores=None if predictions.scores is None else predictions.scores[:, order],
    )


def align(predictions: Predictions, like: Predictions) -> Predictions:
    """`predictions` with the rows and classes in the order of `like`; images and truth must be the same in both.

    Where only one of the two knows groups (in the other, each image is its own), the result has the known ones.
    """
    predictions = in_classes(predictions, like.classes)
    strangers = np.setxor1d(predictions.image_ids, like.image_ids)
    if len(strangers):
        raise UserError(
            f"{len(strangers)} images are in one of the two tables only (such as {str(strangers[0])!r}); "
            "compare tables of the same images"
        )
    rows = np.empty(len(like), dtype=int)
    rows[np.argsort(like.image_ids)] = np.argsort(predictions.image_ids)
    found = chosen_rows(predictions, rows)
    _refuse_differences("label", found.labels, like.labels, like)
    groups = found.groups
    if np.array_equal(groups, like.image_ids):
        groups = like.groups
    elif not np.array_equal(like.groups, like.image_ids):
        _refuse_differences("group", groups, like.groups, like)
    return dataclasses.replace(found, groups=groups)


def _is_metadata(column: str) -> bool:
    return bool(column) and column not in TEXT_COLUMNS and not column.startswith(("p_", "s_"))


def _csv_path(path: str | os.PathLike) -> pathlib.Path:
    path = pathlib.Path(path)
    if path.suffix.lower() != ".csv":
        raise UserError(f"{path} does not end in .csv; a predictions table is a CSV, its protocol in a .json beside it")
    return path


def _check_classes(classes: Sequence[str], where: str) -> None:
    if len(classes) < 2:
        raise UserError(f"{where}: {len(classes)} classes; a table needs a p_<class> column for each of at least two")
    for name in classes:
        if not name or name != name.strip() or classes.count(name) > 1:
            raise UserError(f"{where}: class name {name!r} is empty, padded with spaces or repeated; rename it")


def _check_shapes(table: Predictions) -> None:
    N, C = len(table.image_ids), len(table.classes)
    if N == 0:
        raise UserError("predictions: the table has no rows")
    expected = {"image_ids": (N,), "groups": (N,), "labels": (N,), "splits": (N,), "probabilities": (N, C)}
    if table.scores is not None:
        expected["scores"] = (N, C)
    expected |= dict.fromkeys(table.metadata, (N,))
    for name, shape in expected.items():
        found = (table.metadata[name] if name in table.metadata else getattr(table, name)).shape
        if found != shape:
            raise UserError(f"predictions: {name} has shape {found}, but {N} images of {C} classes need {shape}")
    if not np.issubdtype(table.labels.dtype, np.integer):
        raise UserError(f"predictions: labels are {table.labels.dtype}; they must be class numbers (-1: unlabelled)")


def _check_rows(table: Predictions, place: Callable[[int], str]) -> None:
    """Raise a `UserError` for the first faulty cell of each kind; `place(row)` says where a row is."""
    for name, texts in (("image_id", table.image_ids), ("group", table.groups)):
        for row in np.flatnonzero(texts == "")[:1]:
            raise UserError(f"{place(row)}, column {name}: empty; every image needs one")
    _, first, copies = np.unique(table.image_ids, return_index=True, return_counts=True)
    for row in first[copies > 1][:1]:
        again = np.flatnonzero(table.image_ids == table.image_ids[row])[1]
        raise UserError(f"{place(again)}, column image_id: {str(table.image_ids[row])!r} is there twice; keep one row")
    for row in np.flatnonzero((table.labels < UNLABELLED) | (table.labels >= len(table.classes)))[:1]:
        known = f"-1 (unlabelled) to {len(table.classes) - 1}"
        raise UserError(f"{place(row)}, column label: {table.labels[row]} is no class number; known: {known}")
    blocks = {"p_": table.probabilities} | ({} if table.scores is None else {"s_": table.scores})
    for prefix, numbers in blocks.items():
        # Written so that NaN, which compares false, counts as a fault.
        faulty = ~((numbers >= -SUM_TOLERANCE) & (numbers <= 1 + SUM_TOLERANCE))
        for row, column in np.argwhere(faulty)[:1]:
            name = f"{prefix}{table.classes[column]}"
            raise UserError(f"{place(row)}, column {name}: {numbers[row, column]:g} is no probability (0 to 1)")
    sums = table.probabilities.sum(axis=1, dtype=np.float64)
    for row in np.flatnonzero(np.abs(sums - 1) > SUM_TOLERANCE)[:1]:
        raise UserError(
            f"{place(row)}, columns p_{table.classes[0]} to p_{table.classes[-1]}: they sum to {sums[row]:.6g}, not 1; "
            "write softmax probabilities (raw sigmoids go into s_ columns)"
        )


def _labels(rows: Sequence[Row], classes: Sequence[str]) -> np.ndarray:
    numbers = {name: number for number, name in enumerate(classes)} | {"": UNLABELLED}
    for row in rows:
        if _label(row) not in numbers:
            row.refuse(f"unknown class {_label(row)!r} in column label; known: {', '.join(classes)}")
    return np.array([numbers[_label(row)] for row in rows])


def _label(row: Row) -> str:
    """The class, its blanks as `read_table` leaves those of the header."""
    return " ".join(row.cells["label"].split())


def _numbers(rows: Sequence[Row], prefix: str, classes: Sequence[str]) -> np.ndarray:
    return np.array([[_number(row, f"{prefix}{name}") for name in classes] for row in rows])


def _number(row: Row, column: str) -> float:
    try:
        return float(row.cells[column])
    except ValueError:
        row.refuse(f"{row.cells[column]!r} in column {column} is not a number")


def _read_protocol(path: pathlib.Path) -> dict:
    try:
        protocol = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}); mend or remove it") from error
    try:
        json.dumps(protocol, allow_nan=False)
    except ValueError:
        raise UserError(f"{path} holds a number that is not finite; mend or remove it") from None
    if not isinstance(protocol, dict):
        raise UserError(f"{path} holds no JSON object; a protocol is one, such as {{'split': 'lesion_grouped'}}")
    return protocol


def _refuse_differences(what: str, found: np.ndarray, expected: np.ndarray, like: Predictions) -> None:
    rows = np.flatnonzero(found != expected)
    if len(rows):
        raise UserError(
            f"{len(rows)} images have another {what} in the other table (such as {str(like.image_ids[rows[0]])!r}); "
            "compare tables of the same data"
        )
