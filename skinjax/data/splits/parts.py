"""A data set in the parts of a run's split: the record numbers that train, and those that are held out."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from skinjax.core.errors import UserError, lookup
from skinjax.data.dataset import Dataset, class_counts, followed_by
from skinjax.data.pipeline import StoredSize
from skinjax.data.splits.split import PARTS, Split, read_split, write_split

SHRUNK = "_downsampled"  # what ISIC 2019 appends to the ids of photographs that it shrank


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """A data set, its split, the record numbers of each part, ascending, and the size at which its images are read.

    `unlabelled` are the records without a label; `others`, by phase, those of another data set, which a phase trains on
    instead. None of them are of a group that is held out.
    """

    dataset: Dataset
    split: Split
    records: dict[str, np.ndarray]
    size: StoredSize
    unlabelled: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int32))
    others: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    @property
    def held_out(self) -> str:
        """The part that a run is judged on while it trains."""
        return "validation" if len(self.records["validation"]) else "test"

    def labels(self, part: str) -> np.ndarray:
        """The class numbers of a part's records."""
        return self.dataset.columns["label"][self.records[part]]

    def training_counts(self) -> np.ndarray:
        """Training images per class."""
        return class_counts(self.labels("train"), self.dataset.classes)


def in_parts(dataset: Dataset, split: Split, size: StoredSize) -> Data:
    """Divide `dataset` as `split` says."""
    record_of = {image_id: record for record, image_id in enumerate(dataset.columns["image_id"].tolist())}
    numbers = np.array([record_of[image_id] for image_id in split.image_ids.tolist()], np.int32)
    records = {part: np.sort(numbers[split.rows(part)]) for part in PARTS}
    held_out = np.concatenate([records[part] for part in PARTS[1:]])
    groups = dataset.columns["group"]
    free = (dataset.columns["label"] < 0) & ~np.isin(groups, groups[held_out])
    return Data(dataset, split, records, size, np.flatnonzero(free).astype(np.int32))


def with_other(data: Data, phase: str, other: Dataset) -> Data:
    """`data` with another data set for a phase, less the lesions that are held out in its own.

    A lesion of the other set is, by its name there or by a photograph of it, whatever ISIC 2019 appended to its name.
    """
    held_out = np.concatenate([data.records[part] for part in PARTS[1:]])
    joined, first = followed_by(data.dataset, other), len(data.dataset)
    added = np.arange(first, len(joined))

    def names(column: str, rows: np.ndarray) -> np.ndarray:
        return np.char.replace(joined.whole_names(column, rows), SHRUNK, "")

    known = [np.isin(names(column, added), names(column, held_out)) for column in ("image_id", "group")]
    groups = names("group", added)
    free = ~np.isin(groups, groups[np.any(known, axis=0)])
    if not free.any():
        raise UserError(
            f"phase {phase!r} has nothing to train on: all images of {other.name} are of lesions that are held out"
        )
    records = first + np.flatnonzero(free).astype(np.int32)
    return dataclasses.replace(data, dataset=joined, others={**data.others, phase: records})


def keep_split(path: Path, split: Split) -> None:
    """Write the split of a run, or refuse another one there, which would let test images into training."""
    if path.exists():
        kept = read_split(path)
        same = [np.array_equal(getattr(kept, name), getattr(split, name)) for name in ("image_ids", "groups", "parts")]
        if not all(same) or kept.protocol | {"file": ""} != split.protocol | {"file": ""}:  # whatever its name is
            raise UserError(
                f"{path} is not the split of this config and data set any more (it was changed, or the data set was): "
                "bring it back or use another workdir"
            )
    else:
        write_split(path, split)


def training_records(
    data: Data, phase: str, names: Sequence[str] = (), unlabelled: bool = False
) -> tuple[np.ndarray, Sequence[str] | None]:
    """The records that a phase trains on, and the classes that must be among them (None: those that are).

    They are those of another data set, if it has one, else of the training part: of the classes `names` (all when
    empty), and those without a label besides where they are asked for.
    """
    if phase in data.others:
        return data.others[phase], None
    if unlabelled:
        return np.sort(np.concatenate([data.records["train"], data.unlabelled])), None
    if not names:
        return data.records["train"], data.dataset.classes
    number_of = {name: number for number, name in enumerate(data.dataset.classes)}
    numbers = [lookup("class", name, number_of) for name in names]
    return data.records["train"][np.isin(data.labels("train"), numbers)], None
