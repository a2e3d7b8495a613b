"""A small table, and the folder of a run that left one, without any training."""

import json

import numpy as np
import pytest

from skinjax.data.splits.split import lesion_grouped, write_split
from skinjax.evaluation.intervals import summary_with_intervals
from skinjax.evaluation.predictions import write_predictions
from tests.evaluation.tables import CLASSES, make_table

HOSTILE = (
    "<script>alert(1)</script>",
    "=cmd()",
    "../../x",
    "n" * 5000,
    '"><img src=x onerror=alert(1)>',
    "a$b$",
    "x\u202ey\x01]]>--&amp;",
)


def table_of(labels, classes=CLASSES, seed=0, **others):
    """Images with these class numbers, two thirds of them right."""
    rng = np.random.default_rng(seed)
    shares = rng.uniform(0.05, 1, (len(labels), len(classes)))
    known = np.maximum(labels, 0)
    shares[np.arange(len(labels)), known] += rng.choice([0, 1], len(labels), p=[1 / 3, 2 / 3])
    return make_table(labels, shares / shares.sum(axis=1, keepdims=True), classes=classes, **others)


@pytest.fixture(scope="session")
def table():
    return table_of(np.arange(60) % 3)


@pytest.fixture
def run(tmp_path):
    """The folder of a run on a synthetic set that is not there, with a third of 120 images as its test part."""
    return make_run(tmp_path / "run")


def make_run(folder, config="focal:ham10000_pretrained_gamma_1", seed=0):
    folder.mkdir()
    labels = np.arange(120) % 3
    ids = [f"i{number:03d}" for number in range(120)]
    split = lesion_grouped(ids, ids, np.array(CLASSES)[labels], seed=0, test=1 / 3)
    write_split(folder / "split.csv", split)
    rows = split.rows("test")
    protocol = {"config": config, "dataset": "synthetic", "synthetic": True, "split": split.protocol, "seed": seed}
    metadata = {"age": np.resize(["35", "70"], len(rows)), "sex": np.resize(["female", "male"], len(rows))}
    found = table_of(labels[rows], seed=seed, protocol=protocol, metadata=metadata)
    names = {"image_ids": split.image_ids[rows], "groups": split.groups[rows]}
    found = type(found)(**{**vars(found), **names})
    write_predictions(folder / "predictions_test.csv", found)
    figures = summary_with_intervals(found, replicates=100)
    (folder / "metrics_test.json").write_text(json.dumps(figures))
    settings = {"dataset": {"name": "synthetic", "arguments": {"images": 120}}, "method": {"name": "classifier"}}
    settings["model"], settings["loss"] = {"backbone": "resnet_tiny"}, {"gamma": float(seed)}
    (folder / "config.json").write_text(json.dumps({"schema": 2, "config": settings, "identity": {}}))
    (folder / "environment.json").write_text(
        json.dumps({"packages": {"skinjax": "0.2.0", "jax": "1"}, "devices": ["cpu"]})
    )
    lines = [
        {
            "step": step,
            "phase": phase,
            "train/loss": 1 / step,
            "validation/loss": 2 / step,
            "seconds": 10.0 * (seed + 1),
        }
        | {"validation/smallest_class_f1": 0.1 * step, "validation/macro_f1": 0.2 * step}
        for step, phase in ((1, "head"), (2, "head"), (3, "all"), (4, "all"))
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "finished.json").write_text(json.dumps({"splits": ["test"]}))
    return folder
