"""The split of a data set by the name of its protocol, as a config or the command line asks for it."""

import dataclasses
from dataclasses import replace
from pathlib import Path

import numpy as np

from skinjax.core.errors import UserError
from skinjax.core.settings import BELOW_ONE, Settings, choice, number
from skinjax.data.dataset import READ_IN_A_PHASE, Dataset
from skinjax.data.splits import split as splits
from skinjax.data.splits.published import fold_split, read_published
from skinjax.data.splits.split import LEAK_IS_AN_ERROR, PARTS, Split

DRAWN = {"lesion_grouped": splits.lesion_grouped, "image_stratified": splits.image_stratified}
OFFICIAL_COLUMN = "split"
# The validation part of official parts, or of a file.
PUBLISHED_VALIDATION = {"kept": "it validates", "trained_on": "it becomes training", "left_out": "it takes no part"}
# What stays whole where a validation part is taken out of official parts or a file.
VALIDATION_BY = {"group": "all images of a lesion", "image": "each image; lesions may then be on both sides"}


@dataclasses.dataclass(frozen=True)
class SplitSettings(Settings):
    """How a data set is parted; `lesion_grouped` and `image_stratified` draw the parts."""

    protocol: str = choice("lesion_grouped", "split protocol", LEAK_IS_AN_ERROR)
    test: float = number(0.2, 0, BELOW_ONE)  # of the drawn protocols: official and file have their own test parts
    # of all images; where official parts or a file have none, of their training images, whole groups by class
    validation: float = number(0.15, 0, BELOW_ONE)
    folds: int = number(1, 1, 1000)  # of the drawn protocols
    fold: int = number(0, 0, 999)  # of those and of a file
    seed: int = number(0, 0, 2**32 - 1)
    file: str = ""  # a published split, for the protocol file; docs/split.md has the layouts
    published_validation: str = choice("kept", "value of published_validation", PUBLISHED_VALIDATION)
    validation_by: str = choice("group", "value of validation_by", VALIDATION_BY)
    allow_leak: bool = False  # use official parts or a file though they leak, and print by how much

    def check(self) -> None:
        if self.protocol == "file" and not self.file:
            raise UserError("the split protocol 'file' needs a file: set split.file to its path")
        if self.file and self.protocol != "file":
            raise UserError(f"split.file is {self.file!r}, split.protocol {self.protocol!r}: set that to 'file'")
        if self.protocol not in DRAWN:
            return
        test, validation, folds = self.test, self.validation, self.folds
        for name, default in {"published_validation": "kept", "validation_by": "group"}.items():
            if getattr(self, name) != default:
                raise UserError(
                    f"split.{name} is for official parts and files, and {self.protocol} draws its own: leave it at "
                    f"{default!r}"
                )
        if test + validation >= 1:
            raise UserError(f"test={test} and validation={validation} must be fractions that leave some for training")
        if self.fold >= folds:
            raise UserError(f"fold {self.fold} is not one of the {folds} folds, which count from 0")
        if folds > 1 and test and validation:
            raise UserError(
                f"validation={validation} beside test={test} and {folds} folds has no place, because the fold is then "
                "the validation part: set validation or test to 0"
            )
        if folds > 1 and validation >= 1 - 1 / folds:
            raise UserError(f"validation={validation} leaves nothing to train on beside one of {folds} folds")


def split_dataset(dataset: Dataset, settings: SplitSettings) -> Split:
    """The labelled images of `dataset` in parts. Leaks are not looked for here: `splits.check` does that.

    >>> dataset = open_dataset("synthetic", {"images": 70}, data_root())  # doctest: +SKIP
    >>> len(split_dataset(dataset, SplitSettings(test=0.2)).rows("test"))  # doctest: +SKIP
    15
    """
    protocol, fold = settings.protocol, settings.fold
    columns = (dataset.columns["image_id"], dataset.columns["group"], dataset.label_names())
    labelled = columns[2] != ""
    if not labelled.any():
        raise UserError(f"the data set {dataset.name} has no labels: a phase reads it, {READ_IN_A_PHASE}{dataset.name}")
    if protocol in DRAWN:
        ids, groups, labels = (column[labelled].tolist() for column in columns)
        asked = {name: getattr(settings, name) for name in ("seed", "test", "validation", "folds", "fold")}
        split = DRAWN[protocol](ids, groups, labels, **asked)
    else:
        if protocol == "official":
            split = official(dataset, fold)
        else:
            split = fold_split(read_published(Path(settings.file)), fold, columns)
        if settings.published_validation != "kept":
            split = without_validation(split, settings.published_validation)
        if settings.validation and not len(split.rows("validation")):
            by_image = settings.validation_by == "image"
            split = splits.with_validation(split, settings.validation, settings.seed, by_image)
        if settings.allow_leak:
            split = splits.with_leak_percent(replace(split, protocol=split.protocol | {"allow_leak": True}))
    counts = {"unlabelled": int(np.sum(~labelled)), "left_out": int(np.sum(labelled)) - len(split.image_ids)}
    made_of = {"dataset": dataset.name, "fingerprint": dataset.fingerprint}
    return replace(split, protocol=split.protocol | made_of | counts)


def official(dataset: Dataset, fold: int = 0) -> Split:
    """The parts that the data set comes with, without images that have no label or are in no part."""
    others = ", ".join(name for name in LEAK_IS_AN_ERROR if name != "official")
    parts = dataset.columns.get(OFFICIAL_COLUMN)
    if parts is None or not (parts == "train").any():
        raise UserError(f"the data set {dataset.name} has no official training part: choose one of {others}")
    unknown = parts[~np.isin(parts, ["", *PARTS])]
    if len(unknown):
        raise UserError(f"the data set {dataset.name} has the part {str(unknown[0])!r}; known: {', '.join(PARTS)}")
    if fold:
        raise UserError(f"fold {fold} does not exist, because official parts are a single fold: set split.fold to 0")
    labels = dataset.label_names()
    rows = np.flatnonzero((parts != "") & (labels != ""))
    ids, groups, parts = (dataset.columns[name][rows] for name in ("image_id", "group", OFFICIAL_COLUMN))
    if not (parts == "train").any():
        raise UserError(f"the data set {dataset.name} has no labelled training image: choose one of {others}")
    folds = np.where(parts == "validation", 0, -1)
    return Split(ids, groups, labels[rows], folds, parts, {"name": "official", "fold": 0})


def without_validation(split: Split, instead: str) -> Split:
    """The split without its validation part, which is trained on or left out; see `PUBLISHED_VALIDATION`."""
    kept = np.full(len(split.parts), True) if instead == "trained_on" else split.parts != "validation"
    names = ("image_ids", "groups", "labels", "parts")
    columns = {name: getattr(split, name)[kept] for name in names}
    columns["parts"] = np.where(columns["parts"] == "validation", "train", columns["parts"])
    protocol = split.protocol | {"published_validation": instead}
    return replace(split, **columns, folds=np.full(kept.sum(), -1), protocol=protocol)
