"""The samplers that bring something of their own into a run: weights that a config names, and copies of pictures."""

import dataclasses
import re
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.recipe import Recipe
from skinjax.recipe.config_files import with_changes
from skinjax.recipe.recipe import EvaluationSettings
from skinjax.runs import building
from skinjax.training.phases import PhaseSettings

COUNTS = np.array([10, 6, 8, 3, 7, 20, 6])


@pytest.fixture
def config() -> Recipe:
    """Two steps with weights, two with copies."""
    names = ("weighted", "statically_balanced")
    phases = {name: PhaseSettings(duration=2.0, unit="steps", sampler=name) for name in names}
    judged = EvaluationSettings(metric="accuracy")
    return Recipe(batch=8, phases=phases, phase_order=names, evaluations=judged)


@pytest.fixture
def data(photographs) -> SimpleNamespace:
    """The photographs with labels of known counts and weights for the last ten alone, as `make_phases` needs them."""
    labels = np.repeat(np.arange(7, dtype=np.int32), COUNTS)
    weight = np.repeat([0.0, 2.0], [50, 10]).astype(np.float32)
    dataset = dataclasses.replace(photographs, columns={**photographs.columns, "label": labels, "weight": weight})
    return SimpleNamespace(dataset=dataset, records={"train": np.arange(60)}, others={})


def weighted_by(config: Recipe, weights: str) -> Recipe:
    """The config whose phase `weighted` draws by other weights."""
    return with_changes(config, [f"phases.weighted.sampler.weights={weights}"])


def drawn(config: Recipe, data: SimpleNamespace) -> np.ndarray:
    """8,000 records of the phase `weighted`."""
    sampler = building.make_phases(config, data)[0].sampler
    return np.concatenate([sampler(step) for step in range(1000)])


@pytest.mark.parametrize(("formula", "shares"), [("inverse", np.full(7, 1 / 7)), ("none", COUNTS / 60)])
def test_weights_of_a_formula_are_those_of_each_images_class(config, data, formula, shares):
    config = weighted_by(config, formula)
    counts = np.bincount(data.dataset.columns["label"][drawn(config, data)])
    np.testing.assert_allclose(counts / 8000, shares, atol=0.02)


def test_weights_of_the_data_sets_own_column(config, data):
    config = weighted_by(config, "column")
    assert set(drawn(config, data).tolist()) == set(range(50, 60))
    del data.dataset.columns["weight"]
    with pytest.raises(UserError, match="the data set has no column `weight`: choose one of none, inverse"):
        building.make_phases(config, data)


def test_a_method_hears_how_a_phase_draws(config, data):
    """The last ten images alone are drawn: four of one class and six of another."""
    config = weighted_by(config, "column")
    data.training_counts = lambda: COUNTS
    method = SimpleNamespace(constants=lambda counts, shares: {"counts": counts, "shares": shares})
    found = building.constants_of(method, data, building.make_phases(config, data)[0])
    assert found["counts"].tolist() == COUNTS.tolist()
    np.testing.assert_allclose(found["shares"], [0, 0, 0, 0, 0, 0.4, 0.6], rtol=1e-6)


def test_unknown_sampler_weights_are_refused(config):
    with pytest.raises(UserError, match=r"sampler.weights 'size'.*column"):
        weighted_by(config, "size")


def test_phases_show_the_same_copies_in_another_order(config, data):
    phases = {"head": PhaseSettings(), "all": PhaseSettings()}
    config = config.replace(sampler="statically_balanced", phases=phases, phase_order=("head", "all"))
    shown = []
    for sampler in (made.sampler for made in building.make_phases(config, data)):
        steps = range(70)  # 7 classes of 20, 4 times
        rows = [np.stack([sampler(step), sampler.copies(step)], axis=1) for step in steps]
        shown.append([tuple(row) for row in np.concatenate(rows).tolist()])
    assert shown[0] != shown[1]
    assert sorted(shown[0]) == sorted(shown[1])


def test_weights_that_images_are_drawn_by_do_not_weigh_their_loss_as_well(config, data):
    def loss_weights(weights: str) -> list[float]:
        config_ = weighted_by(config, weights)
        made = building.make_phases(config_, data)[0]
        return next(building.phase_batches(config_, data, None, made, start=0))["weight"].tolist()

    assert loss_weights("column") == [1] * 8
    assert set(loss_weights("inverse")) <= {0, 2}


def test_weighted_draws_and_copies_are_trained_on_with_one_compiled_step_for_each(config, data, run, caplog):
    started = run(building.make_phases(config, data), log_every=1)
    with jax.log_compiles():
        started.fit()
    compiled = [record.message for record in caplog.records if re.match(r"Compiling .*train_step", record.message)]
    assert len(compiled) in (1, 2)  # with copies and without, which another test of this process may have compiled
    trained = [(line["step"], line["phase"]) for line in started.log() if "train/loss" in line]
    assert trained == [(1, "weighted"), (2, "weighted"), (3, "statically_balanced"), (4, "statically_balanced")]
