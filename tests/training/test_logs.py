"""The log on disk and on the screen: cut back to a step, whole lines only, plain text where there is no terminal."""

import io
import json
import math
import re

import numpy as np
import pytest

from skinjax.training.logs import MetricsLog, Progress, _duration

LINES = [
    {"step": 10, "phase": "all", "train/loss": 2.0},
    {"step": 10, "phase": "all", "validation/accuracy": 0.5},
    {"step": 20, "phase": "all", "train/loss": 1.0},
]


def write(folder, lines=LINES, after="") -> None:
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + after)


def reopened(folder, step: int) -> list[dict]:
    MetricsLog(folder, step, tensorboard=False).close()
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_values_become_lines(tmp_path):
    log = MetricsLog(tmp_path, 0, tensorboard=False)
    for line in LINES:
        log.write(line["step"], {name: value for name, value in line.items() if name != "step"})
    # A killed process has its lines on disk: nothing waits for close.
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == LINES
    log.close()


@pytest.mark.parametrize(("step", "kept"), [(0, 0), (9, 0), (10, 2), (19, 2), (20, 3), (99, 3)])
def test_what_was_logged_beyond_the_restored_step_is_cut_off(tmp_path, step, kept):
    write(tmp_path)
    assert reopened(tmp_path, step) == LINES[:kept]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


@pytest.mark.parametrize(
    "rest", ['{"step": 20, "train/lo', '{"step": 20}', "{}\n", "null\n", '{"step": "3"}\n', "\0\0\0"]
)
def test_a_line_that_was_cut_short_is_dropped_and_the_next_starts_afresh(tmp_path, rest):
    write(tmp_path, LINES[:2], after=rest)
    log = MetricsLog(tmp_path, 99, tensorboard=False)
    log.write(20, {"phase": "all", "train/loss": 1.0})
    log.close()
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == LINES


def test_undefined_numbers_are_null(tmp_path):
    log = MetricsLog(tmp_path, 0)
    log.write(1, {"auc": float("nan"), "recall": np.float64(0.5), "high": float("inf")})
    log.close()
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1, "auc": null, "recall": 0.5, "high": null}\n'


def events(folder) -> list[tuple[str, int, float]]:
    """The scalars of all event files, by their protocol buffers."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for path in sorted((folder / "tensorboard").glob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")  # then its checksum, the event and the event's checksum
            event = Event.FromString(data[12 : 12 + length])
            found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
            data = data[16 + length :]
    return found


def test_tensorboard_gets_the_numbers(tmp_path):
    for step in (10, 20):
        log = MetricsLog(tmp_path, step - 10)
        log.write(step, {"phase": "all", "train/loss": 0.25 * step, "validation/auc": float("nan")})
        log.close()
    assert events(tmp_path) == [("train/loss", 10, 2.5), ("train/loss", 20, 5.0)]


# Progress


def test_progress_is_a_plain_line_where_there_is_no_terminal():
    stream = io.StringIO()
    progress = Progress(start=100, total=500, batch=32, stream=stream)
    rate = progress.report(120, {"loss": 1.25})
    progress.say("step 120: validation macro_recall 0.5000")
    progress.report(500, {"loss": 0.5})
    progress.close()
    lines = stream.getvalue().splitlines()
    assert re.fullmatch(r"step 120/500  loss 1.2500  \d+ images/s  \d+:\d\d(:\d\d)? left", lines[0])
    assert lines[1] == "step 120: validation macro_recall 0.5000"
    assert re.fullmatch(r"step 500/500  loss 0.5000  \d+ images/s  0:00 left", lines[2])
    assert f"{rate:.0f} images/s" in lines[0]
    assert len(lines) == 3
    assert "\r" not in stream.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_a_bar_on_a_terminal():
    stream = Terminal()
    progress = Progress(start=100, total=500, batch=32, stream=stream)
    progress.report(120, {"loss": 1.25})
    progress.say("step 120: validation macro_recall 0.5000")
    progress.report(500, {"loss": 0.5})
    progress.close()
    text = stream.getvalue()
    assert "120/500" in text
    assert "500/500" in text
    assert "loss 0.500" in text
    assert "step 120: validation macro_recall 0.5000\n" in text


def test_the_rate_is_of_the_steps_since_the_last_report_without_pauses(monkeypatch):
    now = 0.0
    monkeypatch.setattr("skinjax.training.logs.working_seconds", lambda: now)
    stream = io.StringIO()
    progress = Progress(start=0, total=100, batch=8, stream=stream)
    now = 20.0  # compilation
    assert progress.report(10, {"loss": 1.0}) == pytest.approx(4.0)
    now = 50.0
    progress.pause(10)  # an evaluation took the time until here
    now = 55.0
    assert progress.report(20, {"loss": 1.0}) == pytest.approx(16.0)
    assert stream.getvalue().splitlines()[0].endswith("3:00 left")
    # 80 steps at 0.7 * 2 + 0.3 * 0.5 seconds each
    assert stream.getvalue().splitlines()[1].endswith("2:04 left")


def test_without_a_step_there_is_no_measure():
    stream = io.StringIO()
    progress = Progress(start=0, total=100, batch=8, stream=stream)
    progress.pause(1)
    assert math.isnan(progress.report(1, {"loss": 1.0}))
    assert stream.getvalue() == "step 1/100  loss 1.0000\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (75, "1:15"), (3599, "59:59"), (3725.2, "1:02:05")]
)
def test_durations(seconds, text):
    assert _duration(seconds) == text


def test_lines_come_by_time_as_well(monkeypatch):
    now = 100.0
    monkeypatch.setattr("skinjax.training.logs.time.perf_counter", lambda: now)
    progress = Progress(start=0, total=100, batch=8, stream=io.StringIO())
    due = []
    for now in (109.0, 110.0, 139.0, 140.0, 169.0, 171.0):
        due.append(progress.due())
        if due[-1]:
            progress.report(int(now), {"loss": 1.0})
    assert due == [False, True, False, True, False, True]
