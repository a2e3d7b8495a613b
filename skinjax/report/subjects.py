"""What a report is of: a judged table, and what the folder and the data set of a run know beside it."""

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skinjax.core.errors import UserError
from skinjax.data.dataset import Dataset, is_prepared, metadata_of, open_dataset, prepared_folder
from skinjax.data.splits.split import PARTS, Split, read_split
from skinjax.evaluation.confusion import METRICS
from skinjax.evaluation.judgement import Questions, judged
from skinjax.evaluation.metrics import SENSITIVITY
from skinjax.evaluation.predictions import UNLABELLED, Predictions
from skinjax.evaluation.scores import SCORE_METRICS
from skinjax.evaluation.sources import Source, open_source, with_groups_of

Record = dict[str, Any]

WORST = 12  # photographs of a kind that are shown
MOST_PICTURES, LARGEST_PICTURE = 4, 2_000_000  # bytes
CAPTIONS = {  # of the pictures that come first
    "explain": "What the answers rest on, by Grad-CAM: the surest hits, then the top losses",
    "randomised": "The same maps while weights are drawn anew, from the top down",
}
PAIRS = 5  # errors between two classes from which they are told


class Part(NamedTuple):
    """The images of one part: class names and groups [n], and metadata as text [n] by column, where it is known."""

    labels: np.ndarray
    groups: np.ndarray
    metadata: Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture of which a report makes no more than showing it: what it shows, and a PNG or JPEG file."""

    caption: str
    data: bytes


@dataclasses.dataclass(frozen=True)
class Subject:
    """A source, what was found out about it, and, of a run, what its folder says; all that is not known is empty.

    dataset: that of the run, where it is prepared and the same; pictures: Grad-CAMs and the like, ready to be shown.
    """

    source: Source
    found: Record
    config: Record = dataclasses.field(default_factory=dict)
    environment: Record = dataclasses.field(default_factory=dict)
    log: tuple[Record, ...] = ()
    split: Split | None = None
    dataset: Dataset | None = None
    pictures: tuple[Picture, ...] = ()

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def table(self) -> Predictions:
        return self.source.table

    @property
    def protocol(self) -> Record:
        return self.table.protocol

    @property
    def synthetic(self) -> bool:
        return bool(self.protocol.get("synthetic")) or str(self.protocol.get("dataset", "")).startswith("synthetic")


def open_subject(
    path: Path, part: str = "", name: str = "", root: Path | None = None, groups: str | None = None
) -> Subject:
    """The table at a path, or the run; its data set is looked for under `root`. groups: a file that names others."""
    source = with_groups_of(open_source(path, part, name=name), groups)
    questions = Questions(pairs=PAIRS, losses=WORST)
    if not path.is_dir():
        return Subject(source, judged(source, questions)[1])
    kept = None if groups else kept_figures(path / f"metrics_{source.part}.json", source.table)
    found = judged(source, questions, kept)[1]
    config = _sections(_record(path / "config.json").get("config"))
    return Subject(
        source,
        found,
        config,
        environment_of(path / "environment.json"),
        tuple(_lines(path / "metrics.jsonl")),
        read_split(path / "split.csv") if (path / "split.csv").is_file() else None,
        same_dataset(config.get("dataset", {}), source.table.protocol, root) if root else None,
        tuple(drawn_pictures(path / "explain")),
    )


def drawn_pictures(folder: Path) -> Iterator[Picture]:
    """The pictures that `skinjax explain` has left there, unless they would make the report too large."""
    files = [file for file in folder.glob("*.png") if file.is_file() and file.stat().st_size <= LARGEST_PICTURE]
    first = list(CAPTIONS)
    files.sort(key=lambda file: (first.index(file.stem) if file.stem in first else len(first), file.stem))
    for file in files[:MOST_PICTURES]:
        name = file.stem.replace("_", " ")
        swept = f"The answers while {name.removeprefix('correct ')} moves" if name.startswith("correct ") else name
        yield Picture(CAPTIONS.get(file.stem, swept), file.read_bytes())


def kept_figures(path: Path, table: Predictions) -> Record | None:
    """The figures that a run left beside a table, unless they are of an earlier version or of another table."""
    found = _record(path)
    try:
        classes = found["per_class"].values()
        known = all("few" in of and "high" in of["auc"] and "high" in of[SENSITIVITY] for of in classes)
        known = known and all("high" in found[name] for name in (*METRICS, *SCORE_METRICS))
        same = (found["images"], found["classes"]) == (int(table.labelled.sum()), list(table.classes))
        return found if known and same and found["intervals"]["replicates"] else None
    except (KeyError, TypeError, AttributeError):
        return None


def same_dataset(settings: Record, protocol: Record, root: Path) -> Dataset | None:
    """The data set of a run, if it is prepared under `root` and has not changed since."""
    name, arguments = settings.get("name", ""), settings.get("arguments", {})
    # The name may be of a run from anywhere, and leads to a folder.
    if not re.fullmatch(r"\w[\w.-]*", str(name)):
        return None
    try:
        if not is_prepared(prepared_folder(name, arguments, root)):
            return None
        dataset = open_dataset(name, arguments, root)
    except UserError:
        return None
    return dataset if dataset.fingerprint == protocol.get("fingerprint") else None


def parts(subject: Subject) -> dict[str, Part]:
    """What is known of the images of every part: of the run's split, else of the table alone."""
    split, found = subject.split, dict[str, Part]()
    if split is None:
        return {subject.source.part or "table": _part_of(subject.table)}
    names = subject.dataset.columns["image_id"].tolist() if subject.dataset else []
    record_of = {name: record for record, name in enumerate(names)}
    tables = {"validation": subject.source.validation, subject.source.part: subject.table}
    for part in PARTS:
        rows, table = split.rows(part), tables.get(part)
        if subject.dataset:
            records = np.array([record_of[name] for name in split.image_ids[rows].tolist()], int)
            metadata = metadata_of(subject.dataset, records)
            found[part] = Part(split.labels[rows], split.groups[rows], metadata)
        else:
            found[part] = _part_of(table) if table else Part(split.labels[rows], split.groups[rows], {})
    return found


def _part_of(table: Predictions) -> Part:
    names = np.array([*table.classes, ""])[np.where(table.labels == UNLABELLED, len(table.classes), table.labels)]
    return Part(names, table.groups, table.metadata)


def environment_of(path: Path) -> Record:
    """What a run has kept of where it ran, as far as it can be read."""
    found = _record(path)
    if not found:
        return {}
    packages, devices = found.get("packages"), found.get("devices")
    known = {"packages": packages if isinstance(packages, dict) else {}}
    return found | known | {"devices": devices if isinstance(devices, list) else []}


def _sections(config: Any) -> Record:
    """A config whose sections are records; what is damaged is left out."""
    named = {"dataset", "model", "method", "views", "split", "optimizer", "loss"}
    found = config if isinstance(config, dict) else {}
    return {name: of for name, of in found.items() if name not in named or isinstance(of, dict)}


def _record(path: Path) -> Record:
    """A JSON object, {} where there is none that can be read."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _lines(path: Path) -> list[Record]:
    """The whole lines of a log."""
    found = []
    for line in path.read_text(errors="replace").splitlines() if path.is_file() else ():
        try:
            of = json.loads(line)
        except ValueError:
            break
        if isinstance(of, dict) and isinstance(of.get("step"), int | float):
            found.append(of)
    return found
