"""Apply a trained method to held-out batches: predictions of every image, and the means of the validation terms."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.data.dataset import Dataset, metadata_of
from skinjax.data.pipeline import HostBatch
from skinjax.evaluation.predictions import Predictions
from skinjax.methods.base import Variables
from skinjax.parallel import Stored, prefetch
from skinjax.training.programs import Program

Columns = dict[str, np.ndarray]


def collect(
    program: Program,
    variables: Variables,
    batches: Iterable[HostBatch],
    images: int,
    *,
    mesh: jax.sharding.Mesh,
    stored: Stored | None = None,
    check: Callable[[], None] = lambda: None,
) -> tuple[Columns, dict[str, float]]:
    """The outputs of an evaluation program, a row for each of the `images`, and the mean of each validation term.

    `stored`: see `skinjax.parallel.put`; `check` is called before every batch.
    """
    outputs = []
    totals: dict[str, tuple[jax.Array, jax.Array | None]] = {}
    with contextlib.closing(prefetch(batches, mesh, stored=stored)) as on_devices:
        for batch in on_devices:
            check()
            per_image, terms = program(variables, batch)
            outputs.append(per_image)
            totals = jax.tree.map(jnp.add, totals, terms) if totals else terms
    columns = {name: np.concatenate([np.asarray(part[name]) for part in outputs])[:images] for name in outputs[0]}
    return columns, {name: _mean(total, count) for name, (total, count) in totals.items()}


def tables(
    columns: Columns, dataset: Dataset, records: np.ndarray, *, split: str, protocol: dict[str, Any]
) -> dict[str, Predictions]:
    """The predictions of `records` under '', and others by name: of each member of an ensemble, of each composition.

    There are none if the method tells no classes.
    """
    if "probabilities" not in columns:
        return {}
    whole = Predictions(
        image_ids=dataset.columns["image_id"][records],
        groups=dataset.columns["group"][records],
        labels=dataset.columns["label"][records],
        splits=np.full(len(records), split),
        classes=dataset.classes,
        protocol=protocol,
        probabilities=columns["probabilities"],
        scores=columns.get("scores"),
        metadata=metadata_of(dataset, records),
    )
    others: Columns = {name: columns[name] for name in ("hard", "soft") if name in columns}
    for number, own in enumerate(np.moveaxis(columns["members"], 1, 0) if "members" in columns else (), start=1):
        others[f"member{number}"] = own
    named = {name: dataclasses.replace(whole, probabilities=of, scores=None) for name, of in others.items()}
    return {"": whole, **named}


def _mean(total: jax.Array, count: jax.Array | None) -> float:
    """sum / count, of vectors the mean over the classes that occur; nan where nothing counts."""
    if count is None:
        return float(total)
    known = count > 0
    ratios = jnp.where(known, total / jnp.where(known, count, 1), 0)
    return float(ratios.sum() / known.sum()) if known.any() else float("nan")
