"""The honest leaderboard: no paper's numbers, but rows of networks trained alike, on ISIC 2018's official test part."""

from skinjax.papers.printed import Figure, Row, Table, claims

METRICS = {"Balanced accuracy": "macro_recall", "Accuracy": "accuracy", "AUC": "macro_auc"}
NETWORKS = ("mobilenetv2_100", "efficientnet_b0", "resnet50", "densenet121", "convnext_tiny")
KINDS = {"linear head": "linear", "fine-tuned": "fine_tuned"}
ENDINGS = {"plain": "", "balanced batches": "_balanced", "prior-corrected": ""}
ROWS = {
    f"{network}, {kind}, {how}": f"configs/leaderboard.py:isic2018_{network}_{ours}{ending}"
    for network in NETWORKS
    for kind, ours in KINDS.items()
    for how, ending in ENDINGS.items()
}
TABLES = {
    "Leaderboard": Table(
        METRICS,
        {name: Row({}, config) for name, config in ROWS.items()},
        claims=claims(
            "Balanced accuracy",
            *(f"{network}, fine-tuned, plain > {network}, linear head, plain" for network in NETWORKS),
            *(f"{network}, fine-tuned, prior-corrected > {network}, fine-tuned, plain" for network in NETWORKS),
        ),
        corrected=tuple(name for name in ROWS if name.endswith("prior-corrected")),
    )
}
FIGURES: dict[str, Figure] = {}
