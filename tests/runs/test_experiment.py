"""What a run does when it has ended."""

import os

from skinjax.main import main
from skinjax.runs.experiment import report
from skinjax.runs.inputs import Inputs
from tests.end_to_end.conftest import ROOT, SMALL, data_dir  # noqa: F401 (a fixture)
from tests.report.conftest import make_run


def test_a_run_ends_with_its_report_once(tmp_path):
    folder, lines = make_run(tmp_path / "run"), []
    report(folder, tmp_path, lines.append)
    first = (folder / "report.html").stat()
    report(folder, tmp_path, lines.append)
    assert lines == [f"report in {folder / 'report.html'}"] * 2
    assert (folder / "report.html").stat().st_mtime_ns == first.st_mtime_ns
    os.utime(folder / "finished.json", (first.st_mtime + 9, first.st_mtime + 9))
    report(folder, tmp_path, lines.append)
    assert (folder / "report.html").stat().st_mtime_ns > first.st_mtime_ns


def test_a_run_does_not_fail_for_want_of_a_report(tmp_path):
    folder, lines = make_run(tmp_path / "run"), []
    (folder / "report.html").mkdir()
    os.utime(folder / "report.html", (0, 0))
    report(folder, tmp_path, lines.append)
    assert len(lines) == 1
    assert lines[0].startswith("no report: ")


def test_the_end_of_training_is_judged_once(data_dir, tmp_path, monkeypatch):  # noqa: F811
    judged, outputs = [], Inputs.outputs

    def counted(self, program, variables, records, source):
        judged.append(len(records))
        return outputs(self, program, variables, records, source)

    monkeypatch.setattr(Inputs, "outputs", counted)
    config = [f"--config={ROOT / 'configs' / 'baselines.py'}", *SMALL, "--config.evaluations.every=8.0"]
    assert main([*config, f"--workdir={tmp_path}", f"--data_dir={data_dir}"]) == 0
    validation, test = (
        len((tmp_path / f"predictions_{of}.csv").read_text().splitlines()) - 1 for of in ("validation", "test")
    )
    assert judged == [validation, validation, test]  # in the middle, at the end, and what is judged at the end alone
