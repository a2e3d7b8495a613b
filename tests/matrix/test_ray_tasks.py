"""A matrix on a Ray cluster: runs are tasks, and what a lost node was at is done by another."""

import threading
import time

import pytest

from skinjax import cli
from skinjax.runs.results import finished_figures
from tests.matrix.test_crossval import COMMAND, data_dir  # noqa: F401 (a fixture)

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own


@pytest.fixture
def cluster(monkeypatch):
    """A head that computes nothing and two nodes of one processor each."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    monkeypatch.setenv("RAY_ADDRESS", made.address)
    made.nodes = [made.add_node(num_cpus=1) for _ in range(2)]
    yield made
    made.shutdown()


def test_a_matrix_outlives_one_of_its_nodes(cluster, data_dir, tmp_path, capsys):  # noqa: F811
    def lose_a_node():
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and len(list(tmp_path.glob("runs/*/config.json"))) < 2:
            time.sleep(0.05)
        cluster.remove_node(cluster.nodes[0], allow_graceful=False)

    losing = threading.Thread(target=lose_a_node)
    losing.start()
    status = cli.main([*COMMAND, f"--workdir={tmp_path}", f"--data_dir={data_dir}"])
    losing.join()
    said = capsys.readouterr()
    assert (status, said.err) == (0, "")
    assert "2 runs as tasks of a Ray cluster, a processor each" in said.out
    runs = [path for path in (tmp_path / "runs").iterdir() if path.is_dir()]
    assert len(runs) == 2
    assert all(finished_figures(run) for run in runs)
    assert (tmp_path / "table.md").exists()
    logs = "".join(run.with_suffix(".log").read_text() for run in runs)
    assert logs.count("run in ") == 3  # one of the two was begun a second time


def test_without_a_cluster_there_is_one_sentence(monkeypatch, data_dir, tmp_path, capsys):  # noqa: F811
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert cli.main([*COMMAND, f"--workdir={tmp_path}", f"--data_dir={data_dir}"]) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("error: there is no Ray cluster at 127.0.0.1:1")
    assert errors.count("\n") == 1
