"""The configs in configs/."""

import importlib
from pathlib import Path

import jax
import pytest

from skinjax.model import make_method, variable_shapes
from skinjax.recipe.config_files import load_config
from skinjax.runs.building import check

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.py"))


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
        ("focal.py:ham10000_efficientnet_b7", 65_164_759),
        ("two_stage.py:ham10000", 2 * 63_786_960 + 1_377_154 + 1_377_670),
        ("two_stage.py:ham10000_shared_trunk", 66_541_784),
        ("restoration.py:ham10000_joint", 7_763_107 + 3_214_151),
    ],
)
def test_paper_001s_networks_have_as_many_parameters(config, parameters, monkeypatch):
    monkeypatch.syspath_prepend(CONFIGS[0].parent)
    recipe = load_config(f"{CONFIGS[0].parent}/{config}", [])
    classes = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
    shapes = variable_shapes(make_method(recipe, classes), recipe.stored_size, len(classes))
    assert sum(x.size for x in jax.tree.leaves(shapes["params"])) == parameters
