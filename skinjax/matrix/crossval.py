"""Cross-validation: the same recipe on every fold, and the table of the folds and of their test parts together."""

import dataclasses
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skinjax.core.errors import UserError
from skinjax.core.tables import csv_text
from skinjax.data.splits.protocols import DRAWN
from skinjax.evaluation.comparisons import runs_mean
from skinjax.evaluation.intervals import summary_with_intervals
from skinjax.evaluation.metrics import evaluate
from skinjax.evaluation.predictions import Predictions, joined, read_predictions
from skinjax.evaluation.proportions import json_number
from skinjax.evaluation.sources import table_name
from skinjax.evaluation.text import HEADLINE, interval, leaks_in_words, markdown_table, protocol_in_words
from skinjax.matrix.jobs import Job, job_of
from skinjax.recipe.config_files import load_config
from skinjax.recipe.recipe import Recipe
from skinjax.runs import building

Tables = Mapping[tuple[int, int], Predictions]  # the test predictions of every run, by seed and fold


def jobs_of(recipe: Recipe, folds: int, seeds: int, load: Callable[[str], Recipe] = load_config) -> list[Job]:
    """A job for every fold and seed. Of drawn splits the folds are the test parts; a file has folds of its own.

    load: see `skinjax.matrix.jobs.job_of`
    """
    if recipe.split.protocol == "official":
        raise UserError("official parts are a single fold: set split.protocol to lesion_grouped, or to a file of folds")
    made = []
    for seed in range(recipe.seed, recipe.seed + seeds):
        for fold in range(folds):
            drawn = {"folds": folds, "test": 0.0} if recipe.split.protocol in DRAWN else {}
            of_fold = dataclasses.replace(recipe, seed=seed, split=recipe.split.replace(fold=fold, **drawn))
            made.append(job_of(f"{recipe.name}:{recipe.variant}", fold, of_fold, load))
    return made


def check_folds(jobs: Sequence[Job], root: Path) -> None:
    """Refuse folds that a published split does not have, or that hold nothing out, before any is trained."""
    for job in jobs:
        if job.recipe.split.protocol not in DRAWN:
            with tempfile.TemporaryDirectory() as scratch:
                data = building.make_data(job.recipe, Path(scratch), root, lambda line: None)
            if not len(data.records["test"]):
                raise UserError(f"{job.name} holds no test part out: choose a split that does")


def read(jobs: Sequence[Job], root: Path) -> Tables:
    """The predictions that the runs of these jobs have left."""
    tables = {}
    for job in jobs:
        tables[job.recipe.seed, job.fold] = read_predictions(job.folder(root) / table_name("test"))
    return tables


def pooled(tables: Tables) -> Predictions | None:
    """The test parts of all folds of the first seed as one table; None where an image is in two of them."""
    of_seed = [table for (seed, _), table in tables.items() if seed == min(tables)[0]]
    ids = np.concatenate([table.image_ids for table in of_seed])
    return joined(of_seed) if len(np.unique(ids)) == len(ids) else None


def rows(tables: Tables) -> list[dict[str, Any]]:
    """A record for each figure: every run's value, their mean and deviation (ddof 0), and all folds together."""
    together = pooled(tables)
    summary = summary_with_intervals(together) if together else None
    records = []
    for metric in HEADLINE:
        values = np.array([evaluate(table, metric) for table in tables.values()])
        record: dict[str, Any] = {"metric": metric, "mean": float(values.mean()), "sd": float(values.std())}
        record |= {"runs": len(values), "values": values.tolist()}
        if summary:
            record["pooled"] = summary[metric]
        else:
            found = runs_mean(list(tables.values()), metric)
            record["pooled"] = {"value": record["mean"], "low": json_number(found.low), "high": json_number(found.high)}
        records.append(record)
    return records


def markdown(tables: Tables, records: Sequence[dict[str, Any]]) -> str:
    """The table for people."""
    keys, first = list(tables), next(iter(tables.values()))
    several = len({seed for seed, _ in keys}) > 1
    header = ["figure", *(f"fold {fold}" + (f", seed {seed}" if several else "") for seed, fold in keys)]
    header += ["mean (sd)", "folds together [95 % interval]"]
    lines = []
    for of in records:
        values = [f"{value:.3f}" for value in of["values"]]
        shown = [f"{of['mean']:.3f} ({of['sd']:.3f})", interval(of["pooled"])]
        lines.append([of["metric"].replace("_", " "), *values, *shown])
    counts = ", ".join(f"{len(table):,}" for table in tables.values())
    if pooled(tables):
        judged = "of all folds together" + (f", seed {min(keys)[0]}" if several else "")
    else:
        judged = "of the mean, as folds share test images"
    told = (
        f"{len(keys)} runs{protocol_in_words(first.protocol)}; test parts of {counts} images. The deviation is over "
        f"the runs (ddof 0); the interval counts lesions, {judged}."
    )
    leaks = leaks_in_words([table.protocol for table in tables.values()], "test")
    return "\n".join([*markdown_table(header, lines), "", told + leaks])


def table_csv(records: Sequence[dict[str, Any]]) -> str:
    """The same as CSV."""
    body = []
    for of in records:
        cells = ["" if of["pooled"][name] is None else of["pooled"][name] for name in ("value", "low", "high")]
        body.append([of["metric"], of["runs"], of["mean"], of["sd"], *cells, *of["values"]])
    runs = [f"run_{number}" for number in range(records[0]["runs"])]
    return csv_text(["metric", "runs", "mean", "sd", "pooled", "pooled_low", "pooled_high", *runs], body)
