"""Paper 002 (slides: schedules, balancing, clinical photographs): single runs, accuracies in percent."""

from skinjax.papers.printed import Figure, claims, table

ACCURACY = {"Accuracy": "accuracy"}
ACCURACY_AND_TIME = ACCURACY | {"Time (s)": "seconds"}


NETWORKS = ("ResNet-34", "ResNet-50", "ResNet-101", "ResNet-152", "DenseNet-161")


def aims(recipe: str) -> dict[str, str]:
    """The config of each network's row."""
    return {name: f"configs/{recipe}_{name.replace('-', '').lower()}" for name in NETWORKS}


SAMPLERS = {"Unbalanced": "natural", "Static": "statically_balanced", "Dynamic": "balanced_batches"}
TABLES = {
    "Table DermAI": table(
        ACCURACY,
        {"ResNet-34": (88.9,), "ResNet-50": (89.7,), "ResNet-101": (88.2,), "ResNet-152": (89.8,)},
        aims("schedules.py:folder"),
        claims=claims("Accuracy", "ResNet-152 > ResNet-34"),
    ),
    # Of the two confusion matrices below, whose test parts differ as well; static copies are not printed.
    "Table Balancing": table(
        ACCURACY | {"Macro recall": "macro_recall"},
        {"Unbalanced": (83.12, 66.23), "Static": (None, None), "Dynamic": (85.56, 85.30)},
        dict.fromkeys(SAMPLERS, "configs/schedules.py:folder_resnet50"),
        claims=claims("Macro recall", "Dynamic > Unbalanced", "Dynamic > Static"),
        # 60 are as many of each of the ten classes
        changes={row: (f"sampler={sampler}", "batch=60") for row, sampler in SAMPLERS.items()},
    ),
    "Table CIFAR baseline": table(
        ACCURACY_AND_TIME,
        {
            "ResNet-34": (90.36, 17757),
            "ResNet-50": (90.54, 34039),
            "ResNet-101": (90.71, 60639),
            "ResNet-152": (90.68, 91888),
            "DenseNet-161": (93.02, 54628),
        },
        aims("cifar10.py:baseline"),
    ),
    # eta: the baseline's time over this one. ResNet-34's printed times give 1.86.
    "Table CIFAR speed-up": table(
        ACCURACY_AND_TIME | {"eta": "seconds_saved"},
        {
            "ResNet-34": (96.84, 9565, 1.84),
            "ResNet-50": (96.82, 11817, 2.88),
            "ResNet-101": (97.61, 6673, 9.09),
            "ResNet-152": (97.78, 9012, 10.2),
            "DenseNet-161": (97.15, 7195, 7.59),
        },
        aims("cifar10.py:speedup"),
        claims=claims("Accuracy", *(f"{name} > Table CIFAR baseline: {name}" for name in NETWORKS)),
        against="Table CIFAR baseline",
    ),
}

# "Label pairs with at least 5 errors", both ways together; the balanced matrix below has 20 such pairs, not these 11.
PAIRS = (
    ("ulcer", "tumor", 29),
    ("macula", "erythema", 25),
    ("blister", "erythema", 17),
    ("erythema", "wheel", 15),
    ("crust", "ulcer", 14),
    ("blister", "crust", 14),
    ("macula", "tumor", 13),
    ("macula", "leuko", 10),
    ("blister", "ulcer", 7),
    ("tumor", "erythema", 7),
    ("crust", "tumor", 5),
)

# "Balancing for model learning": a row per true class, a column per predicted one, named as in the slide.
CLASSES = ("acne", "alopecia", "blister", "crust", "erythema", "leuko", "macula", "tumor", "ulcer", "wheel")
CONFUSIONS = {
    "unbalanced": (
        (30, 0, 0, 0, 7, 0, 3, 0, 0, 0),
        (0, 20, 0, 0, 0, 1, 0, 0, 0, 0),
        (0, 0, 25, 1, 18, 0, 1, 0, 0, 0),
        (0, 1, 1, 11, 9, 0, 2, 3, 5, 0),
        (8, 0, 8, 2, 653, 2, 13, 6, 3, 5),
        (0, 1, 0, 0, 9, 43, 7, 0, 0, 0),
        (0, 0, 0, 0, 39, 4, 201, 3, 3, 0),
        (0, 0, 0, 1, 10, 1, 6, 48, 14, 0),
        (0, 0, 0, 3, 7, 0, 0, 7, 139, 0),
        (0, 0, 0, 0, 23, 0, 1, 0, 0, 2),
    ),
    "balanced": (
        (186, 2, 1, 2, 1, 2, 4, 1, 0, 1),
        (1, 143, 0, 1, 0, 2, 0, 2, 0, 0),
        (2, 0, 117, 6, 13, 4, 1, 0, 7, 0),
        (3, 0, 8, 128, 1, 0, 0, 1, 9, 0),
        (6, 0, 4, 4, 108, 2, 11, 5, 2, 8),
        (4, 3, 2, 0, 3, 127, 7, 0, 1, 2),
        (3, 0, 1, 4, 14, 3, 115, 7, 1, 2),
        (0, 0, 2, 4, 2, 2, 6, 173, 11, 0),
        (1, 0, 0, 5, 5, 0, 1, 18, 170, 0),
        (0, 0, 0, 0, 7, 0, 0, 0, 0, 143),
    ),
}

FIGURES = {
    "Confusion matrix": Figure("errors by class", "skinjax report RUN", ("configs/schedules.py:folder_resnet50",)),
    "Label pairs": Figure(
        "pairs with at least 5 errors", "skinjax report RUN", ("configs/schedules.py:folder_resnet50",)
    ),
    "Learning rate": Figure("the range test", "skinjax lr-range --config=configs/schedules.py:folder_resnet50"),
    "Gamma and illumination": Figure("a photograph made brighter", "skinjax correct PHOTOGRAPH --corrections=gamma"),
}
