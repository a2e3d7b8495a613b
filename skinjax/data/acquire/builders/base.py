"""What every builder shares: a listing of photographs, and encoded images passed through to records in its order."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow_datasets as tfds

from skinjax.core.errors import UserError
from skinjax.data.acquire.sources import ARCHIVE, File, Source, images

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


class PhotographBuilder(tfds.core.ShardBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """A TFDS builder of one split, `images`. `encoded_images()` gives (row, bytes) in the order of `columns`.

    Rows that it leaves out are in no record; `rows` are those that were written, and `digest` is the hash of all bytes.
    There is one shard, written as the images come: builders that cut shards by themselves collect all examples first,
    beyond a gigabyte with the help of TensorFlow.
    """

    name = "photographs"
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

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features.FeaturesDict(
            {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "image_id": tfds.features.Text(),
                "label": tfds.features.ClassLabel(names=list(self.classes)),
                "group": tfds.features.Text(),
            }
        )
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _shard_iterators_per_split(self, dl_manager: tfds.download.DownloadManager) -> dict[str, list[Callable]]:
        del dl_manager
        return {"images": [self._generate_examples]}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        ids, labels, groups = (self.columns[name] for name in ("image_id", "label", "group"))
        for row, image in self.encoded_images():
            self.rows.append(row)
            self.digest.update(hashlib.sha256(image).digest())
            example = {"image": image, "image_id": ids[row], "label": int(labels[row]), "group": groups[row]}
            yield row, example
            example.clear()  # it is written, and TFDS keeps all examples to count them


def listing_of_rows(
    classes: Sequence[str], rows: Mapping[str, Mapping[str, Any]], source: Source, tables: Sequence[File]
) -> Listing:
    """The listing of {image id: {column: value}}, sorted by id; each id is the stem of its photograph.

    See `make_listing`. Notes tell of photographs that no row names.
    """
    notes: list[str] = []
    files = [file for file in images(source) if not file.stem.lower().endswith(MASKS)]
    found = photographs_by_name(files, lambda file: file.stem, notes)
    rows = dict(sorted(rows.items()))
    photographs = [found.get(image) or Missing(f"{image}.jpg") for image in rows]
    strangers = sorted(set(found) - set(rows))
    if strangers:
        notes.append(f"{counted(len(strangers))} in no table and left aside, such as {strangers[0]}")
    return make_listing(classes, rows, photographs, tables, notes)


def make_listing(
    classes: Sequence[str],
    rows: Mapping[str, Mapping[str, Any]],
    photographs: Sequence[Photograph],
    tables: Sequence[File] = (),
    notes: Sequence[str] = (),
) -> Listing:
    """The listing of {image id: {column: value}} in that order.

    `class` is a row's class name ('' = unlabelled). A row without a group is its own. Numbers become float32 (NaN where
    a row has none), everything else is text.
    """
    number = {name: label for label, name in enumerate(classes)} | {"": -1}
    columns = {
        "image_id": np.array(list(rows)),
        "group": np.array([row.get("group") or image for image, row in rows.items()]),
        "label": np.array([number[row["class"]] for row in rows.values()], np.int32),
    }
    others = dict.fromkeys(name for row in rows.values() for name in row if name not in ("class", "group"))
    for name in others:
        values = [row.get(name) for row in rows.values()]
        numeric = any(isinstance(value, float) for value in values)
        blank, dtype = (np.nan, np.float32) if numeric else ("", None)
        columns[name] = np.array([blank if value is None else value for value in values], dtype)
    return Listing(tuple(classes), columns, photographs, tables, tuple(notes))


def photographs_by_name(files: Iterable[File], key: Callable[[File], str], notes: list[str]) -> dict[str, File]:
    """The files by `key`; those that a download holds twice (packed and unpacked, say) once.

    Two different files of one key are an error.
    """
    found: dict[str, File] = {}
    twice = 0
    for file in files:
        other = found.setdefault(key(file), file)
        if other is not file:
            if other.size != file.size or other.read() != file.read():
                raise UserError(f"{other.path} and {file.path} are two photographs of one name: remove one of them")
            twice += 1
    if twice:
        notes.append(f"{counted(twice)} there twice and read once")
    return found


# What the tasks of the ISIC challenges hold beside photographs, under the photographs' names.
MASKS = ("_segmentation", "_superpixels")


def counted(count: int, thing: str = "photograph") -> str:
    """A number of things and its verb, as notes begin.

    >>> counted(1), counted(1200, "case")
    ('1 photograph is', '1,200 cases are')
    """
    return f"1 {thing} is" if count == 1 else f"{count:,} {thing}s are"


def no_photographs(source: Source, example: str) -> str:
    """The sentence for a source without a single photograph, and why that may be."""
    fix = remedy(source, "put the photographs there")
    return f"none of the photographs (such as {example}) is in {source.root}: {fix}"


def one_table(source: Source, pattern: str, what: str, download: str) -> File:
    """The one file whose name matches `pattern`; copies of the same content count as one."""
    found = source.named(pattern)
    if not found:
        raise UserError(f"{source.root} holds no {what}: {remedy(source, download)}")
    for other in found[1:]:
        if other.read() != found[0].read():
            raise UserError(f"{found[0].path} and {other.path} differ, and both are {what}: remove one of them")
    return found[0]


def remedy(source: Source, otherwise: str) -> str:
    """What to do about something that a source lacks: unpack an archive in an archive, else `otherwise`."""
    closed = next((file.path for file in source.files.values() if ARCHIVE.fullmatch(file.name)), "")
    return f"{closed} is an archive in an archive, so unpack the outer one" if closed else otherwise
