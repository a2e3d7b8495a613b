"""Paper 004 (synergic deep learning): single runs on ISIC 2016's 379 test images, as shares."""

from skinjax.papers.printed import Rows, table

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
TABLES = {name: table(METRICS, rows, AIMS if name == "Table 1" else {}, scale=1) for name, rows in ROWS.items()}
LEADERBOARD = ("CUMED", "GTDL", "BF-TB", "ThrunLab", "Jordan Yap")  # rows that nobody here trains
