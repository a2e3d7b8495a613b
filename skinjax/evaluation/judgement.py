"""All that `skinjax evaluate` finds out about a table, as JSON-ready records, and those in words."""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from skinjax.core.errors import UserError
from skinjax.evaluation import binary, conformal, errors
from skinjax.evaluation.calibration import calibration_error, fit_temperature, with_temperature
from skinjax.evaluation.cases import CASE, one_of_each, pooled
from skinjax.evaluation.comparisons import FEWEST_RUNS, combined, holm, method_difference
from skinjax.evaluation.intervals import (
    auc_bounds,
    bootstrapped,
    drawn_of,
    paired_difference,
    percentiles,
    summary_with_intervals,
)
from skinjax.evaluation.metrics import SENSITIVITY, SPECIFICITY, evaluate
from skinjax.evaluation.predictions import Predictions
from skinjax.evaluation.priors import TAUS, choose_tau, frequencies, training_prior, with_prior
from skinjax.evaluation.proportions import Interval, json_number
from skinjax.evaluation.sources import Source
from skinjax.evaluation.text import aligned, format_figures, interval, per_class_lines

Record = dict[str, Any]

TARGETS = {
    "uniform": "all classes alike, as macro recall counts them",
    "natural": "the frequencies of the validation part",
}
COMPARED = ("macro_recall", "accuracy", "macro_auc")  # of two tables, unless other metrics are asked for
OF_PROBABILITIES = ("log_loss", "brier")
OTHERS = ("f1_weighted_true", "cohens_kappa", "matthews_correlation", "average_precision", "brier", "log_loss")
SKIN_TONE = ("skin_tone", "fitzpatrick", "fitzpatrick_skin_type", "monk")


@dataclasses.dataclass(frozen=True)
class Questions:
    """What is asked of a table; see the flags of `skinjax evaluate`."""

    positive: tuple[str, ...] = ()
    prevalence: float | None = None
    by: tuple[str, ...] = ()
    temperature: bool = False
    prior: str = ""
    conformal: bool = False
    cases: str = ""
    pairs: int = 5
    losses: int = 0
    replicates: int = 2000


def judged(source: Source, questions: Questions, known: Record | None = None) -> tuple[Predictions, Record]:
    """The table after what is fitted on validation, and what is found out about it.

    known: the table's own `summary_with_intervals`, of a run that keeps it
    """
    fit = fitted(source, questions.temperature, questions.prior)
    decided, natural = fit.decided, fit.natural
    counts = decided.protocol.get("training_counts")
    counted = counts if isinstance(counts, dict) and counts.keys() == set(decided.classes) else {}
    training_counts = [counted[name] for name in decided.classes] if counted else None
    if not all(isinstance(count, int | float) for count in training_counts or ()):
        training_counts = None
    found = dict(known) if known and decided is source.table else None
    found = found or summary_with_intervals(
        decided, replicates=questions.replicates, small=source.small, training_counts=training_counts
    )
    if CASE in decided.metadata:
        found["units"] = "clusters"
    if decided is not natural:
        found |= bootstrapped(natural, OF_PROBABILITIES, replicates=questions.replicates)
    found["calibration_error"] = {"value": json_number(calibration_error(natural)), "low": None, "high": None}
    found |= {"name": source.name, "part": source.part, "fitted": fit.record}
    found["pairs"] = [
        pair._asdict() for pair in errors.pairs(np.array(found["confusion"]), decided.classes, questions.pairs)
    ]
    if questions.losses:
        found["top_losses"] = [of._asdict() for of in errors.top_losses(decided, questions.losses)]
        found["confident_mistakes"] = [of._asdict() for of in errors.confident_mistakes(decided, questions.losses)]
    if questions.positive:
        found["question"] = clinical(source, fit, questions)
    found["by"] = {column: by_column(fit, column, found.get("question")) for column in questions.by}
    if questions.conformal:
        found["conformal"] = sets_record(fit, conformal.conformal_sets(fit.validation_natural(), natural))
    if questions.cases:
        found["cases"] = case_records(decided, questions)
    if fit.record:  # or what reads the table would correct it once more
        decided = dataclasses.replace(decided, protocol={**decided.protocol, "fitted": fit.record})
    return decided, found


@dataclasses.dataclass(frozen=True)
class Fitted:
    """A table for decisions and one whose probabilities are of the natural prior, each beside its validation table."""

    source: Source
    decided: Predictions
    natural: Predictions
    validation: Predictions | None
    record: Record

    def validation_natural(self) -> Predictions:
        self.source.fitted_on()  # or it is refused
        assert self.validation is not None
        return self.validation


def fitted(source: Source, temperature: bool, prior: str) -> Fitted:
    """Fit on the validation table, and apply to both: a temperature, then another prior for decisions.

    Probabilities are judged at the prior of the validation part, with tau 1.
    """
    table, record = source.table, dict[str, Any]()
    if not (temperature or prior):
        return Fitted(source, table, table, source.validation, record)
    if table.protocol.get("fitted"):
        raise UserError(f"{source.name} is a table that was corrected before: correct the one that it was made from")
    kept = source.fitted_on()
    if temperature:
        found = record["temperature"] = fit_temperature(kept)
        table, kept = with_temperature(table, found), with_temperature(kept, found)
    if not prior:
        return Fitted(source, table, table, kept, record)
    trained, usual = training_prior(source.table), frequencies(kept)
    target = usual if prior == "natural" else np.full(len(usual), 1 / len(usual))
    tau = choose_tau(kept, trained, target)
    approximate = source.table.protocol["training_prior"].get("approximate", [])
    record |= {"prior": prior, "tau": tau, "approximate": approximate}
    natural = [with_prior(of, trained, usual, 1.0) for of in (table, kept)]
    return Fitted(source, with_prior(table, trained, target, tau), natural[0], natural[1], record)


def clinical(source: Source, fit: Fitted, questions: Questions) -> Record:
    """The clinical question: ranking, operating points, net benefit, and the calibration of its score."""
    found = binary.answers(fit.natural, questions.positive)
    truth, scores = found.positive, found.scores
    record: Record = {
        "positive": list(questions.positive),
        "images": len(found.scores),
        "yes": int(found.positive.sum()),
    }
    record["prevalence"] = found.positive.mean().item() if questions.prevalence is None else questions.prevalence
    positives, negatives = (len(np.unique(found.groups[rows])) for rows in (truth, ~truth))
    for name, figure in (("auc", binary.auc), ("area_above_0.8_sensitivity", binary.partial_area)):
        drawn = drawn_of(found.groups, functools.partial(figure, truth, scores), questions.replicates)
        value = json_number(figure(truth, scores))
        bounds = auc_bounds(value, positives, negatives, drawn) if name == "auc" else percentiles(drawn)
        record[name] = {"value": value, **dict(zip(("low", "high"), map(json_number, bounds), strict=True))}
    own = fit.validation is None
    fixed_on = found if own else binary.answers(fit.validation_natural(), questions.positive)
    where = "read off the curve of the table that is judged" if own else "fixed on validation"
    points = []
    for target in binary.TARGETS:
        for what in ("sensitivity", "specificity"):
            threshold = binary.threshold_for(fixed_on, target, what == "sensitivity")
            points.append(_point(binary.point(found, threshold, f"{what} {target:g}, {where}", questions.prevalence)))
    points.append(_point(binary.point(found, 0.5, "as likely as not", questions.prevalence)))
    record["points"] = points
    benefits = [(risk, *binary.net_benefit(found, risk, questions.prevalence)) for risk in binary.RISKS]
    record["net_benefit"] = [dict(zip(("risk", "model", "always"), of, strict=True)) for of in benefits]
    slope, intercept = binary.calibration_line(found)
    return record | {"slope": json_number(slope), "intercept": json_number(intercept)}


def by_column(fit: Fitted, column: str, question: Record | None) -> list[Record]:
    """The figures of each kind of photograph, and the answers to the question at its first threshold."""
    records = []
    for kind in errors.by_column(fit.decided, column):
        record = _kind(kind)
        if question:
            rows = errors.where_column(fit.natural, column, kind.value)
            at = question["points"][0]
            of = binary.point(binary.answers(rows, question["positive"]), at["threshold"], at["chosen"])
            record["question"] = {"sensitivity": of.sensitivity.as_dict(), "specificity": of.specificity.as_dict()}
        records.append(record)
    return records


def sets_record(fit: Fitted, sets: conformal.Sets) -> Record:
    """Coverage and size of conformal sets, and the classes of too few lesions."""
    lesions = dict(zip(fit.natural.classes, sets.lesions.tolist(), strict=True))
    return {
        "score": "1 - p (hinge)",
        "alpha": 0.1,
        "mean_size": sets.mean_size,
        "coverage": {name: of.as_dict() for name, of in conformal.coverage(fit.natural, sets).items()},
        "lesions": lesions,
        "in_every_set": [name for name, count in lesions.items() if count < sets.enough],
    }


def case_records(table: Predictions, questions: Questions) -> Record:
    """The figures of cases, their photographs pooled, and of one photograph of each, drawn at random."""
    together = summary_with_intervals(pooled(table, questions.cases), replicates=questions.replicates)
    single = summary_with_intervals(one_of_each(table), replicates=questions.replicates)
    return {"pool": questions.cases, "pooled": together, "one_of_each": single}


def ensemble(sources: Sequence[Source], how: str) -> Source:
    """One source of several: their tables combined, and their validation tables, where all have one."""
    table = combined([source.table for source in sources], how)
    kept = [source.validation for source in sources if source.validation is not None]
    validation = combined(kept, how) if len(kept) == len(sources) else None
    return Source(f"{how} of {len(sources)}", table, validation, sources[0].part)


def lines(found: Record) -> Iterator[str]:
    """What was found out about a table, for people."""
    yield format_figures(found["part"] or found["name"], found)
    yield ""
    yield from per_class_lines(found)
    yield f"at {SPECIFICITY:g} specificity, read off these curves, sensitivity is {', '.join(sensitivities(found))}"
    for k, of in found["small_classes"].items():
        figures = ", ".join(f"{name} {_number(of[name])}" for name in ("recall", "precision", "f1"))
        yield f"the {k} smallest class{'es' * (k != '1')} ({', '.join(of['classes'])}): {figures}"
    if any(of["few"] for of in found["per_class"].values()):
        yield "few: so few groups that the figures of the class are hardly known"
    yield ""
    yield from aligned([name.replace("_", " "), interval(found[name])] for name in (*OTHERS, "calibration_error"))
    if found["fitted"]:
        told = [f"{name} {_short(of)}" for name, of in found["fitted"].items() if of]
        edge = " (the largest that is tried)" if found["fitted"].get("tau") == TAUS[-1] else ""
        yield "fitted on validation: " + ", ".join(told) + edge
    if found["pairs"]:
        yield "\nerrors between two classes, either way:"
        yield from aligned([f"  {of['first']} - {of['second']}", str(of["errors"])] for of in found["pairs"])
    for title in ("top_losses", "confident_mistakes"):
        if found.get(title):
            yield f"\n{title.replace('_', ' ')}:"
            yield from aligned(
                [
                    "  " + of["image_id"],
                    of["label"],
                    f"taken for {of['prediction']}",
                    f"{of['confidence']:.3f}",
                    f"own class {of['of_label']:.3f}",
                ]
                for of in found[title]
            )
    for column, kinds in found["by"].items():
        yield f"\nby {column}:"
        rates = ("sensitivity", "specificity") if "question" in found else ()
        rows = [["  value", "images", "groups", "macro recall", *rates]]
        for of in kinds:
            cells = [interval(of["macro_recall"]), *(interval(of["question"][name]) for name in rates)]
            rows.append([f"  {of['value'] or '(unknown)'}", str(of["images"]), str(of["groups"]), *cells])
        yield from aligned(rows)
    if found["by"] and not set(SKIN_TONE) & found["by"].keys():
        yield "skin tone: not assessed"
    yield from _question_lines(found.get("question"))
    yield from _set_lines(found.get("conformal"))
    if "cases" in found:
        yield ""
        yield format_figures(f"{found['cases']['pool']} pooled", found["cases"]["pooled"], "cases")
        yield format_figures("one photograph of each case", found["cases"]["one_of_each"])


def sensitivities(found: Record) -> list[str]:
    """That of each class at the fixed specificity, where there is one."""
    known = {name: of[SENSITIVITY] for name, of in found["per_class"].items()}
    return [f"{interval(of)} of {name}" for name, of in known.items() if of["value"] is not None] or ["not known"]


def _question_lines(found: Record | None) -> Iterator[str]:
    if not found:
        return
    yield f"\nis it {' or '.join(found['positive'])}? {found['yes']} of {found['images']} are"
    yield f"  AUC {interval(found['auc'])}"
    yield f"  area above sensitivity 0.8 {interval(found['area_above_0.8_sensitivity'])} of 0.2"
    rows = [["  threshold", "sensitivity", "specificity", "PPV", "NPV", "chosen for"]]
    for of in found["points"]:
        rates = [interval(of[name]) for name in ("sensitivity", "specificity")]
        rows.append([f"  {of['threshold']:.3g}", *rates, _number(of["ppv"]), _number(of["npv"]), of["chosen"]])
    yield from aligned(rows)
    yield f"  PPV, NPV and net benefit at a prevalence of {100 * found['prevalence']:.3g} %"
    risks = [f"{of['model']:.4f} at risk {of['risk']:g} (always {of['always']:.4f})" for of in found["net_benefit"]]
    yield f"  net benefit {', '.join(risks)}"
    yield f"  calibration slope {_number(found['slope'])}, intercept {_number(found['intercept'])}"


def _set_lines(found: Record | None) -> Iterator[str]:
    if not found:
        return
    yield f"\nconformal sets, alpha {found['alpha']:g}, score {found['score']}: {found['mean_size']:.2f} classes each"
    rows = [[f"  {name}", interval(of)] for name, of in found["coverage"].items()]
    yield from aligned([["  covered", ""], *rows])
    if found["in_every_set"]:
        yield f"  in every set, for too few lesions in validation: {', '.join(found['in_every_set'])}"


def difference_lines(sources: Sequence[Source], metrics: Sequence[str], replicates: int) -> Iterator[str]:
    """Each table minus the first, paired; of other images than the first's, nothing can be said."""
    yield f"\nminus {sources[0].name}, paired by group (two networks, not two methods):"
    yield from aligned([f"  {name}", *cells] for name, *cells in difference_rows(sources, metrics, replicates))


def difference_rows(sources: Sequence[Source], metrics: Sequence[str], replicates: int) -> list[list[str]]:
    """Name, metric, difference from the first and p-value of every other table."""
    first, *others = sources
    rows = []
    for source in others:
        for metric in metrics:
            found = paired_difference(first.table, source.table, metric, replicates=replicates)
            rows.append([source.name, metric.replace("_", " "), signed(found), f"p {found.p_value:.3g}"])
    return rows


def method_lines(sources: Sequence[Source], metrics: Sequence[str], replicates: int) -> Iterator[str]:
    """Each method (sources of one name) with its figures, and minus the first."""
    methods: dict[str, list[Predictions]] = {}
    for source in sources:
        methods.setdefault(source.name, []).append(source.table)
    if not all(source.table.labelled.any() for source in sources):
        raise UserError("--methods compares figures, and a table has no label: give labelled ones")
    if len(methods) < 2:
        raise UserError("--methods compares two methods or more: name them, as in A=RUN A=RUN B=RUN B=RUN")
    rows = [["", "runs", *(f"{metric.replace('_', ' ')}" for metric in metrics)]]
    for name, tables in methods.items():
        values = {metric: np.array([evaluate(table, metric) for table in tables]) for metric in metrics}
        rows.append([name, str(len(tables)), *(f"{of.mean():.4f} ({of.std():.4f})" for of in values.values())])
    yield "mean (standard deviation, ddof 0) over the runs"
    yield from aligned(rows)
    first, *others = methods
    found = [
        (name, metric, method_difference(methods[first], methods[name], metric, replicates=replicates))
        for name in others
        for metric in metrics
    ]
    adjusted = holm([of.p_value for *_, of in found])
    rows = [["", "metric", f"minus {first}", "", "p (Holm)"]]
    for (name, metric, of), p_value in zip(found, adjusted, strict=True):
        bounds = "" if np.isnan(of.low) else f" [{of.low:+.4f}, {of.high:+.4f}]"
        rows.append(
            [name, metric.replace("_", " "), f"{of.value:+.4f}{bounds}", of.verdict, _number(json_number(p_value))]
        )
    yield ""
    yield from aligned(rows)
    if any(of.runs < FEWEST_RUNS for *_, of in found):
        yield f"fewer than {FEWEST_RUNS} runs of a method decide nothing"


def signed(found: Interval) -> str:
    """A difference with its interval."""
    bounds = "" if np.isnan(found.low) else f" [{found.low:+.4f}, {found.high:+.4f}]"
    return f"{found.value:+.4f}{bounds}"


def _point(of: binary.Point) -> Record:
    rates = {"sensitivity": of.sensitivity.as_dict(), "specificity": of.specificity.as_dict()}
    return {
        "chosen": of.chosen,
        "threshold": of.threshold,
        **rates,
        "ppv": json_number(of.ppv),
        "npv": json_number(of.npv),
    }


def _kind(of: errors.Kind) -> Record:
    shares = {
        name: {figure: found.as_dict() for figure, found in figures.items()} for name, figures in of.shares.items()
    }
    return {
        "value": of.value,
        "images": of.images,
        "groups": of.groups,
        "macro_recall": of.macro_recall.as_dict(),
        "classes": shares,
    }


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _short(value: Any) -> str:
    if isinstance(value, list):
        return " and ".join(value)
    return value if isinstance(value, str) else f"{value:.3g}"
