"""The figures that a judged table and a run's log give, each with the table behind it and a sentence of what it shows.

Among them are paper 000's Fig. 2, 001's Fig. 6 to 8, 003's Fig. 5, 004's Fig. 3 to 5 and 002's bars of speed.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from skinjax.core.errors import UserError
from skinjax.evaluation import binary
from skinjax.evaluation.calibration import top_label_reliability
from skinjax.evaluation.intervals import summary_with_intervals
from skinjax.evaluation.predictions import Predictions
from skinjax.evaluation.text import interval
from skinjax.report.charts import Line, bars, chart, matrix

Array = np.ndarray
Record = Mapping[str, Any]

MOST_CURVES = 9  # classes that have one each; of more, those of the least AUC
LOGGED = {  # of metrics.jsonl: what a figure is called, and how the names of its lines end
    "loss": ("Loss", ("/loss",)),
    "metrics": ("Metrics while training", ("/macro_recall", "/macro_f1", "/macro_auc")),
    "small_classes": ("F1 of the smallest classes", ("smallest_class_f1", "classes_f1")),
}


class Drawing(NamedTuple):
    """A figure, the stem of its files, what it shows, and the table behind it."""

    stem: str
    figure: Figure
    says: str
    header: Sequence[str]
    rows: Sequence[Sequence[Any]]


def of_table(table: Predictions, found: Record, synthetic: bool) -> list[Drawing]:
    """The confusion matrix, recalls, ROC, precision over recall, and reliability, as far as there are labels."""
    if not table.labelled.any():
        return []
    drawn = [confusion(found, synthetic), recalls(found, synthetic)]
    shown = curve_classes(found)
    if shown:
        drawn += [roc(table, found, shown, synthetic), precision_recall(table, shown, synthetic)]
    return [*drawn, reliability(table, synthetic)]


def confusion(found: Record, synthetic: bool) -> Drawing:
    """The confusion matrix (001, Fig. 6)."""
    counts, classes = np.array(found["confusion"]), found["classes"]
    figure = matrix(counts, classes, title="Confusion matrix", synthetic=synthetic)
    says = "Images of each true class (rows) by the class they were given (columns); shades are shares of a row."
    rows = [[name, *row.tolist()] for name, row in zip(classes, counts, strict=True)]
    return Drawing("confusion", figure, says, ["truth", *classes], rows)


def recalls(found: Record, synthetic: bool) -> Drawing:
    """The recall of each class with its interval."""
    named = {name: _bounds(of["recall"]) for name, of in found["per_class"].items()}
    shown = dict(sorted(named.items(), key=lambda item: (np.isnan(item[1][0]), item[1][0]))[:20])
    figure = bars(shown, "recall (sensitivity)", title="Recall of each class", synthetic=synthetic)
    says = "Recall of each class, the least first, with its 95 % interval; a dash is a class without images."
    rows = [[name, *map(_cell, of)] for name, of in named.items()]
    return Drawing("recalls", figure, says, ["class", "recall", "low", "high"], rows)


def curve_classes(found: Record) -> list[str]:
    """The classes that have a curve: those with an AUC, of many the least."""
    known = {name: of["auc"]["value"] for name, of in found["per_class"].items() if of["auc"]["value"] is not None}
    if len(found["classes"]) == 2:
        return [name for name in known if name == found["classes"][1]]
    chosen = sorted(known, key=lambda name: known[name])[:MOST_CURVES]
    return [name for name in known if name in chosen]


def roc(table: Predictions, found: Record, shown: Sequence[str], synthetic: bool) -> Drawing:
    """A ROC curve of each class against the rest, with its area (001, Fig. 8)."""
    curves = {name: _corners(table, name) for name in shown}
    named = {f"{name} {interval(found['per_class'][name]['auc'])}": curves[name] for name in shown}
    return _roc(curves, named, "ROC of each class against the rest", synthetic)


def roc_of_tables(tables: Mapping[str, tuple[Predictions, Record]], synthetic: bool) -> Drawing | None:
    """A ROC curve of the second of two classes for each table (004, Fig. 3); of more classes there is none."""
    curves, named = {}, {}
    for name, (table, found) in tables.items():
        if len(table.classes) != 2 or not curve_classes(found):
            return None
        curves[name] = _corners(table, table.classes[1])
        named[f"{name} {interval(found['per_class'][table.classes[1]]['auc'])}"] = curves[name]
    return _roc(curves, named, "ROC", synthetic)


def _roc(curves: Mapping[str, Array], named: Mapping[str, Array], title: str, synthetic: bool) -> Drawing:
    lines = {name: Line(of[0], of[1]) for name, of in named.items()}
    axes = "1 - specificity", "sensitivity"
    figure = chart(lines, *axes, title=title, synthetic=synthetic, diagonal=True, shares=True)
    says = "Sensitivity against one less the specificity at all thresholds; the area is beside the name."
    rows = [[name, *point] for name, of in curves.items() for point in of.T.tolist()]
    return Drawing("roc", figure, says, ["class", "false_positive_rate", "true_positive_rate", "threshold"], rows)


def precision_recall(table: Predictions, shown: Sequence[str], synthetic: bool) -> Drawing:
    """Precision over recall of each class against the rest, with its average precision (steps)."""
    lines, rows = {}, []
    for name in shown:
        false, true, thresholds = _corners(table, name, corners=False)
        share = binary.answers(table, (name,)).positive.mean()
        hits, wrong = share * true, (1 - share) * false
        precision = np.divide(hits, hits + wrong, out=np.ones_like(hits), where=hits + wrong > 0)
        area = float(np.sum(np.diff(true) * precision[1:]))
        lines[f"{name} {area:.3f}"] = Line(true, precision, steps=True)
        rows += [[name, *point] for point in zip(true.tolist(), precision.tolist(), thresholds.tolist(), strict=True)]
    title = "Precision over recall of each class"
    figure = chart(lines, "recall", "precision", title=title, synthetic=synthetic, shares=True)
    says = "Precision against recall at all thresholds, at the frequencies of this table; its mean is beside the name."
    return Drawing("precision_recall", figure, says, ["class", "recall", "precision", "threshold"], rows)


def reliability(table: Predictions, synthetic: bool) -> Drawing:
    """How often the likeliest class is the true one, by its probability, and the debiased calibration error."""
    found = top_label_reliability(table)
    name = f"likeliest class, calibration error {found.error:.3f}"
    line = {name: Line(found.confidence, found.accuracy, dots=True)}
    axes = "probability of the likeliest class", "share that is right"
    figure = chart(line, *axes, title="Reliability", synthetic=synthetic, diagonal=True, shares=True)
    says = "Bins of as many images each; on the dotted line probabilities can be taken at their word."
    rows = np.stack([found.confidence, found.accuracy, found.rows], axis=1).tolist()
    return Drawing("reliability", figure, says, ["confidence", "accuracy", "images"], rows)


def of_logs(logs: Mapping[str, Sequence[Record]], synthetic: bool) -> list[Drawing]:
    """What runs logged while they trained: loss (001, Fig. 7), metrics, the smallest classes (000, Fig. 2).

    Of several runs, each figure has the first of its metrics alone.
    """
    drawn = []
    for stem, (title, endings) in LOGGED.items():
        series = {
            f"{name} {key}".strip(): points
            for name, log in logs.items()
            for key, points in _series(log, endings[: 1 if len(logs) > 1 else None]).items()
        }
        if max(map(len, series.values()), default=0) < 2:
            continue
        marks = _phases(next(iter(logs.values()))) if len(logs) == 1 else {}
        lines = {
            name.replace("_", " "): _line([step for step, _ in points], [value for _, value in points])
            for name, points in series.items()
        }
        axes = "step", "loss" if stem == "loss" else "share"
        figure = chart(lines, *axes, title=title, synthetic=synthetic, marks=marks)
        phases = ", ".join(marks)
        says = f"{title} against the step" + (f", of the phases {phases}." if phases else ".")
        rows = [[name, *point] for name, points in series.items() for point in points]
        drawn.append(Drawing(f"training_{stem}", figure, says, ["line", "step", "value"], rows))
    return drawn


def seconds(logs: Mapping[str, Sequence[Record]], synthetic: bool) -> Drawing | None:
    """How many times as fast as the first each run trained (002's bars of speed-up)."""
    spent = {name: float(log[-1].get("seconds") or 0) for name, log in logs.items() if log}
    if len(spent) < 2 or min(spent.values()) <= 0:
        return None
    first = next(iter(spent.values()))
    shown = {name: (first / of, None, None) for name, of in spent.items()}
    figure = bars(shown, "seconds of the first / seconds", title="Speed-up of training", synthetic=synthetic)
    says = "The seconds that the first run trained for, over those of each, whatever steps and machines these were."
    rows = [[name, of, first / of] for name, of in spent.items()]
    return Drawing("speed_up", figure, says, ["run", "seconds", "speed_up"], rows)


def sweep(
    runs: Sequence[tuple[str, float, Predictions]], setting: str, metric: str, synthetic: bool, replicates: int = 2000
) -> Drawing:
    """A metric against a number that runs differ in, a line for each name (003, Fig. 5; 004, Fig. 4 and 5).

    Several runs of one name and number, as folds are, have their mean and standard deviation (ddof 0); one alone has
    its interval.
    """
    places: dict[str, dict[float, list[Predictions]]] = {}
    for name, value, table in runs:
        places.setdefault(name, {}).setdefault(value, []).append(table)
    lines, rows = {}, []
    for name, by_value in places.items():
        points = []
        for value, tables in sorted(by_value.items()):
            figures = [summary_with_intervals(table, replicates=replicates)[metric] for table in tables]
            values = np.array([_bounds(of)[0] for of in figures])
            mean, spread = float(values.mean()), float(values.std())
            low, high = (mean - spread, mean + spread) if len(tables) > 1 else _bounds(figures[0])[1:]
            points.append([value, mean, np.nan if low is None else low, np.nan if high is None else high])
            rows.append([name, value, len(tables), *map(_cell, (mean, low, high))])
        x, y, below, above = np.array(points).T
        lines[name] = Line(x, y, below, above, dots=True)
    words = metric.replace("_", " ")
    figure = chart(lines, setting, words, title=f"{words} against {setting}", synthetic=synthetic)
    says = f"{words} of each run; bars are 95 % intervals, or the standard deviation where several runs share a point."
    return Drawing("sweep", figure, says, ["name", setting, "runs", metric, "low", "high"], rows)


def setting_of(config: Record, field: str, name: str) -> float:
    """The number in that field of a run's config, such as `method.networks`."""
    found: Any = config
    for part in field.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise UserError(f"{name} has no number in the field {field!r} of its config: name one in which the runs differ")
    return float(found)


def _corners(table: Predictions, name: str, corners: bool = True) -> Array:
    """(false positive rate, true positive rate, threshold) [3, points] of a class, where the curve turns or all."""
    asked = binary.answers(table, (name,))
    curve = np.stack(binary.roc(asked.positive, asked.scores))
    steps = np.diff(curve[:2], axis=1)
    turns = np.abs(steps[0, 1:] * steps[1, :-1] - steps[0, :-1] * steps[1, 1:]) > 1e-15
    return curve[:, np.concatenate([[True], turns, [True]])] if corners else curve


def _line(x: Sequence[float], y: Sequence[float]) -> Line:
    """A line through what was logged, with dots where there are few."""
    return Line(np.array(x), np.array(y), dots=len(x) < 40)


def _series(log: Sequence[Record], endings: Sequence[str]) -> dict[str, list[tuple[float, float]]]:
    """The points (step, value) of the logged numbers whose names end so."""
    found: dict[str, list[tuple[float, float]]] = {}
    for line in log:
        for name, value in line.items():
            if name.endswith(tuple(endings)) and isinstance(value, int | float):
                found.setdefault(name, []).append((line["step"], value))
    return found


def _phases(log: Sequence[Record]) -> dict[str, float]:
    """The first logged step of each phase, if there are several."""
    firsts: dict[str, float] = {}
    for line in log:
        firsts.setdefault(str(line.get("phase", "")), line["step"])
    return firsts if len(firsts) > 1 else {}


def _bounds(figure: Record) -> tuple[float, float | None, float | None]:
    value = figure["value"]
    return (np.nan if value is None else value), figure["low"], figure["high"]


def _cell(value: float | None) -> float | str:
    return "" if value is None or np.isnan(value) else value
