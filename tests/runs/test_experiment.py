"""What a run does when it has ended."""

import os

from skinjax.runs.experiment import report
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
