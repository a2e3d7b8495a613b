"""Paper 004 (synergic deep learning): single runs on ISIC 2016's 379 test images, as shares."""

from skinjax.papers.printed import Figure, Rows, claims, sweep, table

# Of two classes the mean of the one-vs-rest areas is the area. AP: of scikit-learn before 0.19, with trapezoids.
METRICS = {"AP": "average_precision_old", "Acc": "accuracy", "AUC": "macro_auc"}

ROWS: Rows = {
    # DA: with data augmentation. Figure 3's two areas are those of the rows without it.
    "Table 1": {
        "ResNet-50": (0.6102, 0.8496, 0.7742),
        "ResNet-50, DA": (0.6224, 0.8522, 0.7829),
        "ResNet-50^2": (0.6115, 0.8443, 0.7826),
        "ResNet-50^2, DA": (0.6308, 0.8549, 0.7968),
        "SDL": (0.6536, 0.8522, 0.8139),
        "SDL, DA": (0.6644, 0.8575, 0.8179),
    },
    # SDL with augmentation, and the challenge's leaderboard.
    "Table 2": {
        "SDL": (0.664, 0.858, 0.818),
        "CUMED": (0.637, 0.855, 0.804),
        "GTDL": (0.619, 0.813, 0.802),
        "BF-TB": (0.598, 0.834, 0.826),
        "ThrunLab": (0.563, 0.786, 0.796),
        "Jordan Yap": (0.559, 0.844, 0.775),
    },
}
RUNS = {"ResNet-50": "resnet50", "ResNet-50^2": "ensemble", "SDL": "sdl"}
AIMS = {name: f"configs/synergic.py:isic2016_{run}" for name, run in RUNS.items()}
AIMS |= {f"{name}, DA": f"{config}_da" for name, config in AIMS.items()}
# "SDL performs steadily better [...] regarding three evaluation metrics no matter using or not using DA."
ORDERS = ("SDL > ResNet-50^2", "SDL > ResNet-50", "SDL, DA > ResNet-50^2, DA", "SDL, DA > ResNet-50, DA")
CLAIMS = tuple(claim for column in METRICS for claim in claims(column, *ORDERS))
OF_TABLE_2 = {"SDL": "configs/synergic.py:isic2016_sdl_da"}
OTHERS = ("CUMED", "GTDL", "BF-TB", "ThrunLab", "Jordan Yap")
# SDL is first by AP and accuracy, and second by AUC.
RANKS = tuple(
    claim
    for column in METRICS
    for name in OTHERS
    for claim in claims(column, "BF-TB > SDL" if (column, name) == ("AUC", "BF-TB") else f"SDL > {name}")
)
TABLES = {
    "Table 1": table(METRICS, ROWS["Table 1"], AIMS, scale=1, claims=CLAIMS),
    "Table 2": table(METRICS, ROWS["Table 2"], OF_TABLE_2, scale=1, claims=RANKS),
    # "Monotonically increases when lambda is less than 3 and monotonically decreases otherwise in the validation set."
    "Figure 4": sweep(
        "lambda",
        {"AP on validation": "validation:average_precision_old", "AP on test": "average_precision_old"},
        {str(weight): f"configs/synergic.py:isic2016_lambda_{weight}" for weight in range(7)},
        scale=1,
        claims=claims("AP on validation", "3 > 2 > 1 > 0", "3 > 4 > 5 > 6"),
    ),
    "Figure 5": sweep(
        "networks",
        {"AP": "average_precision_old", "Times the step of one": "seconds_times"},
        {
            f"{with_da}, {number}": f"configs/synergic.py:isic2016_{run}{ending}"
            for with_da, ending in (("without DA", ""), ("with DA", "_da"))
            for number, run in enumerate(("resnet50", "sdl", "sdl3", "sdl4"), start=1)
        },
        scale=1,
        claims=claims("AP", "without DA, 2 > without DA, 1", "with DA, 2 > with DA, 1"),
    ),
}
LEADERBOARD = OTHERS  # rows that nobody here trains
FIGURES = {
    "Figure 1": Figure("photographs of both classes", "skinjax show isic2016"),
    "Figure 2": Figure("the architecture: no run draws it"),
    "Figure 3": Figure(
        "ROC curves of two networks apart and of SDL", "skinjax report RUN", (AIMS["ResNet-50^2"], AIMS["SDL"])
    ),
}
