"""Several processes train one run: batches, files and gradients of one; a lost one ends all; any machine goes on."""

import json
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from skinjax.evaluation.predictions import read_predictions
from skinjax.main import main
from tests.devices import environment_of_devices
from tests.end_to_end.conftest import ROOT, SMALL
from tests.end_to_end.process import batches

PLAIN = [
    f"--config={ROOT / 'configs' / 'baselines.py'}",
    *SMALL,
    "--config.phases.train.duration=40.0",
    "--config.evaluations.every=20.0",
    "--config.checkpoints.every=10.0",
    "--config.logging.every=1",
]


def started(program, count, devices, own=lambda port, number: []):
    """`count` processes of `devices` each, joined on loopback; `own` are the arguments of each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = environment_of_devices(devices)
    made = []
    for number in range(count):
        command = [sys.executable, *program, *own(f"127.0.0.1:{port}", number)]
        made.append(
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    return made


def joined(count, *arguments):
    """The arguments of process `number` of a run that several train."""
    return lambda port, number: [*arguments, f"--coordinator={port}", f"--processes={count}", f"--process={number}"]


def ended(processes):
    """The output and errors of each, all of which succeed."""
    found = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), found
    return found


def test_batches_and_what_the_first_tells(data_dir, tmp_path):
    program = ["-m", "tests.end_to_end.process", str(data_dir), str(tmp_path / "found.npz")]
    expected = batches(data_dir)  # draws the data set, before two do
    ended(started(program, 2, 1, lambda port, number: [port, "2", str(number)]))
    with np.load(tmp_path / "found.npz") as found:
        assert set(found.files) == set(expected)
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_a_run_of_several_processes_ends_on_one(data_dir, tmp_path, capsys):
    """Stopped on four devices of two processes, lost on two, ended on one: a run like another."""
    folder, common = tmp_path / "run", [*PLAIN, f"--data_dir={data_dir}"]
    program = ["-m", "skinjax.main", *common, f"--workdir={folder}"]
    both = started(program, 2, 2, joined(2))
    wait_for(lambda: logged(folder), both[0])
    both[1].send_signal(signal.SIGTERM)
    told = [errors.splitlines()[-1] for _, errors in ended(both)]
    assert told[0] == told[1]  # a signal to one stops all after the same step
    assert told[0].endswith("steps; the same command continues from there")

    first, second = started(program, 2, 1, joined(2))
    stopped = len(logged(folder))
    wait_for(lambda: len(logged(folder)) > stopped, first)
    second.kill()
    second.communicate()
    output, errors = first.communicate(timeout=60)
    assert first.returncode == 1
    assert f"continuing from the checkpoint after {stopped} steps" in output
    assert "error: another process of this run is gone" in errors

    assert main([*common, f"--workdir={folder}"]) == 0
    assert "continuing from the checkpoint after" in capsys.readouterr().out
    assert [line["step"] for line in logged(folder)] == list(range(1, 41))  # every batch, once
    alone = tmp_path / "alone"
    assert main([*common, f"--workdir={alone}"]) == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in alone.iterdir())
    for name in ("train/loss", "train/gradient_norm"):
        assert logged(folder)[0][name] == pytest.approx(logged(alone)[0][name], rel=1e-5)  # of the first step
    tables = [read_predictions(where / "predictions_test.csv") for where in (folder, alone)]
    assert tables[0].image_ids.tolist() == tables[1].image_ids.tolist()


def logged(folder):
    """The lines of a run's log of training."""
    path = folder / "metrics.jsonl"
    text = path.read_text() if path.exists() else ""
    lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
    return [line for line in lines if "train/loss" in line]


def wait_for(condition, process):
    """Until it holds, or the process ends, which it should not."""
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
