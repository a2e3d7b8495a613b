"""`skinjax report` as a user types it."""

import pytest

from skinjax import cli
from skinjax.evaluation.predictions import read_predictions
from tests.report.conftest import make_run


@pytest.fixture
def runs(tmp_path):
    return [make_run(tmp_path / f"run{seed}", seed=seed) for seed in (0, 1)]


def test_a_run_has_its_report_in_its_folder(runs, capsys):
    assert cli.main(["report", str(runs[0])]) == 0
    assert capsys.readouterr().out == f"wrote {runs[0] / 'report.html'}\n"
    assert "<h1>run0</h1>" in (runs[0] / "report.html").read_text()


def test_lesions_may_come_from_a_file(runs, tmp_path, capsys):
    table = read_predictions(runs[0] / "predictions_test.csv")
    rows = "".join(f"{name},lesion{number // 5}\n" for number, name in enumerate(table.image_ids))
    (tmp_path / "lesions.csv").write_text(f"image_id,group\n{rows}")
    arguments = [str(runs[0] / "predictions_test.csv"), f"--groups={tmp_path / 'lesions.csv'}"]
    assert cli.main(["report", *arguments, f"--out={tmp_path / 'r.html'}"]) == 0
    assert f"of {-(-len(table) // 5)} groups" in (tmp_path / "r.html").read_text()


def test_runs_against_a_setting_and_all_figures(runs, tmp_path, capsys):
    arguments = ["report", *(f"gamma={run}" for run in runs), "--against=loss.gamma", "--metrics=macro_f1,accuracy"]
    assert cli.main([*arguments, f"--out={tmp_path / 'all.html'}", f"--figures={tmp_path / 'figures'}"]) == 0
    stems = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert {"0_confusion", "1_roc", "sweep", "speed_up", "training_loss", "0_training_small_classes"} <= stems
    rows = (tmp_path / "figures" / "sweep.csv").read_text().splitlines()
    assert rows[0] == "name,loss.gamma,runs,macro_f1,low,high"
    assert [row.split(",")[:3] for row in rows[1:]] == [["gamma", "0.0", "1"], ["gamma", "1.0", "1"]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda run: (run / "finished.json").unlink(), "has not finished: it still goes on"),
        (lambda run: (run / "config.json").unlink(), "holds no run of skinjax"),
        (lambda run: (run / "report.html").write_text("mine"), "is there and is no report of skinjax"),
        (lambda run: (run / "report.html").mkdir(), "is there and is no report of skinjax"),
    ],
)
def test_what_cannot_be_reported_is_said_in_one_sentence(change, says, runs, capsys):
    change(runs[0])
    assert cli.main(["report", str(runs[0])]) == 1
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--metrics=recal"], "unknown metric 'recal'"),
        (["--against=loss.gamma"], "give more than one"),
        (["--part=train"], "has no predictions of its train part"),
        (["--out=/nowhere/r.html"], "/nowhere/r.html cannot be written"),
    ],
)
def test_flags_that_cannot_be(flags, says, runs, capsys):
    assert cli.main(["report", str(runs[0]), *flags]) == 1
    assert says in capsys.readouterr().err
