"""One program for one device and for many: the same batches, and the same mathematics shown in float64."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.devices import environment_of_devices


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """{devices: what train_on_devices.py wrote of so many of its four simulated devices}."""
    folder = tmp_path_factory.mktemp("devices")
    command = [sys.executable, str(Path(__file__).with_name("train_on_devices.py")), str(folder / "data"), str(folder)]
    environment = environment_of_devices(4) | {"JAX_ENABLE_X64": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    results = {}
    for devices in (1, 4):
        with np.load(folder / f"{devices}.npz") as arrays:
            results[devices] = {name: arrays[name] for name in arrays.files}
    return results


def names(trained, kind):
    found = [name for name in trained[1] if name.startswith(kind)]
    assert found
    assert trained[1].keys() == trained[4].keys()
    return found


def test_batches_are_identical(trained):
    for name in names(trained, "batch/"):
        np.testing.assert_array_equal(trained[1][name], trained[4][name], err_msg=name)


def test_every_cache_gives_the_devices_the_same_images(trained):
    for name in names(trained, "cached/"):
        for devices in (1, 4):
            np.testing.assert_array_equal(trained[devices][name], trained[devices]["batch/image"][:3], err_msg=name)


def test_float64_parameters_agree_after_twenty_steps(trained):
    for name in names(trained, "params/"):
        assert trained[1][name].dtype == np.float64
        np.testing.assert_allclose(trained[1][name], trained[4][name], rtol=0, atol=1e-9, err_msg=name)


def test_float64_terms_of_pairs_agree(trained):
    assert trained[1]["batch/pairs image"].shape == (3, 8, 2, 40, 40, 3)
    for devices in (1, 4):
        labels = trained[devices]["batch/pairs label"]
        assert ((labels[..., 0] == labels[..., 1]).sum(axis=1) == 4).all()  # of 8
    for name in names(trained, "terms/"):
        np.testing.assert_allclose(trained[1][name], trained[4][name], rtol=1e-9, err_msg=name)


def test_ragged_tail_is_evaluated_whole(trained):
    count = len(trained[1]["probabilities"])
    assert count % 8, "the test part should leave a ragged tail"
    np.testing.assert_allclose(trained[1]["probabilities"], trained[4]["probabilities"], rtol=0, atol=1e-9)
