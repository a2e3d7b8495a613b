"""ISIC 2019: eight diagnoses, one-hot ground truth, and metadata with the lesion of most photographs."""

from dataclasses import replace
from typing import Any

from skinjax.core.tables import Row, read_table
from skinjax.data.acquire.builders.base import Listing, PhotographBuilder, counted, listing_of_rows, one_table
from skinjax.data.acquire.builders.cells import known, one_hot, read_age
from skinjax.data.acquire.catalogue import CATALOGUE
from skinjax.data.acquire.sources import File, Source

CLASSES = ("ak", "bcc", "bkl", "df", "mel", "nv", "scc", "vasc")
# UNK, "none of the others", is no class to be learnt: no training photograph has it.
CLASS_OF_COLUMN = {name.upper(): name for name in CLASSES} | {"UNK": ""}
METADATA_COLUMNS = ("image", "age_approx", "anatom_site_general", "sex")
PARTS = {"Training": "train", "Test": "test"}


class Isic2019(PhotographBuilder):
    """Photographs without a lesion id are groups of their own; the test part is read where it is there."""

    @staticmethod
    def read(source: Source) -> Listing:
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
                if image in rows:
                    row.refuse(f"image {image!r} is in the training table too")
                rows[image] = {"class": one_hot(row, CLASS_OF_COLUMN), "split": part} | _facts(facts[image])
        listing = listing_of_rows(CLASSES, rows, source, tables)
        unknown = sum(row["class"] == "" for row in rows.values())
        note = f"{counted(unknown)} of the class UNK and unlabelled here"
        return replace(listing, notes=(*listing.notes, note)) if unknown else listing


def _facts(row: Row) -> dict[str, Any]:
    cells = row.cells
    return {
        "group": cells.get("lesion_id", ""),
        "age": read_age(row, "age_approx"),
        "sex": known(cells["sex"]),
        "site": known(cells["anatom_site_general"]),
    }
