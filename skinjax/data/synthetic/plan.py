"""Which photographs there are: the lesions of each class, their photographs, and what is known of their patients."""

from dataclasses import dataclass

import numpy as np

from skinjax.data.synthetic.settings import GENERATOR_VERSION, Settings, class_counts

ORDER, SIZES, DX_TYPE, AGE, SEX, SITE, LESION, PHOTO = range(1, 9)
"""Random streams. Each column has its own, so that a lesion's value does not depend on how many lesions there are."""

SITES = ("back", "lower extremity", "trunk", "upper extremity", "abdomen", "face", "chest", "foot", "neck", "scalp")


@dataclass(frozen=True)
class Patients:
    """Who has the lesions of a class, after HAM10000's metadata. Shares need not sum to one."""

    dx_type: dict[str, float]
    photographs: tuple[float, ...]  # shares of the lesions with 1, 2, 3 and 4
    age: tuple[float, float]  # mean and standard deviation
    male: float
    sites: tuple[float, ...]  # shares of SITES


HISTO = {"histo": 1.0}
FOLLOWED: dict[str, float] = {"follow_up": 55, "histo": 37, "consensus": 8}
PATIENTS = {
    "akiec": Patients(HISTO, (66, 25, 8, 1), (67, 11), 0.68, (9, 20, 2, 19, 1, 35, 4, 2, 4, 4)),
    "bcc": Patients(HISTO, (56, 32, 11, 1), (67, 14), 0.62, (36, 11, 2, 10, 4, 20, 9, 1, 3, 4)),
    "bkl": Patients(
        {"histo": 70, "consensus": 24, "confocal": 6}, (60, 30, 9, 1), (64, 14), 0.57, (18, 16, 7, 9, 4, 29, 7, 3, 4, 3)
    ),
    "df": Patients({"histo": 48, "consensus": 52}, (56, 32, 11, 1), (53, 13), 0.55, (2, 71, 1, 21, 3, 0, 0, 2, 0, 0)),
    "mel": Patients(HISTO, (40, 42, 15, 3), (61, 15), 0.62, (29, 17, 4, 19, 6, 9, 6, 4, 3, 3)),
    "nv": Patients(FOLLOWED, (81, 14, 5, 0), (46, 15), 0.51, (21, 22, 19, 10, 13, 2, 4, 4, 2, 3)),
    "vasc": Patients(
        {"histo": 47, "consensus": 53}, (65, 26, 8, 1), (51, 22), 0.49, (15, 19, 22, 8, 19, 6, 4, 3, 2, 2)
    ),
}


def plan(settings: Settings) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """One row per photograph, in an order that says nothing about the class.

    Returns:
      the columns of the data set: image_id, group (the lesion), dx_type, sex, site: str [images]; label: int32
        [images]; age: float32 [images];
      each row's (label, lesion of the class, photograph of it): int64 [images, 3].
    """
    seed = settings.seed
    patients = [tuple(PATIENTS.values())[label % len(PATIENTS)] for label in range(settings.classes)]
    keys = np.concatenate([_keys(seed, k, patients[k], n) for k, n in enumerate(class_counts(settings))])
    keys = keys[stream(seed, ORDER).permutation(len(keys))]
    _, first, lesion = np.unique(keys[:, 0] << 32 | keys[:, 1], return_index=True, return_inverse=True)
    by_class = [_metadata(seed, k, patients[k], len(keys)) for k in range(settings.classes)]
    columns = {
        "image_id": np.array([f"synthetic_{i:07d}" for i in range(len(keys))]),
        "label": keys[:, 0].astype(np.int32),
        # Numbered as they first appear, so that the name says nothing about the class.
        "group": np.array([f"lesion_{i:07d}" for i in np.argsort(np.argsort(first))[lesion]]),
    }
    columns |= {name: np.array([by_class[k][name][i] for k, i, _ in keys]) for name in by_class[0]}
    return columns, keys


def _keys(seed: int, label: int, patients: Patients, images: int) -> np.ndarray:
    """The keys of a class's photographs: int64 [images, 3]. At least three lesions, where there are enough."""
    wanted = 1 + _choose(stream(seed, SIZES, label), patients.photographs, images)
    sizes: list[int] = []
    left = images
    while left:
        lesions_to_come = max(0, 2 - len(sizes))
        sizes.append(max(1, min(int(wanted[len(sizes)]), left - lesions_to_come)))
        left -= sizes[-1]
    return np.array([(label, lesion, photo) for lesion, size in enumerate(sizes) for photo in range(size)])


def _metadata(seed: int, label: int, patients: Patients, lesions: int) -> dict[str, np.ndarray]:
    """Columns of a class's lesions, each [lesions]."""
    dx_type = _choose(stream(seed, DX_TYPE, label), tuple(patients.dx_type.values()), lesions)
    age = patients.age[0] + patients.age[1] * stream(seed, AGE, label).standard_normal(lesions)
    return {
        "dx_type": np.array(list(patients.dx_type))[dx_type],
        "age": (5 * np.round(age / 5)).clip(5, 85).astype(np.float32),
        "sex": np.where(stream(seed, SEX, label).random(lesions) < patients.male, "male", "female"),
        "site": np.array(SITES)[_choose(stream(seed, SITE, label), patients.sites, lesions)],
    }


def _choose(rng: np.random.Generator, shares: tuple[float, ...], count: int) -> np.ndarray:
    """Positions in `shares`, in proportion to them: int [count]. A longer draw begins with the shorter one."""
    edges = np.cumsum(shares) / np.sum(shares)
    return np.searchsorted(edges[:-1], rng.random(count), side="right")


def stream(seed: int, number: int, *key: int) -> np.random.Generator:
    """The generator of one of the streams above; `key` says of which class, lesion and photograph."""
    # One is added because numpy takes [1, 2] and [1, 2, 0] for the same seed.
    return np.random.default_rng([GENERATOR_VERSION, seed, number, *(part + 1 for part in key)])
