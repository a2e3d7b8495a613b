"""skinjax: classifiers for imbalanced skin-lesion photographs.

The public names, imported on first use: judging a table of predictions needs neither jax nor flax.
"""

import importlib
from typing import TYPE_CHECKING, Any

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
    "Model": "model",
    "load": "deploy.predictor",
    "ClassificationLoss": "objectives.losses",
    "Predictions": "evaluation.predictions",
    "read_predictions": "evaluation.predictions",
    "write_predictions": "evaluation.predictions",
    "bootstrap": "evaluation.intervals",
    "paired_difference": "evaluation.intervals",
    "summary_with_intervals": "evaluation.intervals",
}
__all__ = sorted(_HOME)


if TYPE_CHECKING:  # the same names for type checkers, which do not run what is below
    from skinjax.core.errors import UserError as UserError
    from skinjax.data.acquire.prepare import prepare as prepare
    from skinjax.data.dataset import data_root as data_root
    from skinjax.data.dataset import open_dataset as open_dataset
    from skinjax.data.splits.protocols import SplitSettings as SplitSettings
    from skinjax.data.splits.protocols import split_dataset as split_dataset
    from skinjax.deploy.predictor import load as load
    from skinjax.evaluation.intervals import bootstrap as bootstrap
    from skinjax.evaluation.intervals import paired_difference as paired_difference
    from skinjax.evaluation.intervals import summary_with_intervals as summary_with_intervals
    from skinjax.evaluation.predictions import Predictions as Predictions
    from skinjax.evaluation.predictions import read_predictions as read_predictions
    from skinjax.evaluation.predictions import write_predictions as write_predictions
    from skinjax.model import Model as Model
    from skinjax.models import make_backbone as make_backbone
    from skinjax.objectives.losses import ClassificationLoss as ClassificationLoss
    from skinjax.recipe.config_files import load_config as load_config
    from skinjax.recipe.recipe import Recipe as Recipe
    from skinjax.runs.experiment import run as run
else:

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'skinjax' has no attribute {name!r}; it has {', '.join(__all__)}")
        return getattr(importlib.import_module(f"skinjax.{_HOME[name]}"), name)
