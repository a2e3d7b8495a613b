"""What is to be drawn: how many photographs, how large, of which classes, in which proportions."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skinjax.core import settings

GENERATOR_VERSION = 1
"""Part of every random seed; belongs in the name of whatever is stored. Another version draws other photographs."""

HAM10000_COUNTS = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}
HAM10000_RATIO = HAM10000_COUNTS["nv"] / HAM10000_COUNTS["df"]


@dataclass(frozen=True)
class Settings(settings.Settings):
    """What to draw."""

    images: int = settings.number(1500, 1)
    height: int = settings.number(168, 32, 2**14)  # pixels; the shorter side is the field of view, all of it drawn
    width: int = settings.number(224, 32, 2**14)
    classes: int = settings.number(7, 2, 256)  # 7 are HAM10000's; any other number are invented ones
    # The largest class over the smallest, the others in geometric steps between; or 'ham10000' for its counts (with
    # invented classes: its ratio).
    imbalance: Any = "ham10000"
    seed: int = settings.number(0, 0)  # another one draws other lesions of the same classes

    def check(self) -> None:
        if self.images < self.classes:
            reason = f" is {self.images}; give at least one for each of {self.classes} classes"
            raise settings.FieldError("dataset.arguments.images", reason)
        if self.imbalance != "ham10000" and not (type(self.imbalance) in (int, float) and 1 <= self.imbalance < np.inf):
            reason = f" is {self.imbalance!r}; give 'ham10000' or a number from 1 on"
            raise settings.FieldError("dataset.arguments.imbalance", reason)


def class_names(classes: int) -> tuple[str, ...]:
    """HAM10000's names for seven classes, invented ones for any other number.

    >>> class_names(3)
    ('class_000', 'class_001', 'class_002')
    """
    if classes == len(HAM10000_COUNTS):
        return tuple(HAM10000_COUNTS)
    return tuple(f"class_{i:03d}" for i in range(classes))


def class_counts(wanted: Settings) -> np.ndarray:
    """Photographs per class, which sum to `wanted.images`, three at least where there are enough: int [classes]."""
    ham = np.array(list(HAM10000_COUNTS.values()), float)
    named = wanted.classes == len(ham)
    if named and wanted.imbalance == "ham10000":
        shares = ham
    else:
        ratio = HAM10000_RATIO if isinstance(wanted.imbalance, str) else wanted.imbalance
        rank = np.argsort(np.argsort(-ham)) if named else np.arange(wanted.classes)
        shares = ratio ** (-rank / (wanted.classes - 1))
    return _apportion(shares / shares.sum(), wanted.images, least=min(3, wanted.images // wanted.classes))


def _apportion(shares: np.ndarray, total: int, least: int) -> np.ndarray:
    """Whole numbers near `total * shares` that sum to `total`, none below `least`: int [classes]."""
    counts = np.maximum(np.floor(total * shares).astype(int), least)
    while counts.sum() != total:
        lacking = total * shares - counts
        if counts.sum() < total:
            counts[np.argmax(lacking)] += 1
        else:
            counts[np.argmin(np.where(counts > least, lacking, np.inf))] -= 1
    return counts
