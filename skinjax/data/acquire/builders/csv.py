"""Anybody's photographs, listed in a table: image,label and, if wanted, split, group, weight and any metadata."""

import re
from collections import defaultdict
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from skinjax.core.errors import UserError
from skinjax.core.tables import TABLE_SUFFIXES, Row, Table, read_table
from skinjax.data.acquire.builders.base import Listing, Missing, Photograph, counted, make_listing
from skinjax.data.acquire.builders.cells import PART_OF_WORD, TAKEN, USED, in_natural_order, known, number_in, read_age
from skinjax.data.acquire.sources import File, Source, is_image, pictures

REQUIRED = ("image", "label")
OPTIONAL = (*USED, *TAKEN, "age")
MOST_WEIGHT = 10**6


def read_csv(source: Source) -> Listing:
    """`image` becomes the image id: a path below the table's folder, or its end; extensions may be left out."""
    file, table = labels_table(source)
    found = Photographs(source, PurePosixPath(file.path).parent)
    metadata = [column for column in table.columns if column and column not in (*REQUIRED, *USED, *TAKEN)]
    ages = [known(row.cells["age"]) for row in table.rows if "age" in metadata]
    has_ages = bool(ages) and not np.isnan([number_in(age) for age in ages if age]).any()
    photographs: dict[str, Photograph] = {}
    rows: dict[str, dict[str, Any]] = {}
    lines: dict[str, Row] = {}
    for image_id, row in table.unique("image").items():
        photographs[image_id] = photograph = found.named_by(row)
        other = lines.setdefault(photograph.path, row)
        if other is not row:
            row.refuse(f"image {image_id!r} is {photograph.path}, which {other.where} has already")
        rows[image_id] = read_row(row) | {column: row.cells[column] for column in metadata}
        if has_ages:
            rows[image_id]["age"] = read_age(row, "age")
    taken = [column for column in table.columns if column in TAKEN]
    notes = [f"the column {column} is left aside: its name is taken" for column in taken]
    strangers = [image.path for image in found.images if image.path not in lines]
    if strangers:
        notes.append(f"{counted(len(strangers))} in no row and left aside, such as {strangers[0]}")
    classes = in_natural_order({row["class"] for row in rows.values()} - {""})
    return make_listing(classes, rows, list(photographs.values()), [file], notes)


def labels_table(source: Source) -> tuple[File, Table]:
    """The table that the user named, or the only one in the source with the columns image and label."""
    if source.table:
        if source.table not in source.files:
            raise UserError(f"{source.root / source.table} is hidden, and hidden files are not read: rename it")
        file = source.files[source.table]
        return file, read_table(file.read(), file.path, REQUIRED, fix="name them so", optional=OPTIONAL)
    tables, refusal = [], ""
    for file in source.files.values():
        if file.name.lower().endswith(TABLE_SUFFIXES):
            try:
                tables.append((file, read_table(file.read(), file.path, REQUIRED, optional=OPTIONAL)))
            except UserError as error:
                refusal = f" ({error})"
    if not tables:
        raise UserError(f"{source.root} holds no .csv with columns image and label{refusal}: put one beside the images")
    if len(tables) > 1:
        raise UserError(f"{tables[0][0].path} and {tables[1][0].path} are both tables of labels: give one as --source")
    return tables[0]


def read_row(row: Row) -> dict[str, Any]:
    """The cells of the columns that skinjax uses."""
    cells = row.cells
    values: dict[str, Any] = {"class": cells["label"]}
    if "group" in cells:
        values["group"] = cells["group"]
    if "split" in cells:
        word = cells["split"].lower()
        if word and word not in PART_OF_WORD:
            row.refuse(f"split {cells['split']!r} is none of train, validation, test (or empty)")
        values["split"] = PART_OF_WORD.get(word, "")
    if "weight" in cells:
        values["weight"] = number_in(cells["weight"] or "1")
        if not 0 <= values["weight"] <= MOST_WEIGHT:
            row.refuse(f"weight {cells['weight']!r} is no number from 0 to {MOST_WEIGHT:,}")
    return values


class Photographs:
    """The photographs of a source, to be found by what a table calls them."""

    def __init__(self, source: Source, folder: PurePosixPath):
        self.source, self.folder = source, folder
        self.images = pictures(source)
        self.by_path: dict[str, list[File]] = defaultdict(list)
        self.by_end: dict[str, list[File]] = defaultdict(list)
        for file in self.images:
            for path in (PurePosixPath(file.path), PurePosixPath(file.path).with_suffix("")):
                self.by_path[path.as_posix()].append(file)
                for start in range(len(path.parts)):
                    self.by_end["/".join(path.parts[start:])].append(file)

    def named_by(self, row: Row) -> Photograph:
        """The photograph that a row's `image` names."""
        text = row.cells["image"]
        path = PurePosixPath(text.replace("\\", "/"))
        if not path.parts or path.is_absolute() or ".." in path.parts or re.match("[A-Za-z]:", text):
            row.refuse(f"image {text!r} leads out of {self.source.root}: give a path below it")
        here, end = (self.folder / path).as_posix(), path.as_posix()
        found = self.by_path.get(here) or self.by_path.get(end) or self.by_end.get(end) or []
        found = [file for file in found if is_image(file)] or found  # IMG_01.jpg rather than the IMG_01.heic beside it
        if len(found) > 1:
            row.refuse(f"image {text!r} is {found[0].path} or {found[1].path}: give the whole path")
        return found[0] if found else Missing(here)
