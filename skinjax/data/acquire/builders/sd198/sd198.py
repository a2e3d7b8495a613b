"""SD-198 (paper 000's Skin-198): clinical photographs, one folder for each of 198 diseases."""

from skinjax.core.errors import UserError
from skinjax.data.acquire.builders.base import Listing, PhotographBuilder
from skinjax.data.acquire.builders.folder.folder import class_files, listing_of_folders
from skinjax.data.acquire.sources import Source

CLASSES = 198


class Sd198(PhotographBuilder):
    """The class folders, wherever they lie in the source; a photograph's id is its path without extension."""

    @staticmethod
    def read(source: Source) -> Listing:
        notes: list[str] = []
        files = class_files(source, notes)
        found = len({path.parts[0] for path in files})
        if found != CLASSES:
            raise UserError(
                f"{source.root} has {found} class folders and SD-198 has {CLASSES}: complete it, or read it as a set "
                "of your own with `skinjax prepare folder`"
            )
        return listing_of_folders(files, parted=False, notes=notes)
