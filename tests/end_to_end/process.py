"""Run by test_processes.py as one of several processes: what each is told and loads must be what one process has.

python process.py DATA_DIR OUTPUT.npz COORDINATOR PROCESSES PROCESS
"""

import sys
import tempfile
from pathlib import Path

import jax
import numpy as np

from skinjax import processes
from skinjax.core.errors import UserError
from skinjax.data.caches import open_pixels
from skinjax.parallel import make_mesh, prefetch, process_rows, replicated
from skinjax.recipe.config_files import load_config
from skinjax.runs import building
from tests.end_to_end.conftest import TINY

STEPS = 3


def batches(data_dir: Path) -> dict[str, np.ndarray]:
    """Whole training batches as the devices have them, by name [steps, ...]."""
    config, *changes = (flag.removeprefix("--config=").removeprefix("--config.") for flag in TINY)
    recipe = load_config(config, changes)
    mesh = make_mesh(recipe.batch)
    with tempfile.TemporaryDirectory() as folder:
        data = building.make_data(recipe, Path(folder), data_dir, print)
    phase = building.make_phases(recipe, data)[0]
    pixels = open_pixels("none", data.dataset, data.size, data_dir, mesh)
    rows = process_rows(recipe.batch, mesh)
    placed = prefetch(building.phase_batches(recipe, data, pixels.host, phase, start=0, rows=rows), mesh)
    whole = jax.jit(lambda batch: batch, out_shardings=replicated(mesh))
    found = [jax.tree.map(np.asarray, whole(batch)) for batch, _ in zip(placed, range(STEPS), strict=False)]
    return {name: np.stack([batch[name] for batch in found]) for name in found[0]}


def main(data_dir: Path, output: Path, coordinator: str, count: int, number: int) -> None:
    processes.join(coordinator, count, number)
    assert jax.process_count() == count
    assert processes.told(lambda: [number, "only the first is asked"]) == [0, "only the first is asked"]
    precise = np.array([[1 / 3, 2.0**60 + 1]])
    told = processes.told_arrays(lambda: {("a", "b"): precise})
    np.testing.assert_array_equal(told["a", "b"], precise)  # float64, though jax computes in float32
    try:
        processes.told(refuse)
        raise AssertionError
    except UserError as error:
        assert str(error) == "no"  # noqa: PT017
    found = batches(data_dir)
    if processes.leads():
        np.savez(output, **found)
    processes.leave()


def refuse() -> None:
    raise UserError("no")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
