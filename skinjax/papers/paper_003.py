"""Paper 003 (patch attention, balancing): mean and standard deviation of three folds (Table IV: one run), percent."""

from skinjax.papers.printed import Claim, Figure, grouped_rows, in_groups, sweep, table

# Tables IV and VI print IncepV3, Dense and SE-RX50 for the same three.
NETWORKS = {"InceptV3": "inception_v3", "Dense121": "densenet121", "SE-RX": "legacy_seresnext50_32x4d"}
# The paper's code calls f1_score with its arguments swapped, which weighs the classes by how often they are predicted.
METRICS = {"MC-Sensitivity": "macro_recall", "MC-Specificity": "mc_specificity", "F1-Score": "f1_weighted_pred"}
SPC_IMAGES = {"train": 616, "test": 395}  # derm7pt, before the images of other diagnoses are dropped


def aims(start: str, endings: dict[str, str]) -> dict[str, str]:
    """The config of each row; `endings`: for a row of any network how the name of its variant ends."""
    return {
        f"{network}, {row}": f"configs/{start}_{ours}_{ending}"
        for network, ours in NETWORKS.items()
        for row, ending in endings.items()
    }


AIMS = {
    "Table II": aims(
        "patch_attention.py:ham10000",
        {"Downsampling": "downsampling", "Single-Crop": "single_crop", "Multi-Crop": "multi_crop", "GRU": "gru"}
        | {f"{place.capitalize()} Attention": place for place in ("initial", "end", "dual")},
    ),
    "Table III": aims(
        "patch_attention.py:ham10000",
        {
            f"{printed} {crops}": ours + ("" if crops == 9 else f"_{crops}")
            for printed, ours in (("Multi-Crop", "multi_crop"), ("Attention", "initial"))
            for crops in (5, 9, 16)
        },
    ),
    "Table IV": aims("patch_attention.py:derm7pt", {"Multi-Crop": "multi_crop", "GRU": "gru", "Attention": "initial"}),
    "Table V": aims(
        "balancing.py:ham10000",
        {
            "No Balancing": "none",
            "Oversampling": "oversampling",
            "Balanced Batches": "balanced_batches",
            "Loss Weighting": "loss_weighting",
            "Diag. Weighting": "diagnosis_weighting",
        },
    ),
    "Table VI": aims("balancing.py:ham10000", {f"k = {k:.2f}": f"k_{k}" for k in (0.5, 0.75, 1.0, 1.25, 1.5)}),
}

ROWS = {
    "Table II": """
Downsampling      | 63.3 2.4  94.6 0.2  78.7 0.8 | 66.6 0.7  95.3 0.0  81.2 0.2 | 65.0 1.2  95.1 0.1  79.5 0.6
Single-Crop       | 67.2 2.1  94.9 0.2  79.8 0.8 | 70.1 0.9  95.8 0.1  81.9 0.3 | 69.8 1.7  95.4 0.1  77.1 0.2
Multi-Crop        | 68.4 2.8  95.5 0.2  78.2 0.2 | 71.1 1.1  96.1 0.1  82.1 0.3 | 70.2 1.0  96.0 0.0  81.2 0.7
GRU               | 69.4 0.3  95.6 0.3  82.4 0.7 | 72.4 1.6  95.9 0.1  82.5 0.1 | 71.6 1.6  95.9 0.2  83.8 1.5
Initial Attention | 72.4 1.3  96.0 0.2  84.0 0.2 | 74.8 0.8  96.1 0.2  81.7 0.5 | 73.2 2.0  95.8 0.2  82.5 1.0
End Attention     | 73.3 2.1  96.0 0.3  85.3 1.3 | 74.0 0.7  96.0 0.1  82.5 1.0 | 73.7 0.8  96.1 0.2  83.4 0.1
Dual Attention    | 72.0 2.0  96.0 0.2  85.1 0.5 | 75.7 1.3  96.0 0.0  82.6 1.3 | 73.3 0.5  96.0 0.0  82.6 1.3""",
    # The text's table is shifted by a column at the second and third network, which lost the F1 of their first rows.
    "Table III": """
Multi-Crop 5  | 63.5 3.2  95.0 0.2  75.3 0.6 | 67.4 0.4  95.7 0.0  -        | 66.4 1.4  95.4 0.1  -
Multi-Crop 9  | 68.4 2.8  95.5 0.2  78.2 0.2 | 71.1 1.1  96.1 0.1  82.1 0.3 | 70.2 1.0  96.0 0.0  81.2 0.7
Multi-Crop 16 | 70.8 1.8  95.9 0.1  80.1 0.8 | 73.1 1.6  96.3 0.2  83.7 1.1 | 72.2 1.6  96.3 0.1  82.2 0.5
Attention 5   | 70.2 0.6  95.4 0.3  82.8 0.8 | 72.7 1.4  95.8 0.2  80.9 0.7 | 72.0 1.8  95.7 0.1  82.9 0.6
Attention 9   | 72.4 1.3  96.0 0.2  84.0 0.2 | 74.8 0.8  96.1 0.2  81.7 0.5 | 73.2 2.0  95.8 0.2  82.5 1.0
Attention 16  | 72.3 1.1  95.8 0.1  83.4 0.5 | 75.2 0.5  96.0 0.0  78.0 0.4 | 73.6 2.1  95.8 0.1  83.4 0.9""",
    "Table IV": """
Multi-Crop | 59.7  91.8  71.1 | 63.4  93.0  75.8 | 63.4  92.3  72.4
GRU        | 62.0  92.2  72.4 | 66.4  92.5  75.8 | 64.2  92.2  71.3
Attention  | 64.0  93.1  75.5 | 67.8  93.1  75.2 | 66.9  93.2  73.0""",
    "Table V": """
No Balancing     | 59.0 2.4   94.5 0.3  84.7 0.3 | 65.0 1.0  95.2 0.2  85.5 0.6 | 63.7 0.4  95.0 0.3  85.4 0.3
Oversampling     | 60.1 1.0   94.9 0.2  83.7 0.5 | 65.7 1.7  95.8 0.5  84.5 0.2 | 61.3 2.4  95.2 0.2  84.0 0.5
Balanced Batches | 64.8 1.75  95.5 0.1  80.4 0.4 | 68.4 0.6  95.9 0.2  82.4 0.4 | 68.9 0.9  95.9 0.7  82.3 1.2
Loss Weighting   | 68.4 2.8   95.5 0.2  78.2 0.2 | 71.1 1.1  96.1 0.1  82.1 0.3 | 70.2 1.0  96.0 0.0  81.2 0.7
Diag. Weighting  | 70.0 1.1   95.4 0.2  77.9 0.5 | 72.9 0.9  96.1 0.1  80.2 0.8 | 72.4 1.0  95.9 0.1  78.6 1.2""",
    "Table VI": """
k = 0.50 | 65.0 1.5  95.3 0.2  83.9 1.0 | 68.7 0.6  95.9 0.1  85.4 0.3 | 68.0 2.2  95.7 0.3  84.5 0.6
k = 0.75 | 68.4 2.1  95.6 0.3  81.5 0.1 | 70.1 0.5  96.0 0.1  84.3 0.3 | 69.7 2.0  95.9 0.6  83.7 0.2
k = 1.00 | 68.4 2.8  95.5 0.2  78.2 0.2 | 71.1 1.1  96.1 0.1  82.1 0.3 | 70.2 1.0  96.0 0.0  81.2 0.7
k = 1.25 | 69.3 0.4  95.1 0.1  71.1 1.6 | 72.2 1.1  95.9 0.1  78.6 1.9 | 70.4 1.2  95.4 0.4  74.8 0.6
k = 1.50 | 68.9 1.7  93.8 0.1  58.8 1.3 | 71.8 0.4  95.4 0.1  71.2 1.6 | 70.8 0.9  94.7 0.2  65.5 1.7""",
}
# Orders of MC-sensitivities that hold in every network: the text's, and of input strategies the table's own.
ORDERS = {
    "Table II": (
        "Single-Crop > Downsampling",
        "Multi-Crop > Single-Crop",
        "Initial Attention > GRU > Multi-Crop",
        "End Attention > GRU",
        "Dual Attention > GRU",
        *(f"{place} Attention > Multi-Crop" for place in ("Initial", "End", "Dual")),
    ),
    "Table III": (
        "Multi-Crop 16 > Multi-Crop 9 > Multi-Crop 5",
        "Attention 9 > Attention 5",
        *(f"Attention {crops} > Multi-Crop {crops}" for crops in (5, 9, 16)),
    ),
    "Table IV": ("Attention > GRU > Multi-Crop",),
    "Table V": ("Diag. Weighting > Loss Weighting > Balanced Batches > No Balancing",),
    "Table VI": ("k = 1.00 > k = 0.50", "k = 1.25 > k = 0.75"),
}
FALLING_F1 = in_groups(NETWORKS, "F1-Score", "k = 0.50 > k = 0.75 > k = 1.00 > k = 1.25 > k = 1.50")
TABLES = {
    name: table(
        METRICS,
        grouped_rows(NETWORKS, text),
        AIMS[name],
        folds=1 if name == "Table IV" else 3,
        claims=in_groups(NETWORKS, "MC-Sensitivity", *ORDERS[name]) + (FALLING_F1 if name == "Table VI" else ()),
    )
    for name, text in ROWS.items()
}
DROPPED = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # the figure's text names no values
TABLES["Figure 5"] = sweep(
    "patch dropout",
    {"MC-Sensitivity": "macro_recall"},
    {
        f"N = {crops}, {rate}": f"configs/patch_attention.py:ham10000_densenet121_initial_{crops}_drop_{rate}"
        for crops in (5, 9, 16)
        for rate in DROPPED
    },
    folds=3,
    # "For all N_C, patch dropout improves performance considerably."
    claims=tuple(Claim(f"N = {crops}, 0.2", f"N = {crops}, 0.0", "MC-Sensitivity") for crops in (5, 9, 16)),
)
FIGURES = {
    "Figure 1": Figure("photographs of each class", "skinjax show ham10000"),
    "Figure 2": Figure("the architecture: no run draws it"),
    "Figure 3": Figure("the attention block: no run draws it"),
    "Figure 4": Figure(
        "attention of the patches of three pictures",
        "skinjax explain RUN",
        ("configs/patch_attention.py:ham10000_densenet121_end",),
    ),
}
