"""Anybody's photographs: a folder per class, or train/validation/test and in each of them a folder per class."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from skinjax.data.builders.base import Listing, PhotographBuilder, columns_of_rows, is_image, no_photographs
from skinjax.data.builders.cells import PART_OF_WORD, in_natural_order
from skinjax.data.sources import File, Source
from skinjax.errors import UserError

LAYOUTS = "a folder of photographs per class, or train, validation and test folders with a folder per class in each"


class Folder(PhotographBuilder):
    """Photographs deeper down belong to the class folder above them; an image's id is its path without extension."""

    @staticmethod
    def read(source: Source) -> Listing:
        notes: list[str] = []
        files = class_files(source, notes)
        tops = {path.parts[0] for path in files}
        parts = {top for top in tops if top.lower() in PART_OF_WORD}
        if parts and tops != parts:
            raise UserError(
                f"{source.root} holds parts ({', '.join(sorted(parts))}) beside other folders "
                f"({', '.join(sorted(tops - parts)[:3])}): make it {LAYOUTS}"
            )
        return listing_of_folders(files, bool(parts), notes)


def listing_of_folders(files: Mapping[PurePosixPath, File], parted: bool, notes: list[str]) -> Listing:
    """The listing of photographs by path: class/... or, when `parted`, part/class/..."""
    rows = {}
    for path, image_id in zip(files, unique_ids(list(files)), strict=True):
        if parted and len(path.parts) < 3:
            raise UserError(f"{files[path].path} lies in a part but in no class folder: make it {LAYOUTS}")
        rows[image_id] = {"class": path.parts[1 if parted else 0]}
        if parted:
            rows[image_id]["split"] = PART_OF_WORD[path.parts[0].lower()]
    classes = in_natural_order({row["class"] for row in rows.values()})
    trained = {row["class"] for row in rows.values() if row.get("split", "train") == "train"}
    notes += [f"the class {name} has no training photographs" for name in classes if name not in trained]
    return Listing(tuple(classes), columns_of_rows(classes, list(rows), rows), list(files.values()), notes=tuple(notes))


def class_files(source: Source, notes: list[str]) -> dict[PurePosixPath, File]:
    """The photographs that lie in folders, by their path below the folders that wrap everything."""
    images = {PurePosixPath(file.path): file for file in source.files.values() if is_image(file)}
    if not images:
        raise UserError(no_photographs(source, "nv/photograph.jpg"))
    while len({path.parts[0] for path in images}) == 1 and all(len(path.parts) > 2 for path in images):
        images = {PurePosixPath(*path.parts[1:]): file for path, file in images.items()}
    loose = [path for path in images if len(path.parts) == 1]
    if len(loose) == len(images):
        raise UserError(f"{source.root} has photographs but no class folders: make it {LAYOUTS}")
    if loose:
        notes.append(f"{len(loose)} photographs lie in no class folder and were left aside, such as {loose[0]}")
    return {path: file for path, file in sorted(images.items()) if len(path.parts) > 1}


def unique_ids(paths: Sequence[PurePosixPath]) -> list[str]:
    """Each path without its extension, with it where another path differs in nothing else."""
    bare = [path.with_suffix("").as_posix() for path in paths]
    times = Counter(bare)
    return [path.as_posix() if times[name] > 1 else name for path, name in zip(paths, bare, strict=True)]
