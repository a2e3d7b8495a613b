"""The challenges of ISIC 2016 (task 3, paper 004: benign against malignant) and 2019 (eight diagnoses)."""

from dataclasses import replace
from typing import Any

from skinjax.core.tables import Row, read_table
from skinjax.data.acquire.builders.base import Listing, counted, listing_of_rows, one_table
from skinjax.data.acquire.builders.cells import known, one_hot, read_age
from skinjax.data.acquire.catalogue import CATALOGUE
from skinjax.data.acquire.sources import File, Source

PARTS = {"Training": "train", "Test": "test"}
CLASSES_2016 = ("benign", "malignant")
WORDS_2016 = {"0.0": "benign", "0": "benign", "1.0": "malignant", "1": "malignant"}  # in the test table
CLASSES_2019 = ("ak", "bcc", "bkl", "df", "mel", "nv", "scc", "vasc")
# UNK, "none of the others", is no class to be learnt: no training photograph has it.
CLASS_OF_COLUMN = {name.upper(): name for name in CLASSES_2019} | {"UNK": ""}
METADATA_COLUMNS = ("image", "age_approx", "anatom_site_general", "sex")


def read_isic2016(source: Source) -> Listing:
    """The official training and test parts; the tables of task 3B, which have the same labels, serve as well."""
    rows: dict[str, dict[str, Any]] = {}
    tables = []
    for word, part in PARTS.items():
        name = f"ISBI2016_ISIC_Part3_{word}_GroundTruth.csv"
        pattern = rf"ISBI2016_ISIC_Part3B?_{word}_GroundTruth\.csv"
        file = one_table(source, pattern, name, CATALOGUE["isic2016"].download)
        for image, row in read_table(file.read(), file.path, header=("image", "label")).unique("image").items():
            label = row.cells["label"].lower()
            label = WORDS_2016.get(label, label)
            if label not in CLASSES_2016:
                row.refuse(f"label {row.cells['label']!r} is none of benign, malignant, 0.0, 1.0")
            _add(rows, image, row, {"class": label, "split": part})
        tables.append(file)
    return listing_of_rows(CLASSES_2016, rows, source, tables)


def read_isic2019(source: Source) -> Listing:
    """Photographs without a lesion id are groups of their own; the test part is read where it is there."""
    rows: dict[str, dict[str, Any]] = {}
    tables: list[File] = []
    for word, part in PARTS.items():
        truth_name, metadata_name = (f"ISIC_2019_{word}_{what}.csv" for what in ("GroundTruth", "Metadata"))
        if part == "test" and not source.named(truth_name):
            continue
        download = CATALOGUE["isic2019"].download
        truth = one_table(source, truth_name, truth_name, download)
        metadata = one_table(source, metadata_name, metadata_name, download)
        tables += [truth, metadata]
        # Without lesions every photograph would be a group of its own, and splits would part those of one lesion.
        columns = (*METADATA_COLUMNS, "lesion_id") if part == "train" else METADATA_COLUMNS
        facts = read_table(metadata.read(), metadata.path, columns).unique("image")
        for image, row in read_table(truth.read(), truth.path, ("image", *CLASS_OF_COLUMN)).unique("image").items():
            if image not in facts:
                row.refuse(f"image {image!r} is not in {metadata.path}")
            _add(rows, image, row, {"class": one_hot(row, CLASS_OF_COLUMN), "split": part} | _facts(facts[image]))
    listing = listing_of_rows(CLASSES_2019, rows, source, tables)
    unknown = sum(row["class"] == "" for row in rows.values())
    note = f"{counted(unknown)} of the class UNK and unlabelled here"
    return replace(listing, notes=(*listing.notes, note)) if unknown else listing


def _add(rows: dict[str, dict[str, Any]], image: str, row: Row, values: dict[str, Any]) -> None:
    if image in rows:
        row.refuse(f"image {image!r} is in the training table too")
    rows[image] = values


def _facts(row: Row) -> dict[str, Any]:
    cells = row.cells
    sex, site = known(cells["sex"]), known(cells["anatom_site_general"])
    return {"group": cells.get("lesion_id", ""), "age": read_age(row, "age_approx"), "sex": sex, "site": site}
