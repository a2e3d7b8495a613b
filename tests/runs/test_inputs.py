"""A head phase on stored features: what the same phase gives through the network, of pictures that are read once."""

import json

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from skinjax import parallel
from skinjax.core.errors import UserError
from skinjax.core.settings import from_plain
from skinjax.model import load
from skinjax.recipe import Recipe
from skinjax.recipe.config_files import with_changes
from skinjax.runs import experiment
from skinjax.runs.experiment import run
from skinjax.training.signals import Interrupted

HEAD = {"duration": 6.0, "unit": "steps", "frozen": ("backbone",), "augment": False}
CONFIG = {
    "dataset": {"arguments": {"images": 90, "height": 32, "width": 32}},
    "split": {"test": 0.2, "validation": 0.2},
    "stored_size": {"height": 32, "width": 32},
    "views": {"size": (32, 32)},
    "method": {"name": "classifier", "mixup_beta": 0.4},
    "model": {"backbone": "resnet_tiny", "head": "concat_pool"},
    "sampler": "oversampled",
    "batch": 14,
    "optimizer": {"name": "sgd", "learning_rate": 0.02, "momentum": 0.9},
    "phases": {"head": HEAD, "all": {"duration": 2.0, "unit": "steps"}},
    "phase_order": ("head",),
    "evaluations": {"every": 3.0, "unit": "steps"},
    "checkpoints": {"every": 2.0, "unit": "steps"},
    "logging": {"every": 1, "tensorboard": False, "threads": 1},
}
COMPUTED: Recipe = from_plain(Recipe, CONFIG)
STORED = with_changes(COMPUTED, ["phases.head.features=stored"])
BOTH = with_changes(STORED, ["phase_order=('head', 'all')"])


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A function (recipe, folder) -> (the variables of its run, the lines of its log, what it said)."""
    root = tmp_path_factory.mktemp("data")

    def start(recipe, folder=None):
        folder, said = folder or tmp_path_factory.mktemp("run"), []
        run(recipe, str(folder), str(root), said.append)
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        own_speed = ("seconds", "images_per_second")
        lines = [{name: value for name, value in line.items() if name not in own_speed} for line in lines]
        return flatten_dict(load(folder).variables, sep="/"), lines, said

    return start


@pytest.fixture(scope="module")
def both(start):
    return start(BOTH)


def test_the_head_learns_what_it_learns_through_the_network(start):
    variables, lines, said = start(STORED)
    expected, expected_lines, _ = start(COMPUTED)
    assert said.count("phase head: the frozen network reads 73 images once") == 1
    for path, array in expected.items():
        np.testing.assert_allclose(variables[path], array, rtol=1e-5, atol=1e-6, err_msg=path)
    assert [sorted(line) for line in lines] == [sorted(line) for line in expected_lines]
    for line, like in zip(lines, expected_lines, strict=True):
        numbers = [name for name in like if name != "phase"]
        np.testing.assert_allclose([line[name] for name in numbers], [like[name] for name in numbers], rtol=1e-4)


def test_only_the_head_moves_and_the_next_phase_trains_everything(start, both):
    variables, lines, _ = both
    head, _, _ = start(STORED)
    initial = from_head_start(start)
    for path in head:
        changes = not path.startswith("constants") and "backbone" not in path
        assert (head[path] == initial[path]).all() != changes, path
    assert {line["phase"] for line in lines} == {"head", "all"}
