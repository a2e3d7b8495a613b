"""Photographs that belong together: which they are, judged as one, and one of each alone."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from scipy.special import softmax

from skinjax.core.errors import UserError, lookup
from skinjax.core.tables import read_file, read_table
from skinjax.evaluation.calibration import logits_of
from skinjax.evaluation.predictions import UNLABELLED, Predictions, chosen_rows

Array = np.ndarray

CASE, CLUSTER = "case", "cluster"  # columns: of a table whose groups are larger, its cases; of a file, these groups
POOLS = {"probabilities": "the mean of the photographs' probabilities", "logits": "that of their logarithms"}


def with_groups(predictions: Predictions, path: Path) -> Predictions:
    """The table with the groups of a CSV `image_id,group[,cluster]`, which must know every image.

    Where there are clusters (patients), images are resampled by these, and the groups are its cases.
    """
    table = read_table(read_file(path), str(path), ("image_id", "group"), optional=(CLUSTER,))
    rows = table.unique("image_id")
    unknown = [name for name in predictions.image_ids.tolist() if name not in rows]
    if unknown:
        raise UserError(f"{path} lacks {len(unknown)} images of the table, such as {unknown[0]!r}: add them")
    found = [rows[name] for name in predictions.image_ids.tolist()]
    for row in found:
        if not row.cells["group"]:
            row.refuse(f"image {row.cells['image_id']!r} has no group: give it one, its own name if it has no other")
    groups = np.array([row.cells["group"] for row in found])
    if CLUSTER not in table.columns:
        return dataclasses.replace(predictions, groups=groups)
    clusters = np.array([row.cells[CLUSTER] for row in found])
    return with_clusters(dataclasses.replace(predictions, groups=groups), clusters)


def with_clusters(predictions: Predictions, clusters: Array) -> Predictions:
    """The table whose images are resampled by clusters [N] ('' is none but the group), its groups being its cases."""
    groups = predictions.groups
    metadata = {name: column for name, column in predictions.metadata.items() if name != CLUSTER}
    return dataclasses.replace(
        predictions, groups=np.where(clusters == "", groups, clusters), metadata={**metadata, CASE: groups}
    )


def seen_in_training(predictions: Predictions, path: Path) -> Mapping[str, tuple[int, int]]:
    """Of each class, how many images a training list names, itself or by its group, and how many there are.

    The list is a CSV with `image_id`, `group` or both; of one with a column `split`, the rows that say train.
    """
    table = read_table(read_file(path), str(path), optional=("group", "image_id", "split"))
    if not {"group", "image_id"} & set(table.columns):
        raise UserError(f"{path} has neither a column group nor image_id: give one of the training photographs")
    cases = cases_of(predictions)
    if "image_id" not in table.columns and np.array_equal(cases, predictions.image_ids):
        raise UserError(
            f"{path} names groups, and the table has none to compare them with: bring them by --groups=FILE"
        )
    rows = [row.cells for row in table.rows if row.cells.get("split", "train") == "train"]
    if not rows:
        raise UserError(f"no row of {path} has the split 'train': give the list of what was trained on")
    images, groups = ({cells[name] for cells in rows if cells.get(name)} for name in ("image_id", "group"))
    seen = np.isin(predictions.image_ids, sorted(images))
    for of_table in (cases, predictions.groups):
        seen |= np.isin(of_table, sorted(groups))
    return {
        name: (int(np.sum(seen & (predictions.labels == number))), int(np.sum(predictions.labels == number)))
        for number, name in enumerate(predictions.classes)
    }


def pooled(predictions: Predictions, pool: str = "probabilities") -> Predictions:
    """A table with a row for each case, the mean of its photographs."""
    lookup("pool", pool, POOLS)
    of_image = cases_of(predictions)
    cases, first, codes = np.unique(of_image, return_index=True, return_inverse=True)
    labels = np.full(len(cases), UNLABELLED)
    np.maximum.at(labels, codes, predictions.labels)  # of photographs that have one
    differ = np.flatnonzero((labels[codes] != predictions.labels) & predictions.labelled)
    if len(differ):
        names = np.array(predictions.classes)
        one, other = (str(names[of]) for of in (labels[codes[differ[0]]], predictions.labels[differ[0]]))
        case = str(of_image[differ[0]])
        raise UserError(f"the case {case!r} has two labels, {one} and {other}: give each photograph of it the same")
    rows = logits_of(predictions) if pool == "logits" else predictions.probabilities.astype(float)
    sums = np.stack([np.bincount(codes, column) for column in rows.T], axis=1)
    means = sums / np.bincount(codes)[:, None]
    whole = chosen_rows(dataclasses.replace(predictions, scores=None), first)
    return dataclasses.replace(
        whole,
        image_ids=cases,
        labels=labels,
        probabilities=softmax(means, axis=1) if pool == "logits" else means,
    )


def cases_of(predictions: Predictions) -> Array:
    """The case of each image [N]: its group, where groups are not larger than cases."""
    cases = predictions.metadata.get(CASE, predictions.groups)
    return np.where(cases == "", predictions.groups, cases)


def one_of_each(predictions: Predictions, seed: int = 0) -> Predictions:
    """The table with one photograph of each case, drawn at random."""
    order = np.random.default_rng(seed).permutation(len(predictions))
    _, first = np.unique(cases_of(predictions)[order], return_index=True)
    return chosen_rows(predictions, np.sort(order[first]))
