"""What every builder shares: a listing of photographs, and encoded images passed through to records in its order."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow_datasets as tfds

from skinjax.data.sources import File, Source
from skinjax.errors import UserError

EncodedImages = Callable[[], Iterator[tuple[int, bytes]]]


class Photograph(Protocol):
    """An encoded image by its path, read when it is needed; one that is not there raises when it is read."""

    @property
    def path(self) -> str: ...

    @property
    def size(self) -> int: ...

    def read(self) -> bytes: ...


@dataclasses.dataclass(frozen=True)
class Missing:
    """The photograph of a row whose file is not there."""

    path: str
    size: int = 0

    def read(self) -> bytes:
        raise UserError(f"{self.path} is not there")


@dataclasses.dataclass(frozen=True, eq=False)
class Listing:
    """What a source holds: one row per photograph, in the order in which the records are written.

    columns: `image_id` (unique), `group` and `label` (int32, -1 where unlabelled), and what else is known; `split`
      ('train', 'validation', 'test') where the data set comes with parts of its own.
    tables: the files that were read besides the photographs.
    notes: what was left aside, in sentences.
    """

    classes: tuple[str, ...]
    columns: dict[str, np.ndarray]
    photographs: Sequence[Photograph]
    tables: Sequence[File] = ()
    notes: tuple[str, ...] = ()


class PhotographBuilder(tfds.core.GeneratorBasedBuilder):
    """A TFDS builder of one split, `images`. `encoded_images()` gives (row, bytes) in the order of `columns`.

    Rows that it leaves out are in no record; `rows` are those that were written, and `digest` is the hash of all bytes.
    """

    VERSION = tfds.core.Version("1.0.0")

    def __init__(
        self, classes: Sequence[str], columns: Mapping[str, np.ndarray], encoded_images: EncodedImages, data_dir: str
    ):
        self.classes = tuple(classes)
        self.columns = columns
        self.encoded_images = encoded_images
        self.rows: list[int] = []
        self.digest = hashlib.sha256()
        super().__init__(data_dir=data_dir, file_format="array_record")

    def __init_subclass__(cls, **kwargs):
        # Names such as cifar10 and folder are for our own table; TFDS has data sets of the same names.
        super().__init_subclass__(skip_registration=True, **kwargs)

    @staticmethod
    def read(source: Source) -> Listing:
        """The photographs of a source in the layout that this data set is published in."""
        raise NotImplementedError

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "image_id": tfds.features.Text(),
                "label": tfds.features.ClassLabel(names=list(self.classes)),
                "group": tfds.features.Text(),
            }
        )
        return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        del dl_manager
        return {"images": self._generate_examples()}

    def _generate_examples(self):
        ids, labels, groups = (self.columns[name] for name in ("image_id", "label", "group"))
        for row, image in self.encoded_images():
            self.rows.append(row)
            self.digest.update(hashlib.sha256(image).digest())
            yield row, {"image": image, "image_id": ids[row], "label": int(labels[row]), "group": groups[row]}


def listing_of_rows(
    classes: Sequence[str], rows: Mapping[str, Mapping[str, Any]], source: Source, tables: Sequence[File]
) -> Listing:
    """The listing of {image id: {column: value}}, sorted by id; each id is the stem of its photograph.

    `class` is a row's class name ('' = unlabelled). A row without a group is its own; `age` and `weight` become
    float32, the other columns stay text.
    """
    notes: list[str] = []
    ids = sorted(rows)
    found = photographs_by_name(source, lambda file: file.stem, notes)
    photographs = find_photographs(ids, found, source, notes)
    return Listing(tuple(classes), columns_of_rows(classes, ids, rows), photographs, tables, tuple(notes))


def columns_of_rows(
    classes: Sequence[str], ids: Sequence[str], rows: Mapping[str, Mapping[str, Any]]
) -> dict[str, np.ndarray]:
    """The columns of `rows` in the order of `ids`; see `listing_of_rows`."""
    number = {name: label for label, name in enumerate(classes)} | {"": -1}
    columns = {
        "image_id": np.array(ids),
        "group": np.array([rows[image].get("group") or image for image in ids]),
        "label": np.array([number[rows[image]["class"]] for image in ids], np.int32),
    }
    others = dict.fromkeys(name for row in rows.values() for name in row if name not in ("class", "group"))
    for name in others:
        blank, dtype = (np.nan, np.float32) if name in ("age", "weight") else ("", None)
        columns[name] = np.array([rows[image].get(name, blank) for image in ids], dtype)
    return columns


def photographs_by_name(source: Source, key: Callable[[File], str], notes: list[str]) -> dict[str, File]:
    """The image files by `key` (as a rule their stem), among them those that a download holds twice, once.

    Two different files of one key are an error.
    """
    found: dict[str, File] = {}
    twice = 0
    for file in source.files.values():
        if not is_image(file) or file.stem.lower().endswith(MASKS):
            continue
        name = key(file)
        other = found.setdefault(name, file)
        if other is not file:
            if other.size != file.size or other.read() != file.read():
                raise UserError(f"{other.path} and {file.path} are two photographs of one name: remove one of them")
            twice += 1
    if twice:
        notes.append(f"{twice} photographs are in {source.root} twice and were read once")
    return found


def is_image(file: File) -> bool:
    """Whether a file's name is that of a photograph (its bytes are judged when it is decoded)."""
    return file.name.lower().endswith(IMAGE_SUFFIXES)


# What the tasks of the ISIC challenges hold beside photographs, under the photographs' names.
MASKS = ("_segmentation", "_superpixels")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff")


def find_photographs(
    ids: Sequence[str], found: Mapping[str, File], source: Source, notes: list[str], ending: str = ".jpg"
) -> list[Photograph]:
    """The photograph of each id, `Missing` where there is none; notes tell of photographs that no row names."""
    photographs: list[Photograph] = [found.get(image_id) or Missing(f"{image_id}{ending}") for image_id in ids]
    missing = sum(isinstance(photograph, Missing) for photograph in photographs)
    if missing == len(ids):
        raise UserError(no_photographs(source, f"{ids[0]}{ending}"))
    strangers = sorted(set(found) - set(ids))
    if strangers:
        notes.append(f"{len(strangers)} photographs are in no table and were left aside, such as {strangers[0]}")
    return photographs


def no_photographs(source: Source, example: str) -> str:
    """The sentence for a source without a single photograph, and why that may be."""
    from skinjax.data.sources import is_closed_archive

    closed = [file.path for file in source.files.values() if is_closed_archive(file)]
    hint = f"{closed[0]} is an archive in an archive: unpack the outer one" if closed else "put the photographs there"
    return f"none of the photographs (such as {example}) is in {source.root}: {hint}"


def one_table(source: Source, pattern: str, what: str, download: str) -> File:
    """The one file whose name matches `pattern`; copies of the same content count as one."""
    found = source.named(pattern)
    if not found:
        raise UserError(f"{source.root} holds no {what}: {download}")
    for other in found[1:]:
        if other.read() != found[0].read():
            raise UserError(f"{found[0].path} and {other.path} differ, and both are {what}: remove one of them")
    return found[0]
