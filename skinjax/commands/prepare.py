"""Bring a data set into skinjax's form: every photograph read, decoded and hashed once, encoded bytes kept.

    skinjax prepare ham10000 --source=Downloads/ham10000
    skinjax prepare folder --source=photos --name=clinic

NAME says how the source is laid out; `skinjax datasets` lists the names and what to download. Archives are read in
place. `folder` takes a folder per class, or train/validation/test and then classes; `csv` a table with the columns
image,label and, if wanted, split, group (photographs of one lesion or patient), weight and any metadata.
"""

import argparse
import time
from pathlib import Path

from skinjax.core.arguments import Parser
from skinjax.core.errors import UserError, lookup
from skinjax.data.acquire.catalogue import CATALOGUE
from skinjax.data.dataset import READ_IN_A_PHASE, data_root, prepared, read_manifest


def add_arguments(parser: Parser) -> None:
    parser.add_argument("kind", metavar="NAME", help=f"one of {', '.join(CATALOGUE)}")
    parser.add_argument("--source", metavar="DIR", help="the folder or archive with what was downloaded, or the CSV")
    parser.add_argument("--name", default="", help="what configs will call it (default: NAME, or the folder's name)")
    parser.add_number("--max_side", 0, 0, 2**31, "make larger photographs smaller, once", "PIXELS")
    parser.add_argument("--skip_bad", action="store_true", help="leave out what cannot be used, and note it")
    parser.add_data_dir()


def run(options: argparse.Namespace) -> int:
    about = lookup("data set", options.kind, CATALOGUE)
    if not options.source:
        raise UserError(f"no --source is given; {about.download} and give --source=THAT_FOLDER")
    from skinjax.data.acquire.prepare import prepare

    start = time.perf_counter()
    root = data_root(options.data_dir)
    before = prepared(root)
    asked = {name: getattr(options, name) for name in ("name", "max_side", "skip_bad")}
    dataset = prepare(options.kind, Path(options.source).expanduser(), root, **asked)
    folder = root / dataset.name
    for line in describe(folder, read_manifest(folder)):
        print(line)
    took = "before" if dataset.name in before else f"{time.perf_counter() - start:.1f} s"
    way = f"train on it: --config=configs/own.py:{dataset.name}"
    if not dataset.classes:
        way = f"without labels, a phase reads it: {READ_IN_A_PHASE}{dataset.name}"
    print(f"prepared in {folder} ({took}); {way}")
    return 0


def describe(folder: Path, manifest: dict) -> list[str]:
    """Describe a prepared set by its manifest, in lines for people."""
    counts: dict[str, int] = manifest["images_per_class"]
    unlabelled = manifest["images"] - sum(counts.values())
    table = counts | ({"(unlabelled)": unlabelled} if unlabelled else {})
    width = max(map(len, table))
    lines = [
        f"{folder.name}: {manifest['images']:,} photographs of {manifest['groups']:,} groups in {len(counts)} classes",
        *(f"  {label:<{width}}  {count:>6,}" for label, count in table.items()),
    ]
    if parts := manifest.get("images_per_part"):
        named = {"train": "train", "validation": "validation", "test": "test", "": "none"}
        lines.append("parts: " + ", ".join(f"{named[part]} {parts[part]:,}" for part in named if part in parts))
        if "train" in parts and len(parts.keys() - {""}) > 1:
            lines.append("to train and test on these parts: --config.split.protocol=official")
    lines += [f"note: {note}" for note in manifest.get("notes", [])]
    if left_out := manifest.get("left_out"):
        lines.append(f"left out: {left_out['rows']:,}, listed in {folder / left_out['table']}")
    lines.append(f"licence: {manifest['licence']}")
    return lines + ([f"cite: {manifest['citation']}"] if manifest["citation"] else [])
