"""How processes find each other; that they then train as one is tests/end_to_end/test_processes.py."""

import jax
import numpy as np
import pytest

from skinjax import processes
from skinjax.core.errors import UserError
from skinjax.main import main

STARTED = [
    ({}, None),
    ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, None),  # a shell in an allocation
    ({"SLURM_STEP_NUM_TASKS": "1"}, None),
    ({"SLURM_STEP_NUM_TASKS": "8"}, "slurm"),
    ({"OMPI_COMM_WORLD_SIZE": "2"}, "ompi"),
    ({"TPU_WORKER_HOSTNAMES": "a,b"}, "gketpu"),
    ({"TPU_WORKER_HOSTNAMES": "a"}, None),
]


@pytest.mark.parametrize(("environment", "expected"), STARTED)
def test_what_started_several_processes(environment, expected):
    assert processes.started_by(environment) == expected


@pytest.mark.parametrize(("tasks", "expected"), [("2", [0, 1, 2, 3]), ("8", None)])
def test_the_only_task_of_a_node_has_all_its_gpus(tasks, expected):
    names = {"SLURM_STEP_NUM_TASKS": tasks, "SLURM_STEP_NUM_NODES": "2", "SLURM_GPUS_ON_NODE": "4"}
    assert processes.own_devices(names) == expected
    assert processes.own_devices({}) is None


MISTAKES = [
    (["--coordinator=a:1"], "--processes and --process must be given too"),
    (["--coordinator=a", "--processes=2", "--process=0"], "--coordinator=a is no HOST:PORT, as 10.0.0.1:8476 is"),
    (["--coordinator=a:1", "--processes=2", "--process=2"], "--process=2 is none of the 2 processes"),
    (["--processes=0"], "0 is no number from 1 to 65536"),
]


@pytest.mark.parametrize(("flags", "expected"), MISTAKES)
def test_a_wrong_flag_is_one_sentence(flags, expected, capsys):
    assert main(["--config=configs/cdc.py", *flags]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert expected in errors


def test_one_process_tells_itself(tmp_path):
    assert jax.process_count() == 1
    assert processes.told(lambda: {"a": 1}) == {"a": 1}
    arrays = processes.told_arrays(lambda: {("a", "b"): np.arange(3)})
    np.testing.assert_array_equal(arrays["a", "b"], [0, 1, 2])
    with processes.run_folder(tmp_path) as folder:
        assert folder == tmp_path
    with pytest.raises(UserError, match="no"):
        processes.told(lambda: (_ for _ in ()).throw(UserError("no")))
