"""The runs of a matrix, one after the other, side by side or on a cluster: equal recipes are one run, done once.

Runs of one process share their compiled programs. A run that fails is tried once more, then told, and the others go on.
"""

import dataclasses
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import jax

from skinjax.core.errors import Print, UserError, first_line, os_errors_as_user_errors
from skinjax.core.hashes import short_hash
from skinjax.core.locks import Busy
from skinjax.data.dataset import check_dataset, data_root
from skinjax.matrix import ray_tasks
from skinjax.matrix.attempts import attempt
from skinjax.recipe.recipe import Recipe
from skinjax.runs import building, side_by_side
from skinjax.runs.results import finished_figures
from skinjax.runs.workdir import CONFIG_FILE, named_files, run_identity
from skinjax.training.signals import Interrupted, stopped_by_signals


@dataclasses.dataclass(frozen=True)
class Job:
    """A run that a table asks for: of which row, fold and seed it is, its recipe, and the run that it starts from."""

    row: str
    fold: int
    recipe: Recipe
    parent: "Job | None" = None

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{self.row}, fold {self.fold}, seed {self.recipe.seed}"

    def folder(self, root: Path) -> Path:
        """Where it lies below the folder of a matrix, by what it is and not by who asks for it."""
        origin = {"starts_from": self.parent.folder(root).name} if self.parent else {}
        if not self.parent and not all(path.is_file() for path in named_files(self.recipe).values()):
            for folder in root.glob("runs/*"):  # a run that began with a file knows its digest
                if folder.name == short_hash(run_identity(self.recipe, folder), length=12):
                    return folder
        return root / "runs" / short_hash(run_identity(self.recipe) | origin, length=12)

    def ready(self, root: Path) -> Recipe:
        """Its recipe once its parent is done: the weights are that run's."""
        if not self.parent:
            return self.recipe
        weights = str(self.parent.folder(root).absolute())
        return dataclasses.replace(self.recipe, model=self.recipe.model.replace(weights=weights))


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


def job_of(row: str, fold: int, recipe: Recipe, load: Callable[[str], Recipe], chain: tuple[str, ...] = ()) -> Job:
    """The job of a recipe, whose `model.weights` may name a config, FILE.py:VARIANT: a run of that comes first.

    load: gives the recipe of such a name, which gets the fold and seed of this one; chain: the names until here
    """
    weights = recipe.model.weights
    if not re.search(r"\.py(:|$)", weights):
        return Job(row, fold, recipe)
    if weights in chain:
        raise UserError(f"{weights} starts from itself: let its model.weights name a file, or nothing")
    of_fold = dataclasses.replace(load(weights), seed=recipe.seed, split=recipe.split)
    return Job(row, fold, recipe, job_of(f"{row}, begun by {weights}", fold, of_fold, load, (*chain, weights)))


def changes_of_parents(changes: Sequence[str]) -> list[str]:
    """The changes of a command line that are for the runs that others start from as well."""
    return [change for change in changes if not change.startswith("model.weights")]


def refuse_changes(changes: Sequence[str], fields: Sequence[str], instead: str) -> None:
    """Refuse changes of fields that a matrix sets itself."""
    for change in changes:
        if (field := change.partition("=")[0]) in fields:
            raise UserError(f"{instead}: leave --config.{field} out")


def distinct(jobs: Iterable[Job], root: Path) -> dict[Path, Job]:
    """The first job of every folder, parents first: equal recipes are one run, whoever asks for them."""
    found: dict[Path, Job] = {}
    for job in jobs:
        if job.parent:
            found |= {folder: of for folder, of in distinct([job.parent], root).items() if folder not in found}
        found.setdefault(job.folder(root), job)
    return found


def generations(runs: Mapping[Path, Job], root: Path) -> Iterator[dict[Path, Job]]:
    """The runs that start from no other, then those that start from these, and so on."""
    left = dict(runs)
    while left:
        now = {path: job for path, job in left.items() if not job.parent or job.parent.folder(root) not in left}
        yield now
        left = {path: job for path, job in left.items() if path not in now}


def do(
    jobs: Sequence[Job],
    root: Path,
    data_dir: str | None = None,
    say: Print = print,
    abreast: bool = False,
    gpus: float | None = None,
) -> list[Outcome]:
    """Do every run that is not done; a signal stops all of them, and the same call goes on.

    abreast: those that differ in fold and seed alone are trained side by side first, as many as there are devices
    gpus: of each run on a Ray cluster
    """
    if ray_tasks.wanted():
        jax.config.update("jax_platforms", "cpu")  # the driver leaves the devices to the runs
    runs = distinct(jobs, root)
    for name in sorted({job.recipe.dataset.name for job in runs.values()}):
        check_dataset(name, data_root(data_dir))
    for job in runs.values():
        building.check(job.recipe)  # a mistake in the last is told before the first is trained
    with os_errors_as_user_errors(f"{root} cannot be made or written", "use another --workdir"):
        root.mkdir(parents=True, exist_ok=True)
    outcomes: dict[Path, Outcome] = {}

    def ended(folder: Path, state: str, reason: str = "") -> None:
        outcomes[folder] = Outcome(runs[folder], state, reason)

    for now in generations(runs, root):
        recipes = {folder: job.ready(root) for folder, job in now.items()}
        for group in groups_abreast(now, root) if abreast else ():
            try:
                with stopped_by_signals() as should_stop:
                    side_by_side.train(group, data_root(data_dir), should_stop, say)
            except (Busy, UserError, RuntimeError, OSError, MemoryError) as error:
                say(f"side by side: {first_line(error)}; now one after the other")
        done = [folder for folder in now if state_of(folder) == "done"] if ray_tasks.wanted() else []
        for folder in done:
            ended(folder, "done")
        left = {folder: recipe for folder, recipe in recipes.items() if folder not in done}
        if left and ray_tasks.wanted():
            for folder, state, reason in ray_tasks.outcomes(left, data_dir, say, gpus):
                ended(folder, state, reason)
                say(f"[{len(outcomes)}/{len(runs)}] {runs[folder].name}: {state} {reason}".rstrip())
            continue
        with stopped_by_signals() as should_stop:
            for folder, recipe in left.items():
                if should_stop():
                    raise Interrupted("stopped; the same command continues from there")
                say(f"[{len(outcomes) + 1}/{len(runs)}] {runs[folder].name}")
                ended(folder, *attempt(recipe, folder, data_dir, say))
    return [outcomes[folder] for folder in runs]


def of_equal_steps(jobs: Sequence[Job], data_dir: str | None) -> list[Job]:
    """The jobs of one config with as many steps each as the first has, as side by side needs them; so their parents."""
    with tempfile.TemporaryDirectory() as scratch:
        recipes = side_by_side.of_equal_steps([job.recipe for job in jobs], data_root(data_dir), Path(scratch))
    parents: list[Job | None] = [job.parent for job in jobs]
    if known := [parent for parent in parents if parent]:
        parents = list(of_equal_steps(known, data_dir))
    return [
        dataclasses.replace(job, recipe=recipe, parent=parent)
        for job, recipe, parent in zip(jobs, recipes, parents, strict=True)
    ]


def groups_abreast(runs: Mapping[Path, Job], root: Path) -> Iterator[list[tuple[Recipe, Path]]]:
    """Runs that differ in fold and seed alone, none or all of which are begun, as many at once as there are devices."""
    alike: dict[tuple[str, str], list[tuple[Recipe, Path]]] = {}
    for folder, job in runs.items():
        state, recipe = state_of(folder), job.recipe
        if state != "done":
            side_by_side.check(recipe)
            same = dataclasses.replace(recipe, seed=0, split=recipe.split.replace(fold=0, seed=0))
            alike.setdefault((state, repr(same)), []).append((job.ready(root), folder))
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
