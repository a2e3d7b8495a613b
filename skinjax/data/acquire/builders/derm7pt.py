"""derm7pt's dermoscopic photographs, in paper 003's six classes or in the twenty original diagnoses."""

from collections.abc import Callable
from typing import Any

from skinjax.core.tables import Row, read_table
from skinjax.data.acquire.builders.base import Listing, Missing, counted, make_listing, one_table, photographs_by_name
from skinjax.data.acquire.builders.cells import TAKEN, USED, in_natural_order
from skinjax.data.acquire.catalogue import CATALOGUE
from skinjax.data.acquire.sources import File, Source, images

# The first part of a diagnosis that is found decides.
SIX_CLASSES = {
    "basal cell": "bcc",
    "nevus": "nv",
    "dermatofibroma": "df",
    "lentigo": "bkl",
    "melanoma": "mel",
    "seborrheic keratosis": "bkl",
    "vascular lesion": "vasc",
}
# Columns that are read as something else, or whose names are taken.
OTHER = ("", "derm", "case_num", "label", *USED, *TAKEN)
PARTS = {"train": "train", "valid": "validation", "test": "test"}


def read_derm7pt(source: Source) -> Listing:
    """Six classes; cases of other diagnoses are left aside. A photograph's id is its path without extension."""
    return read_cases(source, six_classes)


def read_derm7pt_diagnoses(source: Source) -> Listing:
    """All cases under their own diagnosis."""
    return read_cases(source, str)


def six_classes(diagnosis: str) -> str:
    """The class of paper 003, '' where there is none."""
    return next((name for words, name in SIX_CLASSES.items() if words in diagnosis), "")


def read_cases(source: Source, class_of: Callable[[str], str]) -> Listing:
    """The listing of the cases whose diagnosis has a class."""
    meta = one_table(source, r"meta\.csv", "meta.csv", CATALOGUE["derm7pt"].download)
    table = read_table(meta.read(), meta.path, ("diagnosis", "derm"))
    cases = list(table.unique("derm", lambda path: path.rpartition(".")[0].lower() or path.lower()).values())
    notes: list[str] = []
    parts, tables = official_parts(source, len(cases), notes)
    found = photographs_by_name(images(source), lambda file: "/".join(file.path.lower().split("/")[-2:]), notes)
    rows: dict[str, dict[str, Any]] = {}
    photographs: list[File | Missing] = []
    left_aside: list[str] = []
    for number, case in enumerate(cases):
        name = class_of(case.cells["diagnosis"].lower())
        path = case.cells["derm"]
        if name:
            rows[path.rpartition(".")[0] or path] = _row(case, name) | ({"split": parts[number]} if parts else {})
            photographs.append(found.get(path.lower()) or Missing(path))
        else:
            left_aside.append(case.cells["diagnosis"])
    if left_aside:
        diagnoses = ", ".join(sorted(set(left_aside)))
        notes.append(f"{counted(len(left_aside), 'case')} in none of the classes and left aside: {diagnoses}")
    classes = in_natural_order({row["class"] for row in rows.values()})
    return make_listing(classes, rows, photographs, (meta, *tables), notes)


def official_parts(source: Source, cases: int, notes: list[str]) -> tuple[list[str], list[File]]:
    """The part of each case by its number, as the three index tables say; none where they are not there."""
    if not source.named(r"(train|valid|test)_indexes\.csv"):
        notes.append("no official split: train_indexes.csv, valid_indexes.csv and test_indexes.csv are not there")
        return [], []
    parts, tables = [""] * cases, []
    for word, part in PARTS.items():
        file = one_table(source, rf"{word}_indexes\.csv", f"{word}_indexes.csv", CATALOGUE["derm7pt"].download)
        tables.append(file)
        for text, row in read_table(file.read(), file.path, ("indexes",)).unique("indexes").items():
            if not (text.isascii() and text.isdigit() and int(text) < cases):
                row.refuse(f"indexes {text!r} is no row number from 0 to {cases - 1}")
            if parts[int(text)]:
                row.refuse(f"case {text} is in the {parts[int(text)]} part too")
            parts[int(text)] = part
    return parts, tables


def _row(case: Row, name: str) -> dict[str, Any]:
    """A case's columns; those of the data set keep their names."""
    kept = {column: text for column, text in case.cells.items() if column not in OTHER}
    group = case.cells.get("case_num", "")
    return kept | {"class": name, "group": f"case_{group}" if group else ""}
