"""Weights drawn anew from the top down, and what is left of a map."""

import jax
import numpy as np

from skinjax.explain import grad_cam
from skinjax.explain.gradients import program
from skinjax.explain.randomised import explain_randomised, rank_correlations, replaced, steps
from tests.test_model import drawn, photographs


def test_from_the_head_down_to_the_whole_network():
    found = steps(drawn("restoration").method)
    assert list(found) == ["head", "features", "stage2", "stem"]
    assert found["head"] == ("head",)
    assert found["features"] == ("head", "backbone/features")
    assert found["stem"] == ("head", *(f"backbone/{s}" for s in ("features", "stage3", "stage2", "stage1", "stem")))
    of_two = steps(drawn("two_stage", members=2).method)["features"]
    assert len(of_two) == 2 * 2 * 2
    assert "member1/rest_backbone/features" in of_two


def test_the_rest_stays_as_it_was():
    model = drawn()
    other = jax.tree.map(lambda leaf: leaf + 1, {kind: model.variables[kind] for kind in ("params", "batch_stats")})
    changed = replaced(model.variables, other, ("head", "backbone/features"))
    assert jax.tree.structure(changed) == jax.tree.structure(model.variables)
    difference = jax.tree.map(lambda old, new: float(np.abs(new - old).max()), model.variables, changed)
    for kind in ("params", "batch_stats"):
        for name, stage in difference[kind]["backbone"].items():
            assert set(jax.tree.leaves(stage)) == {1.0 if name == "features" else 0.0}
    assert set(jax.tree.leaves(difference["params"]["head"])) == {1.0}


def test_maps_of_what_was_drawn_anew_are_others_by_the_same_program():
    model, images, classes = drawn(), photographs(3), np.array([0, 1, 2])
    own = grad_cam.explain(model, images, classes, "stage2", signed=True)
    programs = program.cache_info().misses
    found = dict(explain_randomised(model, images, classes, "stage2", signed=True))
    assert program.cache_info().misses == programs
    assert list(found) == list(steps(model.method))
    for maps in found.values():
        assert maps.raw["backbone"].shape == own.raw["backbone"].shape
        assert np.abs(maps.raw["backbone"] - own.raw["backbone"]).max() > 1e-6


def test_ranks_correlate_as_spearman_has_them():
    one = np.array([[[1.0, 2.0], [3.0, 4.0]]] * 4 + [[[0.0, 0.0], [0.0, 1.0]]])
    other = np.array(
        [[[10, 20], [30, 90]], [[4, 3], [2, 1]], [[5, 5], [5, 5]], [[1, 3], [2, 4]], [[0, 0], [1, 1]]], float
    )
    found = rank_correlations(one, other)
    np.testing.assert_allclose(found[[0, 1, 3]], [1, -1, 0.8])
    assert np.isnan(found[2])
    np.testing.assert_allclose(found[4], 1 / 3**0.5)  # equal values share the mean of their ranks: 2, 2, 2, 4
