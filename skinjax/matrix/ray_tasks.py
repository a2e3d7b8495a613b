"""The runs of a matrix as tasks of the Ray cluster that RAY_ADDRESS names, a GPU for each where it has some.

All nodes share the folders of the matrix and of the data sets. A run whose node is lost is started again on another and
goes on from its newest checkpoint.
"""

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from skinjax.core.errors import Print, UserError, first_line
from skinjax.core.settings import from_plain, to_plain
from skinjax.data.dataset import data_root
from skinjax.matrix.attempts import attempt
from skinjax.recipe.recipe import Recipe
from skinjax.runs.workdir import named_files
from skinjax.training.signals import Interrupted, stopped_by_signals

RETRIES = 3  # of a run whose node is lost, beside the tries of a run that fails
PATIENCE = 120.0  # seconds for what a lost node has left to let go of a run's folder, and for cancelled runs to save


def wanted() -> bool:
    """Whether a cluster is named."""
    return bool(os.environ.get("RAY_ADDRESS"))


def outcomes(
    runs: Mapping[Path, Recipe], data_dir: str | None, say: Print, gpus: float | None = None
) -> Iterator[tuple[Path, str, str]]:
    """(folder, state, reason) of each run as it ends; a signal stops all of them, which save what they have.

    What a run says is written beside its folder. gpus: of each run; None: one, if the cluster has any now
    """
    ray = connected()
    if gpus is None:
        gpus = min(1.0, ray.cluster_resources().get("GPU", 0.0))
    remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=RETRIES)(in_worker)
    data = str(data_root(data_dir).absolute())
    tasks = {
        remote.remote(to_plain(with_whole_paths(recipe)), str(folder.absolute()), data): folder
        for folder, recipe in runs.items()
    }
    say(f"{len(tasks)} runs as tasks of a Ray cluster, {f'{gpus:g} GPU' if gpus else 'a processor'} each")
    try:
        with stopped_by_signals() as should_stop:  # after Ray has set handlers of its own
            while tasks:
                ended, _ = ray.wait(list(tasks), timeout=1.0)
                for task in ended:
                    try:
                        state, reason = ray.get(task)
                    except ray.exceptions.RayError as error:
                        state, reason = "failed", str(error).strip().splitlines()[-1]
                    yield tasks.pop(task), state, reason
                if tasks and should_stop():
                    raise Interrupted("stopped; the same command continues from there")
    finally:
        for left in tasks:
            ray.cancel(left)
        if tasks:
            ray.wait(list(tasks), num_returns=len(tasks), timeout=PATIENCE)
        ray.shutdown()


def connected() -> Any:
    """Ray, as the driver of the cluster."""
    address = os.environ["RAY_ADDRESS"]
    try:
        import ray
    except ImportError:
        raise UserError("RAY_ADDRESS is set and Ray is missing: pip install 'skinjax[ray]', or unset it") from None
    host, _, port = address.rpartition("/")[2].rpartition(":")
    try:
        if port.isdecimal():
            socket.create_connection((host, int(port)), timeout=10).close()  # Ray itself would try for minutes
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError) as error:
        raise UserError(
            f"there is no Ray cluster at {address} ({first_line(error)}): start one (launch/ray), or unset RAY_ADDRESS"
        ) from None
    return ray


def with_whole_paths(recipe: Recipe) -> Recipe:
    """The recipe with the files that it names where they are for a process in any folder."""
    plain = to_plain(recipe)
    for field, path in named_files(recipe).items():
        section, _, name = field.partition(".")
        if path.exists():
            plain[section][name] = str(Path(plain[section][name]).expanduser().absolute())
    return from_plain(Recipe, plain, "config")


def in_worker(recipe: Mapping[str, Any], folder: str, data_dir: str | None) -> tuple[str, str]:
    """Do a run in a worker of the cluster; its state and why it is not done."""
    log = Path(folder).with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        say = lambda line: print(line, file=file, flush=True)  # noqa: E731
        return attempt(from_plain(Recipe, recipe, "config"), Path(folder), data_dir, say, PATIENCE)
