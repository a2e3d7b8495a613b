"""The figures of a table and of a log, and the numbers behind them."""

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.evaluation.intervals import summary_with_intervals
from skinjax.report import drawings
from tests.evaluation.tables import make_table
from tests.report.conftest import table_of


def judged(table):
    return summary_with_intervals(table, replicates=20)


@pytest.fixture(scope="module")
def drawn(table):
    return {of.stem: of for of in drawings.of_table(table, judged(table), synthetic=False)}


def test_a_table_has_five_figures(drawn, table):
    assert list(drawn) == ["confusion", "recalls", "roc", "precision_recall", "reliability"]
    assert drawn["confusion"].header == ["truth", *table.classes]
    assert sum(sum(row[1:]) for row in drawn["confusion"].rows) == 60
    assert sum(row[2] for row in drawn["reliability"].rows) == 60


def test_the_areas_of_the_curves_are_scikit_learns(drawn, table):
    from sklearn.metrics import average_precision_score, roc_auc_score

    for number, name in enumerate(table.classes):
        positive, scores = table.labels == number, table.probabilities[:, number]
        points = np.array([row[1:3] for row in drawn["roc"].rows if row[0] == name])
        assert np.trapezoid(points[:, 1], points[:, 0]) == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
        points = np.array([row[1:3] for row in drawn["precision_recall"].rows if row[0] == name])
        area = np.sum(np.diff(points[:, 0]) * points[1:, 1])
        assert area == pytest.approx(average_precision_score(positive, scores), abs=1e-12)


def test_a_roc_keeps_the_points_where_it_turns():
    table = make_table([1, 1, 0, 0], [[0.1, 0.9], [0.2, 0.8], [0.7, 0.3], [0.8, 0.2]], classes=("nv", "mel"))
    of = {one.stem: one for one in drawings.of_table(table, judged(table), False)}["roc"]
    assert [row[:3] for row in of.rows] == [["mel", 0, 0], ["mel", 0, 1], ["mel", 1, 1]]


def test_of_many_classes_those_of_the_least_auc_have_curves():
    table = table_of(np.arange(120) % 12, classes=[f"c{n}" for n in range(12)])
    found = judged(table)
    shown = drawings.curve_classes(found)
    areas = {name: of["auc"]["value"] for name, of in found["per_class"].items()}
    assert sorted(shown) == sorted(sorted(areas, key=areas.get)[:9])


def test_tables_of_two_classes_share_a_roc_and_others_do_not(table):
    two = [table_of(np.arange(40) % 2, classes=("benign", "malignant"), seed=seed) for seed in (0, 1)]
    of = drawings.roc_of_tables({name: (one, judged(one)) for name, one in zip("AB", two, strict=True)}, False)
    assert {row[0] for row in of.rows} == {"A", "B"}
    assert drawings.roc_of_tables({"A": (table, judged(table))}, False) is None


def test_logs_give_the_loss_of_each_part_and_mark_the_phases():
    phases = ((1, "head"), (2, "all"), (3, "all"))
    values = {"train/loss": 1.0, "validation/smallest_class_f1": 0.1}
    log = [{"step": step, "phase": phase, **values} for step, phase in phases]
    loss, small = drawings.of_logs({"": log}, synthetic=True)
    assert (loss.stem, small.stem) == ("training_loss", "training_small_classes")
    assert loss.rows[0] == ["train/loss", 1, 1.0]
    assert [text.get_text() for text in loss.figure.axes[0].texts] == ["head", "all"]
    assert "of the phases head, all" in loss.says
    assert "not medicine" in loss.figure.texts[1].get_text()
    assert drawings.of_logs({"": log[:1]}, synthetic=False) == []


def test_speed_up_is_the_seconds_of_the_first_over_those_of_each():
    of = drawings.seconds({"slow": [{"step": 1, "seconds": 90.0}], "fast": [{"step": 1, "seconds": 10.0}]}, False)
    assert of.rows == [["slow", 90.0, 1.0], ["fast", 10.0, 9.0]]
    assert drawings.seconds({"slow": [{"step": 1, "seconds": 90.0}]}, False) is None


def test_a_sweep_has_the_mean_of_folds_and_the_interval_of_a_single_run():
    tables = [table_of(np.arange(60) % 3, seed=seed) for seed in range(3)]
    runs = [("N = 5", 0.1, tables[0]), ("N = 5", 0.1, tables[1]), ("N = 9", 0.2, tables[2])]
    of = drawings.sweep(runs, "method.patch_dropout", "macro_recall", False, replicates=50)
    values = [judged(table)["macro_recall"] for table in tables]
    mean, spread = np.mean([of["value"] for of in values[:2]]), np.std([of["value"] for of in values[:2]])
    assert of.header == ["name", "method.patch_dropout", "runs", "macro_recall", "low", "high"]
    assert of.rows[0] == ["N = 5", 0.1, 2, *map(pytest.approx, (mean, mean - spread, mean + spread))]
    assert of.rows[1] == ["N = 9", 0.2, 1, *(values[2][key] for key in ("value", "low", "high"))]


def test_a_setting_is_a_number():
    assert drawings.setting_of({"method": {"networks": 2}}, "method.networks", "run") == 2
    for field in ("method.name", "method", "loss.gamma", "method.on"):
        with pytest.raises(UserError, match=f"run has no number in the field '{field}'"):
            drawings.setting_of({"method": {"name": "synergic", "on": True}}, field, "run")
