"""The range test of a recipe: which phase, from where, for which groups and seeds."""

import dataclasses

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.recipe.config_files import load_config
from skinjax.runs.range_test import range_test
from skinjax.training.lr_range import Sweep
from tests.end_to_end.conftest import ROOT, TINY

CHANGES = [change.removeprefix("--config.") for change in TINY if change.startswith("--config.")]
ROWS = (("stem", 0.1), ("head", 0.0), (".*", 1.0))
SWEEP = Sweep(start=1e-3, end=1.0, steps=36)


@pytest.fixture(scope="module")
def recipe():
    """Two phases of a tiny network, the second of which has rates by stage."""
    found = load_config(f"{ROOT / 'configs' / 'baselines.py'}:demo", [c for c in CHANGES if "decoder" not in c])
    train = found.phases["train"]
    return found.replace(
        phases={"head": train.replace(frozen=("stem",)), "all": train.replace(learning_rate_multipliers=ROWS)},
        phase_order=("head", "all"),
        ema_decay=0.9,
    )


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


def test_groups_move_one_at_a_time_and_seeds_differ(recipe, root):
    sweep = dataclasses.replace(SWEEP, per_group=True, repeats=2)
    phase, curves, synthetic = range_test(recipe, root, sweep, "all", say=lambda line: None)
    assert (phase.name, phase.learning_rate_multipliers, synthetic) == ("all", ROWS, True)
    assert [(curve.group, curve.seed) for curve in curves] == [("stem", 0), ("stem", 1), (".*", 0), (".*", 1)]
    first = [curve.losses[0] for curve in curves]
    assert first[0] == pytest.approx(first[2], rel=1e-5)  # the same batch and weights
    assert first[1] == pytest.approx(first[3], rel=1e-5)
    assert abs(first[0] - first[1]) > 1e-3
    assert abs(curves[0].losses[20] - curves[2].losses[20]) > 1e-3


def test_the_first_phase_is_tested_unless_another_is_asked_for(recipe, root):
    phase, (curve,), _ = range_test(recipe, root, SWEEP, say=lambda line: None)
    assert (phase.name, curve.group) == ("head", "all")
    np.testing.assert_array_equal(curve.rates, SWEEP.rates(36)[: len(curve.rates)])
    with pytest.raises(UserError, match=r"unknown phase 'al' .did you mean 'all'"):
        range_test(recipe, root, SWEEP, "al")
