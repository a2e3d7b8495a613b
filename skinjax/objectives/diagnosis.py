"""Paper 003's diagnosis-guided weighting: an image counts for more, the harder its diagnosis was to make.

The columns are those of HAM10000: how a diagnosis was made, from a look (consensus) to the microscope (histo).
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from skinjax.core.errors import UserError, lookup
from skinjax.core.settings import choice, number
from skinjax.objectives.losses import ClassificationLoss

PAPERS_FACTORS = {"consensus": 1.0, "follow_up": 2.0, "confocal": 3.0, "histo": 4.0}
BENIGN = ("bkl", "df", "nv", "vasc")
SCOPES = {
    "nv": "nevi alone, as the released code means it",
    "benign": "the benign classes bkl, df, nv and vasc, as the paper's text has it",
    "all": "every class, as the code of the group's 2018 challenge has it",
}


@dataclasses.dataclass(frozen=True)
class LossSettings(ClassificationLoss):
    """The loss of a run: that of classification, and what an image weighs in it by how its diagnosis was made."""

    diagnosis_factors: tuple[tuple[str, float], ...] = number((), 0)  # by `dx_type`, like (("histo", 4.0), ...)
    diagnosis_scope: str = choice("nv", "loss.diagnosis_scope", SCOPES)
    diagnosis_as_released: bool = False  # with the two defects of paper 003's code, which knows no scope

    def check(self) -> None:
        names = [name for name, _ in self.diagnosis_factors]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"loss.diagnosis_factors has {names.count(name)} rows for {name!r}: keep one of them")
        if self.diagnosis_as_released and not names:
            raise UserError("loss.diagnosis_as_released repeats defects of the factors: set loss.diagnosis_factors")

    def classification_loss(self) -> ClassificationLoss:
        """The loss without the factors of single images."""
        return ClassificationLoss(
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(ClassificationLoss)}
        )


def diagnosis_factors(
    dx_types: np.ndarray, labels: np.ndarray, classes: Sequence[str], factors: Mapping[str, float], scope: str
) -> np.ndarray:
    """A factor for each image [n], from how its diagnosis was made; 1 outside of the scope, however it was made.

    dx_types: [n] str; labels: [n], of `classes`
    """
    lookup("loss.diagnosis_scope", scope, SCOPES)
    chosen = [name for name in classes if scope == "all" or name in (BENIGN if scope == "benign" else ("nv",))]
    if not chosen:
        raise UserError(f"loss.diagnosis_scope {scope!r} has no class of the data set, which has {', '.join(classes)}")
    inside = np.isin(labels, [classes.index(name) for name in chosen])
    kinds, number = np.unique(dx_types[inside], return_inverse=True)
    unknown = [str(kind) for kind in kinds if kind not in factors]
    if unknown:
        raise UserError(
            f"loss.diagnosis_factors has no factor for the diagnoses made by {', '.join(map(repr, unknown))}; it has "
            f"those of {', '.join(factors)}"
        )
    found = np.ones(len(labels))
    found[inside] = np.array([factors[str(kind)] for kind in kinds])[number]
    return found


def as_released(
    dx_types: np.ndarray, training: np.ndarray, image_ids: np.ndarray, factors: Mapping[str, float]
) -> np.ndarray:
    """Each image's factor with the two defects of the released code: it is another image's, and holds in every class.

    The code lists factors by the place of an image among all images, sorted by name, and looks them up by its place in
    the training part. The test for nevi reads a variable left over from a loop before, and lets every image pass.

    dx_types, image_ids: [n] str, of all images; training: the record numbers of the training part, in its order
    """
    looked_up = np.argsort(image_ids, kind="stable")[: len(training)]
    found = np.ones(len(dx_types))
    found[training] = diagnosis_factors(dx_types[looked_up], np.zeros(len(training), int), ("any",), factors, "all")
    return found
