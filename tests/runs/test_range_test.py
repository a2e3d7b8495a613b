"""The range test of a recipe: which phase, from where, for which groups and seeds."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

import skinjax.runs.range_test as module
from skinjax.core.errors import UserError
from skinjax.recipe.config_files import load_config
from skinjax.runs.range_test import range_test
from skinjax.training.checkpoints import Seal
from skinjax.training.loop import History
from skinjax.training.lr_range import Sweep
from tests.end_to_end.conftest import ROOT, TINY

CHANGES = [change.removeprefix("--config.") for change in TINY if change.startswith("--config.")]
ROWS = (("stem", 0.1), ("head", 0.0), (".*", 1.0))
SWEEP = Sweep(start=1e-3, end=1.0, steps=36)


@pytest.fixture
def recipe():
    """Two phases of a tiny network, the second of which has rates by stage, with an average."""
    found = load_config(f"{ROOT / 'configs' / 'baselines.py'}:demo", [c for c in CHANGES if "decoder" not in c])
    train = found.phases["train"]
    return found.replace(
        phases={"head": train.replace(frozen=("stem",)), "all": train.replace(learning_rate_multipliers=ROWS)},
        phase_order=("head", "all"),
        ema_decay=0.9,
    )


@pytest.fixture
def swept(monkeypatch):
    """What curves are asked for, instead of these curves."""
    asked = []
    monkeypatch.setattr(module, "curve", lambda *arguments: asked.append(arguments))
    return asked


def test_groups_move_one_at_a_time_and_seeds_differ(recipe, swept, tmp_path):
    sweep = dataclasses.replace(SWEEP, per_group=True, repeats=2)
    phase, _, synthetic = range_test(recipe, tmp_path, sweep, "all", say=lambda line: None)
    assert (phase.name, phase.learning_rate_multipliers, synthetic) == ("all", ROWS, True)
    assert [(trainer.settings.seed, group) for trainer, *_, group in swept] == [
        (0, "stem"),
        (1, "stem"),
        (0, ".*"),  # the head, whose factor is 0, has none
        (1, ".*"),
    ]
    moving = [dict(phase.learning_rate_multipliers) for _, phase, *_ in swept]
    assert moving[0] == {"stem": 1.0, "head": 0.0, ".*": 0.0}
    assert moving[2] == {"stem": 0.0, "head": 0.0, ".*": 1.0}
    assert {trainer.settings.ema_decay for trainer, *_ in swept} == {0.0}
    batches = [phase.sampler(0).tolist() for _, phase, *_ in swept]
    kernels = [variables["params"]["head"]["classifier"]["kernel"] for *_, variables, _, _ in swept]
    assert batches[0] == batches[2] != batches[1]
    np.testing.assert_array_equal(kernels[0], kernels[2])
    assert (kernels[0] != kernels[1]).any()


def test_what_has_no_curve_is_told_and_the_others_are_kept(recipe, monkeypatch, tmp_path):
    def curve(trainer, phase, step, variables, sweep, group):
        if trainer.settings.seed in diverging:
            raise UserError("it diverged")
        return trainer.settings.seed

    monkeypatch.setattr(module, "curve", curve)
    sweep, diverging, said = SWEEP.replace(repeats=3), [1], []
    _, curves, _ = range_test(recipe, tmp_path, sweep, say=said.append)
    assert curves == [0, 2]
    assert said[-1] == "no curve of all with seed 1: it diverged"
    diverging += [0, 2]
    with pytest.raises(UserError, match="it diverged"):
        range_test(recipe, tmp_path, sweep, say=said.append)


def test_the_first_phase_is_tested_unless_another_is_asked_for(recipe, swept, tmp_path):
    phase, _, _ = range_test(recipe, tmp_path, SWEEP, say=lambda line: None)
    ((_, asked, step, _, sweep, group),) = swept
    assert (phase.name, asked.name, int(step), sweep, group) == ("head", "head", 0, SWEEP, "all")
    with pytest.raises(UserError, match=r"unknown phase 'al' .did you mean 'all'"):
        range_test(recipe, tmp_path, SWEEP, "al")


@pytest.mark.parametrize(
    ("asked", "finished", "expected"),
    [
        ("", False, (0, "last")),  # in the middle of the head
        ("", True, (1, "handed on to all")),
        ("all", False, (1, "last")),
        ("head", True, (0, "handed on to head")),
    ],
)
def test_a_run_is_tested_at_the_phase_that_goes_on_from_its_checkpoint(asked, finished, expected, monkeypatch):
    monkeypatch.setattr(module.building, "initialisation", lambda method, size: None)
    state = SimpleNamespace(step=7, variables="last")
    trainer = SimpleNamespace(
        checkpoints=SimpleNamespace(latest=lambda: Seal(7, "head", {})),
        resume=lambda phases, init, seal: (state, History(phase_finished=finished), int(finished)),
        handed_on=lambda phase, *others: f"handed on to {phase.name}",
        say=lambda line: None,
    )
    phases = [SimpleNamespace(name="head"), SimpleNamespace(name="all")]
    built = SimpleNamespace(phases=phases, method="method", data=SimpleNamespace(size=None))
    number, start = module._start(trainer, built, asked)
    assert (number, start(3)[1]) == expected
    assert start(3)[0] == 7
