"""How long runs take to reach an accuracy, and how many times faster they are than the first of them (eta).

    python tools/time_to_accuracy.py BASELINE=RUN[,RUN...] NAME=RUN[,RUN...] ... [--target=0.9] [--metric=accuracy]

A name stands for the finished runs of one recipe, one per seed. The target is reached at the first evaluation of the
validation part (or of the part that the log has) with at least that value; without --target it is the best value of
the baseline, as the median of its runs. Seconds are those of the log: training and evaluation in, compilation out, all
phases together, as long as the run has worked, however often it was interrupted. Seconds of different machines do not
compare; steps do.

A run that never arrives is censored and not dropped: its time is longer than all it took, and where the middle of a
recipe's runs never arrives, a bound is printed. eta is printed in two ways: the paper's, the time of the whole baseline
over the time of the whole run, whatever accuracy either ends with; and at equal accuracy, the ratio of the times to the
target, in seconds and in steps.
"""

import argparse
import dataclasses
import json
import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from skinjax.models.pretrained.files import MODEL_FILE
from skinjax.training.phases import CLASS_FIGURES

PARTS = ("validation", "test")


@dataclasses.dataclass(frozen=True)
class Curve:
    """The evaluations of a run: the step, the seconds until then and the value of each."""

    steps: tuple[int, ...]
    seconds: tuple[float, ...]
    values: tuple[float, ...]

    def arrival(self, target: float) -> int | None:
        """The place of the first evaluation with at least the target; None if it never comes."""
        return next((place for place, value in enumerate(self.values) if value >= target), None)


@dataclasses.dataclass(frozen=True)
class Time:
    """An amount of time; `censored` if it only is known to be longer."""

    amount: float
    censored: bool = False

    def __str__(self) -> str:
        return f"{'> ' if self.censored else ''}{self.amount:,.0f}"


def read_curve(folder: Path, metric: str) -> Curve:
    """The curve of a metric in the `metrics.jsonl` of a finished run; exits with a sentence if there is none."""
    if not (folder / MODEL_FILE).exists():
        sys.exit(f"error: {folder} holds no run of skinjax that has ended: start its command once more")
    try:
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for part in PARTS:
            name = f"{part}/{metric}"
            found = [row for row in rows if row.get(name) is not None]
            if found:
                steps, seconds, values = (tuple(row[key] for row in found) for key in ("step", "seconds", name))
                return Curve(steps, seconds, values)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        sys.exit(f"error: {folder} has no log that can be read, which a run of skinjax leaves there: {error}")
    sys.exit(f"error: the log of {folder} has no evaluation of {metric!r}; name another by --metric")


def time_to(curves: Sequence[Curve], target: float, of: str) -> Time:
    """The median time, in `seconds` or `steps`, to the target; runs that never arrive count as longer than any."""
    places = [curve.arrival(target) for curve in curves]
    # Of a run that never arrives it is known that it went on as long as it did.
    known = statistics.median(getattr(c, of)[-1 if p is None else p] for c, p in zip(curves, places, strict=True))
    times = (math.inf if p is None else getattr(c, of)[p] for c, p in zip(curves, places, strict=True))
    return Time(known, censored=math.isinf(statistics.median(times)))


def ratio(baseline: Time, other: Time) -> str:
    """How many times faster the other is, as a bound where one of the two is censored."""
    if (baseline.censored and other.censored) or not other.amount:
        return "unknown"
    bound = "> " if baseline.censored else "< " if other.censored else ""
    return f"{bound}{baseline.amount / other.amount:.2f}"


def whole(curves: Sequence[Curve], of: str) -> Time:
    """The median time of whole runs."""
    return Time(statistics.median(getattr(curve, of)[-1] for curve in curves))


def rows(groups: dict[str, list[Curve]], target: float) -> list[list[str]]:
    """A row of text for each recipe, of which the first is the baseline."""
    first = next(iter(groups.values()))
    table = []
    for name, curves in groups.items():
        arrived = sum(curve.arrival(target) is not None for curve in curves)
        best = statistics.mean(max(curve.values) for curve in curves)
        to = {of: time_to(curves, target, of) for of in ("steps", "seconds")}
        etas = [ratio(whole(first, "seconds"), whole(curves, "seconds"))]
        etas += [ratio(time_to(first, target, of), to[of]) for of in ("seconds", "steps")]
        figures = [f"{100 * best:.2f}", f"{arrived}/{len(curves)}", str(to["steps"]), str(to["seconds"])]
        table.append([name, *figures, str(whole(curves, "seconds")), *etas])
    return table


HEAD = (
    "recipe",
    "best, %",
    "arrived",
    "steps",
    "seconds",
    "whole run, s",
    "eta, paper's",
    "eta, seconds",
    "eta, steps",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="+", metavar="NAME=RUN[,RUN...]")
    parser.add_argument("--target", type=float)
    parser.add_argument("--metric", default="accuracy")
    options = parser.parse_args()
    if options.metric not in CLASS_FIGURES:
        sys.exit(f"error: {options.metric!r} is no figure that rises to a target; known: {', '.join(CLASS_FIGURES)}")
    groups = {}
    for text in options.groups:
        name, equals, folders = text.partition("=")
        if not equals or not folders or name in groups:
            sys.exit(f"error: {text!r} must be NAME=RUN[,RUN...], with a name of its own")
        groups[name] = [read_curve(Path(folder), options.metric) for folder in folders.split(",")]
    target = options.target
    if target is None:
        target = statistics.median(max(curve.values) for curve in next(iter(groups.values())))
    print(f"{options.metric} of {target:.4f}; medians over the runs of a recipe; compilation out, evaluation in\n")
    lines = [HEAD, ["---"] * len(HEAD), *rows(groups, target)]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines))


if __name__ == "__main__":
    main()
