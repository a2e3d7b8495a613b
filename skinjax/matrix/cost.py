"""What the runs of a matrix cost, in images, before any is trained."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from skinjax.core.errors import Print
from skinjax.data.dataset import data_root, is_prepared, prepared_folder
from skinjax.matrix.jobs import Job, distinct, state_of, status_lines
from skinjax.runs import building


def tell(jobs: Sequence[Job], root: Path, data_dir: str | None, with_cost: bool, say: Print) -> None:
    """List the runs and what is done of them, and, if it is asked for, their cost."""
    for state, name, folder in status_lines(jobs, root):
        say(f"{state:<6} {name}  {folder}")
    if with_cost:
        say(images_of(jobs, root, data_dir))


def images_of(jobs: Sequence[Job], root: Path, data_dir: str | None) -> str:
    """A sentence: the images that are to be trained on, in all and in runs that are not done."""
    runs, data = distinct(jobs, root), data_root(data_dir)
    counts: dict[Path, int] = {}
    unknown: Counter[str] = Counter()
    for folder, job in runs.items():
        recipe, dataset = job.recipe, job.recipe.dataset
        each = recipe.batch * recipe.method.places
        lengths = {"steps": each, "examples": recipe.method.places}
        if all(phase.unit in lengths for phase in recipe.in_order().values()):  # which no data set changes
            counts[folder] = round(sum(of.duration * lengths[of.unit] for of in recipe.in_order().values()))
            continue
        if not is_prepared(prepared_folder(dataset.name, dataset.arguments, data)):
            unknown[dataset.name] += 1
            continue
        with tempfile.TemporaryDirectory() as scratch:
            made = building.make_data(job.recipe, Path(scratch), data, lambda line: None)
        steps = sum(phase.steps for phase in building.make_phases(job.recipe, made))
        counts[folder] = steps * each
    left = sum(count for folder, count in counts.items() if state_of(folder) != "done")
    told = f"{len(counts)} runs of {sum(counts.values()):,} images in all, {left:,} of them to do"
    others = ", ".join(f"{count} on {name}" for name, count in unknown.items())
    return f"{told}; not counted, as their data set is not prepared: {others}" if others else told
