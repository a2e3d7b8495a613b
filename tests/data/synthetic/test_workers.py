"""Drawing by several processes: the same pictures in the same order, by any caller, and nobody left behind."""

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from skinjax.core.errors import UserError
from skinjax.data.synthetic import workers
from skinjax.data.synthetic.photographs import Painter, encode
from skinjax.data.synthetic.settings import Settings
from skinjax.data.synthetic.workers import encoded_photographs

SMALL = Settings(images=23, height=32, width=40, imbalance=1.0)


@pytest.fixture
def started(monkeypatch):
    """The workers that a test has started."""
    processes, start = [], workers._start

    def start_and_remember(*arguments):
        processes.append(start(*arguments))
        return processes[-1]

    monkeypatch.setattr(workers, "_start", start_and_remember)
    return processes


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_any_number_of_processes_draws_the_same_in_order(processes):
    painter = Painter(SMALL)
    assert list(encoded_photographs(SMALL, processes)) == [encode(painter.draw(row)) for row in range(23)]


def test_pictures_do_not_depend_on_the_threads_of_the_caller(monkeypatch):
    """One of these two comes out otherwise when two threads share a matrix product."""
    settings = Settings(images=2, height=600, width=800, classes=2, seed=1)
    drawn = []
    for threads in ("1", "2"):
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", threads)
        drawn.append(list(encoded_photographs(settings)))
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(("images", "cores", "processes"), [(60, 8, 1), (250, 8, 2), (9000, 8, 8), (9000, 1, 1)])
def test_a_process_for_each_core_and_one_for_a_small_set(images, cores, processes, monkeypatch):
    def start(settings, first, step):
        raise InterruptedError(step)

    monkeypatch.setattr(workers, "_cores", lambda: cores)
    monkeypatch.setattr(workers, "_start", start)
    with pytest.raises(InterruptedError, match=f"^{processes}$"):
        next(encoded_photographs(Settings(images=images)))


def test_workers_end_when_their_pictures_are_not_wanted_any_more(started):
    photographs = encoded_photographs(Settings(images=5000, height=32, width=40), 2)
    next(photographs)
    photographs.close()
    assert [worker.returncode for worker in started] == [-signal.SIGPIPE] * 2


def test_a_worker_that_is_killed_is_one_sentence(started):
    photographs = encoded_photographs(Settings(images=5000, height=32, width=40), 2)
    next(photographs)
    started[1].kill()
    with pytest.raises(
        UserError, match=r"draws photograph \d+ of the synthetic set ended early, with status -9: start"
    ):
        list(photographs)


# As a notebook or a pipe has it: jax runs, and nothing guards the top level.
SCRIPT = """
import sys
import jax
jax.numpy.zeros(3).block_until_ready()
from skinjax.data.synthetic import workers
from skinjax.data.synthetic.settings import Settings

start = workers._start
def start_and_tell(*arguments):
    worker = start(*arguments)
    print(worker.pid, flush=True)
    return worker
workers._start = start_and_tell

images = int(sys.argv[1])
for photograph in workers.encoded_photographs(Settings(images=images, height=32, width=40), 2):
    pass
print("whole")
"""


@pytest.fixture
def environment():
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}


@pytest.mark.parametrize("from_pipe", [True, False])
def test_a_script_without_a_guard_is_run_once(from_pipe, tmp_path, environment):
    (tmp_path / "script.py").write_text(SCRIPT)
    arguments, text = (["-", "9"], SCRIPT) if from_pipe else ([str(tmp_path / "script.py"), "9"], None)
    command = [sys.executable, *arguments]
    result = subprocess.run(command, input=text, capture_output=True, text=True, env=environment, check=True)
    assert (len(result.stdout.splitlines()), result.stdout[-6:], result.stderr) == (3, "whole\n", "")


def test_workers_end_when_their_reader_is_killed(environment):
    command = [sys.executable, "-c", SCRIPT, "20000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as reader:
        workers_alive = [os.pidfd_open(int(reader.stdout.readline())) for _ in range(2)]
        reader.kill()
    for worker in workers_alive:
        assert select.select([worker], [], [], 30)[0] == [worker]
        os.close(worker)


def test_workers_import_no_jax():
    code = "import sys, skinjax.data.synthetic.workers; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
