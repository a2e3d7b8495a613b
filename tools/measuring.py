"""What the scripts that measure share: runs as subprocesses that go on where they stopped, and documents with prose."""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from skinjax.evaluation import text
from skinjax.evaluation.intervals import Interval
from skinjax.evaluation.predictions import Predictions, read_predictions

PROSE = "## What it says"


def budget(folders: Mapping[str, Sequence[Path]], runs: str = "seeds") -> str:
    """Sentences about what every run was given, and how long it took; `runs` is in what those of a row differ."""
    first = next(iter(folders.values()))
    protocol = _read(first[0], "test").protocol
    config = json.loads((first[0] / "config.json").read_text())["config"]
    network, shown = config["model"]["backbone"], "x".join(map(str, protocol["size"]))
    drawn = ", the first with the drawing of the set" if protocol["synthetic"] else ""
    times = "; ".join(f"{method} {', '.join(map(_seconds, runs))}" for method, runs in folders.items())
    return (
        f"Every run: {network}, {protocol['steps']:,} steps of {config['batch']} photographs, {shown} pixels; {runs} 0 "
        f"to {len(first) - 1}. Seconds on {os.cpu_count()} cores ({platform.machine()}){drawn} "
        f"(?: not in one go): {times}."
    )


def in_percent(found: Interval, form: str = ".1f") -> str:
    """A figure in percent, with its interval in brackets."""
    value, low, high = (format(100 * x, form) for x in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]"


def write_document(path: Path, text: str) -> None:
    """Write the measured text, followed by the prose that `path` has of old."""
    _, heading, prose = (path.read_text() if path.exists() else "").partition(PROSE)
    path.write_text(f"{text}\n\n{heading}{prose}" if heading else f"{text}\n")


def parser_of_seeds(description: str | None) -> argparse.ArgumentParser:
    """The arguments of every table of seeds: where its runs lie, how many seeds, where data sets lie."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data_dir")
    return parser


def run(arguments: Sequence[str], workdir: Path, seed: int, data_dir: str | None) -> Predictions:
    """The test predictions of a run; see `finish`."""
    finish(arguments, workdir, seed, data_dir)
    return _read(workdir, "test")


def finish(arguments: Sequence[str], workdir: Path, seed: int, data_dir: str | None) -> None:
    """Start a run, or continue it, unless this very command has ended before."""
    command = ["-m", "skinjax.main", *arguments, f"--config.seed={seed}", f"--workdir={workdir}"]
    stamp = _stamp(workdir)
    if stamp.exists() and json.loads(stamp.read_text())["command"] == command:
        return
    whole, started = not workdir.exists(), time.monotonic()
    there = [f"--data_dir={data_dir}"] if data_dir else []
    subprocess.run([sys.executable, *command, *there], check=True, stdout=subprocess.DEVNULL)
    seconds = round(time.monotonic() - started) if whole else None
    if not (workdir / "finished.json").exists():
        sys.exit(f"{workdir} was stopped: the same command goes on")
    stamp.write_text(json.dumps({"command": command, "seconds": seconds}, indent=2))


def _stamp(workdir: Path) -> Path:
    """The file that says which command has ended."""
    return workdir.with_name(f"{workdir.name}.json")


def _seconds(workdir: Path) -> str:
    seconds = json.loads(_stamp(workdir).read_text())["seconds"]
    return "?" if seconds is None else str(seconds)


def _read(workdir: Path, part: str) -> Predictions:
    return read_predictions(workdir / f"predictions_{part}.csv")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown; names are told with blanks, `code` as it is."""
    named = [[cell if cell.startswith("`") else cell.replace("_", " ") for cell in line] for line in (header, *rows)]
    return "\n".join(text.markdown_table(named[0], named[1:]))
