"""Paper 000 (auxiliary decoder and twin classifier): mean and standard deviation over five folds, in percent."""

from skinjax.papers.printed import Figure, grouped_rows, in_groups, table

SETS = {"Skin-7": "skin7", "Skin-198": "skin198"}
METHODS = {
    "BCE": "baselines.py:SET",
    "WCE": "baselines.py:SET_wce",
    "FL": "baselines.py:SET_fl",
    "WFL": "baselines.py:SET_wfl",
    "CD": "cdc.py:SET_cd",
    "CDC": "cdc.py:SET",
    "CD+FL": "cdc.py:SET_cd_fl",
    "CDC+FL": "cdc.py:SET_fl",
}
AIMS = {
    f"{data_set}, {method}": "configs/" + config.replace("SET", ours)
    for data_set, ours in SETS.items()
    for method, config in METHODS.items()
}
METRICS = {"MF1": "macro_f1", "Precision": "macro_precision", "Recall": "macro_recall"}
OF_SMALL_CLASSES = {"MF1": "small:f1", "Precision": "small:precision", "Recall": "small:recall"}

ROWS = {
    "Table 1": """
BCE | 84.44 0.55  86.78 1.48  82.92 1.35 | 65.75 1.21  65.72 1.20  66.85 1.01
WCE | 84.53 1.01  86.12 1.24  83.52 1.22 | 65.45 1.46  65.45 1.45  66.31 1.50
CD  | 85.93 1.30  88.58 1.37  83.92 1.35 | 67.69 1.56  67.67 1.55  68.62 1.54
CDC | 86.75 0.82  89.26 0.37  84.81 0.98 | 67.97 1.00  67.96 1.01  69.16 0.89""",
    # Two names are garbled in the text: "W F L" is WFL, "CD (ours) + EI" and "OD (Ours) + PL" are CD+FL.
    "Table 2": """
FL     | 85.34 0.62  87.94 0.74  82.97 0.89 | 65.33 1.35  65.33 1.33  66.11 1.32
WFL    | 86.48 0.58  89.37 0.36  84.22 1.12 | 65.46 1.97  65.41 1.98  66.37 1.93
CD+FL  | 86.35 0.95  88.56 1.21  84.59 0.88 | 67.33 1.41  67.35 1.41  68.21 1.16
CDC+FL | 86.92 1.08  89.62 0.84  84.84 1.70 | 67.52 2.32  67.52 2.36  68.61 1.85""",
    "Table 3": """
BCE | 75.13 6.90  83.26 5.50  69.22 11.24 | 64.16 2.59  65.63 4.36  68.58 3.84
WCE | 75.40 8.12  83.09 5.09  70.58 10.95 | 65.78 3.26  69.13 4.62  69.87 4.76
CD  | 78.02 6.46  88.20 5.84  70.61 9.89  | 69.32 4.66  71.53 6.03  73.37 6.56
CDC | 80.28 7.64  90.25 3.99  72.78 10.06 | 69.05 4.71  75.09 3.94  75.33 4.94""",
}
# "The proposed framework outperforms all the baselines"; in Table 3 as well, "compared to the baselines BCE and WCE".
CLAIMS = {
    "Table 1": in_groups(SETS, "MF1", "CDC > BCE", "CDC > WCE", "CD > BCE", "CD > WCE"),
    "Table 2": in_groups(SETS, "MF1", "CDC+FL > FL", "CDC+FL > WFL", "CD+FL > FL"),
    "Table 3": in_groups(SETS, "MF1", "CDC > BCE", "CDC > WCE", "CD > BCE", "CD > WCE"),
}
TABLES = {
    name: table(
        OF_SMALL_CLASSES if name == "Table 3" else METRICS,
        grouped_rows(SETS, text),
        AIMS,
        folds=5,
        claims=CLAIMS[name],
    )
    for name, text in ROWS.items()
}
SKIN7 = tuple(config for row, config in AIMS.items() if row.startswith("Skin-7"))
FIGURES = {
    "Figure 1": Figure("the architecture: no run draws it"),
    "Figure 2": Figure("MF1 of the smallest class by epoch, on a fold of Skin-7", "skinjax report RUN", SKIN7),
}
