"""What is wrong with the photographs of a folder or an archive: one pass that reads, hashes and decodes each once.

Whether a file's bytes are a photograph is `decode`'s judgement, here as when a data set is prepared.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from skinjax.core.errors import UserError
from skinjax.core.files import human_bytes
from skinjax.core.hashes import digest_of
from skinjax.core.tables import TABLE_SUFFIXES, Table, read_table, read_table_file
from skinjax.core.threads import map_in_order, progress
from skinjax.data.acquire.builders.base import Missing, no_photographs
from skinjax.data.acquire.builders.csv import REQUIRED, Photographs
from skinjax.data.acquire.builders.folder import read_folder
from skinjax.data.acquire.decoding import MOST_BYTES, DecodingError, decode, has_several_frames
from skinjax.data.acquire.image_headers import image_format
from skinjax.data.acquire.near_duplicates import find_copies, signature
from skinjax.data.acquire.sources import FORMAT_OF_SUFFIX, File, Source, pictures

ERROR, WARNING = "error", "warning"
# In the order in which they are reported.
KINDS = {
    **dict.fromkeys(("empty", "truncated", "unreadable", "unsupported", "huge"), ERROR),  # the decoder's words
    **dict.fromkeys(("two labels", "label without image", "bad row"), ERROR),
    **dict.fromkeys(("image without label", "wrong extension", "several frames", "tiny"), WARNING),
    **dict.fromkeys(("duplicate", "near-duplicate"), WARNING),
}
# Where labels stand, besides .csv and .tsv, when folders are no classes.
OTHER_TABLES = re.compile(r".+\.tab|.*metadata.*", re.IGNORECASE)
HEADER = ("severity", "kind", "path", "detail")


class Finding(NamedTuple):
    """Something about one file, or one row of a table: a key of `KINDS`, where it is, and a clause that says more."""

    kind: str
    path: str
    detail: str

    @property
    def severity(self) -> str:
        """'error' for what cannot be used or contradicts itself, 'warning' for what one may want to live with."""
        return KINDS[self.kind]


class Report(NamedTuple):
    """How many photographs and other files there are, where the labels were found, and the findings, worst first."""

    images: int
    other_files: int
    labels: str
    findings: list[Finding]


def scan(source: Source, labels_file: Path | None, min_side: int) -> Report:
    """Look at every photograph of `source` and at its labels.

    Args:
      labels_file: a table with the columns image and label; None looks for one in the source, then for class folders.
      min_side: photographs with a shorter side of fewer pixels are tiny.

    Raises:
      UserError: there are no photographs, or the table cannot be read.
    """
    photographs = pictures(source)
    if not photographs:
        raise UserError(no_photographs(source, "nv/photograph.jpg"))
    labels = find_labels(source, labels_file)
    looks = map_in_order(partial(look, min_side=min_side), photographs)
    findings = list(labels.findings)
    whole: list[Look] = []
    for seen in progress(looks, len(photographs)):
        findings += seen.findings
        if seen.sha256:
            whole.append(seen)
    findings += duplicates(whole, labels.by_path)
    order = {kind: place for place, kind in enumerate(KINDS)}
    findings.sort(key=lambda finding: (order[finding.kind], finding.path, finding.detail))
    return Report(len(photographs), len(source.files) - len(photographs), labels.origin, findings)


class Look(NamedTuple):
    """One photograph: its hash and signature (empty if it cannot be decoded), and what is wrong with it alone."""

    path: str
    sha256: str
    signature: np.ndarray
    findings: list[Finding]


def look(file: File, min_side: int) -> Look:
    """Read and decode a photograph once; its pixels are not kept."""
    try:
        if file.size > MOST_BYTES:
            return _unusable(file, "huge", f"{human_bytes(file.size)} are more than {human_bytes(MOST_BYTES)}")
        data = file.read()
        pixels = decode(data, None, fit="squash", filter="bilinear", name=file.path)
    except DecodingError as error:
        return _unusable(file, error.fault, error.reason)
    except UserError as error:
        return _unusable(file, "unreadable", str(error).removeprefix(f"{file.path} "))
    findings = []
    format_, suffix = image_format(data), PurePosixPath(file.path).suffix
    if FORMAT_OF_SUFFIX.get(suffix.lower()) != format_:
        findings.append(Finding("wrong extension", file.path, f"it is a {format_}"))
    if has_several_frames(data):
        findings.append(Finding("several frames", file.path, "only the first is used"))
    height, width = pixels.shape[:2]
    if min(height, width) < min_side:
        findings.append(Finding("tiny", file.path, f"{width}x{height} pixels"))
    return Look(file.path, digest_of(data), signature(pixels), findings)


def _unusable(file: File, kind: str, reason: str) -> Look:
    return Look(file.path, "", np.empty(0), [Finding(kind, file.path, reason)])


def duplicates(looks: list[Look], labels: Mapping[str, str]) -> Iterator[Finding]:
    """Pairs of one photograph: each file that was seen before, and what looks like another file."""
    for pair, certain in find_copies([seen.sha256 for seen in looks], [seen.signature for seen in looks]):
        path, other = looks[pair.second].path, looks[pair.first].path
        here, there = labels.get(path, ""), labels.get(other, "")
        if certain:
            kind = "two labels" if here and there and here != there else "duplicate"
            yield Finding(kind, path, f"the same file as {other}{_labels(here, there)}")
        else:
            detail = f"looks like {other}, similarity {pair.similarity:.2f}{_labels(here, there)}"
            yield Finding("near-duplicate", path, detail)


def _labels(here: str, there: str) -> str:
    return f" ({here or 'no label'} here, {there or 'no label'} there)" if here != there else ""


class Labels(NamedTuple):
    """Where the labels were found, the label of each photograph by its path, and what is wrong with them."""

    origin: str
    by_path: Mapping[str, str]
    findings: list[Finding]


def find_labels(source: Source, file: Path | None) -> Labels:
    """The labels of the table that the user names, else of the only one in the source, else of class folders."""
    if file is not None:
        table = read_table_file(file, REQUIRED, fix="name them so")
        root, parent = source.root.resolve(), file.resolve().parent
        inside = parent.relative_to(root).as_posix() if parent.is_relative_to(root) else "."  # a table from elsewhere
        return table_labels(source, table, PurePosixPath(root.name if root.is_file() else inside))
    found: list[tuple[str, Table]] = []
    others: list[str] = []
    broken: list[Finding] = []
    for candidate in source.files.values():
        data = b""
        try:
            if candidate.name.lower().endswith(TABLE_SUFFIXES):
                data = candidate.read()
                if not data.startswith(",".join(HEADER).encode()):  # an earlier scan
                    found.append((candidate.path, read_table(data, candidate.path, REQUIRED)))
            elif OTHER_TABLES.fullmatch(candidate.name):
                others.append(f"{candidate.path} is no .csv")
        except UserError as error:
            others.append(str(error))
            first = data[:1000].partition(b"\n")[0].lower()
            if all(re.search(rb"\b%s\b" % name.encode(), first) for name in REQUIRED):  # it was meant to hold labels
                broken.append(Finding("bad row", candidate.path, str(error).removeprefix(f"{candidate.path} ")))
    if len(found) > 1:
        raise UserError(f"{found[0][0]} and {found[1][0]} are both tables of labels: give one as --labels")
    if found:
        path, table = found[0]
        return table_labels(source, table, PurePosixPath(path).parent)
    return Labels(f"none were found ({others[0]})", {}, broken) if others else folder_labels(source)


def table_labels(source: Source, table: Table, folder: PurePosixPath) -> Labels:
    """The labels of a table whose paths begin at `folder` of the source."""
    photographs, findings = Photographs(source, folder), []
    labels: dict[str, str] = {}
    where: dict[str, str] = {}
    for row in table.rows:
        label = row.cells["label"]
        try:
            path = photographs.named_by(row)
        except UserError as error:
            findings.append(Finding("bad row", row.where, str(error).removeprefix(f"{row.where}: ")))
            continue
        if isinstance(path, Missing):
            findings.append(Finding("label without image", path.path, row.where))
        elif path.path not in labels:
            labels[path.path], where[path.path] = label, row.where
            if not label:
                findings.append(Finding("image without label", path.path, row.where))
        elif label != labels[path.path]:
            detail = f"{label or 'no label'} in {row.where}, {labels[path.path] or 'no label'} in {where[path.path]}"
            findings.append(Finding("two labels", path.path, detail))
        else:
            findings.append(Finding("bad row", row.where, f"{path.path} is already in {where[path.path]}"))
    strangers = [file.path for file in photographs.images if file.path not in labels]
    findings += [Finding("image without label", path, f"in no row of {table.name}") for path in strangers]
    return Labels(f"{table.name} ({len(table.rows)} rows)", labels, findings)


def folder_labels(source: Source) -> Labels:
    """The labels of a folder per class; none where the folders are not laid out so."""
    try:
        listing = read_folder(source)
    except UserError as error:
        return Labels(f"none were found ({error})", {}, [])
    names = [listing.classes[label] for label in listing.columns["label"]]
    labels = {photograph.path: name for photograph, name in zip(listing.photographs, names, strict=True)}
    loose = [file.path for file in pictures(source) if file.path not in labels]
    findings = [Finding("image without label", path, "in no class folder") for path in loose]
    count = len(listing.classes)
    return Labels(f"{count} class folder{'s' * (count != 1)}", labels, findings)
