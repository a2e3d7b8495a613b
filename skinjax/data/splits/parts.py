"""A data set in the parts of a run's split: the record numbers that train, and those that are held out."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from skinjax.core.errors import UserError, lookup
from skinjax.data.dataset import Dataset, class_counts
from skinjax.data.pipeline import StoredSize
from skinjax.data.splits.split import PARTS, Split, read_split, write_split


@dataclasses.dataclass(frozen=True, eq=False)
class Data:
    """A data set, its split, the record numbers of each part, ascending, and the size at which its images are read."""

    dataset: Dataset
    split: Split
    records: dict[str, np.ndarray]
    size: StoredSize

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
    return Data(dataset, split, {part: np.sort(numbers[split.rows(part)]) for part in PARTS}, size)


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


def training_records(data: Data, names: Sequence[str]) -> tuple[np.ndarray, Sequence[str] | None]:
    """The training records of the classes `names` (all when empty), and the classes that must be among them."""
    if not names:
        return data.records["train"], data.dataset.classes
    number_of = {name: number for number, name in enumerate(data.dataset.classes)}
    numbers = [lookup("class", name, number_of) for name in names]
    return data.records["train"][np.isin(data.labels("train"), numbers)], None
