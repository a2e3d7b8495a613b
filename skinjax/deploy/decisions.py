"""What a bundle says beyond a network's probabilities: temperature, prior, conformal sets, a clinical question.

Everything is fitted on the validation part of the run when the bundle is made, and applied here to any photograph.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from skinjax.core.errors import Print, UserError
from skinjax.core.settings import ABOVE_ZERO, Settings, number
from skinjax.evaluation import binary
from skinjax.evaluation.calibration import TEMPERATURES, fit_temperature, with_temperature
from skinjax.evaluation.cases import one_of_each
from skinjax.evaluation.predictions import Predictions
from skinjax.evaluation.priors import DIFFERENT, TAUS, Shares, choose_tau, frequencies, training_prior, with_prior

Array = np.ndarray

ALWAYS = NEVER = 2.0  # which no probability is
EDGE = 0.05  # how near to the ends of what is tried, in logarithms, no temperature is believed
USUAL_POINT = "sensitivity 0.9"  # at which the answer to a question is yes
ALPHA = 0.1  # of conformal sets, which hold the true class of nine in ten
PRIORS = {
    "": "as the network was trained",
    "uniform": "for classes that are equally frequent",
    "natural": "for the frequencies of the validation part",
}


@dataclasses.dataclass(frozen=True)
class Question(Settings):
    """Is it one of the `positive` classes? Yes from `threshold` on; `points`: thresholds by what they are fixed for."""

    positive: tuple[str, ...] = ()
    threshold: float = number(0.5, 0, NEVER)
    points: Mapping[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Decisions(Settings):
    """What is fitted, in the order of the classes.

    temperature: 1 where none was found; prior: that of training, a stage at a time, none where it is not known;
    usual: the shares of the classes in validation; tau: how much of the training prior is taken off; farthest: of each
    class the largest 1 - p at which it is in a conformal set, ALWAYS where its validation lesions are too few
    """

    temperature: float = number(1.0, *TEMPERATURES)
    prior: tuple[Mapping[str, float], ...] = ()
    usual: tuple[float, ...] = number((), ABOVE_ZERO, 1)
    tau: float = number(1.0, 0, 10)
    farthest: tuple[float, ...] = number((), 0, ALWAYS)
    lesions: tuple[int, ...] = number((), 0)
    question: Question | None = None


def fitted(validation: Predictions, positive: Sequence[str] = (), say: Print = print) -> Decisions:
    """What the validation table of a run gives; `positive` are the classes of a clinical question, if there is one."""
    if len(set(positive)) < len(positive):
        raise UserError("--positive names a class twice: name each once")
    temperature = fit_temperature(validation)
    lowest, highest = np.log(TEMPERATURES) - np.log(temperature)
    if min(-lowest, highest) < EDGE:
        say(
            f"no temperature: the best is {temperature:.3g}, at the end of what is tried, as where a network gives "
            "its true class a probability of 0"
        )
        temperature = 1.0
    table = with_temperature(validation, temperature)
    usual = frequencies(table)
    limits, lesions = farthest(table)
    found = Decisions(temperature=temperature, usual=tuple(usual.tolist()), farthest=limits, lesions=lesions)
    if validation.protocol.get("training_prior") == DIFFERENT:
        say("no prior correction: the runs were trained for different frequencies of the classes")
    elif validation.protocol.get("training_prior"):
        prior = training_prior(validation)
        tau = choose_tau(table, prior, np.full(len(usual), 1 / len(usual)))
        if tau == TAUS[-1]:
            say(f"the correction for classes alike takes off {tau:g} times the prior of training, the largest tried")
        if reasons := validation.protocol["training_prior"].get("approximate"):
            say(f"the prior correction is approximate: {' and '.join(reasons)}")
        found = found.replace(prior=tuple(map(dict, prior)), tau=tau)
    if positive:
        asked = binary.answers(table, positive)
        points = {
            f"{what} {target:g}": min(float(binary.threshold_for(asked, target, what == "sensitivity")), NEVER)
            for what in ("sensitivity", "specificity")
            for target in binary.TARGETS
        }
        question = Question(positive=tuple(positive), threshold=points[USUAL_POINT], points=points)
        found = found.replace(question=question)
    return found


def farthest(table: Predictions, alpha: float = ALPHA) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """The conformal thresholds of each class, and how many lesions they are fitted on.

    A class is in the set where more than alpha of its validation lesions, the photograph counted, are at least as
    unlike: (1 + those) / (1 + all) > alpha, which the score of the lesion number floor(alpha (1 + all)) decides.
    """
    one, limits, lesions = one_of_each(table), [], []
    for label, _ in enumerate(table.classes):
        unlike = np.sort(1 - one.probabilities[one.labels == label, label].astype(float))[::-1]
        least = int(np.floor(alpha * (len(unlike) + 1) + 1e-9))
        limits.append(float(unlike[least - 1]) if least else ALWAYS)
        lesions.append(len(unlike))
    return tuple(limits), tuple(lesions)


def calibrated(decisions: Decisions, probabilities: Array, classes: Sequence[str], prior: str = "") -> Array:
    """Probabilities [n, classes] after the temperature, and for another prior of PRIORS."""
    table = as_table(probabilities, classes)
    if decisions.temperature != 1:
        table = with_temperature(table, decisions.temperature)
    if prior:
        uniform = np.full(len(classes), 1 / len(classes))
        target, tau = (uniform, decisions.tau) if prior == "uniform" else (np.array(decisions.usual), 1.0)
        stages: list[Shares] = list(decisions.prior)
        table = with_prior(table, stages, target, tau)
    return table.probabilities


def sets(decisions: Decisions, probabilities: Array) -> Array:
    """Which classes are in the conformal set of each row of `calibrated` probabilities: bool [n, classes]."""
    return 1 - probabilities <= np.array(decisions.farthest)


def score(question: Question, probabilities: Array, classes: Sequence[str]) -> Array:
    """The probability that the answer is yes [n]."""
    return probabilities[:, [classes.index(name) for name in question.positive]].sum(axis=1)


def entropy(probabilities: Array) -> Array:
    """How undecided each row is, from 0 to 1: the entropy over that of classes alike."""
    logs = np.log(np.maximum(probabilities, 1e-30))
    return -(probabilities * logs).sum(axis=1) / np.log(probabilities.shape[1])


def as_table(probabilities: Array, classes: Sequence[str]) -> Predictions:
    """Probabilities as a table of images without names or labels."""
    names = [str(row) for row in range(len(probabilities))]
    return Predictions(names, names, [-1] * len(names), [""] * len(names), probabilities, tuple(classes))  # type: ignore[arg-type]
