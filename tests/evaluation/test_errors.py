"""Errors by pair, photograph and column, with the papers' printed matrices."""

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.evaluation.errors import (
    age_band,
    between,
    by_column,
    column_values,
    confident_hits,
    confident_mistakes,
    pairs,
    top_losses,
)
from skinjax.papers import paper_001, paper_002
from tests.evaluation.tables import make_table, random_table


def test_pairs_of_the_printed_matrices():
    balanced, unbalanced = (np.array(paper_002.CONFUSIONS[name]) for name in ("balanced", "unbalanced"))
    classes = paper_002.CLASSES
    assert (len(pairs(balanced, classes)), len(pairs(unbalanced, classes))) == (20, 12)
    assert [pair.errors for pair in pairs(balanced, classes)][:3] == [29, 25, 17]
    found = pairs(np.array(paper_001.CONFUSION), paper_001.CLASSES)
    assert [pair.errors for pair in found] == [65, 21, 21, 13, 10, 7, 7, 7, 6, 6, 6, 5]
    assert {found[0].first, found[0].second} == {"mel", "nv"}
    assert pairs(balanced, classes, least=30) == []


TABLE = make_table(
    [0, 1, 2, -1, 0],
    [[0.1, 0.9, 0], [0.3, 0.6, 0.1], [0.5, 0.4, 0.1], [1, 0, 0], [0.2, 0.2, 0.6]],
    metadata={"age": ["30", "45.0", "", "80", "29"], "sex": ["female", "male", "male", "male", ""]},
)


def test_top_losses_are_those_whose_own_class_is_least_likely():
    assert [(of.image_id, of.label, of.prediction) for of in top_losses(TABLE, 3)] == [
        ("i000", "mel", "nv"),
        ("i002", "df", "mel"),
        ("i004", "mel", "df"),
    ]
    assert top_losses(TABLE)[0].confidence == 0.9
    assert len(top_losses(TABLE)) == 4


def test_confident_hits_are_right_and_the_surest_first():
    assert [(of.image_id, of.confidence) for of in confident_hits(TABLE)] == [("i001", 0.6)]


def test_confident_mistakes_are_wrong_and_the_surest_first():
    assert [of.image_id for of in confident_mistakes(TABLE)] == ["i000", "i004", "i002"]


def test_errors_between_two_classes_are_those_either_way():
    assert [(of.image_id, of.label) for of in between(TABLE, "mel", "df")] == [("i004", "mel"), ("i002", "df")]
    assert between(TABLE, "nv", "df") == []
    assert len(between(TABLE, "mel", "df", most=1)) == 1


def test_ages_are_bands_and_what_is_not_known_is_a_kind_of_its_own():
    assert column_values(TABLE, "age").tolist() == ["30-44", "45-59", "", "75+", "0-29"]
    kinds = by_column(TABLE, "sex")
    assert [(kind.value, kind.images) for kind in kinds] == [("female", 1), ("male", 2), ("", 1)]
    assert kinds[1].shares["nv"]["recall"].value == 1
    with pytest.raises(UserError, match="no column 'skin_tone' to judge by; it has age, sex"):
        by_column(TABLE, "skin_tone")


def test_the_figures_of_a_kind_are_those_of_its_rows():
    table = random_table(200)
    whole = by_column(make_table(table.labels, table.probabilities, metadata={"site": ["back"] * 200}), "site")
    assert whole[0].macro_recall.value == pytest.approx(
        np.mean([np.mean(table.predicted[table.labels == k] == k) for k in range(3)])
    )


def test_ages_that_are_none_are_in_no_band():
    assert [age_band(text) for text in ("nan", "-5", "inf", "0", "29.9", "90", "old")] == [
        "",
        "-5",
        "inf",
        "0-29",
        "0-29",
        "75+",
        "old",
    ]
    years = ["50", "60"]
    table = make_table([0, 1], [[0.9, 0.1, 0], [0.1, 0.9, 0]], metadata={"agent": years, "age_approx": years})
    assert column_values(table, "agent").tolist() == ["50", "60"]
    assert column_values(table, "age_approx").tolist() == ["45-59", "60-74"]
