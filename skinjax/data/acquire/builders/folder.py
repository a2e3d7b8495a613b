"""Anybody's photographs: a folder per class, or train/validation/test and in each of them a folder per class.

SD-198 (paper 000's Skin-198), clinical photographs in one folder for each of 198 diseases, is one of that kind.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from skinjax.core.errors import UserError
from skinjax.data.acquire.builders.base import Listing, counted, make_listing, no_photographs, photographs_by_name
from skinjax.data.acquire.builders.cells import PART_OF_WORD, in_natural_order
from skinjax.data.acquire.sources import ARCHIVE, File, Source, pictures

LAYOUTS = "a folder of photographs per class, or train, validation and test folders with a folder per class in each"
SD198_CLASSES = 198


def read_folder(source: Source) -> Listing:
    """Photographs deeper down belong to the class folder above them; an image's id is its path without extension."""
    notes: list[str] = []
    files = class_files(source, notes)
    tops = {path.parts[0] for path in files if len(path.parts) > 1}
    parts = {top for top in tops if top.lower() in PART_OF_WORD}
    if parts and tops != parts:
        raise UserError(
            f"{source.root} holds parts ({', '.join(sorted(parts))}) beside other folders "
            f"({', '.join(sorted(tops - parts)[:3])}): make it {LAYOUTS}"
        )
    return listing_of_folders(files, bool(parts), notes)


def read_sd198(source: Source) -> Listing:
    """The class folders, wherever they lie in the source; a photograph's id is its path without extension."""
    notes: list[str] = []
    files = class_files(source, notes)
    found = len({path.parts[0] for path in files})
    if found != SD198_CLASSES:
        raise UserError(
            f"{source.root} has {found} class folders and SD-198 has {SD198_CLASSES}: complete it, or read it as a set "
            "of your own with `skinjax prepare folder`"
        )
    return listing_of_folders(files, parted=False, notes=notes)


def listing_of_folders(files: Mapping[PurePosixPath, File], parted: bool, notes: list[str]) -> Listing:
    """The listing of photographs by path: class/... or, when `parted`, part/class/..."""
    rows = {}
    for path, image_id in zip(files, unique_ids(list(files)), strict=True):
        if parted and len(path.parts) < 3:
            raise UserError(f"{files[path].path} lies in a part but in no class folder: make it {LAYOUTS}")
        rows[image_id] = {"class": path.parts[1 if parted else 0] if len(path.parts) > 1 else ""}
        if parted:
            rows[image_id]["split"] = PART_OF_WORD[path.parts[0].lower()]
    classes = in_natural_order({row["class"] for row in rows.values()} - {""})
    trained = {row["class"] for row in rows.values() if row.get("split", "train") == "train"}
    notes += [f"the class {name} has no training photographs" for name in classes if name not in trained]
    return make_listing(classes, rows, list(files.values()), notes=notes)


def class_files(source: Source, notes: list[str]) -> dict[PurePosixPath, File]:
    """The photographs that lie in folders, by their path below the folders that wrap everything.

    Where none does, all of them, by their name: they have no labels.
    """
    found = photographs_by_name(pictures(source), path_as_unpacked, notes)
    if not found:
        raise UserError(no_photographs(source, "nv/photograph.jpg"))
    files = {PurePosixPath(path): file for path, file in found.items()}
    loose: list[str] = []
    while True:
        loose += [file.path for path, file in files.items() if len(path.parts) == 1]
        files = {path: file for path, file in sorted(files.items()) if len(path.parts) > 1}
        if len({path.parts[0] for path in files}) != 1 or all(len(path.parts) == 2 for path in files):
            break
        files = {PurePosixPath(*path.parts[1:]): file for path, file in files.items()}
    if not files:
        notes.append(f"{counted(len(found))} in no class folder: they have no labels")
        return {PurePosixPath(path): file for path, file in sorted(found.items())}
    if loose:
        notes.append(f"{counted(len(loose))} in no class folder and left aside, such as {loose[0]}")
    return files


def path_as_unpacked(file: File) -> str:
    """A file's path with its archive as the folder that unpacking makes: `nv.zip/a.jpg` and `nv.zip/nv/a.jpg` in `nv`.

    So an archive and what was unpacked from it beside it are one folder.
    """
    parts = file.path.split("/")
    if file.origin.name in parts[:-1]:
        place = parts.index(file.origin.name)
        archive = ARCHIVE.fullmatch(parts[place])
        if archive:
            folder = parts[place][: archive.start(1) - 1]
            inside = parts[place + 1 :]
            parts = [*parts[:place], folder, *(inside[1:] if inside[0] == folder else inside)]
    return "/".join(parts)


def unique_ids(paths: Sequence[PurePosixPath]) -> list[str]:
    """Each path without its extension, with it where it would not differ from another."""
    bare = [path.with_suffix("").as_posix() for path in paths]
    whole = [path.as_posix() for path in paths]
    times = Counter(bare + whole)
    return [path if times[name] > 1 else name for name, path in zip(bare, whole, strict=True)]
