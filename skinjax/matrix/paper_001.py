"""Paper 001 (focal loss, two-stage EfficientNet): single runs, on a validation part of 2,003 images unless said."""

from skinjax.matrix.printed import Rows, table

METRICS = {"Accuracy": "accuracy", "Average Recall": "macro_recall"}

ROWS: Rows = {
    "Unpretrained": {
        "ResNet-50, gamma 0": (0.748, 0.422),
        "ResNet-50, gamma 1": (0.540, 0.561),
        "ResNet-50, gamma 1.5": (0.549, 0.560),
        "ResNet-50, gamma 2": (0.534, 0.531),
        "ResNet-50, gamma 5": (0.521, 0.525),
    },
    "Pretrained": {
        "ResNet-50, gamma 0": (0.862, 0.753),
        "ResNet-50, gamma 1": (0.843, 0.727),
        "EfficientNet, gamma 1": (0.901, 0.800),
        "2 stage EfficientNet, gamma 1": (0.905, 0.806),
    },
    "Self-supervised": {"Approach 1": (0.753, 0.452), "Approach 2": (0.782, 0.541)},
    # In section 5's text: the test part of ISIC 2018, 1,511 images.
    "Test": {"2 stage EfficientNet, gamma 1": (0.891, 0.784)},
}
TABLES = {name: table(METRICS, rows, scale=1) for name, rows in ROWS.items()}

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
