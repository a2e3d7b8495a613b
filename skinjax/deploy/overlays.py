"""What the answer to each photograph rests on, as a picture beside it: Grad-CAM of the class that is predicted."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from skinjax.core.errors import UserError, os_errors_as_user_errors
from skinjax.data.acquire.sources import File
from skinjax.deploy.origins import NOT_MEDICAL
from skinjax.deploy.predicting import Photograph
from skinjax.deploy.predictor import Predictor
from skinjax.explain.grad_cam import explain
from skinjax.explain.sheet import overlays, shown_pictures
from skinjax.report.figures import save, tiled, view_panel

Array = np.ndarray
Rows = dict[str, Array]  # uint8 [n, H, W, 3] by what they show


class Overlays:
    """Writes a PNG for each photograph into a folder, under the names of the files."""

    def __init__(self, predictor: Predictor, folder: Path, files: Sequence[File]):
        self.predictor, self.folder = predictor, folder
        with os_errors_as_user_errors(f"{folder} cannot be made", "give another folder"):
            folder.mkdir(parents=True, exist_ok=True)
        self.names = unique_names([file.path for file in files])
        for name in self.names.values():
            path = folder / f"{name}.png"
            if path.exists() and not path.read_bytes().startswith(b"\x89PNG"):
                raise UserError(f"{path} is there and is no picture: give another folder to --explain")

    def drawn(self, found: Iterable[Photograph]) -> Iterator[Photograph]:
        """The photographs as they come, a picture of each on disk first."""
        batch: list[Photograph] = []
        for of in found:
            batch.append(of)
            if len(batch) == self.predictor.model.spec.batch:
                yield from self._drawn(batch)
                batch = []
        yield from self._drawn(batch)

    def _drawn(self, batch: list[Photograph]) -> Iterator[Photograph]:
        readable = [of for of in batch if of.pixels is not None]
        if readable:
            images = np.stack([np.asarray(of.pixels) for of in readable])
            answers = self.predictor.decide(np.stack([np.asarray(of.probabilities) for of in readable]))
            rows = rests_on(self.predictor, images, answers.predicted)
            for place, of in enumerate(readable):
                label = answers.predicted[place]
                told = f"{self.predictor.classes[label]} {answers.probabilities[place, label]:.2f}"
                shown = {what: pictures[place : place + 1] for what, pictures in rows.items()}
                figure = view_panel(shown, [told], title=NOT_MEDICAL)
                save(figure, self.folder / f"{self.names[of.path]}.png")
        yield from (dataclasses.replace(of, pixels=None) for of in batch)


def rests_on(predictor: Predictor, images: Array, classes: Array) -> Rows:
    """Photographs as they are, and in the colours of their maps for these classes, a row for each trunk."""
    model = predictor.model
    maps = explain(model, images, classes)
    rows = {"as stored": images} | overlays(shown_pictures(model, images), maps, "Grad-CAM", signed=False)
    grid = model.spec.views.crop_grid()
    return {what: tiled(row, grid) if row.ndim == 5 else row for what, row in rows.items()}


def unique_names(paths: Sequence[str]) -> dict[str, str]:
    """A name for a file of its own, of each path."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for path in dict.fromkeys(paths):
        name = stem = (
            path.strip("/").replace("/", "_").encode()[-180:].decode(errors="ignore").strip(".") or "photograph"
        )
        number = 1
        while name in taken:
            number += 1
            name = f"{stem}_{number}"
        taken.add(name)
        found[path] = name
    return found
