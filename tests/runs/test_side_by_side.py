"""Folds side by side: each is the run that it would be alone, and none hears of another."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from skinjax.core.errors import UserError
from skinjax.recipe.config_files import load_config
from skinjax.runs.side_by_side import check
from tests.devices import environment_of_devices
from tests.end_to_end.conftest import SMALL, data_dir  # noqa: F401 (a fixture)

CHANGES = [
    *(change.removeprefix("--config.") for change in SMALL),
    "phases.train.duration=6.0",
    "evaluations.every=0.0",
    "checkpoints.every=0.0",
    "split.validation=0.0",
    "batch=8",
]


@pytest.fixture(scope="module")
def found(data_dir, tmp_path_factory):  # noqa: F811
    """What folds_on_devices.py says on four devices."""
    program = Path(__file__).with_name("folds_on_devices.py")
    command = [sys.executable, program, tmp_path_factory.mktemp("folds"), data_dir, *CHANGES]
    done = subprocess.run(command, env=environment_of_devices(4), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.splitlines()


def test_each_fold_is_the_run_alone(found):
    figures = json.loads(found[-1])
    assert max(figures["differences"]) < 1e-3  # of float32 on other numbers of devices; folds differ by more
    assert figures["apart"] > 1e-2
    assert "2 runs side by side, 6 steps each" in found


def test_no_collective_crosses_folds(found):
    figures = json.loads(found[-1])
    assert set(figures["joined"]) == {"[2,2]<=[4]"}  # the two devices of each fold share their gradients


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (["evaluate=best"], "evaluate"),
        (["evaluations.patience=2"], "evaluations.patience"),
        (["evaluations.target=0.5"], "evaluations.target"),
    ],
)
def test_what_looks_at_a_fold_while_it_trains_is_refused(changes, field):
    with pytest.raises(UserError, match=f"judged at their end, with the last weights, and {field} asks for more"):
        check(load_config("configs/baselines.py:demo", changes))
