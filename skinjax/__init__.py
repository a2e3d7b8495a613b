"""skinjax: classifiers for imbalanced skin-lesion photographs.

The public names, imported on first use: judging a table of predictions needs neither jax nor flax.
"""

import importlib
from typing import Any

__version__ = "0.2.0"

_HOME = {
    "UserError": "core.errors",
    "Recipe": "recipe.recipe",
    "load_config": "recipe.config_files",
    "run": "runs.experiment",
    "data_root": "data.dataset",
    "prepare": "data.acquire.prepare",
    "open_dataset": "data.dataset",
    "SplitSettings": "data.splits.protocols",
    "split_dataset": "data.splits.protocols",
    "make_backbone": "models",
    "ClassificationLoss": "objectives.losses",
    "Predictions": "evaluation.predictions",
    "read_predictions": "evaluation.predictions",
    "write_predictions": "evaluation.predictions",
    "bootstrap": "evaluation.intervals",
    "paired_difference": "evaluation.intervals",
    "summary_with_intervals": "evaluation.intervals",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'skinjax' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"skinjax.{_HOME[name]}"), name)
