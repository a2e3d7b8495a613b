"""Judge a finished run anew, its network shown photographs in another view; nothing is trained."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from skinjax.core.compilation_cache import use_compilation_cache
from skinjax.core.errors import Print, UserError
from skinjax.core.files import write_atomically
from skinjax.core.hashes import short_hash
from skinjax.core.settings import to_plain
from skinjax.data.caches import open_pixels
from skinjax.evaluation.predictions import read_predictions
from skinjax.evaluation.sources import RUN_FILE, finished_parts, table_name
from skinjax.methods.base import Objective
from skinjax.parallel import make_mesh
from skinjax.recipe.config_files import with_changes
from skinjax.recipe.recipe import Recipe
from skinjax.runs.experiment import open_run, shown_in_evaluation
from skinjax.runs.inputs import Inputs
from skinjax.runs.results import mark_finished, write_figures
from skinjax.runs.workdir import read_recipe
from skinjax.training.inference import tables
from skinjax.training.programs import evaluation_program

FIELDS = ("evaluation", "window", "size", "crops", "grid", "repeats", "corrections")  # of views, that may differ


def judge_again(folder: Path, changes: Sequence[str], root: Path, say: Print = print) -> Path:
    """The folder below the run's, with tables and figures, of its judgement after these changes; made if need be."""
    parts = finished_parts(folder)
    recipe = read_recipe(folder)
    changed = with_changes(recipe, changes)
    check_changes(recipe, changed)
    out = folder / "again" / short_hash(to_plain(changed.views))
    if (out / RUN_FILE).exists():
        return out
    _, data, model = open_run(folder, root, say)
    out.mkdir(parents=True, exist_ok=True)
    use_compilation_cache(root / "compilation_cache")
    model = dataclasses.replace(model, spec=changed.spec())
    mesh = make_mesh()
    pixels = open_pixels(changed.cache, data.dataset, data.size, root, mesh, say)
    inputs = Inputs(changed, model.method, data, pixels, mesh, (), say=say)
    program = evaluation_program(model.method, Objective(), mesh)
    for part in parts:
        records = data.records[part]
        columns, _ = inputs.outputs(program, model.variables, records, pixels)
        protocol = read_predictions(folder / table_name(part)).protocol | shown_in_evaluation(changed)
        found = tables(columns, data.dataset, records, split=part, protocol=protocol)
        write_figures(out, part, found, data.training_counts().tolist(), changed.evaluations.small)
    mark_finished(out, parts)
    write_atomically(out / RUN_FILE, json.dumps({"judged_again": list(changes)}))
    return out


def check_changes(recipe: Recipe, changed: Recipe) -> None:
    """Refuse changes of anything but what is shown in evaluation."""
    allowed = {name: getattr(changed.views, name) for name in FIELDS}
    same = dataclasses.replace(recipe, views=dataclasses.replace(recipe.views, **allowed))
    if same != changed:
        fields = ", ".join(f"views.{name}" for name in FIELDS)
        raise UserError(f"a finished run is judged anew after changes of {fields}: leave the others, or train anew")
