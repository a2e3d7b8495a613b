"""A run small enough for tests, and the means to start it as a user would."""

import contextlib
import io
import subprocess
import sys
from pathlib import Path

import pytest

from skinjax.main import main

ROOT = Path(__file__).parent.parent.parent
TINY = [
    f"--config={ROOT / 'configs' / 'cdc.py'}",
    "--config.dataset.arguments.images=120",
    "--config.dataset.arguments.height=40",
    "--config.dataset.arguments.width=48",
    "--config.split.test=0.2",
    "--config.stored_size.height=40",
    "--config.stored_size.width=40",
    "--config.views.size=(32,32)",
    "--config.model.backbone=resnet_tiny",
    "--config.method.decoder.channels=8",
    "--config.batch=14",
    "--config.phases.train.duration=16.0",
    "--config.phases.train.unit=steps",
    "--config.phases.train.warmup=2.0",
    "--config.evaluations.every=4.0",
    "--config.evaluations.unit=steps",
    "--config.checkpoints.every=2.0",
    "--config.checkpoints.unit=steps",
    "--config.logging.every=2",
]
UNREPORTED = [*TINY, "--config.logging.report=False"]  # the figures of a report take a third of a tiny run
SMALL = [change for change in UNREPORTED[1:] if not change.startswith("--config.method")]  # of any config and method


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def start(data_dir):
    """start(*arguments) launches `python -m skinjax.main` in a process of its own."""

    def start(*arguments: str, data: Path = data_dir) -> subprocess.Popen:
        command = [sys.executable, "-m", "skinjax.main", f"--data_dir={data}", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return start


@pytest.fixture(scope="session")
def tiny_run(data_dir, tmp_path_factory):
    """The workdir of a finished tiny run that nothing disturbed, and what it printed.

    In this process, so that what it compiles serves the runs of the tests that compare theirs with it.
    """
    workdir = tmp_path_factory.mktemp("runs") / "undisturbed"
    with contextlib.redirect_stdout(io.StringIO()) as output:
        assert main([*TINY, f"--workdir={workdir}", f"--data_dir={data_dir}"]) == 0
    return workdir, output.getvalue()
