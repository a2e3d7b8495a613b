"""What the answers of a network rest on, as rows of pictures, a column for each photograph, and as tables."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from skinjax.evaluation.predictions import NUMBER
from skinjax.explain import grad_cam, guided_backprop
from skinjax.explain.attention import framed
from skinjax.explain.randomised import explain_randomised, rank_correlations
from skinjax.images.colour import to_bytes
from skinjax.images.views import make_views
from skinjax.methods.two_stage import STAGES, TwoStage
from skinjax.model import Model, normalisation

ATTENTION = "attention_"  # what the outputs of attention between patches are called, before its place
Rows = dict[str, np.ndarray]  # uint8 [n, H, W, 3] by what they show; of patches [n, patches, h, w, 3]
Table = Sequence[Sequence[Any]]  # the header first


class Explained(NamedTuple):
    """The outputs of `predict`, the numbers [n] of the classes that are explained, their maps, and all as pictures.

    classes and maps are by the name of a class, '' for the one that is predicted.
    """

    outputs: dict[str, np.ndarray]
    classes: dict[str, np.ndarray]
    maps: dict[str, grad_cam.Maps]
    rows: Rows


def explained(
    model: Model, images: np.ndarray, stage: str, names: Sequence[str], signed: bool, guided: bool
) -> Explained:
    """Of photographs uint8 [n, H, W, 3] as `Model.read` gives them; names: the classes to explain, or none."""
    outputs, shown = model.predict(images), shown_pictures(model, images)
    # Two stages decide hard, however their probabilities are composed.
    predicted = outputs.get("hard", outputs["probabilities"]).argmax(axis=1)
    classes = {name: np.full(len(images), model.classes.index(name)) for name in names} or {"": predicted}
    of = Explained(outputs, classes, {}, {f"as stored\n{images.shape[1]}x{images.shape[2]}": images})
    for name, numbers in classes.items():
        of.maps[name] = grad_cam.explain(model, images, numbers, stage, signed)
        of.rows.update(overlays(shown, of.maps[name], f"Grad-CAM\n{stage}\n{name}", signed))
        gradients = guided_backprop.explain(model, images, numbers) if guided else {}
        pictures = {trunk: guided_backprop.drawn(values) for trunk, values in gradients.items()}
        of.rows.update(by_trunk(f"guided back-\npropagation\n{name}", pictures))
    for place in places(outputs):
        of.rows[f"attention on\n{place}"] = framed(shown, outputs[ATTENTION + place])
    if "reconstruction" in outputs:
        of.rows["reconstruction"] = to_bytes(outputs["reconstruction"], normalisation(model.spec, model.facts))
    return of


def randomised(
    model: Model, of: Explained, images: np.ndarray, stage: str, signed: bool
) -> tuple[Rows, dict[tuple[str, str], np.ndarray]]:
    """The first map of each photograph and those of a network drawn anew from the top down, and how they correlate.

    correlations: {(the lowest part that is drawn anew, trunk): Spearman's [n]}
    """
    shown, (name, numbers) = shown_pictures(model, images), next(iter(of.classes.items()))
    rows, correlations = overlays(shown, of.maps[name], f"as trained\n{name}", signed), {}
    for lowest, maps in explain_randomised(model, images, numbers, stage, signed):
        for trunk, raw in maps.raw.items():
            found = correlations[lowest, trunk] = rank_correlations(of.maps[name].raw[trunk], raw)
            what = f"drawn anew\ndown to {lowest}\nrank corr. {mean(found)}" + f"\n{trunk}" * (len(maps.raw) > 1)
            rows[what] = grad_cam.overlaid(shown, maps.scaled[trunk], signed)
    return rows, correlations


def mean(correlations: np.ndarray) -> str:
    """The mean of those that there are."""
    there = correlations[~np.isnan(correlations)]
    return f"{there.mean():.2f}" if len(there) else "none (flat)"


def shown_pictures(model: Model, images: np.ndarray) -> np.ndarray:
    """What the network is shown of photographs, as uint8; one patch a photograph is a picture."""
    colours = normalisation(model.spec, model.facts)
    shown = to_bytes(np.asarray(make_views(model.spec.views, colours)[1](jnp.asarray(images))), colours)
    return shown[:, 0] if shown.ndim == 5 and shown.shape[1] == 1 else shown


def overlays(shown: np.ndarray, maps: grad_cam.Maps, what: str, signed: bool) -> Rows:
    """The pictures in the colours of their maps."""
    return by_trunk(what, {trunk: grad_cam.overlaid(shown, of, signed) for trunk, of in maps.scaled.items()})


def by_trunk(what: str, pictures: Rows) -> Rows:
    """Rows by what they show, and by whose trunk's it is if there are several."""
    what = what.strip()
    return {f"{what}\n{trunk}" if len(pictures) > 1 else what: of for trunk, of in pictures.items()}


def places(outputs: Mapping[str, np.ndarray]) -> list[str]:
    """Where patches are scaled by attention."""
    return [name.removeprefix(ATTENTION) for name in outputs if name.startswith(ATTENTION)]


def top_two(model: Model, outputs: Mapping[str, np.ndarray]) -> list[list[tuple[str, float]]]:
    """The likeliest two classes of each photograph, with their probabilities."""
    order = np.argsort(-outputs["probabilities"], axis=1, kind="stable")[:, :2]
    return [
        [(model.classes[number], float(probabilities[number])) for number in two]
        for two, probabilities in zip(order, outputs["probabilities"], strict=True)
    ]


def deciding_stages(model: Model, classes: np.ndarray) -> list[str]:
    """Which of two stages tells each of these classes apart; '' where there is one network."""
    method = getattr(model.method, "member", model.method)
    if not isinstance(method, TwoStage):
        return [""] * len(classes)
    return [STAGES[int(of_rest)] for of_rest in np.isin(classes, method.numbers[1])]


def tables(model: Model, of: Explained, names: Sequence[str], labels: Sequence[str]) -> dict[str, Table]:
    """What the pictures show, by file: the answers, the maps before they are enlarged, and attention's weights."""
    answers: list[Sequence[Any]] = [
        ("photograph", "true_class", "explained", "decided_by", "first", "p_first", "second", "p_second")
    ]
    for numbers in of.classes.values():
        columns = (names, labels, numbers, deciding_stages(model, numbers), top_two(model, of.outputs))
        for name, label, number, stage, ((first, p), (second, q)) in zip(*columns, strict=True):
            answers.append((name, label, model.classes[number], stage, first, NUMBER % p, second, NUMBER % q))
    maps = {
        (name or "predicted", trunk): raw if raw.ndim == 4 else raw[:, None]
        for name, found in of.maps.items()
        for trunk, raw in found.raw.items()
    }
    header = ("photograph", "explained", "network", "patch", "row", "column", "value")
    weights = {(place,): of.outputs[ATTENTION + place] for place in places(of.outputs)}
    found: dict[str, Table] = {"explain": answers, "grad_cam": [header, *in_rows(maps, names)]}
    if weights:
        found["attention"] = [("photograph", "place", "patch", "weight"), *in_rows(weights, names)]
    return found


def in_rows(arrays: Mapping[Any, np.ndarray], names: Sequence[str]) -> Iterator[Sequence[Any]]:
    """(photograph, key, place, value) of all values of arrays [n, ...]; what is not a number is left empty."""
    for key, values in arrays.items():
        for (n, *place), value in np.ndenumerate(values):
            yield names[n], *key, *place, "" if np.isnan(value) else f"{value:.6g}"
