"""What the batches of a phase hold of each image: its pixels, or what a frozen trunk says of it, computed once."""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.core.errors import Print
from skinjax.data.caches import Pixels
from skinjax.data.pipeline import held_out_batches
from skinjax.data.sampling.samplers import EvaluationBatches
from skinjax.data.splits.parts import Data
from skinjax.methods.base import FeatureMethod, Method, Variables
from skinjax.model import variable_shapes
from skinjax.parallel import check_fits, padded_batch, process_rows, put_whole
from skinjax.recipe.recipe import Recipe
from skinjax.training.inference import Columns, collect
from skinjax.training.phases import Phase
from skinjax.training.programs import Program, features_program


@dataclasses.dataclass
class Inputs:
    """`inputs(phase, variables)` is where the batches of a phase that has these variables come from.

    Features are those of the images of `parts`. They lie on every device by record number, as cached pixels do, for as
    long as their phase lasts; a run that goes on computes the same ones again. `check` is called before every batch.
    """

    recipe: Recipe
    method: Method
    data: Data
    pixels: Pixels
    mesh: jax.sharding.Mesh
    parts: Sequence[str]
    check: Callable[[], None] = lambda: None
    say: Print = print
    _phase: str = ""
    _features: Pixels = dataclasses.field(default_factory=Pixels)

    def __call__(self, phase: Phase, variables: Variables) -> Pixels:
        if not phase.objective.stored_features:
            self.forget()
            return self.pixels
        if phase.name != self._phase:
            self._phase, self._features = phase.name, Pixels(device={"features": self._computed(phase, variables)})
        return self._features

    def forget(self) -> None:
        """Compute features anew when they are asked for next, of another trunk."""
        self._phase, self._features = "", Pixels()

    def check_memory(self, phases: Sequence[Phase]) -> None:
        """Refuse features that do not fit, before anything is trained."""
        for phase in phases:
            if phase.objective.stored_features:
                size, method = self.data.size, self._method()
                image = jax.ShapeDtypeStruct((1, size.height, size.width, 3), jnp.uint8)
                variables = variable_shapes(method, size, len(self.data.dataset.classes))
                row = jax.eval_shape(method.features, variables, image)
                needed = len(self.data.dataset) * row.size * row.dtype.itemsize
                instead = f"set phases.{phase.name}.features to computed"
                check_fits(needed, self.mesh, f"the stored features of phase {phase.name!r}", instead)

    def outputs(
        self, program: Program, variables: Variables, records: np.ndarray, source: Pixels
    ) -> tuple[Columns, dict[str, float]]:
        """What an evaluation program says of `records`, a row for each; see `skinjax.training.inference.collect`."""
        batches = EvaluationBatches(len(records), padded_batch(self.recipe.batch, self.mesh))
        rows, threads = process_rows(batches.batch, self.mesh), self.recipe.logging.threads
        loaded = held_out_batches(self.data.dataset, records, batches, source.host, rows=rows, threads=threads)
        return collect(program, variables, loaded, len(records), mesh=self.mesh, stored=source.device, check=self.check)

    def _computed(self, phase: Phase, variables: Variables) -> jax.Array:
        """The features of every record, zero of those that are in none of `parts`."""
        records = np.concatenate([self.data.records[part] for part in self.parts])
        self.say(f"phase {phase.name}: the frozen network reads {len(records)} images once")
        columns, _ = self.outputs(features_program(self._method(), self.mesh), variables, records, self.pixels)
        found = columns["features"]
        features = np.zeros((len(self.data.dataset), *found.shape[1:]), found.dtype)
        features[records] = found
        return put_whole(features, self.mesh)

    def _method(self) -> FeatureMethod:
        assert isinstance(self.method, FeatureMethod)  # or the phase was refused
        return self.method
