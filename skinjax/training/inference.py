"""A trained method over the records of a data set: one row of predictions per image, none dropped."""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.data.dataset import Dataset
from skinjax.data.pipeline import HostBatch
from skinjax.evaluation.predictions import Predictions
from skinjax.methods.base import Batch, Method, Variables
from skinjax.models.layers import compiler_options
from skinjax.parallel import prefetch, replicated

# Outputs of `predict` that go into the predictions table; the others are for explanation.
TABLE_OUTPUTS = ("probabilities", "scores")
EvaluationStep = Callable[[Variables, Batch], tuple[dict[str, Any], dict[str, Any]]]


def make_evaluation_step(method: Method, mesh: jax.sharding.Mesh) -> EvaluationStep:
    """A jitted function (variables, batch) -> (outputs per image, {term: (sum, count)}), whole on every process."""

    def step(variables: Variables, batch: Batch) -> tuple[dict[str, Any], dict[str, Any]]:
        outputs = method.predict(variables, batch["image"])
        return {name: outputs[name] for name in TABLE_OUTPUTS if name in outputs}, method.evaluate(variables, batch)

    return jax.jit(step, out_shardings=replicated(mesh), compiler_options=compiler_options())


def predict(
    step: EvaluationStep,
    variables: Variables,
    batches: Iterable[HostBatch],
    dataset: Dataset,
    records: np.ndarray,
    *,
    split: str,
    protocol: dict[str, Any],
    mesh: jax.sharding.Mesh,
    pixels: jax.Array | None = None,
    check: Callable[[], None] = lambda: None,
) -> tuple[Predictions, dict[str, float]]:
    """The predictions table of `records` and the mean of each validation term.

    `pixels`: see `skinjax.parallel.put`; `check` is called before every batch.
    """
    outputs = []
    totals: dict[str, tuple[jax.Array, jax.Array | None]] = {}
    with contextlib.closing(prefetch(batches, mesh, pixels=pixels)) as on_devices:
        for batch in on_devices:
            check()
            per_image, terms = step(variables, batch)
            outputs.append(per_image)
            totals = jax.tree.map(jnp.add, totals, terms) if totals else terms
    columns = {
        name: np.concatenate([np.asarray(part[name]) for part in outputs])[: len(records)] for name in outputs[0]
    }
    predictions = Predictions(
        image_ids=dataset.columns["image_id"][records],
        groups=dataset.columns["group"][records],
        labels=dataset.columns["label"][records],
        splits=np.full(len(records), split),
        classes=dataset.classes,
        protocol=protocol,
        probabilities=columns["probabilities"],
        scores=columns.get("scores"),
    )
    return predictions, {name: _mean(total, count) for name, (total, count) in totals.items()}


def _mean(total: jax.Array, count: jax.Array | None) -> float:
    if count is None:
        return float(total)
    return float(total) / float(count) if count > 0 else float("nan")
