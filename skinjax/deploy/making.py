"""Make a bundle of finished runs: what is fitted on validation, what it was judged at, where it came from, examples."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skinjax.core.errors import Print, UserError, first_line
from skinjax.core.settings import to_plain
from skinjax.data.pipeline import load
from skinjax.data.synthetic.photographs import Painter, encode
from skinjax.data.synthetic.settings import Settings as Drawn
from skinjax.deploy import decisions, unlike
from skinjax.deploy.bundle import parts_of, write_bundle
from skinjax.deploy.decisions import Decisions
from skinjax.deploy.manifest import Figure
from skinjax.deploy.origins import NOT_MEDICAL, Origin, origins_of
from skinjax.evaluation import binary
from skinjax.evaluation.intervals import summary_with_intervals
from skinjax.evaluation.judgement import ensemble
from skinjax.evaluation.predictions import Predictions
from skinjax.evaluation.sources import Source, finished_parts, open_source
from skinjax.evaluation.text import HEADLINE, interval, protocol_in_words
from skinjax.methods.ensemble import united
from skinjax.model import Model, load_run
from skinjax.report.card import card_rows
from skinjax.report.subjects import Subject, open_subject
from skinjax.runs.experiment import open_run

Array = np.ndarray

EXAMPLES = 8
KEPT_PROTOCOL = ("config", "dataset", "synthetic", "part", "checkpoint", "steps", "seed", "view", "size")


def make_bundle(runs: Sequence[Path], out: Path, root: Path, positive: Sequence[str] = (), say: Print = print) -> None:
    """Write the bundle of a run, or of several that answer together."""
    if len({run.resolve() for run in runs}) < len(runs):
        raise UserError("a run is named twice: an ensemble is of different ones")
    models = [load_run(run) for run in runs]
    model = joined(models, runs)
    found = [open_source(run) for run in runs if finished_parts(run)]
    source = judged_together(found, len(runs), say)
    fitted = None
    if source and source.validation is not None:
        fitted = decisions.fitted(source.fitted_on(), positive, say)
    elif positive:
        raise UserError("--positive fixes its threshold on a validation part, and the runs have none in common")
    elif len(runs) == 1:
        say("no validation part: the bundle has no temperature, no prior correction and no conformal sets")
    subject = open_subject(runs[0], root=root) if found else None
    together = source if len(runs) > 1 else None  # the figures of a run alone are known
    summary = summary_with_intervals(together.table) if together else subject.found if source and subject else {}
    protocol = without_paths(source.table.protocol if source else models[0].origin.get("protocol", {}))
    figures = {metric: Figure(**fields(summary[metric])) for metric in HEADLINE if metric in summary}
    if source and fitted and fitted.question:
        figures |= points_of(fitted, source.table)
    judged = judged_on(summary, protocol) if source else ""
    apart = len(runs) > 1 and source is None  # each run was trained on what others validate with
    reference, limit = (None, None) if apart else features_of(model, runs[0], root, say)
    origins = origins_of([of.origin.get("protocol", {}) for of in models], root)
    write_bundle(
        out,
        model,
        decisions=fitted,
        reference=reference,
        unlike_from=limit,
        origins=origins,
        figures=figures,
        judged=judged,
        protocol={name: protocol[name] for name in KEPT_PROTOCOL if name in protocol},
        card=card(subject, figures, judged, origins, len(runs)),
        examples=drawn_examples(),
    )


def joined(models: Sequence[Model], runs: Sequence[Path]) -> Model:
    """The model of a run, or the one in which those of several answer together by the mean of their probabilities."""
    first, *others = models
    if not others:
        return first
    for model, run in zip(others, runs[1:], strict=True):
        if model.classes != first.classes:
            raise UserError(f"{run} tells other classes than {runs[0]}: an ensemble is of the same, in the same order")
        if model.spec.stored_size != first.spec.stored_size:
            raise UserError(
                f"{run} sees photographs of another stored_size than {runs[0]}: an ensemble is of runs with the same"
            )
    sizes = {len(model.members) for model in models}
    if len(sizes) > 1:
        raise UserError("the runs are of different numbers of snapshots, so that their mean would favour some of them")
    built = tuple(of for model in models for of in model.networks)
    variables = united([tree for model in models for tree in parts_of(model)])
    return Model(first.spec, first.classes, variables, first.facts, members=built)


def judged_together(found: Sequence[Source], count: int, say: Print) -> Source | None:
    """The tables of the runs as one; None where they were judged on different images, some of which others know."""
    if len(found) < count or not found:
        return None
    if len(found) == 1:
        return found[0]
    images = [set(of.table.image_ids.tolist()) for of in found]
    kept = [set() if of.validation is None else set(of.validation.image_ids.tolist()) for of in found]
    if any(of != images[0] for of in images) or any(of != kept[0] for of in kept):
        say(
            "the runs were judged on different images, on which others of them were trained: the bundle has no figures "
            "of them together, no temperature, no prior correction and no conformal sets"
        )
        return None
    return ensemble(found, "mean")


def points_of(fitted: Decisions, table: Predictions) -> dict[str, Figure]:
    """What the thresholds of the question, fixed on validation, come to on the part that was judged."""
    question, found = fitted.question, {}
    assert question is not None
    calibrated = dataclasses.replace(
        table, probabilities=decisions.calibrated(fitted, table.probabilities, table.classes), scores=None
    )
    asked = binary.answers(calibrated, question.positive)
    for name, threshold in question.points.items():
        at = binary.point(asked, threshold, name, None)
        for what, rate in (("sensitivity", at.sensitivity), ("specificity", at.specificity)):
            found[f"{what} at {threshold:.3g}, {name} on validation"] = Figure(**rate.as_dict())
    return found


def fields(summary: Mapping[str, Any]) -> dict[str, Any]:
    """What a `Figure` has of a figure in a summary."""
    return {name: summary.get(name) for name in ("value", "low", "high")}


def judged_on(summary: Mapping[str, Any], protocol: Mapping[str, Any]) -> str:
    """What figures are of, in words."""
    return f"{summary['images']:,} images of {summary['groups']:,} groups{protocol_in_words(protocol)}"


def without_paths(protocol: Mapping[str, Any]) -> dict[str, Any]:
    """A protocol without the folders of the machine that weights were read from."""
    weights = protocol.get("weights")
    if not isinstance(weights, Mapping):
        return dict(protocol)
    return {**protocol, "weights": {**weights, "source": Path(str(weights.get("source", ""))).name}}


def features_of(model: Model, run: Path, root: Path, say: Print) -> tuple[Array | None, float | None]:
    """Features of training photographs, and the distance from which one is unlike them, of a set that is at hand."""
    try:
        _, data, _ = open_run(run, root, lambda line: None)
    except UserError as error:
        say(f"no score for unlike photographs, as it needs the data set: {first_line(error)}")
        return None, None
    held_out = data.records["validation"]
    if not len(held_out):
        say("no score for unlike photographs, as it needs a validation part")
        return None, None
    rng = np.random.default_rng(0)
    train = np.sort(rng.permutation(data.records["train"])[: unlike.KEPT])
    validation = np.sort(rng.permutation(held_out)[: 4 * unlike.KEPT])
    try:
        kept, other = (model.features(load(data.dataset, of, data.size)) for of in (train, validation))
    except UserError as error:
        say(f"no score for unlike photographs: {first_line(error)}")
        return None, None
    reference = unlike.reference(kept)
    return reference, unlike.threshold(unlike.distances(other, reference))


def drawn_examples() -> list[bytes]:
    """Photographs that the generator draws, which are nobody's."""
    drawn = Painter(Drawn(images=EXAMPLES, height=150, width=200, classes=7, imbalance=1.0, seed=17))
    return [encode(drawn.draw(row)) for row in range(EXAMPLES)]


def card(
    subject: Subject | None, figures: Mapping[str, Figure], judged: str, origins: Mapping[str, Origin], count: int
) -> str:
    """The model card, as Markdown; what is not known stays a line to fill in."""
    rows = dict(card_rows(subject)) if subject else {}
    if rows.get("Began from"):
        rows["Began from"] = Path(rows["Began from"]).name
    if count > 1 and not figures:
        told = ("Judged on", "Macro recall", "Macro AUC", "Hardly known classes")
        rows = {name: "not judged together" if name in told else value for name, value in rows.items()}
    if count > 1:
        rows["Model"] = f"{count} networks, the mean of their probabilities; the first is {rows.get('Model', '')}"
    if figures:
        rows["Judged on"] = judged
        known = {name.lower(): name for name in rows}
        for metric, figure in figures.items():
            name = metric.replace("_", " ")
            rows[known.get(name, name.capitalize())] = interval(to_plain(figure))
    licences = [of.name + f": {of.licence}" + f". Cite: {of.citation}" * bool(of.citation) for of in origins.values()]
    rows["Licences of data and weights"] = "; ".join(licences)
    lines = [f"- **{name}**: {value or '(not filled in)'}" for name, value in rows.items()]
    return "\n".join(["# Model card", "", NOT_MEDICAL, "", *lines, ""])
