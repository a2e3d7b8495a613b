"""Paper 001 (focal loss, two-stage EfficientNet): single runs, on a validation part of 2,003 images unless said."""

from skinjax.papers.printed import Figure, Rows, claims, table

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
RESNET, B7 = "ResNet-50, gamma ", "2 stage EfficientNet, gamma 1 > EfficientNet, gamma 1 > "
GAMMAS = ("0", "1", "1.5", "2", "5")
# "Focal loss with such gamma demonstrated the highest average recall"; accuracy falls with gamma.
CLAIMS = {
    "Table Unpretrained": claims("Average Recall", *(f"{RESNET}1 > {RESNET}{of}" for of in GAMMAS if of != "1"))
    + claims("Accuracy", *(f"{RESNET}0 > {RESNET}{of}" for of in GAMMAS[1:])),
    "Table Pretrained": tuple(claim for column in METRICS for claim in claims(column, f"{B7}{RESNET}0 > {RESNET}1")),
    # The lowest of the pretrained rows is above both, in both columns.
    "Table Self-supervised": tuple(
        claim
        for column in METRICS
        for claim in claims(column, f"Table Pretrained: {RESNET}1 > Approach 2 > Approach 1")
    ),
    "Table Test": (),
}
# The same network as in Table Pretrained, judged on the challenge's own test part.
JUDGED = {"Table Test": {"2 stage EfficientNet, gamma 1": "configs/two_stage.py:ham10000"}}
TABLES = {
    name: table(METRICS, rows, AIMS[name], scale=1, claims=CLAIMS[name], judged=JUDGED.get(name, {}))
    for name, rows in ROWS.items()
}

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

OF_TWO_STAGES = ("configs/two_stage.py:ham10000",)
FIGURES = {
    "Figure 1": Figure("photographs of each class", "skinjax show ham10000"),
    "Figure 2": Figure("how often the classes are", "skinjax show ham10000"),
    "Figure 3": Figure("a picture with patches swapped", "skinjax show configs/restoration.py:ham10000_joint"),
    "Figure 4": Figure("the architecture of the second approach: no run draws it"),
    "Figure 5": Figure("two pictures and their mixture", "skinjax show configs/focal.py:demo_mixup"),
    "Figure 6": Figure("the confusion matrix of two stages", "skinjax report RUN", OF_TWO_STAGES),
    "Figure 7": Figure("its losses by epoch", "skinjax report RUN", OF_TWO_STAGES),
    "Figure 8": Figure("its ROC curves", "skinjax report RUN", OF_TWO_STAGES),
    "Figure 9": Figure("Grad-CAMs of its hits and top losses", "skinjax report RUN --explain", OF_TWO_STAGES),
}
