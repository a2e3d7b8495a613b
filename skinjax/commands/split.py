"""Make a split of a prepared data set, or check one for leaks.

    skinjax split ham10000 --folds=5
    skinjax split ham10000 --protocol=file --file=published.csv --fold=2
    skinjax split ham10000 --check published.csv

A split is a CSV image_id,group,label,fold,split with its protocol in a JSON beside it; `--config.split.protocol=file
--config.split.file=FILE` trains on it. Protocols: lesion_grouped (no lesion or patient on two sides), image_stratified
(image by image, as many papers have it), official (the data set's own parts), file (a published split).

`--check` prints for each fold what is in which part, the groups that parts share, and photographs that look the same
in two parts. The exit status is 1 if there is a leak, 0 if there is none.
"""

import argparse
import contextlib
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from skinjax.core.arguments import Parser
from skinjax.core.errors import UserError, os_errors_as_user_errors
from skinjax.core.settings import from_plain
from skinjax.data.dataset import Dataset, data_root, is_prepared, open_dataset, read_dataset
from skinjax.data.splits.check import SamePhotograph, crossings, same_photographs
from skinjax.data.splits.protocols import SplitSettings, split_dataset
from skinjax.data.splits.published import fold_split, read_published
from skinjax.data.splits.split import (
    HELD_OUT_AND_OTHER,
    PARTS,
    Split,
    check,
    leaks,
    protocol_path,
    remarks,
    split_texts,
    write_split,
)

MOST_PAIRS_SHOWN = 10


def add_arguments(parser: Parser) -> None:
    parser.add_argument("dataset", metavar="NAME", nargs="?", help="a prepared data set, as in `skinjax datasets`")
    parser.add_argument("--protocol", default="lesion_grouped", help="default: lesion_grouped")
    parser.add_argument("--folds", type=int, default=1, help="how many folds (default: 1, a hold-out)")
    parser.add_argument("--test", type=float, help="fraction that tests (default: 0.2; 0 with folds, which test)")
    parser.add_argument("--validation", type=float, help="fraction that validates (default: 0.15; with folds 0)")
    parser.add_argument("--fold", type=int, default=0, help="whose parts to write, from 0 (default: 0)")
    parser.add_argument("--seed", type=int, default=0, help="another seed draws another split (default: 0)")
    parser.add_argument("--file", default="", help="the published split, with --protocol=file")
    parser.add_argument("--published_validation", default="kept", help="kept, trained_on or left_out (official, file)")
    parser.add_argument("--validation_by", default="group", help="what stays whole there: group or image")
    parser.add_argument("--allow_leak", action="store_true", help="take official parts or a file though they leak")
    parser.add_argument("--out", metavar="FILE.csv", help="where to write (default: NAME-PROTOCOL-seedN.csv)")
    parser.add_argument("--check", metavar="FILE", help="look for leaks in a split file, and write nothing")
    parser.add_argument("--no_pictures", action="store_true", help="with --check: compare groups, not photographs")
    parser.add_data_dir()


def run(options: argparse.Namespace) -> int:
    if options.check:
        return check_file(Path(options.check), options.dataset, options.data_dir, not options.no_pictures)
    if not options.dataset:
        raise UserError("no data set is given: skinjax split NAME, where `skinjax datasets` lists the names")
    return make(options)


def make(options: argparse.Namespace) -> int:
    """Draw or read the split, print it, and write it."""
    path = Path(options.out or default_name(options))
    if path.suffix != ".csv":
        raise UserError(f"--out is {str(path)!r}: end it in .csv, as the protocol goes into a .json beside it")
    if options.protocol in ("official", "file") and (options.folds != 1 or options.test is not None):
        raise UserError(
            f"--folds and --test are for splits that are drawn, and those of the protocol {options.protocol} come with "
            "it: leave them out"
        )
    dataset = open_dataset(options.dataset, {}, data_root(options.data_dir))
    asked = {field.name: getattr(options, field.name) for field in fields(SplitSettings)}
    held_out = {} if options.folds == 1 else {"test": 0.0, "validation": 0.0}  # folds test in turn
    given = {name: value for name, value in asked.items() if value is not None}
    split = split_dataset(dataset, from_plain(SplitSettings, held_out | given, "split"))
    check(split)
    print("\n".join([*counts_table(split, dataset.classes), *remarks(split)]))
    write_new(path, split)
    print(f"written: {path} and {path.with_suffix('.json').name}")
    return 0


def default_name(options: argparse.Namespace) -> str:
    """The file to write without --out, like ham10000-lesion_grouped-fold0of5-seed0.csv."""
    fold = f"-fold{options.fold}of{options.folds}" if options.folds > 1 else f"-fold{options.fold}" * bool(options.fold)
    return f"{options.dataset}-{options.protocol}{fold}-seed{options.seed}.csv"


def write_new(path: Path, split: Split) -> None:
    """Write a split, but not over another one."""
    texts = dict(zip((path, protocol_path(path)), split_texts(split), strict=True))
    with os_errors_as_user_errors(f"cannot write {path}", "make room or give another --out"):
        for place, text in texts.items():
            if place.exists() and place.read_bytes() != text.encode():
                raise UserError(f"{place} is there and holds something else: remove it, or give another --out")
        write_split(path, split)


def check_file(path: Path, name: str | None, data_dir: str | None, pictures: bool) -> int:
    """Print what is in each fold of a split file and what its parts share; 1 if there is a leak."""
    root = data_root(data_dir)
    dataset = open_dataset(name, {}, root) if name else None
    published = read_published(path)
    if dataset is None:
        dataset = recorded_dataset(published.made_as or {}, root)
    columns = (dataset.columns["image_id"], dataset.columns["group"], dataset.label_names()) if dataset else None
    folds = [fold_split(published, fold, columns) for fold in range(len(published.parts))]
    images = len(published.image_ids)
    missing = len(dataset) - images if dataset else 0
    more = f"; {missing:,} images of {dataset.name} are not in it" if dataset and missing > 0 else ""
    print(f"{path}: {images:,} images, {len(folds)} fold{'s' * (len(folds) > 1)}{more}")
    pairs = same_photographs(dataset, published.image_ids.tolist()) if dataset and pictures else None
    by_group = by_photograph = 0
    for fold, split in enumerate(folds):
        print("\n".join([f"fold {fold}", *counts_table(split, dataset.classes if dataset else None)]))
        groups, photographs = shared_groups(split), shared_photographs(pairs or [], split)
        print("\n".join(f"  {line}" for line in [*(groups or ["no group is in two parts"]), *photographs]))
        by_group, by_photograph = by_group + bool(groups), by_photograph + bool(photographs)
    verdict = f"shared groups in {by_group} of {len(folds)} folds"
    if pairs is not None:
        verdict += f", shared photographs in {by_photograph}" + ", look at the likely ones" * bool(by_photograph)
    else:
        verdict += "; photographs were not compared" + ": give the data set's NAME to compare them" * (not dataset)
    print(verdict)
    return 1 if by_group or by_photograph else 0


def recorded_dataset(made_as: dict[str, Any], root: Path) -> Dataset | None:
    """The prepared data set that a split of skinjax was made from, if it is still there, unchanged."""
    name = str(made_as.get("dataset"))
    for folder in root.glob("[!.]*"):
        if folder.name.startswith(name) and is_prepared(folder):  # a synthetic set's folder has more in its name
            with contextlib.suppress(UserError):  # one that is damaged is not the one
                dataset = read_dataset(folder, name)
                if dataset.fingerprint == made_as.get("fingerprint"):
                    return dataset
    return None


def counts_table(split: Split, classes: Sequence[str] | None = None) -> list[str]:
    """Images and groups per class and part, in lines of equal width."""
    names = list(classes or np.unique(split.labels).tolist())
    parts = [part for part in PARTS if len(split.rows(part))]
    everything = np.full(len(split.labels), True)
    rows = []
    for name, members in [*((name, split.labels == name) for name in names), ("all", everything)]:
        counted = [split.groups[members & (split.parts == part)] for part in parts]
        rows.append((name, *(f"{n:,}" for groups in counted for n in (len(groups), len(np.unique(groups))))))
    width = max(len(name) for name in ("class", *names))
    lines = [" " * (2 + width) + "".join(f"{part:>18}" for part in parts)]
    lines.append(f"  {'class':<{width}}" + f"{'images':>9}{'groups':>9}" * len(parts))
    return lines + [f"  {name:<{width}}" + "".join(f"{count:>9}" for count in counts) for name, *counts in rows]


def shared_groups(split: Split) -> list[str]:
    """A line for each two parts that share groups, the held-out part first."""
    found = leaks(split)
    lines = []
    for part, other in HELD_OUT_AND_OTHER:
        leak = found[part, other]
        if leak.groups:
            groups = "1 group that is" if len(leak.groups) == 1 else f"{len(leak.groups):,} groups that are"
            lines.append(
                f"LEAK: {leak.images:,} of {len(split.rows(part)):,} {part} images ({100 * leak.share:.1f} %) are of "
                f"{groups} in {other} too, such as {leak.groups[0]}"
            )
    return lines


def shared_photographs(pairs: Sequence[SamePhotograph], split: Split) -> list[str]:
    """A line for each photograph that is in two parts under two groups."""
    found = crossings(pairs, split)
    lines = [
        f"LEAK: {'the same file' if crossing.certain else 'likely the same photograph'}: "
        + " and ".join(f"{part} {image} (group {group})" for image, group, part in (crossing.held_out, crossing.other))
        for crossing in found[:MOST_PAIRS_SHOWN]
    ]
    more = len(found) - MOST_PAIRS_SHOWN
    return lines + ([f"LEAK: {more:,} more pairs of photographs like these"] if more > 0 else [])
