"""HAM10000, from its metadata table or the training files of ISIC 2018 task 3, and the whole of that challenge."""

import re
from dataclasses import replace
from typing import Any

from skinjax.core.errors import UserError
from skinjax.core.tables import Row, read_table
from skinjax.data.acquire.builders.base import Listing, listing_of_rows, one_table
from skinjax.data.acquire.builders.cells import known, one_hot, one_of, read_age
from skinjax.data.acquire.catalogue import CATALOGUE
from skinjax.data.acquire.sources import File, Source, images

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
PARTS_OF_2018 = {"Validation": "validation", "Test": "test"}
DX_TYPES = ("consensus", "follow_up", "confocal", "histo")
METADATA = r"HAM10000_metadata(\.csv|\.tab|\.tsv|\.txt)?"
METADATA_COLUMNS = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
GROUND_TRUTH = r"ISIC2018_Task3_{part}_GroundTruth(\.csv|\.tab)"
GROUPINGS = r"ISIC2018_Task3_Training_LesionGroupings\.csv"
CLASS_OF_COLUMN = {name.upper(): name for name in CLASSES}
# One of the downloads has it among the test photographs, and its label; the challenge leaves it out of its scores.
NOT_SCORED = "ISIC_0035068"
# Parts of what the groupings call a confirmation, and the word for it in HAM10000's own table.
CONFIRMATIONS = {"single": "consensus", "serial": "follow_up", "confocal": "confocal", "histopathology": "histo"}


def read_ham10000(source: Source) -> Listing:
    """Rows are sorted by image id, which is what the published splits count by."""
    rows, tables = training_rows(source, CATALOGUE["ham10000"].download)
    return listing_of_rows(CLASSES, rows, source, tables)


def read_isic2018(source: Source) -> Listing:
    """Parts without published labels are unlabelled; their photographs are groups of their own."""
    download = CATALOGUE["isic2018"].download
    rows, tables = training_rows(source, download)
    for row in rows.values():
        row["split"] = "train"
    for part, split in PARTS_OF_2018.items():
        if source.named(GROUND_TRUTH.format(part=part)):
            tables.append(ground_truth(source, part, download))
            found = ground_truth_rows(tables[-1])
        else:  # the photographs in the part's folder or archive
            folder = re.compile(rf"ISIC2018_Task3_{part}_(Input|Images)\b", re.IGNORECASE)
            found = {file.stem: {"class": ""} for file in images(source) if folder.search(file.path)}
        for image, row in found.items():
            if image in rows:
                raise UserError(f"image {image!r} of the {split} part is in the {rows[image]['split']} part too")
            rows[image] = {**row, "split": split}
    scored = {image: row for image, row in rows.items() if image != NOT_SCORED}
    listing = listing_of_rows(CLASSES, scored, source, tables)
    note = f"{NOT_SCORED} is no test photograph here, as the challenge does not score it"
    return replace(listing, notes=(*listing.notes, note)) if len(scored) < len(rows) else listing


def training_rows(source: Source, download: str) -> tuple[dict[str, dict[str, Any]], list[File]]:
    """HAM10000 as {image id: {column: value}} from whichever tables are there, and these tables."""
    if source.named(METADATA) or not source.named(GROUND_TRUTH.format(part="Training")):
        metadata = one_table(source, METADATA, "HAM10000_metadata", download)
        return metadata_rows(metadata), [metadata]
    truth = ground_truth(source, "Training", download)
    groupings = one_table(source, GROUPINGS, "ISIC2018_Task3_Training_LesionGroupings.csv", download)
    rows = ground_truth_rows(truth)
    columns = ("image", "lesion_id", "diagnosis_confirm_type")
    lesions = read_table(groupings.read(), groupings.path, columns).unique("image")
    for image, row in rows.items():
        if image not in lesions:
            raise UserError(f"{groupings.path} lacks image {image!r}, which {truth.path} has: download both again")
        row |= _lesion(lesions[image])
    return rows, [truth, groupings]


def ground_truth(source: Source, part: str, download: str) -> File:
    """The table of the labels of a part of ISIC 2018 task 3."""
    return one_table(source, GROUND_TRUTH.format(part=part), f"ISIC2018_Task3_{part}_GroundTruth.csv", download)


def ground_truth_rows(file: File) -> dict[str, dict[str, Any]]:
    """{image id: {"class": ...}} of a one-hot table, or the rows of one in the form of HAM10000_metadata."""
    if set(METADATA_COLUMNS) <= set(read_table(file.read(), file.path).columns):
        return metadata_rows(file)
    table = read_table(file.read(), file.path, ("image", *CLASS_OF_COLUMN))
    return {image: {"class": one_hot(row, CLASS_OF_COLUMN)} for image, row in table.unique("image").items()}


def metadata_rows(file: File) -> dict[str, dict[str, Any]]:
    """The rows of HAM10000_metadata by image id."""
    table = read_table(file.read(), file.path, METADATA_COLUMNS)
    return {image: _metadata_row(row) for image, row in table.unique("image_id").items()}


def _metadata_row(row: Row) -> dict[str, Any]:
    cells = row.cells
    return {
        "group": cells["lesion_id"],
        "class": one_of(row, "dx", CLASSES),
        "dx_type": one_of(row, "dx_type", DX_TYPES),
        "age": read_age(row, "age"),
        "sex": known(cells["sex"]),
        "site": known(cells["localization"]),
    }


def _lesion(row: Row) -> dict[str, Any]:
    text = row.cells["diagnosis_confirm_type"]
    kinds = [kind for word, kind in CONFIRMATIONS.items() if word in text.lower()]
    if len(kinds) != 1:
        row.refuse(f"diagnosis_confirm_type {text!r} names not just one of {', '.join(CONFIRMATIONS)}")
    return {"group": row.cells["lesion_id"], "dx_type": kinds[0]}
