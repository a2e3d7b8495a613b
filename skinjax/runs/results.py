"""The figures of a run on disk: written beside the predictions, read back when the run is done, shown to people."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skinjax.core.files import write_atomically
from skinjax.evaluation import metrics
from skinjax.evaluation.confusion import METRICS
from skinjax.evaluation.intervals import summary_with_intervals
from skinjax.evaluation.predictions import Predictions, write_predictions
from skinjax.evaluation.scores import SCORE_METRICS
from skinjax.model import MODEL_FILE

HEADLINE = ("macro_recall", "macro_f1", "macro_precision", "accuracy", "mc_specificity", "macro_auc")
PROTOCOL_IN_WORDS = {
    "split": ", {} split",
    "checkpoint": ", {} checkpoint",
    "members": " of {} networks",
    "steps": " ({} steps)",
    "view": ", {} view",
    "crops": " of {} crops",
    "seed": ", seed {}",
    "synthetic": ", synthetic",
    "weights": ", started from {}",
}
FINISHED_FILE = "finished.json"


def write_figures(
    folder: Path,
    part: str,
    found: Mapping[str, Predictions],
    counts: Sequence[int],
    small: Sequence[int] = metrics.SMALL,
) -> dict[str, Any]:
    """`predictions_<part>.csv` and `metrics_<part>.json`, whose content it returns; counts: of the training part.

    found: see `skinjax.training.inference.tables`; those with a name go into a `predictions_<part>_<name>.csv`
    """
    for name, predictions in found.items():
        write_predictions(folder / f"predictions_{part}{'_' * bool(name)}{name}.csv", predictions)
    figures = summary_with_intervals(found[""], small=small, training_counts=counts)
    write_atomically(folder / f"metrics_{part}.json", json.dumps(figures, indent=1))
    return figures


def mark_finished(folder: Path, parts: Sequence[str]) -> None:
    """Say that the figures of all `parts` are there; written last."""
    write_atomically(folder / FINISHED_FILE, json.dumps({"splits": list(parts)}))


def finished_figures(folder: Path) -> dict[str, Any] | None:
    """The figures of a run that is done; None for one that is not, or whose figures or network were lost since."""
    if not (folder / MODEL_FILE).is_file():
        return None
    try:
        parts = json.loads((folder / FINISHED_FILE).read_text())["splits"]
        figures = {part: json.loads((folder / f"metrics_{part}.json").read_text()) for part in parts}
        for part in parts:
            format_figures(part, figures[part])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return figures


def format_figures(part: str, figures: Mapping[str, Any]) -> str:
    """The headline metrics with their intervals and their protocol, for people."""
    protocol = _protocol_in_words(figures["protocol"])
    units = "lesions" if protocol else "groups"
    lines = [f"{part}: {figures['images']} images of {figures['groups']} {units}{protocol or ', protocol unknown'}"]
    leak = _record(figures["protocol"], "split", "name").get("leak_percent", {}).get(part)
    if leak:
        lines.append(f"  LEAK: {leak:.1f} % of these images share a lesion with a training image")
    seen = _record(figures["protocol"], "weights", "source").get("leak_percent", {}).get(part)
    if seen:
        lines.append(f"  LEAK: {seen:.1f} % of these images are of lesions that the weights it started from have seen")
    percent = round(100 * figures["intervals"]["level"])
    for name in HEADLINE:
        value, low, high = (figures[name][key] for key in ("value", "low", "high"))
        if value is not None:
            bounds = "" if low is None else f"  {percent} % interval [{low:.3f}, {high:.3f}]"
            lines.append(f"  {name.replace('_', ' '):<16} {value:.3f}{bounds}")
    if figures["accuracy"]["low"] is None:
        lines.append(f"  {figures['intervals']['headline']}")
    return "\n".join(lines)


def validation_figures(
    predictions: Predictions, training_counts: Sequence[int], small: Sequence[int] = metrics.SMALL
) -> dict[str, float]:
    """What is logged at every evaluation: the metrics, and those of the smallest classes (paper 000, Fig. 2)."""
    summary = metrics.summary(predictions, small, training_counts)
    figures = {name: summary[name] for name in (*METRICS, *SCORE_METRICS)}
    for k, means in summary["small_classes"].items():
        which = "smallest_class" if k == "1" else f"smallest_{k}_classes"
        figures |= {f"{which}_{name}": means[name] for name in ("recall", "precision", "f1")}
    return {name: math.nan if value is None else value for name, value in figures.items()}


def _protocol_in_words(protocol: Mapping[str, Any]) -> str:
    """A protocol in words; that of a table made elsewhere may lack any part."""
    known = {
        **protocol,
        "split": _record(protocol, "split", "name").get("name"),
        "synthetic": protocol.get("synthetic") or None,
        "weights": _record(protocol, "weights", "source").get("source"),
    }
    return "".join(words.format(known[key]) for key, words in PROTOCOL_IN_WORDS.items() if known.get(key) is not None)


def _record(protocol: Mapping[str, Any], entry: str, main: str) -> Mapping[str, Any]:
    """An entry that is a record in our protocols; elsewhere it may be nothing, or its `main` value alone."""
    value = protocol.get(entry)
    return value if isinstance(value, Mapping) else {main: value}
