"""Predict the classes of photographs by a trained run: a CSV with a row for each.

    skinjax predict runs/cdc-demo-0123abcd photograph.jpg
    skinjax predict runs/cdc-demo-0123abcd photos more.zip --out=predictions.csv

RUN is the folder of a finished run; its data set is not needed. PATHS are photographs, folders and archives, which are
read in place. The columns are path, image_id (the file's name without its ending), prediction (the likeliest class),
p_CLASS for each class, and error: what is wrong with a photograph that cannot be read, whose other cells are empty. The
exit status is 1 if there is one.
"""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from skinjax.core.errors import UserError
from skinjax.core.tables import csv_lines, refuse_to_overwrite, write_table
from skinjax.core.threads import map_in_order
from skinjax.data.acquire.sources import File, open_photographs
from skinjax.data.dataset import data_root
from skinjax.evaluation.predictions import NUMBER

if TYPE_CHECKING:  # they are imported when needed, which --help does not wait for
    from skinjax.model import Model

FIRST_COLUMNS = ("path", "image_id", "prediction")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of a finished run")
    parser.add_argument("paths", metavar="PATHS", nargs="+", help="photographs, folders and archives of them")
    parser.add_argument("--out", metavar="FILE", help="write the table to this file instead of printing it")


def run(options: argparse.Namespace) -> int:
    from skinjax.core.compilation_cache import use_compilation_cache
    from skinjax.model import load

    out = Path(options.out).expanduser() if options.out else None
    if out:
        refuse_to_overwrite(out, FIRST_COLUMNS, "--out")
    model = load(options.run)
    use_compilation_cache(data_root() / "compilation_cache")
    lines: list[str] = []
    write: Callable[[str], object] = lines.append if out else print
    bad = 0
    with contextlib.ExitStack() as opened:
        files = [file for path in options.paths for file in open_photographs(Path(path).expanduser(), opened)]
        write(csv_lines([(*FIRST_COLUMNS, *(f"p_{name}" for name in model.classes), "error")])[0])
        hidden = not out or not sys.stderr.isatty()
        for row in tqdm(rows(model, files), total=len(files), unit="photographs", disable=hidden, leave=False):
            write(csv_lines([row])[0])
            bad += row[-1] != ""
    if out:
        write_table(out, "".join(f"{line}\n" for line in lines))
    if bad:
        print(f"{bad} of {len(files)} photographs cannot be read: the column error says why", file=sys.stderr)
    return int(bad > 0)


def rows(model: "Model", files: Sequence[File]) -> "Iterator[list[str]]":
    """The row of each photograph, in order; no more pixels are held than make a batch."""

    def read(file: File) -> "np.ndarray | str":
        try:
            return model.read(file.read(), file.path)
        except UserError as error:
            return str(error)

    batch: list[tuple[File, np.ndarray | str]] = []
    readable = 0
    for file, seen in zip(files, map_in_order(read, files), strict=True):
        batch.append((file, seen))
        readable += not isinstance(seen, str)
        if readable == model.spec.batch:
            yield from answers(model, batch)
            batch, readable = [], 0
    yield from answers(model, batch)


def answers(model: "Model", batch: "Sequence[tuple[File, np.ndarray | str]]") -> "Iterator[list[str]]":
    """The rows of photographs with their pixels, or with what is wrong with them."""
    images = [seen for _, seen in batch if not isinstance(seen, str)]
    probabilities = iter(model.predict(np.stack(images))["probabilities"] if images else ())
    for file, seen in batch:
        if isinstance(seen, str):
            yield [file.path, file.stem, "", *("" for _ in model.classes), seen]
        else:
            found = next(probabilities)
            yield [file.path, file.stem, model.classes[found.argmax()], *(NUMBER % p for p in found.tolist()), ""]
