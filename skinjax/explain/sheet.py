"""What the answers of a network rest on, as rows of pictures, a column for each photograph, and as tables."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from skinjax.core.errors import UserError
from skinjax.evaluation.predictions import NUMBER
from skinjax.explain import grad_cam, guided_backprop
from skinjax.explain.attention import framed
from skinjax.explain.grad_cam import Maps, overlaid
from skinjax.explain.randomised import explain_randomised, rank_correlations
from skinjax.images.colour import to_bytes
from skinjax.images.views import make_views
from skinjax.methods.two_stage import STAGES, TwoStage
from skinjax.model import Model, normalisation

ATTENTION = "attention_"  # what the outputs of attention between patches are called, before its place
Rows = dict[str, np.ndarray]  # uint8 [n, H, W, 3] by what they show; of patches [n, patches, h, w, 3]
Table = tuple[Sequence[str], Iterable[Sequence[Any]]]  # header and rows


@dataclasses.dataclass(frozen=True, eq=False)
class Explained:
    """A network's answers to photographs: `outputs` of predict, the class that is explained, its maps, and all rows.

    classes: {name: [n] numbers}, '' for the class that is predicted; maps: Grad-CAM by the same names
    """

    model: Model
    outputs: dict[str, np.ndarray]
    classes: dict[str, np.ndarray]
    maps: dict[str, Maps]
    rows: Rows

    @property
    def probabilities(self) -> np.ndarray:
        """[n, classes]."""
        return self.outputs["probabilities"]

    def top_two(self) -> list[tuple[tuple[str, float], ...]]:
        """The likeliest two classes of each photograph, with their probabilities."""
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :2]
        return [
            tuple((self.model.classes[number], float(of[number])) for number in two)
            for two, of in zip(order, self.probabilities, strict=True)
        ]

    def deciding_stages(self, classes: np.ndarray) -> list[str]:
        """Which of two stages tells each of these classes apart; '' where there is one network."""
        method = getattr(self.model.method, "member", self.model.method)
        if not isinstance(method, TwoStage):
            return [""] * len(classes)
        return [STAGES[int(of_rest)] for of_rest in np.isin(classes, method.numbers[1])]


def explained(
    model: Model, images: np.ndarray, stage: str, names: Sequence[str], signed: bool, guided: bool
) -> Explained:
    """Of photographs uint8 [n, H, W, 3] as `Model.read` gives them; names: the classes to explain, or none."""
    outputs = model.predict(images)
    if "probabilities" not in outputs:
        raise UserError(
            "this run tells no classes, so there is no answer to explain: explain one whose last phase does"
        )
    # Two stages decide hard, however their probabilities are composed.
    predicted = outputs.get("hard", outputs["probabilities"]).argmax(axis=1)
    classes = {name: np.full(len(images), model.classes.index(name)) for name in names} or {"": predicted}
    shown, maps = shown_pictures(model, images), dict[str, Maps]()
    rows = {f"as stored\n{images.shape[1]}x{images.shape[2]}": images}
    for name, numbers in classes.items():
        maps[name] = grad_cam.explain(model, images, numbers, stage, signed)
        rows |= labelled(f"Grad-CAM\n{stage}", name, overlays(shown, maps[name], signed))
        if guided:
            gradients = guided_backprop.explain(model, images, numbers)
            pictures = {trunk: guided_backprop.drawn(of) for trunk, of in gradients.items()}
            rows |= labelled("guided back-\npropagation", name, pictures)
    for place in places(outputs):
        rows[f"attention on\n{place}"] = framed(shown, outputs[ATTENTION + place])
    if "reconstruction" in outputs:
        rows["reconstruction"] = to_bytes(outputs["reconstruction"], normalisation(model.spec, model.facts))
    return Explained(model, outputs, classes, maps, rows)


def shown_pictures(model: Model, images: np.ndarray) -> np.ndarray:
    """What the network is shown of photographs, as uint8; one patch a photograph is a picture."""
    colours = normalisation(model.spec, model.facts)
    shown = to_bytes(np.asarray(make_views(model.spec.views, colours)[1](jnp.asarray(images))), colours)
    return shown[:, 0] if shown.ndim == 5 and shown.shape[1] == 1 else shown


def overlays(shown: np.ndarray, maps: Maps, signed: bool) -> Rows:
    """The pictures in the colours of their maps, by trunk."""
    return {trunk: overlaid(shown, scaled, signed) for trunk, scaled in maps.scaled.items()}


def labelled(what: str, name: str, pictures: Rows) -> Rows:
    """Rows by what they show, for which class if it was asked for, and of which trunk if there are several."""
    return {
        "\n".join(filter(None, (what, name, trunk if len(pictures) > 1 else ""))): of for trunk, of in pictures.items()
    }


def places(outputs: dict[str, np.ndarray]) -> list[str]:
    """Where patches are scaled by attention."""
    return [name.removeprefix(ATTENTION) for name in outputs if name.startswith(ATTENTION)]


def randomised(
    of: Explained, images: np.ndarray, stage: str, signed: bool
) -> tuple[Rows, dict[tuple[str, str], np.ndarray]]:
    """The first map of each photograph and those of a network drawn anew from the top down, and how they correlate.

    correlations: {(the lowest part that is drawn anew, trunk): Spearman's [n]}
    """
    shown, (name, numbers) = shown_pictures(of.model, images), next(iter(of.classes.items()))
    rows, correlations = labelled("as trained", name, overlays(shown, of.maps[name], signed)), {}
    for lowest, maps in explain_randomised(of.model, images, numbers, stage, signed):
        for trunk, pictures in overlays(shown, maps, signed).items():
            found = correlations[lowest, trunk] = rank_correlations(of.maps[name].raw[trunk], maps.raw[trunk])
            several = f"\n{trunk}" if len(maps.raw) > 1 else ""
            rows[f"drawn anew\ndown to {lowest}{several}\nrank corr. {mean(found)}"] = pictures
    return rows, correlations


def randomised_table(correlations: dict[tuple[str, str], np.ndarray], names: Sequence[str]) -> Table:
    """A correlation for each photograph; none where a map is flat."""
    rows = [
        (name, lowest, trunk, "" if np.isnan(value) else f"{value:.6g}")
        for (lowest, trunk), values in correlations.items()
        for name, value in zip(names, values, strict=True)
    ]
    return ("photograph", "drawn_anew_down_to", "network", "rank_correlation"), rows


def mean(correlations: np.ndarray) -> str:
    """The mean of those that there are."""
    there = correlations[~np.isnan(correlations)]
    return f"{there.mean():.2f}" if len(there) else "none: flat maps"


def answers_table(of: Explained, names: Sequence[str], labels: Sequence[str]) -> Table:
    """A row for each photograph and class that is explained."""
    header = ("photograph", "true_class", "explained", "decided_by", "first", "p_first", "second", "p_second")
    rows = [
        (name, label, of.model.classes[number], stage, first, NUMBER % p, second, NUMBER % q)
        for numbers in of.classes.values()
        for name, label, number, stage, ((first, p), (second, q)) in zip(
            names, labels, numbers, of.deciding_stages(numbers), of.top_two(), strict=True
        )
    ]
    return header, rows


def maps_table(of: Explained, names: Sequence[str]) -> Table:
    """The values of Grad-CAM before they are scaled and enlarged."""

    def rows() -> Iterator[Sequence[Any]]:
        for numbers, maps in zip(of.classes.values(), of.maps.values(), strict=True):
            for trunk, values in maps.raw.items():
                patches = values if values.ndim == 4 else values[:, None]
                for (n, patch, row, column), value in np.ndenumerate(patches):
                    yield names[n], of.model.classes[numbers[n]], trunk, patch, row, column, f"{value:.6g}"

    return ("photograph", "class", "network", "patch", "row", "column", "value"), list(rows())


def attention_table(of: Explained, names: Sequence[str]) -> Table:
    """The weight of each patch."""
    weights = ((place, of.outputs[ATTENTION + place]) for place in places(of.outputs))
    rows = [
        (names[n], place, patch, f"{w:.6g}") for place, all_of in weights for (n, patch), w in np.ndenumerate(all_of)
    ]
    return ("photograph", "place", "patch", "weight"), list(rows)
