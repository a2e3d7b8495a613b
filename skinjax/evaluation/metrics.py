"""Every figure of a predictions table, by name or all together."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skinjax.core.errors import lookup
from skinjax.evaluation.confusion import (
    METRICS,
    PER_CLASS,
    class_sizes,
    confusion_matrix,
    small_classes,
    smallest_classes,
    support,
)
from skinjax.evaluation.predictions import Predictions
from skinjax.evaluation.proportions import json_number
from skinjax.evaluation.scores import SCORE_METRICS, Scored, auc, sensitivity_at

Array = np.ndarray

SPECIFICITY = 0.9  # at which the sensitivity of a class is read off its curve
SENSITIVITY = f"sensitivity_at_{SPECIFICITY:g}_specificity"
SMALL = (1, 2, 3)  # over how many of the smallest classes a summary averages, by default


def evaluate(predictions: Predictions, metric: str) -> float:
    """The metric of that name for a table; nan where it is undefined (no labelled image)."""
    lookup("metric", metric, {**METRICS, **SCORE_METRICS})
    if metric in METRICS:
        return float(METRICS[metric](table_confusion(predictions)))
    return float(SCORE_METRICS[metric](Scored(predictions.labels, predictions.probabilities)))


def metric_names(text: str) -> list[str]:
    """The metrics that are named between commas."""
    names = text.split(",")
    for name in names:
        lookup("metric", name, {**METRICS, **SCORE_METRICS})
    return names


def table_confusion(predictions: Predictions) -> Array:
    """Confusion matrix [classes, classes] of a table's labelled rows."""
    return confusion_matrix(predictions.labels, predictions.predicted, len(predictions.classes))


def summary(
    predictions: Predictions, small: Sequence[int] = SMALL, training_counts: Sequence[int] | None = None
) -> dict[str, Any]:
    """Every figure of a table, JSON-ready (nan becomes None), with the protocol it was measured under.

    `small` says how many smallest classes to average over (more than there are classes is left out); `training_counts`
    [classes] says which those are, otherwise the table's own class counts do.
    """
    confusion, scored = table_confusion(predictions), Scored(predictions.labels, predictions.probabilities)
    labelled = predictions.labelled
    sizes = class_sizes(confusion, training_counts)
    candidates = int(np.isfinite(sizes).sum())
    return {
        "images": int(labelled.sum()),
        "unlabelled": int((~labelled).sum()),
        "groups": len(np.unique(predictions.groups[labelled])),
        **{name: json_number(figure(confusion)) for name, figure in METRICS.items()},
        **{name: json_number(figure(scored)) for name, figure in SCORE_METRICS.items()},
        "per_class": _per_class(predictions.classes, confusion, scored),
        "small_classes": {
            str(k): {
                "classes": [predictions.classes[number] for number in smallest_classes(sizes, k)],
                **{name: json_number(value) for name, value in small_classes(confusion, k, training_counts).items()},
            }
            for k in small
            if k <= candidates
        },
        "classes": list(predictions.classes),
        "confusion": confusion.tolist(),
        "protocol": predictions.protocol,
    }


def _per_class(classes: Sequence[str], confusion: Array, scored: Scored) -> dict[str, dict[str, float | None]]:
    columns = {name: figure(confusion) for name, figure in PER_CLASS.items()}
    columns |= {"auc": auc(scored), SENSITIVITY: sensitivity_at(scored, SPECIFICITY)}
    return {
        name: {
            **{column: json_number(values[number]) for column, values in columns.items()},
            "support": int(support(confusion)[number]),
            "predicted": int(confusion[:, number].sum()),
        }
        for number, name in enumerate(classes)
    }
