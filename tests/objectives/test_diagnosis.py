"""Factors by how a diagnosis was made, as the paper means them and as its code gives them."""

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.objectives.diagnosis import PAPERS_FACTORS, as_released, diagnosis_factors

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
KINDS = np.array(["histo", "consensus", "follow_up", "histo", "confocal", "consensus", "histo"])
LABELS = np.array([4, 5, 5, 5, 2, 3, 0])


@pytest.mark.parametrize(
    ("scope", "expected"),
    [("nv", [1, 1, 2, 4, 1, 1, 1]), ("benign", [1, 1, 2, 4, 3, 1, 1]), ("all", [4, 1, 2, 4, 3, 1, 4])],
)
def test_factors_hold_in_their_scope(scope, expected):
    assert diagnosis_factors(KINDS, LABELS, CLASSES, PAPERS_FACTORS, scope).tolist() == expected


def test_outside_of_the_scope_nobody_asks_how_a_diagnosis_was_made():
    kinds = np.where(LABELS == 5, KINDS, "")
    assert diagnosis_factors(kinds, LABELS, CLASSES, PAPERS_FACTORS, "nv").tolist() == [1, 1, 2, 4, 1, 1, 1]
    with pytest.raises(UserError, match="no factor for the diagnoses made by ''"):
        diagnosis_factors(kinds, LABELS, CLASSES, PAPERS_FACTORS, "benign")


def test_on_ham10000s_counts_they_triple_the_weight_of_nevi():
    """503 by consensus, 3,704 by follow-up and 2,498 by histopathology: a mean factor of 2.67."""
    kinds = np.repeat(["consensus", "follow_up", "histo"], [503, 3704, 2498])
    factors = diagnosis_factors(kinds, np.full(6705, 5), CLASSES, PAPERS_FACTORS, "nv")
    assert factors.mean() == pytest.approx((503 + 2 * 3704 + 4 * 2498) / 6705)
    assert factors.mean().round(2) == 2.67


def test_the_released_code_gives_an_image_the_factor_of_another():
    """Training on the records 1, 4 and 6 of images named in another order: the first three names' factors."""
    ids = np.array(["g", "b", "a", "d", "e", "f", "c"])
    found = as_released(KINDS, np.array([1, 4, 6]), ids, PAPERS_FACTORS)
    by_name = [PAPERS_FACTORS[KINDS[np.flatnonzero(ids == name)[0]]] for name in "abc"]
    assert found.tolist() == [1, by_name[0], 1, 1, by_name[1], 1, by_name[2]]


def test_the_released_factors_have_nothing_to_do_with_the_intended_ones():
    draws = np.random.default_rng(0)
    kinds = draws.choice(["consensus", "follow_up", "histo"], 10015, p=[0.09, 0.37, 0.54])
    training = np.sort(draws.choice(10015, 4993, replace=False))
    ids = np.array([f"ISIC_{number:07d}" for number in range(10015)])
    intended = diagnosis_factors(kinds, np.zeros(10015, int), ("nv",), PAPERS_FACTORS, "all")[training]
    given = as_released(kinds, training, ids, PAPERS_FACTORS)[training]
    assert abs(np.corrcoef(intended, given)[0, 1]) < 0.05
    assert 0.35 < (intended == given).mean() < 0.5


def test_what_has_no_factor_and_scopes_without_classes_are_named():
    with pytest.raises(UserError, match="no factor for the diagnoses made by 'confocal', 'histo'"):
        diagnosis_factors(KINDS, LABELS, CLASSES, {"consensus": 1.0, "follow_up": 2.0}, "all")
    with pytest.raises(UserError, match="'benign' has no class of the data set, which has cat, dog"):
        diagnosis_factors(KINDS[:2], np.array([0, 1]), ("cat", "dog"), PAPERS_FACTORS, "benign")
    with pytest.raises(UserError, match="'nevi'"):
        diagnosis_factors(KINDS, LABELS, CLASSES, PAPERS_FACTORS, "nevi")
