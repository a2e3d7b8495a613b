"""Cases: groups from a file, photographs pooled, one of each, and what training has seen."""

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.evaluation.cases import one_of_each, pooled, seen_in_training, with_groups
from skinjax.evaluation.predictions import UNLABELLED
from tests.evaluation.tables import make_table

SHARES = [[0.8, 0.2, 0], [0.4, 0.6, 0], [0.1, 0.1, 0.8]]


def table(labels=(0, 0, 2), **others):
    return make_table(list(labels), SHARES, ["l1", "l1", "l2"], **others)


def test_a_case_is_the_mean_of_its_photographs():
    found = pooled(table())
    assert found.image_ids.tolist() == ["l1", "l2"]
    assert found.groups.tolist() == ["l1", "l2"]
    assert found.labels.tolist() == [0, 2]
    np.testing.assert_allclose(found.probabilities, [[0.6, 0.4, 0], [0.1, 0.1, 0.8]])


def test_logits_are_pooled_as_logarithms():
    found = pooled(make_table([0, 0], [[0.8, 0.1, 0.1], [0.2, 0.4, 0.4]], ["l1", "l1"]), "logits").probabilities[0]
    expected = np.sqrt(np.array([0.8 * 0.2, 0.1 * 0.4, 0.1 * 0.4]))
    np.testing.assert_allclose(found, expected / expected.sum())


def test_a_case_with_two_labels_is_refused():
    with pytest.raises(UserError, match="the case 'l1' has two labels, nv and mel"):
        pooled(table(labels=(0, 1, 2)))


def test_one_photograph_of_each_case_is_drawn_and_every_one_can_be():
    drawn = [one_of_each(table(), seed).image_ids.tolist() for seed in range(20)]
    assert {len(ids) for ids in drawn} == {2}
    assert {ids[0] for ids in drawn} == {"i000", "i001"}


def test_groups_and_clusters_come_from_a_file(tmp_path):
    path = tmp_path / "groups.csv"
    path.write_text("image_id,group,cluster\ni000,a,p1\ni001,b,p1\ni002,c,p2\nother,d,p3\n")
    found = with_groups(table(), path)
    assert found.groups.tolist() == ["p1", "p1", "p2"]
    assert pooled(found).image_ids.tolist() == ["a", "b", "c"]
    assert pooled(found).groups.tolist() == ["p1", "p1", "p2"]
    assert len(one_of_each(found)) == 3
    path.write_text("image_id,group\ni000,a\n")
    with pytest.raises(UserError, match=r"lacks 2 images of the table, such as 'i001'"):
        with_groups(table(), path)


def test_images_whose_lesion_was_trained_on_are_counted_by_class(tmp_path):
    path = tmp_path / "train.csv"
    path.write_text("image_id,group\nx,l1\ny,l9\n")
    assert seen_in_training(table(), path) == {"mel": (2, 2), "nv": (0, 0), "df": (0, 1)}
    path.write_text("image_id\ni002\n")
    assert seen_in_training(table(), path)["df"] == (1, 1)
    path.write_text("name\ni002\n")
    with pytest.raises(UserError, match="neither a column group nor image_id"):
        seen_in_training(table(), path)


def test_a_photograph_without_a_label_is_of_its_case():
    found = pooled(table(labels=(0, UNLABELLED, 2)))
    assert found.labels.tolist() == [0, 2]
