"""What a run reports while it runs: `metrics.jsonl`, TensorBoard, and a progress bar or plain lines."""

import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from tensorboardX import SummaryWriter
from tqdm import tqdm

from skinjax.core.files import write_atomically
from skinjax.training.programs import working_seconds


class MetricsLog:
    """One JSON object per line in `metrics.jsonl`, the numbers of which also go to TensorBoard.

    Opened at `step`, it cuts off what a killed run had logged beyond it, and a line that was cut short.
    """

    def __init__(self, folder: Path, step: int, tensorboard: bool = True):
        path = folder / "metrics.jsonl"
        write_atomically(path, "".join(line for line_step, line in _lines(path) if line_step <= step))
        self._file: TextIO = open(path, "a")  # noqa: SIM115 (closed by close)
        # Files are named by the second; the suffix keeps a quick restart from writing over the one before it.
        self._writer: SummaryWriter | None = None
        if tensorboard:
            self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1, filename_suffix=f".{step}")

    def write(self, step: int, values: Mapping[str, Any]) -> None:
        """Append the values of a step; a number that is undefined becomes null, as JSON has no NaN."""
        defined = {name: None if _undefined(value) else value for name, value in values.items()}
        self._file.write(json.dumps({"step": step, **defined}) + "\n")
        self._file.flush()
        if self._writer is not None:
            for name, value in values.items():
                if isinstance(value, float) and not _undefined(value):
                    self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close both."""
        self._file.close()
        if self._writer is not None:
            self._writer.close()


def _undefined(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _lines(path: Path) -> list[tuple[int, str]]:
    """The whole lines, with their steps, of a log that a kill may have cut anywhere."""
    whole: list[tuple[int, str]] = []
    for line in path.read_text(errors="replace").splitlines(keepends=True) if path.exists() else ():
        try:
            step = json.loads(line)["step"]
        except (ValueError, KeyError, TypeError):
            break
        if not isinstance(step, int) or not line.endswith("\n"):
            break
        whole.append((step, line))
    return whole


SOON, LATER = 10.0, 30.0  # seconds until the first line, and between two of them


class Progress:
    """Steps done, images per second and time left: a bar on a terminal, a plain line per report elsewhere."""

    def __init__(self, start: int, total: int, batch: int, stream: TextIO | None = None, quiet: bool = False):
        self._stream, self._quiet = stream or sys.stderr, quiet
        self._total, self._batch = total, batch
        self._last_step, self._last_time = start, working_seconds()
        self._seconds_per_step: float | None = None
        self._shown, self._patience = time.perf_counter(), SOON
        terminal = self._stream.isatty() and not quiet
        self._bar = (
            tqdm(total=total, initial=start, unit="step", file=self._stream, dynamic_ncols=True) if terminal else None
        )

    def due(self) -> bool:
        """Whether it is time to show progress again, between two lines of the log."""
        return time.perf_counter() - self._shown >= self._patience

    def report(self, step: int, values: Mapping[str, float]) -> float:
        """Show the state after `step` steps; returns images per second since the last report, nan without a step."""
        now = working_seconds()
        rate = math.nan
        if step > self._last_step:
            seconds = max(now - self._last_time, 1e-9) / (step - self._last_step)
            before = seconds if self._seconds_per_step is None else self._seconds_per_step
            self._seconds_per_step = 0.7 * before + 0.3 * seconds
            rate = self._batch / seconds
        self.pause(step)
        shown = f"loss {values['loss']:.4f}" + ("" if math.isnan(rate) else f"  {rate:.0f} images/s")
        self._shown, self._patience = time.perf_counter(), LATER
        if self._bar is not None:
            self._bar.update(step - self._bar.n)
            self._bar.set_postfix_str(shown)
        else:
            left = (self._total - step) * (self._seconds_per_step or math.nan)
            self.say(f"step {step}/{self._total}  {shown}" + ("" if math.isnan(left) else f"  {_duration(left)} left"))
        return rate

    def pause(self, step: int) -> None:
        """Measure the next report from here on: what came before was an evaluation, say."""
        self._last_step, self._last_time = step, working_seconds()

    def say(self, text: str) -> None:
        """A line of text, above the bar where there is one."""
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        elif not self._quiet:
            print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()


def _duration(seconds: float) -> str:
    """
    >>> _duration(75)
    '1:15'
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
