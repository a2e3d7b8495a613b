"""From what was downloaded to a checked data set: read, hashed and decoded once, written whole or not at all.

A prepared set is a folder of its own under the data root; `dataset.py` says what is in it, `builders` how sources are
laid out.
"""

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image

import skinjax
from skinjax.core.errors import UserError, lookup
from skinjax.core.files import check_room, write_atomically
from skinjax.core.hashes import digest_of, sha256_of, short_hash
from skinjax.core.tables import TABLE_SUFFIXES, csv_text
from skinjax.core.threads import map_in_order, progress
from skinjax.data import dataset as datasets
from skinjax.data.acquire.builders import cifar10, csv, derm7pt, folder, ham10000, isic
from skinjax.data.acquire.builders.base import Listing, Missing, Photograph, PhotographBuilder, counted, remedy
from skinjax.data.acquire.catalogue import CATALOGUE, USER_DATA
from skinjax.data.acquire.decoding import DECODER_VERSION, decode
from skinjax.data.acquire.sources import File, Source, open_source
from skinjax.data.dataset import Dataset, is_prepared

# What reads the source of each data set of the catalogue.
READERS: dict[str, Callable[[Source], Listing]] = {
    "ham10000": ham10000.read_ham10000,
    "isic2018": ham10000.read_isic2018,
    "isic2016": isic.read_isic2016,
    "isic2019": isic.read_isic2019,
    "sd198": folder.read_sd198,
    "derm7pt": derm7pt.read_derm7pt,
    "derm7pt_diagnoses": derm7pt.read_derm7pt_diagnoses,
    "cifar10": cifar10.read_cifar10,
    "folder": folder.read_folder,
    "csv": csv.read_csv,
}
SOURCES_FILE, LEFT_OUT_FILE = "sources.csv", "left_out.csv"
LEAST_MAX_SIDE = 16
JPEG_QUALITY = 95
# Names under the data root that mean something else, and what configs/own.py calls the synthetic set.
RESERVED_NAMES = ("compilation_cache", "pixels", "synthetic", "demo", *USER_DATA)


def prepare(
    kind: str, source: Path, root: Path, *, name: str = "", max_side: int = 0, skip_bad: bool = False
) -> Dataset:
    """Prepare the data set at `source` under `root` and open it; one that was prepared so before is only opened.

    >>> prepare("folder", Path("photographs"), data_root(), name="clinic").classes  # doctest: +SKIP
    ('mel', 'nv')

    Args:
      kind: a name of the catalogue; it says how `source` is laid out.
      source: a folder or an archive; for `csv` the table or its folder.
      name: what configs will call it; by default `kind`, for `folder` and `csv` the name of the source.
      max_side: larger photographs are brought to this many pixels on their longer side, once; 0 keeps all bytes.
      skip_bad: leave out photographs that are missing or cannot be decoded, instead of refusing the whole set.
    """
    lookup("data set", kind, CATALOGUE)
    name = check_name(name or (default_name(source) if kind in USER_DATA else kind), kind)
    if max_side and max_side < LEAST_MAX_SIDE:
        raise UserError(f"max_side is {max_side}; give {LEAST_MAX_SIDE} pixels or more, or 0 to keep every size")
    place = root / name
    # A table that is named itself: its photographs lie in the folder around it.
    is_table = kind == "csv" and source.is_file() and source.suffix.lower() in TABLE_SUFFIXES
    with open_source(source.parent if is_table else source) as opened:
        opened = replace(opened, files=without_skinjax_files(opened.files, root), table=source.name if is_table else "")
        made_with = {"kind": kind, "source": str(source.resolve()), "max_side": max_side, "skip_bad": skip_bad}
        made_with["files"] = short_hash([[file.path, file.size] for file in opened.files.values()])
        if not place.exists():
            listing = READERS[kind](opened)
            check_listing(listing, opened.root)
            if not skip_bad:
                check_complete(listing, opened, kind)
            check_room(root, bytes_needed(listing.photographs, max_side), f"the photographs of {name}")
            one_pass = Pass(listing, max_side, skip_bad, user_data=kind in USER_DATA)
            datasets.build_whole(place, partial(_build, one_pass, made_with, source))
        check_same(place, made_with)  # also after building, for another process may have been first
    return datasets.read_dataset(place, name)


def without_skinjax_files(files: Mapping[str, File], root: Path) -> dict[str, File]:
    """The files of a source without those that skinjax made, should the data folder lie in the source."""
    made = {root / "compilation_cache", root / "pixels", *filter(is_prepared, root.glob("*"))}
    made = {folder.resolve() for folder in made}
    return {path: file for path, file in files.items() if made.isdisjoint(file.origin.parents)}


def check_same(folder: Path, made_with: Mapping[str, Any]) -> None:
    """Refuse a folder that is no prepared data set, or was made from something else than what is asked for now."""
    if not is_prepared(folder):
        raise UserError(f"{folder} is there and no data set: give another --name or --data_dir, or move it away")
    before = datasets.read_manifest(folder).get("made_with", {})
    different = sorted(fact for fact in made_with if before.get(fact) != made_with[fact])
    if different == ["files"]:
        what = "the files in its source have changed since"
    elif different:
        fact = different[-1]
        what = f"with {fact} {before.get(fact)!r}, not {made_with[fact]!r}"
    else:
        return
    raise UserError(f"{folder} was prepared before, {what}: delete it to make it anew, or give this one another --name")


def check_name(name: str, kind: str) -> str:
    """`name` if a prepared set of this kind can have it."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name):
        raise UserError(f"{name!r} cannot name a data set: give a --name of up to 80 letters, digits, '.', '_' and '-'")
    if name in RESERVED_NAMES or name.startswith("synthetic-") or (name in CATALOGUE and name != kind):
        raise UserError(f"the name {name!r} is taken: give this data set another --name")
    return name


def default_name(source: Path) -> str:
    """The name of a folder, archive or table, less what a data set's name cannot have."""
    base = source.resolve().name if source.is_dir() else source.name.partition(".")[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "_", base).strip("._-")


def check_listing(listing: Listing, place: Path) -> None:
    """Refuse names that would not survive in the tables of a run, and classes that cannot be told apart."""
    for what, names in (("class", listing.classes), ("image", listing.columns["image_id"].tolist())):
        for name in names:
            if not name or not name.isprintable() or name != name.strip():
                raise UserError(f"{place} has the {what} name {name!r}: rename it to printable, unpadded text")
    if len(listing.classes) == 1:
        raise UserError(
            f"{place} has photographs of 1 class; a data set needs two classes or more, or no labels at all"
        )
    spelled: dict[str, str] = {}
    for name in listing.classes:
        other = spelled.setdefault(name.casefold(), name)
        if other != name:
            raise UserError(f"the classes {other!r} and {name!r} in {place} differ in case only: rename one")


def check_complete(listing: Listing, source: Source, kind: str) -> None:
    """Refuse a source that lacks photographs of its rows, before any is decoded."""
    missing = [photograph.path for photograph in listing.photographs if isinstance(photograph, Missing)]
    if not missing:
        return
    every = len(listing.photographs)
    fix = remedy(source, "add what is missing" if kind in USER_DATA else CATALOGUE[kind].download)
    if len(missing) == every:
        raise UserError(f"none of {every:,} photographs, such as {missing[0]}, is in {source.root}: {fix}")
    which = f"{len(missing):,} of {every:,} photographs, like {missing[0]}, are" if missing[1:] else f"{missing[0]} is"
    raise UserError(f"{which} not in {source.root}: {fix}, or leave out with --skip_bad what is not there")


def bytes_needed(photographs: Sequence[Photograph], max_side: int) -> int:
    """About the disk space that a prepared set takes."""
    most = 3 * max_side * max_side // 2 if max_side else sys.maxsize
    return sum(min(photograph.size, most) + 256 for photograph in photographs)


class Pass:
    """One pass over a listing, which finds what cannot be used (`problems`), duplicates, and the hash of every file."""

    def __init__(self, listing: Listing, max_side: int, skip_bad: bool, user_data: bool):
        self.listing, self.skip_bad, self.user_data = listing, skip_bad, user_data
        self.check = partial(check, max_side=max_side)
        # Objects, because a group's name may become a longer one.
        self.columns = dict(listing.columns, group=listing.columns["group"].astype(object))
        self.problems: list[tuple[str, str]] = []
        self.hashes: dict[str, str] = {}
        self.first_row: dict[str, int] = {}
        self.duplicates, self.in_two_groups = 0, 0

    def encoded_images(self) -> Iterator[tuple[int, bytes]]:
        """(row, bytes) of what can be used; after a first problem that is not to be skipped, none any more."""
        photographs = self.listing.photographs
        results = progress(map_in_order(self.check, photographs), len(photographs))
        for row, (data, sha256, problem) in enumerate(results):
            path = photographs[row].path
            self.hashes[path] = sha256
            problem = problem or self.compare(row, sha256)
            if problem:
                self.problems.append((path, problem))
            elif self.skip_bad or not self.problems:
                yield row, data
        if self.problems and (not self.skip_bad or len(self.problems) == len(photographs)):
            raise UserError(self.refusal())

    def compare(self, row: int, sha256: str) -> str:
        """Put byte-identical photographs into one group; returns why not, if their labels differ in the user's data."""
        first = self.first_row.setdefault(sha256, row)
        if first == row:
            return ""
        self.duplicates += 1
        ids, labels, groups = (self.columns[name] for name in ("image_id", "label", "group"))
        if groups[row] == ids[row]:
            groups[groups == ids[row]] = groups[first]
        elif groups[first] == ids[first]:
            groups[groups == ids[first]] = groups[row]
        self.in_two_groups += groups[row] != groups[first]
        if labels[row] == labels[first] or -1 in (labels[row], labels[first]) or not self.user_data:
            return ""
        path, other = (self.listing.photographs[number].path for number in (row, first))
        return f"{path} is the same file as {other}, which has another label"

    def refusal(self) -> str:
        """The sentence about the problems."""
        count, (_, reason) = len(self.problems), self.problems[0]
        which = f"{count} photographs cannot be used, the first: " if count > 1 else ""
        return f"{which}{reason} (`skinjax scan` lists what is wrong, --skip_bad leaves it out)"


def check(photograph: Photograph, max_side: int) -> tuple[bytes, str, str]:
    """A photograph as it will be stored, the hash of its file, and why it cannot be used ('' if it can).

    One larger than `max_side` is made smaller and encoded anew.
    """
    try:
        original = data = photograph.read()
        pixels = decode(data, None, fit="squash", filter="bilinear", name=photograph.path)
    except UserError as error:
        return b"", "", str(error)
    height, width = pixels.shape[:2]
    scale = max_side / max(height, width)
    if max_side and scale < 1:
        size = max(1, round(scale * width)), max(1, round(scale * height))
        smaller = np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
        data = simplejpeg.encode_jpeg(smaller, quality=JPEG_QUALITY, colorsubsampling="444")
    return data, digest_of(original), ""


def _build(one_pass: Pass, made_with: Mapping[str, Any], source: Path, target: Path) -> None:
    """Fill the folder of a prepared set."""
    listing, about = one_pass.listing, CATALOGUE[made_with["kind"]]
    records = str(target / datasets.RECORDS_FOLDER)
    writer = PhotographBuilder(listing.classes, one_pass.columns, one_pass.encoded_images, records)
    left_out = one_pass.problems
    notes = list(listing.notes)
    facts = {
        **{name: getattr(about, name) for name in ("title", "licence", "citation", "homepage")},
        "made_with": made_with,
        "made_by": {"skinjax": skinjax.__version__, "decoder": DECODER_VERSION},
    }

    def write_tables() -> dict[str, Any]:
        if one_pass.duplicates:
            apart = f", {one_pass.in_two_groups} of them to one of another group" * bool(one_pass.in_two_groups)
            notes.append(f"{counted(one_pass.duplicates)} byte-identical to others{apart}")
        sources = origins(listing, one_pass.hashes, source)
        found = {"notes": notes, "sources": _write_table(target / SOURCES_FILE, ("file", "bytes", "sha256"), sources)}
        if "split" in listing.columns:
            found["images_per_part"] = Counter(listing.columns["split"][writer.rows].tolist())
        if left_out:
            found["left_out"] = _write_table(target / LEFT_OUT_FILE, ("file", "reason"), left_out)
        return found

    datasets.write_records(writer, target, facts, write_tables)


def origins(listing: Listing, hashes: Mapping[str, str], source: Path) -> list[tuple[str, int, str]]:
    """(path, bytes, sha256) of every file on disk that was read: archives, tables and loose photographs."""
    place = source.resolve() if source.is_dir() else source.resolve().parent
    rows: dict[str, tuple[str, int, str]] = {}
    files = [file for file in (*listing.photographs, *listing.tables) if isinstance(file, File)]
    for file in files:
        path = file.origin.relative_to(place).as_posix()
        if path not in rows:
            loose = hashes.get(file.path) if file.path == path else None
            rows[path] = (path, file.origin.stat().st_size, loose or sha256_of(file.origin))
    return [rows[path] for path in sorted(rows)]


def _write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """Write a CSV; returns its entry in the manifest."""
    text = csv_text(header, rows)
    write_atomically(path, text)
    return {"table": path.name, "rows": len(rows), "sha256": digest_of(text)}
