"""A head phase on stored features: what the same phase gives through the network, of pictures that are read once."""

import contextlib
import json
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from skinjax import parallel
from skinjax.core.errors import UserError
from skinjax.core.settings import from_plain
from skinjax.evaluation.predictions import read_predictions
from skinjax.model import load_run
from skinjax.recipe import Recipe
from skinjax.recipe.config_files import with_changes
from skinjax.runs import experiment
from skinjax.runs.experiment import run
from skinjax.runs.range_test import range_test
from skinjax.training.lr_range import Sweep
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
    "logging": {"every": 1, "tensorboard": False, "threads": 1, "report": False},
}
COMPUTED: Recipe = from_plain(Recipe, CONFIG)
STORED = with_changes(COMPUTED, ["phases.head.features=stored"])
READ_ONCE = "phase head: the frozen network reads 70 images once"
BOTH = with_changes(STORED, ["phase_order=('head', 'all')"])


class Ended(NamedTuple):
    """What a run leaves and says."""

    variables: dict[str, np.ndarray]
    test: np.ndarray
    log: list[dict[str, Any]]
    said: list[str]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def start(tmp_path_factory, root):
    """A function (recipe, folder) that runs it to its end."""

    def start(recipe, folder=None) -> Ended:
        folder, said = folder or tmp_path_factory.mktemp("run"), []
        run(recipe, str(folder), str(root), said.append)
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        own_speed = ("seconds", "images_per_second")
        lines = [{name: value for name, value in line.items() if name not in own_speed} for line in lines]
        test = read_predictions(folder / "predictions_test.csv").probabilities
        return Ended(flatten_dict(load_run(folder).variables, sep="/"), test, lines, said)

    return start


@pytest.fixture(scope="module")
def both(start) -> Ended:
    """The head on stored features, then everything."""
    return start(BOTH)


def test_the_head_learns_what_it_learns_through_the_network(start):
    stored, computed = start(STORED), start(COMPUTED)
    assert [line for line in stored.said if "network reads" in line] == [READ_ONCE]
    for path, array in computed.variables.items():
        if "/backbone/" in path:  # parameters and statistics
            np.testing.assert_array_equal(stored.variables[path], array, err_msg=path)
        np.testing.assert_allclose(stored.variables[path], array, rtol=1e-5, atol=1e-6, err_msg=path)
    assert [sorted(line) for line in stored.log] == [sorted(line) for line in computed.log]
    for line, like in zip(stored.log, computed.log, strict=True):
        numbers = [name for name in like if name != "phase"]
        np.testing.assert_allclose([line[name] for name in numbers], [like[name] for name in numbers], rtol=1e-4)
    np.testing.assert_allclose(stored.test, computed.test, atol=1e-5)  # of the whole network: nothing of it is stored


@pytest.mark.parametrize("call", [3, 9, 20])
def test_a_run_that_stops_goes_on_as_if_it_had_not(start, both, tmp_path, monkeypatch, call):
    """While features are computed, while the head trains on them, and after them."""
    calls = iter(range(1, 10**6))
    with monkeypatch.context() as stopping:
        stop = contextlib.nullcontext(lambda: next(calls) == call)
        stopping.setattr(experiment, "stopped_by_signals", lambda: stop)
        with pytest.raises(Interrupted):
            start(BOTH, tmp_path)
    resumed = start(BOTH, tmp_path)
    for path, array in both.variables.items():
        np.testing.assert_array_equal(resumed.variables[path], array, err_msg=path)
    assert resumed.log == both.log
    read_again = call < 20
    assert (READ_ONCE in resumed.said) == read_again


def test_more_epochs_compile_nothing_more(start, both, caplog):
    longer = with_changes(BOTH, ["phases.head.duration=20", "evaluations.every=2", "seed=1"])
    with jax.log_compiles():
        start(longer)
    compiled = [record.message for record in caplog.records if record.message.startswith("Compiling")]
    assert compiled
    assert not [message for message in compiled if "step" in message]


def test_a_range_test_of_stored_features_is_that_of_computed_ones(root):
    """Of two seeds, whose trunks differ: each has features of its own."""
    sweep = Sweep(start=1e-4, end=0.1, steps=40, repeats=2)
    curves = [range_test(recipe, root, sweep, say=lambda line: None)[1] for recipe in (COMPUTED, STORED)]
    for computed, stored in zip(*curves, strict=True):
        np.testing.assert_allclose(stored.losses, computed.losses, rtol=1e-3)
    assert (curves[1][0].losses[:5] != curves[1][1].losses[:5]).all()


def test_features_that_do_not_fit_are_refused_before_anything_is_trained(start, tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "free_memory", lambda device: 40_000)
    message = (
        r"the stored features of phase 'head' need 23 kB on each device, and .* has 40 kB free, of which half is kept "
        r"for training: set phases.head.features to computed"
    )
    with pytest.raises(UserError, match=message):
        start(STORED, tmp_path)
    assert not (tmp_path / "checkpoints").exists()


def test_copies_have_no_stored_features(start):
    message = "phase 'head' trains on stored features, and its sampler statically_balanced shows augmented copies: set "
    with pytest.raises(UserError, match=message):
        start(with_changes(STORED, ["sampler=statically_balanced"]))
