"""Judge a finished run anew, its network shown photographs in another view or those of another data set."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skinjax.core.compilation_cache import use_compilation_cache
from skinjax.core.errors import Print, UserError
from skinjax.core.files import write_atomically
from skinjax.core.hashes import short_hash
from skinjax.core.settings import to_plain
from skinjax.data.caches import open_pixels
from skinjax.data.splits.parts import Data
from skinjax.evaluation.predictions import read_predictions
from skinjax.evaluation.sources import RUN_FILE, finished_parts, table_name
from skinjax.methods.base import Objective
from skinjax.model import Model, load_run
from skinjax.parallel import make_mesh
from skinjax.recipe.config_files import with_changes
from skinjax.recipe.recipe import Recipe
from skinjax.runs import building
from skinjax.runs.experiment import shown_in_evaluation
from skinjax.runs.inputs import Inputs
from skinjax.runs.results import mark_finished, write_figures
from skinjax.runs.starting_weights import hashed_groups
from skinjax.runs.workdir import read_recipe
from skinjax.training.inference import tables
from skinjax.training.programs import evaluation_program

FIELDS = ("evaluation", "window", "size", "crops", "grid", "repeats", "corrections")  # of views, that may differ
ELSEWHERE = ("dataset", "split")  # sections that may differ, for a test part of other photographs


def judge_again(folder: Path, changes: Sequence[str], root: Path, say: Print = print) -> Path:
    """The folder below the run's, with tables and figures, of its judgement after these changes; made if need be."""
    parts = finished_parts(folder)
    recipe = read_recipe(folder)
    changed = with_changes(recipe, changes)
    check_changes(recipe, changed)
    elsewhere = any(getattr(recipe, name) != getattr(changed, name) for name in ELSEWHERE)
    what = {name: to_plain(getattr(changed, name)) for name in (("views", *ELSEWHERE) if elsewhere else ("views",))}
    out = folder / "again" / short_hash(what if elsewhere else what["views"])
    if (out / RUN_FILE).exists():
        return out
    model = load_run(folder)
    out.mkdir(parents=True, exist_ok=True)
    use_compilation_cache(root / "compilation_cache")
    data = building.make_data(changed, out if elsewhere else folder, root, say)
    model = dataclasses.replace(model, spec=changed.spec())
    mesh = make_mesh()
    pixels = open_pixels(changed.cache, data.dataset, data.size, root, mesh, say)
    inputs = Inputs(changed, model.method, data, pixels, mesh, (), say=say)
    program = evaluation_program(model.method, Objective(), mesh)
    known = {part: read_predictions(folder / table_name(part)).protocol for part in parts}
    where: dict[str, Any] = {}
    if elsewhere:
        known, where = {"test": known[parts[-1]]}, of_other_photographs(model, data)
    for part in known:
        records = data.records[part]
        columns, _ = inputs.outputs(program, model.variables, records, pixels)
        protocol = known[part] | where | shown_in_evaluation(changed)
        counted = protocol.get("training_counts")  # tables of older runs do not say
        counts = [counted[name] for name in model.classes] if counted else data.training_counts().tolist()
        found = tables(columns, data.dataset, records, split=part, protocol=protocol)
        write_figures(out, part, found, counts, changed.evaluations.small)
    mark_finished(out, list(known))
    write_atomically(out / RUN_FILE, json.dumps({"judged_again": list(changes)}))
    return out


def of_other_photographs(model: Model, data: Data) -> dict[str, Any]:
    """What a protocol says of the test part that another data set or split has for a network; a leak is refused."""
    if data.dataset.classes != model.classes:
        raise UserError(
            f"the network tells {', '.join(model.classes)}, and the classes of {data.dataset.name} are "
            f"{', '.join(data.dataset.classes)}: judge it on a data set of the same"
        )
    records = data.records["test"]
    if not len(records):
        raise UserError(f"this split of {data.dataset.name} has no test part: set split.test, or another protocol")
    seen = float(np.isin(hashed_groups(data, records), list(model.origin["training_groups"])).mean())
    if seen and not data.split.protocol.get("allow_leak"):
        raise UserError(
            f"the network was trained on lesions of {100 * seen:.1f} % of the test images of {data.dataset.name}: "
            "judge it on others"
        )
    return {
        "dataset": data.dataset.name,
        "fingerprint": data.split.protocol["fingerprint"],
        "synthetic": data.dataset.synthetic,
        "split": data.split.protocol,
        "part": "test",
        "images": len(records),
        "groups": len(np.unique(data.dataset.columns["group"][records])),
    }


def check_changes(recipe: Recipe, changed: Recipe) -> None:
    """Refuse changes of anything but what is shown in evaluation."""
    allowed = {name: getattr(changed.views, name) for name in FIELDS}
    others = {name: getattr(changed, name) for name in ELSEWHERE}
    same = dataclasses.replace(recipe, views=dataclasses.replace(recipe.views, **allowed), **others)
    if same != changed:
        fields = ", ".join((*(f"views.{name}" for name in FIELDS), *(f"{name}.*" for name in ELSEWHERE)))
        raise UserError(f"a finished run is judged anew after changes of {fields}: leave the others, or train anew")
