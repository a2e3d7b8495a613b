"""Paper 001 (focal loss, two-stage EfficientNet): single runs, on a validation part of 2,003 images unless said."""

from skinjax.papers.printed import Rows, table

METRICS = {"Accuracy": "accuracy", "Average Recall": "macro_recall"}

ROWS: Rows = {
    "Table Unpretrained": {
        "ResNet-50, gamma 0": (0.748, 0.422),
        "ResNet-50, gamma 1": (0.540, 0.561),
        "ResNet-50, gamma 1.5": (0.549, 0.560),
        "ResNet-50, gamma 2": (0.534, 0.531),
        "ResNet-50, gamma 5": (0.521, 0.525),
    },
    "Table Pretrained": {
        "ResNet-50, gamma 0": (0.862, 0.753),
        "ResNet-50, gamma 1": (0.843, 0.727),
        "EfficientNet, gamma 1": (0.901, 0.800),
        "2 stage EfficientNet, gamma 1": (0.905, 0.806),
    },
    "Table Self-supervised": {"Approach 1": (0.753, 0.452), "Approach 2": (0.782, 0.541)},
    # In section 5's text: the test part of ISIC 2018, 1,511 images.
    "Table Test": {"2 stage EfficientNet, gamma 1": (0.891, 0.784)},
}
AIMS = {
    "Table Unpretrained": {
        f"ResNet-50, gamma {gamma}": f"configs/focal.py:ham10000_scratch_gamma_{gamma}"
        for gamma in ("0", "1", "1.5", "2", "5")
    },
    "Table Pretrained": {
        "ResNet-50, gamma 0": "configs/focal.py:ham10000_pretrained_gamma_0",
        "ResNet-50, gamma 1": "configs/focal.py:ham10000_pretrained_gamma_1",
        "EfficientNet, gamma 1": "configs/focal.py:ham10000_efficientnet_b7",
        "2 stage EfficientNet, gamma 1": "configs/two_stage.py:ham10000",
    },
    # The paper does not say which of its two trainings these are of.
    "Table Self-supervised": {
        "Approach 1": "configs/rotation.py:ham10000_sequential",
        "Approach 2": "configs/restoration.py:ham10000_sequential",
    },
    "Table Test": {"2 stage EfficientNet, gamma 1": "configs/two_stage.py:isic2018"},
}
TABLES = {name: table(METRICS, rows, AIMS[name], scale=1) for name, rows in ROWS.items()}

# Figure 6, of the two-stage EfficientNet: a row per true class, a column per predicted one.
CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
CONFUSION = (
    (45, 3, 6, 1, 3, 4, 3),
    (4, 81, 3, 1, 5, 8, 1),
    (7, 1, 181, 0, 14, 10, 7),
    (3, 3, 0, 16, 0, 1, 0),
    (3, 1, 7, 0, 158, 47, 7),
    (1, 2, 11, 0, 18, 1304, 5),
    (0, 0, 0, 0, 0, 1, 27),
)
