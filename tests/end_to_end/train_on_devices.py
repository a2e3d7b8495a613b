"""Run by test_devices.py in a process of its own: train a tiny CDC on one device and on all, write what came of each.

python train_on_devices.py DATA_DIR FOLDER
"""

import dataclasses
import functools
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.data.caches import CACHES, open_pixels
from skinjax.data.pipeline import held_out_batches, training_batches
from skinjax.data.sampling.samplers import EvaluationBatches
from skinjax.images.colour import NORMALISATIONS
from skinjax.images.views import VIEWS, evaluation_view, train_view
from skinjax.methods.base import Batch, Method, Terms, Variables
from skinjax.methods.parts import Pictures
from skinjax.parallel import make_mesh, padded_batch, prefetch, replicated
from skinjax.recipe.config_files import load_config
from skinjax.recipe.recipe import Recipe
from skinjax.runs import building
from skinjax.training.inference import collect
from skinjax.training.optimizers import make_optimizer
from skinjax.training.phases import Phase
from skinjax.training.programs import evaluation_program
from skinjax.training.state import begin_phase, make_train_step, partition

ROOT = Path(__file__).parent.parent.parent
SIZE = (32, 32)
CHANGES = [
    "dataset.arguments.images=90",
    "dataset.arguments.height=40",
    "dataset.arguments.width=48",
    "stored_size.height=40",
    "stored_size.width=40",
    f"views.size={SIZE}",
    "views.train=skin7_group",
    "model.backbone=resnet_tiny",
    "model.head=mlp",  # it drops
    "method.decoder.channels=8",
    "loss.class_weights=balanced",
    "batch=8",
    "phases.train.duration=20.0",
    "phases.train.unit=steps",
    "phases.train.warmup=2.0",
    "split.test=0.3",
    "optimizer.learning_rate=0.003",
]


# Pixels in float64 too: XLA fuses float32 arithmetic differently for another batch per device, to another last bit.
EXACT = Pictures(
    train_view(VIEWS["plain"], SIZE, NORMALISATIONS["imagenet"], jnp.float64),
    evaluation_view("centre_crop", SIZE, NORMALISATIONS["imagenet"], dtype=jnp.float64),
)


class Made(NamedTuple):
    """A config's data, phase and method, and its initial variables, on the host and in float64."""

    recipe: Recipe
    data: building.Data
    phase: Phase
    method: Method
    variables: Variables


def main(data_dir: Path, folder: Path) -> None:
    plain = made("cdc.py", CHANGES, data_dir)
    synergic = made("synergic.py", [change for change in CHANGES if not change.startswith("method")], data_dir)
    for mesh in (make_mesh(1, say=lambda text: None), make_mesh()):
        np.savez(folder / f"{mesh.size}.npz", **trained(plain, data_dir, mesh), **pairs(synergic, data_dir, mesh))


def made(name: str, changes: list[str], data_dir: Path) -> Made:
    recipe = load_config(str(ROOT / "configs" / name), changes)
    with tempfile.TemporaryDirectory() as folder:
        data = building.make_data(recipe, Path(folder), data_dir, print)
    method = building.make_method(recipe, data.dataset.classes)
    phase = building.make_phases(recipe, data)[0]
    variables = jax.jit(building.initialisation(method, data.size))(recipe.seed)
    variables["constants"] = building.constants_of(method, data, phase)
    double = jax.tree.map(lambda x: np.asarray(x, np.float64), variables)
    exact = dataclasses.replace(method, parts=dataclasses.replace(method.parts, pictures=EXACT))
    return Made(recipe, data, phase, exact, double)


def trained(of: Made, data_dir: Path, mesh: jax.sharding.Mesh) -> dict[str, np.ndarray]:
    """What must not depend on the devices, by name."""
    recipe, data, phase, method, variables = of
    objective = phase.objective.resolved(method, phase.name)
    trainable, _ = partition(variables["params"], ())
    optimizer = make_optimizer(recipe.optimizer, list(trainable), method.stages())
    begin = functools.partial(begin_phase, optimizer=optimizer, frozen=(), ema=False)
    state = jax.jit(begin, out_shardings=replicated(mesh))(jnp.int32(0), jnp.uint32(0), variables)
    step = jax.jit(make_train_step(method, objective, optimizer), donate_argnums=0, out_shardings=replicated(mesh))
    pixels = {cache: open_pixels(cache, data.dataset, data.size, data_dir, mesh) for cache in CACHES}
    batches = list(training_batches(data.dataset, phase.sampler, pixels["none"].host, start=0, stop=phase.steps))

    for number, batch in enumerate(prefetch(batches, mesh)):
        state, _ = step(state, batch, phase.rates[number])

    records = data.records["test"]
    padded = EvaluationBatches(len(records), padded_batch(8, mesh))
    columns, _ = collect(
        evaluation_program(method, objective, mesh),
        state.variables,
        held_out_batches(data.dataset, records, padded, pixels["device"].host),
        len(records),
        mesh=mesh,
        stored=pixels["device"].device,
    )
    arrays = {f"params/{name}": x for name, x in partition(state.variables["params"], ())[0].items()}
    arrays |= {f"batch/{name}": np.stack([batch[name] for batch in batches]) for name in batches[0]}
    for cache, source in pixels.items():
        placed = prefetch(
            training_batches(data.dataset, phase.sampler, source.host, start=0, stop=3), mesh, stored=source.device
        )
        arrays[f"cached/{cache}"] = np.stack([batch["image"] for batch in placed])
    return arrays | {"probabilities": columns["probabilities"]}


def pairs(of: Made, data_dir: Path, mesh: jax.sharding.Mesh) -> dict[str, np.ndarray]:
    """Three batches of pairs, and the terms of two synergic networks for the last of them, in float64."""
    loaded = open_pixels("none", of.data.dataset, of.data.size, data_dir, mesh)
    batches = list(training_batches(of.data.dataset, of.phase.sampler, loaded.host, start=0, stop=3))
    *_, last = prefetch(batches, mesh)

    @jax.jit
    def loss(variables: Variables, batch: Batch) -> Terms:
        return of.method.loss(variables, batch, jax.random.key(1), step=0, phase=of.phase.objective)[0]

    terms = loss(jax.device_put(of.variables, replicated(mesh)), last)
    sums = {f"terms/{name}": np.asarray(total) for name, (_, total, _) in terms.items()}
    return sums | {f"batch/pairs {name}": np.stack([batch[name] for batch in batches]) for name in batches[0]}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
