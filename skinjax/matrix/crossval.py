"""Cross-validation: the same recipe on every fold, and the table of the folds and of their test parts together."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skinjax.core.errors import UserError
from skinjax.core.tables import csv_text
from skinjax.data.splits.protocols import DRAWN
from skinjax.evaluation.confusion import METRICS
from skinjax.evaluation.intervals import summary_with_intervals
from skinjax.evaluation.metrics import evaluate
from skinjax.evaluation.predictions import Predictions, in_classes, read_predictions
from skinjax.evaluation.scores import SCORE_METRICS
from skinjax.evaluation.sources import table_name
from skinjax.evaluation.text import interval, protocol_in_words
from skinjax.matrix.jobs import Job, with_fields
from skinjax.recipe.recipe import Recipe

FIGURES = ("macro_recall", "macro_f1", "macro_precision", "accuracy", "mc_specificity", "macro_auc")


def jobs_of(recipe: Recipe, folds: int, seeds: int) -> list[Job]:
    """A job for every fold and seed. Of drawn splits the folds are the test parts; a file has folds of its own."""
    made = []
    for seed in range(recipe.seed, recipe.seed + seeds):
        for fold in range(folds):
            drawn = {"folds": folds, "test": 0.0} if recipe.split.protocol in DRAWN else {}
            split = with_fields(recipe, "split", fold=fold, **drawn)
            made.append(Job(f"{recipe.name}:{recipe.variant}", fold, dataclasses.replace(split, seed=seed)))
    return made


@dataclasses.dataclass(frozen=True)
class Crossvalidation:
    """The test predictions of every fold, by (seed, fold), and of each seed all folds together where they part."""

    tables: Mapping[tuple[int, int], Predictions]

    @property
    def seeds(self) -> list[int]:
        return sorted({seed for seed, _ in self.tables})

    def pooled(self, seed: int) -> Predictions | None:
        """The test parts of all folds of a seed as one table; None where an image is in two of them."""
        tables = [table for (of, _), table in self.tables.items() if of == seed]
        ids = np.concatenate([table.image_ids for table in tables])
        return joined(tables) if len(np.unique(ids)) == len(ids) else None

    def values(self, metric: str) -> np.ndarray:
        """The metric of every run."""
        return np.array([evaluate(table, metric) for table in self.tables.values()])


def read(jobs: Sequence[Job], root: Path) -> Crossvalidation:
    """The predictions that the runs of these jobs have left."""
    tables = {}
    for job in jobs:
        path = job.folder(root) / table_name("test")
        if not path.exists():
            raise UserError(f"{job.name} holds no test part out: set split.test or give --folds")
        tables[job.recipe.seed, job.fold] = read_predictions(path)
    return Crossvalidation(tables)


def joined(tables: Sequence[Predictions]) -> Predictions:
    """One table of all rows of several, of the same classes."""
    first = tables[0]
    ordered = [in_classes(table, first.classes) for table in tables]
    known = [name for name in first.metadata if all(name in table.metadata for table in ordered)]

    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(table, name) for table in ordered])

    return Predictions(
        column("image_ids"),
        column("groups"),
        column("labels"),
        column("splits"),
        column("probabilities"),
        first.classes,
        {name: of for name, of in first.protocol.items() if name not in ("images", "groups")} | {"folds": len(tables)},
        metadata={name: np.concatenate([table.metadata[name] for table in ordered]) for name in known},
    )


def rows(found: Crossvalidation) -> list[dict[str, Any]]:
    """A record for each figure: every run's value, their mean and deviation (ddof 0), and all folds together."""
    together = [table for seed in found.seeds if (table := found.pooled(seed)) is not None]
    summaries = [summary_with_intervals(table) for table in together[:1]]
    records = []
    for metric in FIGURES:
        values = found.values(metric)
        record: dict[str, Any] = {"metric": metric, "mean": float(values.mean()), "sd": float(values.std())}
        record |= {"runs": len(values), "values": values.tolist()}
        record["pooled"] = summaries[0][metric] if summaries else None
        records.append(record)
    return records


def markdown(found: Crossvalidation, records: Sequence[dict[str, Any]]) -> str:
    """The table for people."""
    keys = list(found.tables)
    first = next(iter(found.tables.values()))
    several = len(found.seeds) > 1
    header = ["figure", *(f"fold {fold}" + (f", seed {seed}" if several else "") for seed, fold in keys)]
    header += ["mean (sd)", "folds together [95 % interval]"]
    lines = [header, ["---"] * len(header)]
    for of in records:
        values = [f"{value:.3f}" for value in of["values"]]
        pooled = interval(of["pooled"]) if of["pooled"] else "-"
        lines.append([of["metric"].replace("_", " "), *values, f"{of['mean']:.3f} ({of['sd']:.3f})", pooled])
    counts = ", ".join(f"{len(table):,}" for table in found.tables.values())
    told = (
        f"{len(keys)} runs{protocol_in_words(first.protocol)}; test parts of {counts} images. The deviation is over "
        "the runs (ddof 0); the interval counts lesions, of all folds together"
        + (f", seed {found.seeds[0]}." if several else ".")
    )
    return "\n".join(["| " + " | ".join(line) + " |" for line in lines] + ["", told])


def table_csv(records: Sequence[dict[str, Any]]) -> str:
    """The same as CSV."""
    body = []
    for of in records:
        pooled = of["pooled"] or dict.fromkeys(("value", "low", "high"))
        cells = ["" if pooled[name] is None else pooled[name] for name in ("value", "low", "high")]
        body.append([of["metric"], of["runs"], of["mean"], of["sd"], *cells, *of["values"]])
    runs = [f"run_{number}" for number in range(records[0]["runs"])]
    return csv_text(["metric", "runs", "mean", "sd", "pooled", "pooled_low", "pooled_high", *runs], body)


assert set(FIGURES) <= {*METRICS, *SCORE_METRICS}
