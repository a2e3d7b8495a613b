"""ISIC 2018 task 3: HAM10000 as its training part, with the challenge's own validation and test photographs."""

import re
from typing import Any

from skinjax.core.errors import UserError
from skinjax.data.acquire.builders.base import Listing, PhotographBuilder, listing_of_rows
from skinjax.data.acquire.builders.ham10000.ham10000 import (
    CLASSES,
    GROUND_TRUTH,
    ground_truth,
    ground_truth_rows,
    training_rows,
)
from skinjax.data.acquire.catalogue import CATALOGUE
from skinjax.data.acquire.sources import Source, images

PARTS = {"Validation": "validation", "Test": "test"}


class Isic2018(PhotographBuilder):
    """Parts without published labels are unlabelled; their photographs are groups of their own."""

    @staticmethod
    def read(source: Source) -> Listing:
        download = CATALOGUE["isic2018"].download
        rows, tables = training_rows(source, download)
        for row in rows.values():
            row["split"] = "train"
        for part, split in PARTS.items():
            found = unlabelled_rows(source, part)
            if source.named(GROUND_TRUTH.format(part=part)):
                tables.append(ground_truth(source, part, download))
                found = ground_truth_rows(tables[-1])
            for image, row in found.items():
                if image in rows:
                    raise UserError(f"image {image!r} of the {split} part is in the {rows[image]['split']} part too")
                rows[image] = {**row, "split": split}
        return listing_of_rows(CLASSES, rows, source, tables)


def unlabelled_rows(source: Source, part: str) -> dict[str, dict[str, Any]]:
    """The photographs in a part's folder or archive."""
    folder = re.compile(rf"ISIC2018_Task3_{part}_(Input|Images)\b", re.IGNORECASE)
    return {file.stem: {"class": ""} for file in images(source) if folder.search(file.path)}
