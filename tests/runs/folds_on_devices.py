"""Train two folds side by side on four devices and one after the other; prints what they came to, as JSON."""

import json
import re
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import load_file

from skinjax.data.dataset import data_root
from skinjax.matrix import crossval, jobs
from skinjax.parallel import make_mesh, put
from skinjax.recipe.config_files import load_config
from skinjax.runs import building
from skinjax.training.programs import folds_program, stack_program

folder, data, *changes = sys.argv[1:]
asked = jobs.of_equal_steps(crossval.jobs_of(load_config("configs/baselines.py", changes), 2, 1), data)
models = []
for name, abreast in (("abreast", True), ("in_turn", False)):
    root = Path(folder) / name
    assert {of.state for of in jobs.do(asked, root, data, abreast=abreast)} == {"done"}
    models.append([load_file(job.folder(root) / "model.safetensors") for job in asked])


def joined(text: str) -> list[str]:
    """Which devices each collective of a program joins."""
    kinds = "all-reduce|all-gather|reduce-scatter|collective-permute|all-to-all"
    lines = re.findall(rf"^.* (?:{kinds})(?:-start)?\(.*$", text, re.MULTILINE)
    groups = [re.search(r"(?:replica_groups|source_target_pairs)=(\{\{.*?\}\}|\S*?<=\[\d+\])", line) for line in lines]
    return [of[1] if of else line for of, line in zip(groups, lines, strict=True)]


recipe, scratch = asked[0].recipe, Path(folder) / "scratch"
scratch.mkdir()
mesh = make_mesh(recipe.batch, folds=2)
built = building.build(recipe, scratch, data_root(data), print, mesh)
trainer = built.trainer(checkpoints=None, open_log=None, validate=None, should_stop=None)
phase = trainer.resolved(built.phases[0])
variables = jax.jit(building.initialisation(built.method, built.data.size))(jnp.uint32(0))
stack = stack_program(mesh)(*[trainer.begin(phase, jnp.int32(0), variables)] * 2)
batch = {name: np.stack([array] * 2) for name, array in next(trainer.batches(phase, 0)).items()}
program = folds_program(trainer.training(phase, variables))
text = program._jitted.lower(stack, put(batch, mesh), phase.rates[0]).compile().as_text()
differences = [
    max(float(np.abs(one[name] - other[name]).max() / max(1e-3, np.abs(other[name]).max())) for name in one)
    for one, other in zip(*models, strict=True)
]
apart = max(float(np.abs(models[0][0][name] - models[0][1][name]).max()) for name in models[0][0])
print(json.dumps({"differences": differences, "apart": apart, "joined": joined(text)}))
