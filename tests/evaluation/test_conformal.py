"""Conformal sets: their coverage, and classes that too few lesions speak for."""

import dataclasses

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.evaluation.conformal import conformal_sets, coverage
from tests.evaluation.tables import make_table, random_table


def test_every_class_is_covered_as_often_as_promised():
    validation, test = random_table(3000, 0, 2.0, 1), random_table(3000, 1, 2.0, 1)
    sets = conformal_sets(validation, test, alpha=0.1)
    found = coverage(test, sets)
    for name in ("all", *test.classes):
        assert found[name].low < 0.9 < found[name].high + 0.01
    assert 1 < sets.mean_size < 2
    assert sets.lesions.sum() == 3000


def test_a_set_is_counted_by_hand():
    # Nine lesions of each class whose own probability is .1, .2, ..., .9; a tenth of ten is one.
    own = np.arange(1, 10) / 10
    shares = np.concatenate([np.stack([own, 1 - own], axis=1), np.stack([1 - own, own], axis=1)])
    validation = make_table([0] * 9 + [1] * 9, shares, classes=("a", "b"))
    test = make_table([0, 0], [[0.15, 0.85], [0.05, 0.95]], classes=("a", "b"))
    # As unlike as .85: one of nine (.9) and itself, 2/10; as .95: itself alone, 1/10, which is not more than alpha.
    assert conformal_sets(validation, test).members.tolist() == [[True, True], [False, True]]


def test_a_class_with_few_lesions_enters_every_set():
    validation = make_table([0] * 20 + [1] * 8, [[0.9, 0.1]] * 20 + [[0.1, 0.9]] * 8, classes=("a", "b"))
    sets = conformal_sets(validation, make_table([0], [[1.0, 0.0]], classes=("a", "b")))
    assert sets.members.tolist() == [[True, True]]
    assert (sets.lesions.tolist(), sets.enough) == ([20, 8], 9)


def test_photographs_of_one_lesion_are_fitted_on_once():
    table = random_table(100, images_per_group=4)
    assert conformal_sets(table, table).lesions.sum() == 25


def test_other_classes_are_refused():
    table = random_table(50)
    with pytest.raises(UserError, match="other classes"):
        conformal_sets(dataclasses.replace(table, classes=("a", "b", "c")), table)
