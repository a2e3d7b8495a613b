"""Sets of classes that hold the true one as often as promised, for every class (class-conditional conformal sets).

A class is in the set of a photograph unless fewer than alpha of the validation lesions of that class, the photograph
counted, were as unlike it. The score is one less the probability of the class ("hinge").
"""

import dataclasses

import numpy as np

from skinjax.core.errors import UserError
from skinjax.evaluation.cases import one_of_each
from skinjax.evaluation.predictions import Predictions
from skinjax.evaluation.proportions import Interval, proportion_interval

Array = np.ndarray


@dataclasses.dataclass(frozen=True)
class Sets:
    """Which classes are in each photograph's set, bool [N, classes], and how many lesions each class was fitted on.

    A class with fewer lesions than `enough` enters every set.
    """

    members: Array
    lesions: Array
    enough: int

    @property
    def mean_size(self) -> float:
        return float(self.members.sum(axis=1).mean())


def conformal_sets(validation: Predictions, predictions: Predictions, alpha: float = 0.1) -> Sets:
    """The sets of a table, fitted on one photograph of every lesion of the validation table."""
    try:
        from crepes import ConformalClassifier
    except ImportError:
        raise UserError("conformal sets need the package crepes: pip install 'skinjax[conformal]'") from None
    if validation.classes != predictions.classes:
        raise UserError("the validation table has other classes, or another order of them: give one of the same run")
    fitted_on = one_of_each(validation)
    unlike, members, lesions = 1 - predictions.probabilities, [], []
    for number in range(len(predictions.classes)):
        own = 1 - fitted_on.probabilities[fitted_on.labels == number, number]
        lesions.append(len(own))
        classifier = ConformalClassifier()
        classifier.fit(own)
        known = len(own) > 0
        p_values = classifier.predict_p(unlike[:, [number]], smoothing=False)[:, 0] if known else np.ones(len(unlike))
        members.append(p_values > alpha)
    return Sets(np.stack(members, axis=1), np.array(lesions), int(np.ceil(1 / alpha - 1e-9)) - 1)


def coverage(predictions: Predictions, sets: Sets, level: float = 0.95) -> dict[str, Interval]:
    """How often the set holds the true class, of all labelled photographs ('all') and of each class."""
    known = predictions.labelled
    inside = np.take_along_axis(sets.members, np.maximum(predictions.labels, 0)[:, None], axis=1)[:, 0]
    rows = {"all": known} | {name: predictions.labels == number for number, name in enumerate(predictions.classes)}
    return {name: proportion_interval(inside[row], predictions.groups[row], level) for name, row in rows.items()}
