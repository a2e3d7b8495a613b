"""ISIC 2018 task 3: HAM10000 as its training part, with the challenge's own validation and test photographs."""

from typing import Any

from skinjax.data.builders.base import Listing, PhotographBuilder, is_image, listing_of_rows, one_table
from skinjax.data.builders.cells import one_hot
from skinjax.data.builders.ham10000.ham10000 import CLASSES, METADATA_COLUMNS, metadata_rows
from skinjax.data.catalogue import CATALOGUE
from skinjax.data.sources import File, Source
from skinjax.errors import UserError
from skinjax.tables import Row, read_table

PARTS = {"Training": "train", "Validation": "validation", "Test": "test"}
GROUND_TRUTH = r"ISIC2018_Task3_{part}_GroundTruth(\.csv|\.tab)"
GROUPINGS = r"ISIC2018_Task3_Training_LesionGroupings\.csv"
CLASS_OF_COLUMN = {name.upper(): name for name in CLASSES}
# Parts of what the groupings call a confirmation, and the word for it in HAM10000's own table.
CONFIRMATIONS = {"single": "consensus", "serial": "follow_up", "confocal": "confocal", "histopathology": "histo"}


class Isic2018(PhotographBuilder):
    """Parts without published labels are unlabelled; their photographs are groups of their own."""

    @staticmethod
    def read(source: Source) -> Listing:
        rows, tables = training_rows(source)
        for row in rows.values():
            row["split"] = "train"
        for part in ("Validation", "Test"):
            found = {}
            if source.named(GROUND_TRUTH.format(part=part)):
                table = ground_truth(source, part)
                tables.append(table)
                found = ground_truth_rows(table)
            for image, row in (found or unlabelled_rows(source, part)).items():
                rows[image] = {**row, "split": PARTS[part]}
        return listing_of_rows(CLASSES, rows, source, tables)


def training_rows(source: Source) -> tuple[dict[str, dict[str, Any]], list[File]]:
    """HAM10000 as the challenge's training files tell it: {image id: {column: value}}, and the tables read."""
    download = CATALOGUE["isic2018"].download
    truth = ground_truth(source, "Training")
    groupings = one_table(source, GROUPINGS, "ISIC2018_Task3_Training_LesionGroupings.csv", download)
    rows = ground_truth_rows(truth)
    table = read_table(groupings.read(), groupings.path, ("image", "lesion_id", "diagnosis_confirm_type"))
    lesions = table.unique("image")
    for image, row in rows.items():
        if image not in lesions:
            raise UserError(f"{groupings.path} lacks image {image!r}, which {truth.path} has: download both again")
        row |= _lesion(lesions[image])
    return rows, [truth, groupings]


def ground_truth(source: Source, part: str) -> File:
    """The table of a part's labels."""
    name = f"ISIC2018_Task3_{part}_GroundTruth.csv"
    return one_table(source, GROUND_TRUTH.format(part=part), name, CATALOGUE["isic2018"].download)


def ground_truth_rows(file: File) -> dict[str, dict[str, Any]]:
    """{image id: {"class": ...}} of a one-hot table, or the rows of one in the form of HAM10000_metadata."""
    if set(METADATA_COLUMNS) <= set(read_table(file.read(), file.path).columns):
        return metadata_rows(file)
    table = read_table(file.read(), file.path, ("image", *CLASS_OF_COLUMN))
    return {image: {"class": one_hot(row, CLASS_OF_COLUMN)} for image, row in table.unique("image").items()}


def unlabelled_rows(source: Source, part: str) -> dict[str, dict[str, Any]]:
    """The photographs in a part's input folder or archive."""
    folder = f"isic2018_task3_{part}_input".lower()
    files = [file for file in source.files.values() if is_image(file)]
    return {file.stem: {"class": ""} for file in files if folder in file.path.lower()}


def _lesion(row: Row) -> dict[str, Any]:
    text = row.cells["diagnosis_confirm_type"].lower()
    kinds = [kind for word, kind in CONFIRMATIONS.items() if word in text]
    if len(kinds) != 1:
        row.refuse(f"diagnosis_confirm_type {text!r} names none of {', '.join(CONFIRMATIONS)}")
    return {"group": row.cells["lesion_id"], "dx_type": kinds[0]}
