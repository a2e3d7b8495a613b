"""The runs of a matrix, one after the other, side by side or on a cluster: equal recipes are one run, done once.

Runs of one process share their compiled programs. A run that fails is tried once more, then told, and the others go on.
"""

import dataclasses
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import jax

from skinjax.core.errors import Print, UserError, first_line
from skinjax.core.hashes import short_hash
from skinjax.core.locks import Busy
from skinjax.data.dataset import data_root
from skinjax.matrix import ray_tasks
from skinjax.matrix.attempts import attempt
from skinjax.recipe.recipe import Recipe
from skinjax.runs import building, side_by_side
from skinjax.runs.results import finished_figures
from skinjax.runs.workdir import CONFIG_FILE, run_identity
from skinjax.training.signals import stopped_by_signals


@dataclasses.dataclass(frozen=True)
class Job:
    """A run that a table asks for: of which row, fold and seed it is, and its recipe."""

    row: str
    fold: int
    recipe: Recipe

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.row}, fold {self.fold}, seed {self.recipe.seed}"

    def folder(self, root: Path) -> Path:
        """Where it lies below the folder of a matrix, by what it is and not by who asks for it."""
        return root / "runs" / short_hash(run_identity(self.recipe), length=12)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a job: `done`, `failed` with the reason, or `busy` where another process is at it."""

    job: Job
    state: str
    reason: str = ""


def state_of(folder: Path) -> str:
    """`done`, `begun` or `to do`."""
    if finished_figures(folder) is not None:
        return "done"
    return "begun" if (folder / CONFIG_FILE).exists() else "to do"


def distinct(jobs: Iterable[Job], root: Path) -> dict[Path, Job]:
    """The first job of every folder: equal recipes are one run, whoever asks for them."""
    found: dict[Path, Job] = {}
    for job in jobs:
        found.setdefault(job.folder(root), job)
    return found


def do(
    jobs: Sequence[Job], root: Path, data_dir: str | None = None, say: Print = print, abreast: bool = False
) -> list[Outcome]:
    """Do every run that is not done; a signal stops all of them, and the same call goes on.

    abreast: those that differ in fold and seed alone are trained side by side first, as many as there are devices
    """
    runs = distinct(jobs, root)
    for job in runs.values():
        building.check(job.recipe)  # a mistake in the last is told before the first is trained
    for group in groups_abreast(runs) if abreast else ():
        try:
            with stopped_by_signals() as should_stop:
                side_by_side.train(group, data_root(data_dir), should_stop, say)
        except (Busy, UserError, RuntimeError, OSError, MemoryError) as error:
            say(f"side by side: {first_line(error)}; now one after the other")
    if ray_tasks.wanted():
        return _on_cluster(runs, data_dir, say)
    outcomes = []
    for number, (folder, job) in enumerate(runs.items(), start=1):
        say(f"[{number}/{len(runs)}] {job.name}")
        outcomes.append(Outcome(job, *attempt(job.recipe, folder, data_dir, say)))
    return outcomes


def _on_cluster(runs: Mapping[Path, Job], data_dir: str | None, say: Print) -> list[Outcome]:
    """The outcomes of all runs, those that are not done as tasks of a Ray cluster."""
    outcomes = {folder: Outcome(job, "done") for folder, job in runs.items() if state_of(folder) == "done"}
    left = {folder: job.recipe for folder, job in runs.items() if folder not in outcomes}
    for folder, state, reason in ray_tasks.outcomes(left, data_dir, say) if left else ():
        outcomes[folder] = Outcome(runs[folder], state, reason)
        say(f"[{len(outcomes)}/{len(runs)}] {runs[folder].name}: {state} {reason}".rstrip())
    return [outcomes[folder] for folder in runs]


def of_equal_steps(jobs: Sequence[Job], data_dir: str | None) -> list[Job]:
    """The jobs of one config with as many steps each as the first has, as side by side needs them."""
    with tempfile.TemporaryDirectory() as scratch:
        recipes = side_by_side.of_equal_steps([job.recipe for job in jobs], data_root(data_dir), Path(scratch))
    return [dataclasses.replace(job, recipe=recipe) for job, recipe in zip(jobs, recipes, strict=True)]


def groups_abreast(runs: Mapping[Path, Job]) -> Iterator[list[tuple[Recipe, Path]]]:
    """Runs that are not done and differ in fold and seed alone, as many at once as there are devices."""
    alike: dict[str, list[tuple[Recipe, Path]]] = {}
    for folder, job in runs.items():
        if state_of(folder) != "done":
            side_by_side.check(job.recipe)
            same = dataclasses.replace(job.recipe, seed=0, split=job.recipe.split.replace(fold=0, seed=0))
            alike.setdefault(repr(same), []).append((job.recipe, folder))
    width = jax.local_device_count()
    for group in alike.values():
        chunks = (group[start : start + width] for start in range(0, len(group), width))
        yield from (chunk for chunk in chunks if len(chunk) > 1)


def refuse_missing(outcomes: Sequence[Outcome], command: str) -> None:
    """Raise a `UserError` that names the runs that are lacking: a table is of all of its runs, or is none."""
    lacking = [of for of in outcomes if of.state != "done"]
    if lacking:
        first = lacking[0]
        raise UserError(
            f"{len(lacking)} of {len(outcomes)} runs are lacking, the first {first.job.name} ({first.reason}): mend "
            f"that and start {command} again, which does those alone"
        )


def status_lines(jobs: Sequence[Job], root: Path) -> Iterator[tuple[str, str, Path]]:
    """Of every distinct run its state, its name and its folder."""
    for folder, job in distinct(jobs, root).items():
        yield state_of(folder), job.name, folder
