"""An answer in sentences for whoever uploaded the photograph."""

from collections.abc import Mapping, Sequence
from typing import Any

from skinjax.deploy.decisions import PRIORS
from skinjax.deploy.predictor import Predictor

FLAGS = {
    "blurred": "The photograph is blurred: take a sharp one.",
    "dark": "The photograph is dark: take it in more light.",
    "tiny": "The photograph is tiny: take a larger one.",
}
UNLIKE = "It is unlike the photographs that the network was trained on: the answer may mean nothing."


def sentences(predictor: Predictor, record: Mapping[str, Any]) -> list[str]:
    """What the record of a photograph says, the warnings first."""
    if "probabilities" not in record:
        return []
    known = predictor.decisions
    said = [UNLIKE] if record.get("unlike") else []
    said += [FLAGS[flag] for flag in record["flags"]]
    said.append(
        likeliest(record["top"][0], calibrated=known is not None and known.temperature != 1, prior=predictor.prior)
    )
    if "conformal_set" in record:
        said.append(in_set(record["conformal_set"]))
    if known and known.question and "yes" in record:
        asked = f"Is it {one_of(known.question.positive)}?"
        limit = f"{record['p_yes']:.2f}, where yes begins at {known.question.threshold:.2f}"
        said.append(f"{asked} {'Yes' if record['yes'] else 'No'} ({limit}).")
    return said


def likeliest(top: Sequence[Any], calibrated: bool, prior: str) -> str:
    """The likeliest class, as a frequency where probabilities were calibrated.

    >>> likeliest(["nv", 0.712], True, "")
    'Of a hundred photographs that are answered like this one, about 71 are nv.'
    """
    name, p = top
    if not calibrated:
        return f"The network gives {name} {p:.0%}, which was not calibrated."
    count = "more than 99" if p > 0.995 else f"about {100 * p:.0f}"
    told = f", {PRIORS[prior]}" if prior else ""
    return f"Of a hundred photographs that are answered like this one, {count} are {name}{told}."


def in_set(names: Sequence[str]) -> str:
    """A conformal set.

    >>> in_set(["nv", "bkl"])
    'nv or bkl: such sets hold the true class of nine in ten lesions of each class.'
    """
    if not names:
        return "No class is likely enough: nine of ten lesions of each class were more like it than this one."
    told = one_of(names) if len(names) > 1 else f"{names[0]} alone"
    return f"{told}: such sets hold the true class of nine in ten lesions of each class."


def one_of(names: Sequence[str]) -> str:
    """
    >>> one_of(["mel", "bcc", "akiec"])
    'mel, bcc or akiec'
    """
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last
