"""What is to be drawn: how many photographs, how large, of which classes, in which proportions."""

from dataclasses import dataclass

import numpy as np

from skinjax.core.errors import UserError

GENERATOR_VERSION = 1
"""Part of every random seed; belongs in the name of whatever is stored. Another version draws other photographs."""

HAM10000_COUNTS = {"akiec": 327, "bcc": 514, "bkl": 1099, "df": 115, "mel": 1113, "nv": 6705, "vasc": 142}
HAM10000_RATIO = HAM10000_COUNTS["nv"] / HAM10000_COUNTS["df"]
MOST_CLASSES = 256


@dataclass(frozen=True)
class Settings:
    """What to draw.

    Args:
      images: how many photographs.
      height, width: pixels; the shorter side is the field of view, in units of which everything is drawn.
      classes: 7 are HAM10000's; any other number are invented ones.
      imbalance: the largest class over the smallest, the others in geometric steps between; or 'ham10000' for its
        counts (with invented classes: its ratio).
      seed: another seed draws other lesions of the same classes.
    """

    images: int = 1500
    height: int = 168
    width: int = 224
    classes: int = 7
    imbalance: str | float = "ham10000"
    seed: int = 0

    def __post_init__(self) -> None:
        if not 2 <= self.classes <= MOST_CLASSES:
            raise UserError(f"synthetic: classes is {self.classes}; give 2 to {MOST_CLASSES}")
        if self.images < self.classes:
            raise UserError(f"synthetic: images is {self.images}; give at least one for each of {self.classes} classes")
        if min(self.height, self.width) < 32:
            raise UserError(f"synthetic: size is {self.height}x{self.width}; give a height and a width of at least 32")
        if self.seed < 0:
            raise UserError(f"synthetic: seed is {self.seed}; give 0 or a positive number")
        if isinstance(self.imbalance, str):
            if self.imbalance != "ham10000":
                raise UserError(f"synthetic: imbalance is {self.imbalance!r}; give 'ham10000' or a number from 1 on")
        elif not 1 <= self.imbalance < np.inf:
            raise UserError(f"synthetic: imbalance is {self.imbalance}; give 'ham10000' or a number from 1 on")


def class_names(classes: int) -> tuple[str, ...]:
    """HAM10000's names for seven classes, invented ones for any other number.

    >>> class_names(3)
    ('class_000', 'class_001', 'class_002')
    """
    if classes == len(HAM10000_COUNTS):
        return tuple(HAM10000_COUNTS)
    return tuple(f"class_{i:03d}" for i in range(classes))


def class_counts(settings: Settings) -> np.ndarray:
    """Photographs per class, which sum to `settings.images`, three at least where there are enough: int [classes]."""
    ham = np.array(list(HAM10000_COUNTS.values()), float)
    named = settings.classes == len(ham)
    if named and settings.imbalance == "ham10000":
        shares = ham
    else:
        ratio = HAM10000_RATIO if isinstance(settings.imbalance, str) else settings.imbalance
        rank = np.argsort(np.argsort(-ham)) if named else np.arange(settings.classes)
        shares = ratio ** (-rank / (settings.classes - 1))
    return _apportion(shares / shares.sum(), settings.images, least=min(3, settings.images // settings.classes))


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
