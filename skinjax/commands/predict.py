"""Predict the classes of photographs by a trained run or a bundle: a CSV with a row for each.

    skinjax predict model.skinjax photograph.jpg
    skinjax predict runs/cdc-demo-0123abcd photos 'more/*.jpg' old.zip --out=predictions.csv
    skinjax predict model.skinjax photos --groups=folder --format=jsonl

MODEL is a bundle (`skinjax bundle`) or the folder of a finished run; its data set is not needed. PATHS are photographs,
folders, patterns and archives, which are read in place. docs/predict.md says what each column is; `error` is what is
wrong with a photograph that cannot be read, whose other cells are empty. The exit status is 1 if there is one.
"""

import argparse
import contextlib
import glob
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from tqdm import tqdm

from skinjax.core.arguments import Parser
from skinjax.core.errors import UserError, lookup

FORMATS = {
    "csv": "a row for each",
    "jsonl": "a JSON object in each line",
    "isic": "the table that ISIC's challenges take",
}
FIRST_COLUMNS = {
    "csv": ("path", "image_id", "prediction"),
    "jsonl": ('{"path": ',),
    "isic": ("image", "MEL", "NV"),
}


def add_arguments(parser: Parser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a bundle, or the folder of a finished run")
    parser.add_argument("paths", metavar="PATHS", nargs="+", help="photographs, folders, patterns and archives of them")
    parser.add_argument("--out", metavar="FILE", help="write the table to this file instead of printing it")
    parser.add_argument("--format", default="csv", help="csv (the default), jsonl, or isic")
    parser.add_argument("--groups", metavar="FILE|folder", help="pool photographs of one lesion: image_id,group")
    parser.add_argument("--prior", default="", help="for other class frequencies: uniform or natural; needs a bundle")
    parser.add_argument("--explain", metavar="DIR", help="write each photograph there with its Grad-CAM over it")


def run(options: argparse.Namespace) -> int:
    from skinjax.core.compilation_cache import use_compilation_cache
    from skinjax.core.tables import refuse_to_overwrite, write_table
    from skinjax.data.acquire.sources import open_photographs
    from skinjax.data.dataset import data_root
    from skinjax.deploy.overlays import Overlays
    from skinjax.deploy.predicting import Lines, groups_of, photographs, pooled, records
    from skinjax.deploy.predictor import open_predictor

    lookup("format", options.format, FORMATS)
    out = Path(options.out).expanduser() if options.out else None
    if out:
        refuse_to_overwrite(out, FIRST_COLUMNS[options.format], "--out")
    predictor = open_predictor(options.model, options.prior)
    use_compilation_cache(data_root() / "compilation_cache")
    lines, table = Lines(predictor, options.format), list[str]()
    write: Callable[[str], object] = table.append if out else print
    rows = bad = 0
    with contextlib.ExitStack() as opened:
        files = [file for path in expanded(options.paths) for file in open_photographs(path, opened)]
        group_of = groups_of(options.groups, files) if options.groups else None
        overlays = Overlays(predictor, Path(options.explain).expanduser(), files) if options.explain else None
        hidden = not sys.stderr.isatty() or (not out and sys.stdout.isatty())  # rows on the screen tell how far it is
        found: Iterable = photographs(predictor, files, keep_pixels=overlays is not None)
        found = tqdm(found, total=len(files), unit="photographs", disable=hidden, leave=False)
        if overlays:
            found = overlays.drawn(found)
        if first := lines.first():
            write(first)
        for record in records(predictor, pooled(found, group_of) if group_of else found):
            rows, bad = rows + 1, bad + (record["error"] != "")
            if line := lines.of(record):
                write(line)
    if out:
        write_table(out, "".join(f"{line}\n" for line in table))
    if bad:
        which = "lesions have photographs that" if options.groups else "photographs"
        where = "they have no row in ISIC's tables" if options.format == "isic" else "the column error says why"
        where = "their other photographs answer" if options.groups and options.format == "isic" else where
        print(f"{bad} of {rows} {which} cannot be read: {where}", file=sys.stderr)
    return int(bad > 0)


def expanded(paths: list[str]) -> list[Path]:
    """The paths, a pattern in place of which stands what it matches."""
    found = []
    for name in paths:
        path = Path(name).expanduser()
        if not glob.has_magic(name) or os.path.exists(path):
            found.append(path)
        elif matched := sorted(map(Path, glob.glob(str(path), recursive=True))):
            found += matched
        else:
            raise UserError(f"nothing matches {name!r}: name photographs, folders or archives that are there")
    return found
