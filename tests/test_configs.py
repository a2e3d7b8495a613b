"""The configs in configs/."""

import importlib
from pathlib import Path

import jax
import numpy as np
import pytest

from skinjax.data.dataset import Dataset
from skinjax.data.splits.protocols import split_dataset
from skinjax.model import make_method, variable_shapes
from skinjax.recipe.config_files import load_config
from skinjax.runs.building import check

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.py"))


def test_paper_004_trains_on_900_and_sweeps_lambda_on_810(monkeypatch):
    monkeypatch.syspath_prepend(CONFIGS[0].parent)
    found = {name: load_config(f"{CONFIGS[0].parent}/synergic.py:isic2016_{name}", []) for name in ("sdl", "lambda_3")}
    ids = np.arange(1279)
    labels = np.repeat([0, 1, 0, 1], (727, 173, 304, 75)).astype(np.int32)
    parts = np.repeat(["train", "test"], (900, 379))
    columns = {"image_id": ids.astype(str), "group": ids.astype(str), "label": labels, "split": parts}
    isic = Dataset("isic2016", ("benign", "malignant"), columns, ids, "fingerprint")
    for name, expected in {"sdl": ((727, 173), (0, 0)), "lambda_3": ((654, 156), (73, 17))}.items():
        split = split_dataset(isic, found[name].split)
        for part, counts in zip(("train", "validation"), expected, strict=True):
            names = split.labels[split.rows(part)]
            assert (np.sum(names == "benign"), np.sum(names == "malignant")) == counts
    recipe = found["sdl"]
    assert (recipe.stored_size.fit, recipe.stored_size.filter, recipe.stored_size.height) == ("squash", "bicubic", 224)
    assert (recipe.optimizer.name, recipe.optimizer.momentum, recipe.optimizer.learning_rate) == ("sgd", 0.0, 1e-4)
    assert (recipe.phases["train"].duration, recipe.phases["train"].unit, recipe.batch) == (100_000, "steps", 32)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_variant_could_run(path, monkeypatch):
    monkeypatch.syspath_prepend(path.parent)
    check(load_config(str(path), []))
    for variant in getattr(importlib.import_module(path.stem), "VARIANTS", ()):
        check(load_config(f"{path}:{variant}", []))


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        ("focal.py:ham10000_pretrained_gamma_1", 23_508_032 + 1_115_655),
        ("two_stage.py:ham10000_shared_trunk", 63_786_960 + 1_377_154 + 1_377_670),
        ("restoration.py:ham10000_joint", 7_763_107 + 3_214_151),
    ],
)
def test_paper_001s_networks_have_as_many_parameters(config, parameters, monkeypatch):
    monkeypatch.syspath_prepend(CONFIGS[0].parent)
    recipe = load_config(f"{CONFIGS[0].parent}/{config}", [])
    classes = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    shapes = variable_shapes(make_method(recipe, classes), recipe.stored_size, len(classes))
    assert sum(x.size for x in jax.tree.leaves(shapes["params"])) == parameters
