"""The configs in configs/."""

import importlib
from pathlib import Path

import pytest

from skinjax.recipe.config_files import load_config
from skinjax.runs.building import check

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.py"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_variant_could_run(path, monkeypatch):
    monkeypatch.syspath_prepend(path.parent)
    check(load_config(str(path), []))
    for variant in getattr(importlib.import_module(path.stem), "VARIANTS", ()):
        check(load_config(f"{path}:{variant}", []))
