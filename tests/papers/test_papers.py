"""What the papers print: numbers that two of their tables share, and figures that others of their numbers imply."""

import itertools

import numpy as np
import pytest

from skinjax.evaluation.confusion import METRICS, accuracy, macro_recall
from skinjax.evaluation.scores import SCORE_METRICS
from skinjax.papers import PAPERS, paper_000, paper_001, paper_002, paper_003, paper_004
from skinjax.papers.printed import Printed, table

# In paper 003 one run stands in several tables: (table, how its row ends), ....
SAME_RUN = [
    (("Table II", "Multi-Crop"), ("Table III", "Multi-Crop 9")),
    (("Table II", "Multi-Crop"), ("Table V", "Loss Weighting")),
    (("Table II", "Multi-Crop"), ("Table VI", "k = 1.00")),
    (("Table II", "Initial Attention"), ("Table III", "Attention 9")),
]


@pytest.mark.parametrize(
    ("paper", "name", "row", "column", "expected"),
    [
        ("000", "Table 2", "Skin-198, CDC+FL", "Recall", (68.61, 1.85)),
        ("001", "Table Pretrained", "2 stage EfficientNet, gamma 1", "Average Recall", (0.806, None)),
        ("002", "Table CIFAR speed-up", "ResNet-152", "eta", (10.2, None)),
        ("003", "Table V", "InceptV3, Balanced Batches", "MC-Sensitivity", (64.8, 1.75)),
        ("004", "Table 2", "BF-TB", "AUC", (0.826, None)),
    ],
)
def test_a_number_is_found_by_paper_table_row_and_column(paper, name, row, column, expected):
    assert PAPERS[paper][name].rows[row].cells[column] == expected


def test_rows_are_written_as_they_are_printed():
    made = table({"F1": "macro_f1", "Time": ""}, {"a": ((1.5, 0.2), 7), "b": (None, 8)}, {"a": "configs/x.py:a"})
    assert made.rows["a"].cells == {"F1": Printed(1.5, 0.2), "Time": Printed(7)}
    assert made.rows["b"].cells == {"Time": Printed(8)}
    assert (made.rows["a"].config, made.rows["b"].config) == ("configs/x.py:a", "")
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        table({"F1": "", "Time": ""}, {"a": (1.5,)})


def test_rows_of_one_run_aim_at_one_config():
    config = "configs/patch_attention.py:ham10000_densenet121_multi_crop"
    found = [(name, row) for name, t in PAPERS["003"].items() for row, x in t.rows.items() if x.config == config]
    assert found == [("Table II", "Dense121, Multi-Crop"), ("Table III", "Dense121, Multi-Crop 9")]


def test_columns_are_metrics_of_this_package():
    of_training = {"seconds", "seconds_saved", "seconds_times", "small:f1", "small:precision", "small:recall"}
    known = {*METRICS, *SCORE_METRICS, *of_training, "validation:average_precision_old"}
    assert {metric for tables in PAPERS.values() for t in tables.values() for metric in t.metrics.values()} <= known


def test_every_row_of_papers_000_and_003_has_a_config():
    rows = [row for paper in ("000", "003") for t in PAPERS[paper].values() for row in t.rows.values()]
    assert len(rows) == 24 + 21 + 18 + 9 + 15 + 15 + 18
    assert all(row.config for row in rows)


@pytest.mark.parametrize("network", paper_003.NETWORKS)
@pytest.mark.parametrize(("one", "other"), SAME_RUN)
def test_a_run_is_printed_alike_in_all_its_tables(network, one, other):
    cells = [paper_003.TABLES[name].rows[f"{network}, {row}"].cells for name, row in (one, other)]
    assert cells[0] == cells[1]


def test_two_numbers_are_lost():
    lost = [
        (name, row)
        for name, table in paper_003.TABLES.items()
        for row, printed in table.rows.items()
        if len(printed.cells) < 3 and not table.axis
    ]
    assert lost == [("Table III", "Dense121, Multi-Crop 5"), ("Table III", "SE-RX, Multi-Crop 5")]


def test_every_mean_of_papers_000_and_003_has_a_deviation_save_the_single_runs():
    for paper in (paper_000, paper_003):
        for name, t in paper.TABLES.items():
            deviations = [cell.sd is not None for row in t.rows.values() for cell in row.cells.values()]
            assert all(deviations) if name != "Table IV" else not any(deviations)


def test_the_two_stage_matrix_gives_the_printed_row():
    cells = paper_001.TABLES["Table Pretrained"].rows["2 stage EfficientNet, gamma 1"].cells
    confusion = np.array(paper_001.CONFUSION)
    assert confusion.shape == (len(paper_001.CLASSES),) * 2
    assert confusion.sum() == 2003
    assert cells["Accuracy"].mean == round(float(accuracy(confusion)), 3)
    assert cells["Average Recall"].mean == round(float(macro_recall(confusion)), 3)


def test_the_two_stage_matrix_says_what_each_stage_does():
    """What the printed matrix implies: errors into and out of nv, and the stages' own figures."""
    confusion, nv = np.array(paper_001.CONFUSION), paper_001.CLASSES.index("nv")
    others = np.arange(len(confusion)) != nv
    assert (float(accuracy(confusion)), float(macro_recall(confusion))) == pytest.approx((0.904643, 0.806044), abs=1e-6)
    into, out = confusion[others, nv].sum(), confusion[nv, others].sum()
    passed = confusion[np.ix_(others, others)]
    assert (into, out, confusion.sum() - np.trace(confusion)) == (71, 37, 191)
    assert confusion[nv, nv] / confusion[nv].sum() == pytest.approx(0.972409, abs=1e-6)
    assert passed.sum() / confusion[others].sum() == pytest.approx(0.892749, abs=1e-6)
    assert np.trace(passed) / passed.sum() == pytest.approx(0.859560, abs=1e-6)
    assert float(macro_recall(passed)) == pytest.approx(0.846207, abs=1e-6)


def test_the_balanced_matrix_has_the_printed_pairs():
    counts = np.array(paper_002.CONFUSIONS["balanced"])
    places = {name: number for number, name in enumerate(paper_002.CLASSES)}
    found = [counts[places[a], places[b]] + counts[places[b], places[a]] for a, b, _ in paper_002.PAIRS]
    assert found == [pair[2] for pair in paper_002.PAIRS]
    assert sum(found) == 156
    printed = {frozenset(pair[:2]) for pair in paper_002.PAIRS}
    missing = {pair: errors for pair, errors in pairs_of_errors("balanced").items() if errors >= 5}
    assert sorted(("-".join(sorted(p)), n) for p, n in missing.items() if p not in printed) == [
        ("acne-crust", 5),
        ("acne-erythema", 7),
        ("acne-leuko", 6),
        ("acne-macula", 7),
        ("alopecia-leuko", 5),
        ("blister-leuko", 6),
        ("crust-erythema", 5),
        ("erythema-leuko", 5),
        ("erythema-ulcer", 7),
    ]


@pytest.mark.parametrize(
    ("name", "rows", "pairs"),
    [
        (
            "unbalanced",
            [40, 21, 45, 32, 700, 60, 250, 80, 156, 26],
            [52, 28, 26, 21, 16, 15, 11, 11, 11, 10, 9, 8],
        ),
        (
            "balanced",
            [200, 149, 150, 150, 150, 149, 150, 200, 200, 150],
            [29, 25, 17, 15, 14, 14, 13, 10, *[7] * 5, *[6] * 2, *[5] * 5],
        ),
    ],
)
def test_errors_of_a_printed_matrix_by_pair(name, rows, pairs):
    assert np.array(paper_002.CONFUSIONS[name]).sum(axis=1).tolist() == rows
    errors = sorted(pairs_of_errors(name).values(), reverse=True)
    assert [count for count in errors if count >= 5] == pairs
    assert sum(errors) == 238
    assert sum(pairs) == {"unbalanced": 218, "balanced": 209}[name]


def pairs_of_errors(name):
    """{two classes: how often either is taken for the other} of a printed matrix."""
    both_ways = np.array(paper_002.CONFUSIONS[name]) + np.array(paper_002.CONFUSIONS[name]).T
    numbers = itertools.combinations(range(len(paper_002.CLASSES)), 2)
    return {frozenset((paper_002.CLASSES[a], paper_002.CLASSES[b])): both_ways[a, b] for a, b in numbers}


def test_speed_ups_are_ratios_of_the_printed_times():
    slow, fast = paper_002.TABLES["Table CIFAR baseline"].rows, paper_002.TABLES["Table CIFAR speed-up"].rows
    for network, row in fast.items():
        ratio = slow[network].cells["Time (s)"].mean / row.cells["Time (s)"].mean
        assert row.cells["eta"].mean == pytest.approx(ratio, rel=0.01 if network == "ResNet-34" else 1e-3)


def test_the_leaderboard_is_paper_004s():
    rows = paper_004.TABLES["Table 2"].rows
    assert set(paper_004.LEADERBOARD) == set(rows) - {"SDL"}
    printed = paper_004.TABLES["Table 1"].rows["SDL, DA"].cells
    for column, cell in rows["SDL"].cells.items():
        assert cell.mean == pytest.approx(printed[column].mean, abs=6e-4)  # 0.8575 is 0.858 there
    places = {of: sorted(rows, key=lambda name: -rows[name].cells[of].mean).index("SDL") for of in ("AP", "Acc", "AUC")}
    assert places == {"AP": 0, "Acc": 0, "AUC": 1}
    table = paper_004.TABLES["Table 1"].rows
    for column in ("AP", "Acc", "AUC"):
        assert max(table, key=lambda name: table[name].cells[column].mean) == "SDL, DA"
    hits = [row.cells["Acc"].mean * 379 for row in paper_004.TABLES["Table 1"].rows.values()]
    assert np.round(hits).tolist() == [322, 323, 320, 324, 323, 325]
    assert np.abs(np.array(hits) - np.round(hits)).max() < 0.02
