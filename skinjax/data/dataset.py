"""Data sets on disk: where they lie, how the synthetic one is made from arguments, once, and how one is opened.

A prepared data set is a folder with the builder's ArrayRecord files, `columns.npz` (one row per record) and
`manifest.json`. It appears under its name only when it is whole.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from skinjax.core.errors import UserError, first_line, lookup, os_errors_as_user_errors
from skinjax.core.files import write_atomically
from skinjax.core.hashes import sha256_of, short_hash
from skinjax.core.locks import exclusive
from skinjax.core.settings import Settings, from_plain
from skinjax.core.threads import progress
from skinjax.data.acquire.catalogue import CATALOGUE, USER_DATA

# What a prepared folder holds; one of an earlier format is not taken for damaged, but made anew under another name.
FORMAT = 2
COLUMNS_FILE, MANIFEST_FILE, RECORDS_FOLDER = "columns.npz", "manifest.json", "records"
# What every manifest says, whatever its data set was made from.
FACTS = ("classes", "images", "groups", "images_per_class", "columns_sha256", "records_sha256", "records_folder")

STRUCTURE = ("image_id", "group", "label", "split")  # columns that a table of predictions has in its own words


class Records(Protocol):
    """Random access to encoded images."""

    def __len__(self) -> int: ...

    def __getitem__(self, record: int) -> bytes: ...


@dataclasses.dataclass(frozen=True)
class DatasetSettings(Settings):
    """A prepared data set by name, or `synthetic`, which is drawn from `arguments`."""

    name: str = "synthetic"
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Encoded images by record number, and one row of `columns` per record.

    `columns` has at least `image_id` and `group` (str) and `label` (int32, an index into `classes`, -1 = unlabelled);
    what else a data set knows (dx_type, age, sex, site) is metadata for analysis.
    """

    name: str
    classes: tuple[str, ...]
    columns: dict[str, np.ndarray]
    records: Records
    fingerprint: str
    drawn_from: str = ""  # of photographs that a program drew: what decides them, its version and the seed
    own: int = 0  # how many records are its own, where others follow them; 0 = all

    @property
    def synthetic(self) -> bool:
        """Whether a program drew the photographs."""
        return bool(self.drawn_from)

    def whole_names(self, column: str, records: np.ndarray) -> np.ndarray:
        """Image ids or groups, such that what is equal is of one photograph, or lesion, in whichever data set."""
        names = self.columns[column][records]
        return (
            names
            if not self.drawn_from
            else np.where(records < (self.own or len(self)), np.char.add(f"{self.drawn_from}/", names), names)
        )

    def __len__(self) -> int:
        return len(self.columns["image_id"])

    def label_names(self) -> np.ndarray:
        """The class name of each record, '' where unlabelled."""
        return np.array([*self.classes, ""])[self.columns["label"]]

    def encoded(self, record: int) -> bytes:
        """The image file of a record; one whose bytes do not match their checksum is refused."""
        try:
            return self.records[record]
        except RuntimeError as error:  # what array_record raises
            raise UserError(
                f"image {str(self.columns['image_id'][record])!r} of {self.name} cannot be read: {error}; delete the "
                "folder of this data set under the data folder and make it again"
            ) from error


def data_root(data_dir: str | os.PathLike | None = None) -> Path:
    """Where data sets lie: the argument, else $SKINJAX_DATA, else the user's cache directory."""
    if data_dir or os.environ.get("SKINJAX_DATA"):
        return Path(data_dir or os.environ["SKINJAX_DATA"]).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skinjax"


def open_dataset(name: str, arguments: Mapping[str, Any], root: Path, say: Callable[[str], None] = print) -> Dataset:
    """The data set `name` under `root`; `synthetic`, which is made from `arguments`, is drawn if it is not there yet.

    >>> len(open_dataset("synthetic", {"images": 70}, data_root()))  # doctest: +SKIP
    70
    """
    check_dataset(name, root)
    if name == "synthetic":
        return _open_synthetic(arguments, root, say)
    for argument in arguments:
        raise UserError(
            f"the data set {name} takes no arguments, and {argument!r} is given: start from a config that gives none, "
            f"like configs/own.py:{name}"
        )
    return read_dataset(root / name, name)


def check_dataset(name: str, root: Path) -> None:
    """Raise a `UserError`, with what to do, for a name that cannot be opened."""
    found = prepared(root)
    if name in CATALOGUE and name not in USER_DATA and name not in found:
        way = f"{CATALOGUE[name].download}, then run `skinjax prepare {name} --source=THAT_FOLDER`"
        raise UserError(f"the data set {name} is not prepared under {root}: {way}")
    known = dict.fromkeys(["synthetic", *(name for name in CATALOGUE if name not in USER_DATA), *found])
    try:
        lookup("data set", name, known)
    except UserError as error:
        raise UserError(
            f"{error}; one of your own is looked for under {root}, where `skinjax prepare folder --source=DIR "
            "--name=NAME` puts it"
        ) from None


def prepared(root: Path) -> dict[str, Path]:
    """The folders of the prepared data sets under `root`, by name."""
    folders = sorted(folder for folder in root.glob("[!.]*") if is_prepared(folder))
    return {folder.name: folder for folder in folders if not folder.name.startswith("synthetic-")}


def is_prepared(folder: Path) -> bool:
    """Whether a folder is a prepared data set, whole or damaged, and not somebody's photographs."""
    return (folder / MANIFEST_FILE).is_file() and (folder / RECORDS_FOLDER).is_dir()


def prepared_folder(name: str, arguments: Mapping[str, Any], root: Path) -> Path:
    """Where that data set lies under `root`, if it is there."""
    return _synthetic_folder(arguments, root)[0] if name == "synthetic" else root / name


def _synthetic_folder(arguments: Mapping[str, Any], root: Path) -> tuple[Path, Any, dict[str, Any]]:
    """Where the set that is drawn from these arguments lies, its settings, and all that it depends on."""
    from skinjax.data.synthetic import settings as synthetic

    settings = from_plain(synthetic.Settings, arguments, "dataset.arguments")
    identity = {"generator": synthetic.GENERATOR_VERSION, "format": FORMAT, **dataclasses.asdict(settings)}
    return root / f"synthetic-v{synthetic.GENERATOR_VERSION}-{short_hash(identity)}", settings, identity


def _open_synthetic(arguments: Mapping[str, Any], root: Path, say: Callable[[str], None]) -> Dataset:
    folder, settings, identity = _synthetic_folder(arguments, root)

    def build(target: Path) -> None:
        from skinjax.data.acquire.builders.base import PhotographBuilder
        from skinjax.data.synthetic import settings as synthetic
        from skinjax.data.synthetic.plan import plan
        from skinjax.data.synthetic.workers import encoded_photographs

        say(f"drawing the synthetic set once: {settings.images} images of {settings.width}x{settings.height} pixels")
        photographs = lambda: enumerate(progress(encoded_photographs(settings), settings.images))  # noqa: E731
        names, columns = synthetic.class_names(settings.classes), plan(settings)[0]
        builder = PhotographBuilder(names, columns, photographs, str(target / RECORDS_FOLDER))
        write_records(builder, target, {"made_from": identity})

    if not folder.exists():
        build_whole(folder, build)
    return read_dataset(folder, "synthetic", f"v{identity['generator']}-seed{settings.seed}")


def build_whole(folder: Path, build: Callable[[Path], None]) -> None:
    """Let `build` fill a temporary folder and rename it to `folder`; a build that died earlier is swept away first.

    A lock lets one process build while others wait for it and then find the folder there.
    """
    failure = f"cannot write data sets to {folder.parent}"
    with os_errors_as_user_errors(failure, "use another --data_dir"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(folder.parent / f".{folder.name}.lock"):
            if folder.exists():
                return
            unfinished = folder.parent / f".{folder.name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            try:
                build(unfinished)
                os.replace(unfinished, folder)
            except BaseException as error:
                shutil.rmtree(unfinished, ignore_errors=True)
                if isinstance(error, RuntimeError) and "No space left" in str(error):  # from array_record
                    raise UserError(f"{failure}: the disk is full; make room or use another --data_dir") from error
                raise


def write_records(
    builder: Any, folder: Path, facts: Mapping[str, Any], finish: Callable[[], Mapping[str, Any]] = dict
) -> None:
    """Run a `PhotographBuilder` and put the columns and the manifest beside its records.

    `facts` go into the manifest, with what `finish` says when all records are written.
    """
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    with contextlib.redirect_stdout(None):
        builder.download_and_prepare()
    columns: dict[str, Any] = {name: column[builder.rows] for name, column in builder.columns.items()}
    columns["group"] = columns["group"].astype(str)
    _save_columns(folder / COLUMNS_FILE, columns)
    counts = dict(zip(builder.classes, class_counts(columns["label"], builder.classes).tolist(), strict=True))
    manifest = {
        "classes": list(builder.classes),
        "images": len(columns["label"]),
        "groups": len(np.unique(columns["group"])),
        "images_per_class": counts,
        **facts,
        **finish(),
        "columns_sha256": sha256_of(folder / COLUMNS_FILE),
        "records_sha256": builder.digest.hexdigest(),
        "records_folder": str(Path(builder.data_path).relative_to(folder)),
    }
    write_atomically(folder / MANIFEST_FILE, json.dumps(manifest, indent=2))


def _save_columns(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Save columns as `np.savez` does, whose own arguments (`file`, ...) cannot be names of columns."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, column in columns.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, column, allow_pickle=False)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a prepared folder."""
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text())
        lacking = [fact for fact in FACTS if not isinstance(manifest, dict) or fact not in manifest]
        if lacking:
            raise ValueError(f"{MANIFEST_FILE} does not say {lacking[0]}")
        return manifest
    except (OSError, ValueError) as error:
        raise UserError(_damaged(folder, error)) from error


def read_dataset(folder: Path, name: str, drawn_from: str = "") -> Dataset:
    """Open a prepared folder; one that was tampered with or cut short is refused."""
    manifest = read_manifest(folder)
    try:
        if sha256_of(folder / COLUMNS_FILE) != manifest["columns_sha256"]:
            raise ValueError(f"{COLUMNS_FILE} has changed")
        with np.load(folder / COLUMNS_FILE, allow_pickle=False) as columns:
            table = {column: columns[column] for column in columns.files}
        records = TfdsRecords(folder / manifest["records_folder"])
        if len(records) != len(table["image_id"]):
            raise ValueError(f"{len(records)} records for {len(table['image_id'])} rows")
        content = [manifest[fact] for fact in ("classes", "columns_sha256", "records_sha256")]
    except Exception as error:  # damaged files make tfds, protobuf and array_record raise anything
        raise UserError(_damaged(folder, error)) from error
    return Dataset(name, tuple(manifest["classes"]), table, records, short_hash(content, length=16), drawn_from)


def _damaged(folder: Path, error: Exception) -> str:
    reason = first_line(error)
    if isinstance(error, OSError) and error.strerror:
        reason = f"{error.filename or 'a file'}: {error.strerror}"
    return f"the data set in {folder} is damaged ({reason}); delete that folder and make it again"


def followed_by(dataset: Dataset, other: Dataset) -> Dataset:
    """A data set with the images of another one after its own, all of them unlabelled.

    Of them it knows the image id and the group, as whole names, and they weigh 1; all other columns are empty there,
    NaN or zero.
    """
    every = np.arange(len(other))

    def column(name: str) -> np.ndarray:
        own = dataset.columns[name]
        if name in ("image_id", "group"):
            return other.whole_names(name, every)
        filling = {"label": -1, "weight": 1}.get(name, np.nan if own.dtype.kind == "f" else 0)
        return np.zeros(len(other), own.dtype) if own.dtype.kind == "U" else np.full(len(other), filling, own.dtype)

    columns = {name: np.concatenate([own, column(name)]) for name, own in dataset.columns.items()}
    fingerprint = short_hash([dataset.fingerprint, other.fingerprint], length=16)
    records = Chained(dataset.records, other.records)
    own = dataset.own or len(dataset)
    return dataclasses.replace(dataset, columns=columns, records=records, fingerprint=fingerprint, own=own)


@dataclasses.dataclass(frozen=True)
class Chained:
    """The records of one data set, then those of another."""

    first: Records
    second: Records

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, record: int) -> bytes:
        beyond = record - len(self.first)
        return self.first[record] if beyond < 0 else self.second[beyond]


class TfdsRecords:
    """The encoded images of a prepared TFDS folder."""

    def __init__(self, folder: Path):
        import tensorflow_datasets as tfds
        from tensorflow_datasets.proto import tf_example_pb2

        builder = tfds.builder_from_directory(str(folder))
        raw = tfds.decode.DeserializeMethod.RAW_BYTES
        self._source = builder.as_data_source(split="images", deserialize_method=raw)
        self._parse = tf_example_pb2.Example.FromString
        # Files are opened when first read from; reading a record of each finds what is missing or cut short now.
        lengths = builder.info.splits["images"].shard_lengths
        for first in np.cumsum([0, *lengths[:-1]]):
            self[first]

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, record: int) -> bytes:
        # TFDS's own way to read one feature takes several times as long, and holds the GIL.
        return self._parse(self._source[int(record)]).features.feature["image"].bytes_list.value[0]


READ_IN_A_PHASE = "--config=configs/rotation.py:demo_sequential --config.phases.pretext.dataset.name="


def metadata_of(dataset: Dataset, records: np.ndarray) -> dict[str, np.ndarray]:
    """What else a data set knows of its records, as text, '' for what is not known."""
    others = {name: column[records] for name, column in dataset.columns.items() if name not in STRUCTURE}
    return {
        name: np.array(["" if of != of else f"{of:g}" for of in column.tolist()])
        if np.issubdtype(column.dtype, np.floating)
        else column.astype(str)
        for name, column in others.items()
    }


def class_counts(labels: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Images per class [classes]; unlabelled ones (-1) count nowhere."""
    return np.bincount(labels[labels >= 0], minlength=len(classes))
