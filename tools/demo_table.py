"""CDC, CD and the plain classifier on the demo set, several seeds each: measures and writes docs/demo_table.md.

    python tools/demo_table.py --folder=runs/demo_table [--seeds=3] [--data_dir=DIR] [--doc=FILE] [--config.FIELD=VALUE]

Every method is trained by the settings of `configs/cdc.py:demo`, without an offset for the prior, and the offset is
then chosen on the validation predictions of the first method. Resumable: finished runs are read back; half an hour on 2
idle cores. What the document says below its line "## What it says" stays.
"""

import argparse
import csv
import dataclasses
import json
import os
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from skinjax.evaluation.intervals import Interval, bootstrap, paired_difference
from skinjax.evaluation.metrics import evaluate
from skinjax.evaluation.predictions import Predictions, read_predictions

METHODS = {
    "CDC": ["--config=configs/cdc.py:demo"],
    "CD": ["--config=configs/cdc.py:demo", "--config.method.beta=0.0"],
    "plain": ["--config=configs/baselines.py:demo"],
    "CDC, twin statistics kept": ["--config=configs/cdc.py:demo", "--config.method.twin_batch_norm=update"],
}
COMPARED = (("plain", "CD"), ("plain", "CDC"), ("CDC", "CDC, twin statistics kept"))
METRICS = ("macro_recall", "accuracy", "macro_f1", "macro_precision")
PARTS = ("validation", "test")
OFFSETS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
POINT = 0.01
PROSE = "## What it says"


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.add_argument("--doc", type=Path, default=Path("docs/demo_table.md"))
    options, changes = parser.parse_known_args()
    for change in changes:
        if not change.startswith("--config."):
            parser.error(f"unknown argument {change}")
    folders = run_all(METHODS, options, "--config.method.logit_adjustment=0.0", *changes)
    text = document(folders)
    print(text)
    write_document(options.doc, text)


def document(folders: Mapping[str, Sequence[Path]]) -> str:
    """What the finished runs of every method, a folder for each seed, came to."""
    rows = {part: {name: [_read(run, part) for run in seeds] for name, seeds in folders.items()} for part in PARTS}
    first = next(iter(folders))
    counts = training_counts(folders[first][0], rows["test"][first][0].classes)
    offset, choice = choose_offset(rows["validation"][first], counts)
    adjusted = {name: [with_prior(table, counts, offset) for table in runs] for name, runs in rows["test"].items()}
    return f"""# CDC, CD and the plain classifier on the demo set

Written by `tools/demo_table.py`; synthetic photographs, a test bench and not medicine. {facts(folders)}

{budget(folders)}

Figures in %, mean (standard deviation, ddof 0) over the seeds, which change initialisation, order and augmentation, not
the data or the split; every seed's macro recall with its 95 % bootstrap interval over lesions.

## The offset for the prior

{first} on the validation part, with so many times the log of the training frequencies added to the logits of finished
runs (`method.logit_adjustment` is minus that). Chosen: {offset:g}, which has the highest accuracy of those whose macro
recall is within a point of the best.

{markdown_table(("offset", "macro_recall", "accuracy"), choice)}

## Test part, offset {offset:g}

{_methods(adjusted)}

Macro recall of one method minus that of another, every seed's paired by lesion:

{differences(adjusted)}

## Test part, no offset

{_methods(rows["test"])}"""


def choose_offset(runs: Sequence[Predictions], counts: np.ndarray) -> tuple[float, list[list[str]]]:
    """The offset with the highest accuracy of those whose macro recall is within a point of the best; and a row for
    each offset. Figures are means over the runs; of equals, the smallest is taken."""
    recall, accuracy = (
        [np.mean([evaluate(with_prior(table, counts, offset), metric) for table in runs]) for offset in OFFSETS]
        for metric in ("macro_recall", "accuracy")
    )
    good = [number for number in range(len(OFFSETS)) if recall[number] >= max(recall) - POINT]
    chosen = max(good, key=lambda number: accuracy[number])
    rows = zip(OFFSETS, recall, accuracy, strict=True)
    return OFFSETS[chosen], [[f"{offset:g}", f"{100 * r:.1f}", f"{100 * a:.1f}"] for offset, r, a in rows]


def with_prior(table: Predictions, counts: np.ndarray, offset: float) -> Predictions:
    """The predictions of the logits plus `offset` times the log of the frequencies of `counts` [classes]."""
    weighted = table.probabilities * (counts / counts.sum()) ** offset
    return dataclasses.replace(table, probabilities=weighted / weighted.sum(1, keepdims=True))


def training_counts(folder: Path, classes: Sequence[str]) -> np.ndarray:
    """Training images of each class [classes] in the split of a run."""
    labels = [row["label"] for row in _split(folder) if row["split"] == "train"]
    return np.array([labels.count(name) for name in classes])


def facts(folders: Mapping[str, Sequence[Path]]) -> str:
    """A sentence about the split."""
    split = _split(next(iter(folders.values()))[0])
    train, validation, test = ([row for row in split if row["split"] == part] for part in ("train", *PARTS))
    lesions = Counter({row["group"]: row["label"] for row in test}.values())
    name, fewest = min(lesions.items(), key=lambda item: item[1])
    return (
        f"{len(split):,} photographs: {len(train):,} to train on, {len(validation):,} for validation, {len(test):,} "
        f"for test, of {sum(lesions.values()):,} lesions, {fewest} of them of the smallest class ({name})."
    )


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


def differences(runs: Mapping[str, Sequence[Predictions]]) -> str:
    """A table of the macro recall that each second method of COMPARED has over the first."""
    rows = []
    for base, name in COMPARED:
        gains = [paired_difference(a, b, "macro_recall") for a, b in zip(runs[base], runs[name], strict=True)]
        values = 100 * np.array([gain.value for gain in gains])
        each = "; ".join(in_percent(g, "+.1f") for g in gains)
        rows.append([f"{name} minus {base}", f"{values.mean():+.1f} ({values.std():.1f})", each])
    return markdown_table(("", "mean of the seeds", "each seed [95 % interval]"), rows)


def in_percent(found: Interval, form: str = ".1f") -> str:
    """A figure in percent, with its interval in brackets."""
    value, low, high = (format(100 * x, form) for x in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]"


def write_document(path: Path, text: str) -> None:
    """Write the measured text, followed by the prose that `path` has of old."""
    _, heading, prose = (path.read_text() if path.exists() else "").partition(PROSE)
    path.write_text(f"{text}\n\n{heading}{prose}" if heading else f"{text}\n")


def figures_of_seeds(runs: Sequence[Predictions], metrics: Sequence[str]) -> list[str]:
    """Cells of a table: mean and deviation of each metric in %, then every seed's macro recall with its interval."""
    cells = []
    for metric in metrics:
        values = 100 * np.array([evaluate(table, metric) for table in runs])
        cells.append(f"{values.mean():.1f} ({values.std():.1f})")
    intervals = [bootstrap(table, "macro_recall") for table in runs]
    cells.append("; ".join(in_percent(i) for i in intervals))
    return cells


def parser_of_seeds(description: str | None) -> argparse.ArgumentParser:
    """The arguments of every table of seeds: where its runs lie, how many seeds, where data sets lie."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data_dir")
    return parser


def run_all(runs: Mapping[str, Sequence[str]], options: argparse.Namespace, *changes: str) -> dict[str, list[Path]]:
    """Every run of every condition: its folders, one for each seed."""
    folders = {}
    for name, arguments in runs.items():
        stem = name.replace(", ", "-").replace(" ", "_")
        folders[name] = [options.folder / f"{stem}-{seed}" for seed in range(options.seeds)]
        for seed, folder in enumerate(folders[name]):
            run([*arguments, *changes], folder, seed, options.data_dir)
    return folders


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


def _split(workdir: Path) -> list[dict[str, str]]:
    with open(workdir / "split.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _methods(runs: Mapping[str, Sequence[Predictions]]) -> str:
    rows = [[name, *figures_of_seeds(tables, METRICS)] for name, tables in runs.items()]
    return markdown_table(("method", *METRICS, "macro recall of each seed [95 % interval]"), rows)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown; names are told with blanks, `code` as it is."""
    lines = [header, ["---"] * len(header), *rows]
    told = [[cell if cell.startswith("`") else cell.replace("_", " ") for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in told)


if __name__ == "__main__":
    main()
