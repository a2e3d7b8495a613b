"""launch/: what can be said about it without the programs that it starts (`make launch-check` asks those)."""

import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

import check_launch
import pytest
import yaml
from check_launch import DRY_RUNS, LAUNCH, dry_run

from skinjax.main import KNOWN_FLAGS

FOLDERS = sorted(path for path in LAUNCH.iterdir() if path.is_dir())
MANIFESTS = sorted(LAUNCH.rglob("*.yaml"))
OF_MANY_PROCESSES = {"--coordinator", "--processes", "--process"}
PROGRAMS = {*check_launch.PROGRAMS, "srun", "docker", "git", "mkdir", "curl", "pkill", "nohup", "python3", "uv"}
PROGRAMS |= {".venv/bin/python"}
KEEP_RUNNING = LAUNCH / "gpu_box" / "keep_running.sh"


@pytest.fixture
def bare_path(tmp_path):
    """A PATH with what any shell script takes for granted: no gcloud, kubectl, ray, git, not even mkdir."""
    for program in ("bash", "env", "dirname", "sed", "cat"):
        (tmp_path / program).symlink_to(shutil.which(program))
    return str(tmp_path)


@pytest.fixture
def gcloud(tmp_path, monkeypatch):
    """A function of the state of a TPU VM to what `tpu.sh create` asks of gcloud then."""
    program, log = tmp_path / "gcloud", tmp_path / "log"
    program.write_text(f'#!/bin/sh\ncase $4 in list) echo "$STATE" ;; *) echo "$4" >>{log} ;; esac\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("BUCKET", "gs://mine/skinjax")

    def verbs(state):
        log.write_text("")
        monkeypatch.setenv("STATE", state)
        done = subprocess.run([LAUNCH / "tpu_vm" / "tpu.sh", "create"], capture_output=True, text=True)
        return done.returncode, log.read_text().split()

    return verbs


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_has_a_short_page_that_the_index_names(folder):
    assert len((folder / "README.md").read_text().splitlines()) <= 16
    assert f"({folder.name}/README.md)" in (LAUNCH / "README.md").read_text()


def test_scripts_are_executable_and_have_a_dry_run():
    scripts = {script for script in check_launch.scripts() if script.name != "commands.sh"}
    assert all(os.access(script, os.X_OK) for script in scripts)
    assert {str(script.relative_to(LAUNCH)) for script in scripts} == set(DRY_RUNS)


@pytest.mark.parametrize(("script", "call"), [(script, call) for script, calls in DRY_RUNS.items() for call in calls])
def test_a_dry_run_prints_commands_and_runs_none(script, call, bare_path):
    programs = [shlex.split(line)[0] for line in dry_run(script, call, bare_path)]
    assert programs
    assert set(programs) <= PROGRAMS


def test_arguments_reach_the_workers_of_a_tpu_as_they_are(bare_path):
    given = ["--config=configs/cdc.py", "--config.phases.train={'duration': 3}"]
    environment = {"PATH": bare_path, **check_launch.ENVIRONMENT}
    printed = subprocess.run([LAUNCH / "tpu_vm/tpu.sh", "run", *given], env=environment, capture_output=True, text=True)
    (command,) = [word for word in shlex.split(printed.stdout) if word.startswith("--command=")]
    assert shlex.split(command.removeprefix("--command="))[-2:] == given


def test_a_preempted_tpu_comes_back_by_the_same_command(gcloud):
    assert gcloud("") == (0, ["create"])
    assert gcloud("READY") == (0, [])
    assert gcloud("STOPPED") == (0, ["start"])
    assert gcloud("PREEMPTED") == (0, ["delete", "create"])
    assert gcloud("CREATING") == (1, [])


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_manifests_are_yaml(path):
    assert all(isinstance(document, dict) for document in yaml.safe_load_all(path.read_text()))


def test_flags_are_those_of_the_program():
    found = set()
    for path in filter(Path.is_file, LAUNCH.rglob("*")):
        for line in re.sub(r"\\\n +", "", path.read_text()).splitlines():
            called = re.split(r"skinjax\.main|\.sbatch |tpu\.sh start", line, maxsplit=1)[1:]
            found |= set(re.findall(r"--[a-z_]+", "".join(called)))
    (jobset,) = yaml.safe_load_all((LAUNCH / "kubernetes" / "jobset.yaml").read_text())
    (host,) = jobset["spec"]["replicatedJobs"]
    (container,) = host["template"]["spec"]["template"]["spec"]["containers"]
    found |= {argument.partition("=")[0] for argument in container["args"]}
    assert found >= {"--config", "--workdir", "--data_dir"} | OF_MANY_PROCESSES
    assert found <= set(KNOWN_FLAGS) | OF_MANY_PROCESSES


def test_the_jobset_has_as_many_hosts_as_it_says():
    (jobset,) = yaml.safe_load_all((LAUNCH / "kubernetes" / "jobset.yaml").read_text())
    (host,) = jobset["spec"]["replicatedJobs"]
    hosts = host["template"]["spec"]["parallelism"]
    (container,) = host["template"]["spec"]["template"]["spec"]["containers"]
    assert host["template"]["spec"]["completions"] == hosts
    assert f"--processes={hosts}" in container["args"]
    name = jobset["metadata"]["name"]
    assert f"--coordinator={name}-{host['name']}-0-0.{name}:8476" in container["args"]


@pytest.mark.parametrize(
    ("failures", "restarts", "status", "starts"),
    [(0, 20, 0, 1), (2, 20, 0, 3), (3, 20, 7, 3), (1, 0, 7, 1)],
    ids=["done", "restarted", "a mistake", "restarts are another's"],
)
def test_a_run_is_started_again_until_it_is_done(failures, restarts, status, starts, tmp_path):
    log = tmp_path / "starts"
    command = f'echo >>{log}; [ "$(wc -l <{log})" -gt {failures} ] || exit 7'
    environment = {**os.environ, "PAUSE": "0", "RESTARTS": str(restarts)}
    done = subprocess.run([KEEP_RUNNING, "sh", "-c", command], env=environment, capture_output=True)
    assert (done.returncode, len(log.read_text().splitlines())) == (status, starts)


def test_a_signal_reaches_the_run_which_does_not_count_as_done(tmp_path):
    ready, stopped = tmp_path / "ready", tmp_path / "stopped"
    os.mkfifo(ready)
    command = f"trap 'kill $!; echo >{stopped}; exit 0' TERM; sleep 60 & echo >{ready}; wait"
    keeper = subprocess.Popen([KEEP_RUNNING, "bash", "-c", command])
    ready.read_text()  # returns when the run has written it
    keeper.send_signal(signal.SIGTERM)
    assert keeper.wait(timeout=30) == 143
    assert stopped.exists()


def test_a_round_trip_shows_what_was_dropped():
    given = {"spec": {"replicas": 2, "replica": 3, "names": ["a"]}}
    back = {"spec": {"replicas": 2, "names": ["a"], "suspend": False}}
    assert check_launch.different(given, back) == [
        "spec.replica: 3 comes back as None",
        "spec.suspend: None comes back as False",
    ]
    assert check_launch.different(given, back, additions=True) == ["spec.replica: 3 comes back as None"]
