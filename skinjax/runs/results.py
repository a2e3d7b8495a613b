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
from skinjax.evaluation.sources import FINISHED_FILE, table_name
from skinjax.evaluation.text import format_figures
from skinjax.model import MODEL_FILE


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
        write_predictions(folder / table_name(part, name), predictions)
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
