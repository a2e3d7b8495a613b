"""The figures of a run on disk: written beside the predictions, read back when the run is done, shown to people."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from skinjax.core.files import write_atomically
from skinjax.evaluation import metrics
from skinjax.evaluation.intervals import summary_with_intervals
from skinjax.evaluation.predictions import Predictions, write_predictions

HEADLINE = ("macro_recall", "macro_f1", "macro_precision", "accuracy", "mc_specificity", "macro_auc")
FINISHED_FILE = "finished.json"


def write_figures(folder: Path, part: str, predictions: Predictions, training_counts: Sequence[int]) -> dict[str, Any]:
    """`predictions_<part>.csv` and `metrics_<part>.json`; returns what the latter holds."""
    write_predictions(folder / f"predictions_{part}.csv", predictions)
    figures = summary_with_intervals(predictions, training_counts=training_counts)
    write_atomically(folder / f"metrics_{part}.json", json.dumps(figures, indent=1))
    return figures


def mark_finished(folder: Path, parts: Sequence[str]) -> None:
    """Say that the figures of all `parts` are there; written last."""
    write_atomically(folder / FINISHED_FILE, json.dumps({"splits": list(parts)}))


def finished_figures(folder: Path) -> dict[str, Any] | None:
    """The figures of a run that is done; None for one that is not, or whose figures were damaged since."""
    try:
        parts = json.loads((folder / FINISHED_FILE).read_text())["splits"]
        figures = {part: json.loads((folder / f"metrics_{part}.json").read_text()) for part in parts}
        for part in parts:
            format_figures(part, figures[part])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return figures


def format_figures(part: str, figures: Mapping[str, Any]) -> str:
    """The headline metrics with their intervals and their protocol, for people."""
    protocol = figures["protocol"]
    percent = round(100 * figures["intervals"]["level"])
    crops = f" of {protocol['crops']} crops" if protocol.get("crops") else ""
    lines = [
        f"{part}: {figures['images']} images of {figures['groups']} lesions, {protocol['split']['name']} split, "
        f"{protocol['checkpoint']} checkpoint ({protocol['steps']} steps), {protocol['view']} view{crops}, "
        f"seed {protocol['seed']}"
        + (", synthetic" if protocol["synthetic"] else "")
        + (f", started from {protocol['weights']['source']}" if protocol.get("weights") else "")
    ]
    leak = protocol["split"].get("leak_percent", {}).get(part)
    if leak:
        lines.append(f"  LEAK: {leak:.1f} % of these images share a lesion with a training image")
    for name in HEADLINE:
        value = figures[name]
        if value["value"] is not None:
            bounds = f"[{value['low']:.3f}, {value['high']:.3f}]"
            lines.append(f"  {name.replace('_', ' '):<16} {value['value']:.3f}  {percent} % interval {bounds}")
    return "\n".join(lines)


def validation_figures(predictions: Predictions, training_counts: Sequence[int]) -> dict[str, float]:
    """What is logged at every evaluation: the metrics, and those of the smallest class (paper 000, Fig. 2)."""
    figures = {name: metrics.evaluate(predictions, name) for name in (*metrics.METRICS, *metrics.SCORE_METRICS)}
    small = metrics.small_classes(metrics.table_confusion(predictions), 1, training_counts)
    return {**figures, **{f"smallest_class_{name}": float(value) for name, value in small.items()}}
