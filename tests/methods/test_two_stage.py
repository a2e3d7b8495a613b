"""The dominant class against the rest, then the rest: composition, the images of each stage, its own figures."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.methods.base import Objective
from skinjax.methods.classifier import Classifier
from skinjax.methods.two_stage import TwoStage, TwoStageSettings, build
from skinjax.objectives.losses import ClassificationLoss
from skinjax.training.inference import _mean

ONE, OTHER = {"dominant": 1.0, "rest": 0.0}, {"dominant": 0.0, "rest": 1.0}


@pytest.fixture(scope="module", params=[False, True], ids=["two networks", "shared trunk"])
def two(request, make, begin):
    """The method for the classes akiec, df and nv, of which nv is dominant, and its variables."""
    method = build(make(Classifier).parts, TwoStageSettings(shared_trunk=request.param))
    return method, begin(method)


def of_classes(make, count, *dominant):
    """The method of the smallest parts for so many classes a, b, c, ...."""
    parts = make(Classifier, classes=tuple("abcdefg"[:count])).parts
    return build(parts, TwoStageSettings(dominant=dominant))


def test_the_papers_probabilities_are_composed(make):
    """Hard and soft decide otherwise where the second stage is sure and the first is not."""
    method = of_classes(make, 7, "a")
    first, second = jnp.array([[0.45, 0.55]]), jnp.array([[0.6, 0.4, 0, 0, 0, 0]])
    soft, hard = (np.asarray(method.composed(first, second, name)) for name in ("soft", "hard"))
    np.testing.assert_allclose(soft, [[0.45, 0.33, 0.22, 0, 0, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(hard, [[0, 0.6, 0.4, 0, 0, 0, 0]], atol=1e-6)
    sure = np.asarray(method.composed(jnp.array([[0.51, 0.49]]), second, "hard"))
    np.testing.assert_allclose(sure, [[0.51, 0.294, 0.196, 0, 0, 0, 0]], atol=1e-6)


@pytest.mark.parametrize(("largest", "least"), [(0.6, 0.375), (0.8, 4 / 9)])
def test_they_differ_from_where_the_second_stage_is_outweighed_up_to_a_half(make, largest, least):
    """For m / (1 + m) < p <= 1/2."""
    method = of_classes(make, 3, "a")
    second = jnp.array([[largest, 1 - largest]])
    for chance in np.linspace(0.3, 0.6, 31) + 1e-4:
        decided = {
            int(method.composed(jnp.array([[chance, 1 - chance]]), second, name).argmax()) for name in ("hard", "soft")
        }
        assert (len(decided) == 2) == (least < chance <= 0.5)


def test_several_dominant_classes_are_told_apart_by_the_first_stage(make):
    method = of_classes(make, 5, "d", "b")
    assert [task.classes for task in method.tasks] == [("b", "d", "rest"), ("a", "c", "e")]
    first, second = jnp.array([[0.3, 0.4, 0.3], [0.2, 0.3, 0.5]]), jnp.array([[0.5, 0.25, 0.25]] * 2)
    hard = np.asarray(method.composed(first, second, "hard"))
    np.testing.assert_allclose(hard, [[0.15, 0.3, 0.075, 0.4, 0.075], [0.5, 0, 0.25, 0, 0.25]], atol=1e-6)
    np.testing.assert_allclose(method.composed(first, second, "soft").sum(axis=1), 1, atol=1e-6)


def test_an_answer_is_composed_of_both_stages(two, batch):
    method, variables = two
    outputs = jax.jit(method.predict)(variables, batch["image"])
    assert outputs["dominant"].shape == outputs["rest"].shape == (6, 2)
    np.testing.assert_allclose(outputs["soft"][:, 2], outputs["dominant"][:, 0], rtol=1e-6)
    np.testing.assert_allclose(outputs["soft"][:, :2], outputs["dominant"][:, 1:] * outputs["rest"], rtol=1e-6)
    np.testing.assert_array_equal(outputs["probabilities"], outputs["hard"])
    decided = np.where(outputs["dominant"][:, 0] > 0.5, 2, outputs["rest"].argmax(axis=1))
    np.testing.assert_array_equal(outputs["hard"].argmax(axis=1), decided)
    assert outputs["pooled"].shape == (6, 2 * 32)


def test_each_stage_has_the_images_and_counts_of_its_classes(two, batch, loss, phase):
    """Of six images two are nv; 4, 1 and 7 are there to train on."""
    method, variables = two
    np.testing.assert_array_equal(variables["constants"]["dominant_counts"], [7, 5])
    np.testing.assert_array_equal(variables["constants"]["rest_counts"], [4, 1])
    terms, _ = loss(method, variables, batch)
    by_stage = {"dominant": [12 / 14] * 2 + [12 / 10] * 4, "rest": [5 / 8] * 2 + [5 / 2] * 2}
    for stage, weights in by_stage.items():
        assert terms[stage][2] == pytest.approx(sum(weights), rel=1e-6)
    alone, _ = loss(method, variables, batch, phase=phase(coefficients=tuple(ONE.items())))
    assert list(alone) == ["dominant"]
    np.testing.assert_allclose(alone["dominant"][1], terms["dominant"][1], rtol=1e-5)


def test_a_stage_that_is_not_trained_has_no_gradient(two, batch, gradient, phase):
    method, variables = two
    grads, values, _ = gradient(method, variables, batch, phase=phase(coefficients=tuple(OTHER.items())))
    assert set(values) == {"loss", "rest"}
    assert not any(x.any() for x in jax.tree.leaves(grads["dominant_head"]))
    assert any(x.any() for x in jax.tree.leaves(grads["rest_head"]))
    if not method.settings.shared_trunk:
        assert not any(x.any() for x in jax.tree.leaves(grads["dominant_backbone"]))


def test_a_mixture_counts_in_the_second_stage_by_its_share(make):
    """Paper 001's row of 0.7 nv and 0.3 mel, in focal loss with gamma 1."""
    focal = ClassificationLoss("focal", gamma=1.0, reduction="batch_mean")
    method = build(
        make(Classifier, classes=tuple("abcdefg"), loss_function=focal).parts, TwoStageSettings(dominant=("a",))
    )
    first, second = method.targets(jnp.array([[0.7, 0, 0, 0, 0, 0.3, 0]]))
    np.testing.assert_allclose(first, [[0.7, 0.3]], atol=1e-6)
    logits = jnp.array([[1, 0, -1, 0.5, 0.2, -0.5]])
    variables = {"constants": {"class_counts": jnp.ones(6)}}
    total, count = method.tasks[1].term(variables, logits, second, jnp.ones(1), Objective())
    assert (float(total), float(count)) == (pytest.approx(0.458636, abs=1e-6), pytest.approx(0.3))


def test_each_stage_is_judged_by_itself(two, batch):
    method, variables = two
    terms = jax.jit(method.evaluate, static_argnums=2)(variables, batch, Objective())
    outputs = jax.jit(method.predict)(variables, batch["image"])
    labels = np.asarray(batch["label"])
    found = _mean(*terms["dominant_macro_recall"])
    right = (outputs["dominant"].argmax(axis=1) == 0) == (labels == 2)
    assert found == pytest.approx((right[labels == 2].mean() + right[labels != 2].mean()) / 2)
    right = outputs["rest"].argmax(axis=1) == labels
    assert _mean(*terms["rest_macro_recall"]) == pytest.approx(np.mean([right[labels == k].mean() for k in (0, 1)]))
    assert set(terms) == {"dominant_loss", "dominant_macro_recall", "rest_loss", "rest_macro_recall"}


def test_networks_are_named_by_their_stage(two):
    method, variables = two
    trunks = ("backbone",) if method.settings.shared_trunk else ("dominant_backbone", "rest_backbone")
    assert set(variables["params"]) == {*trunks, "dominant_head", "rest_head"}
    assert set(method.trunks()) == set(trunks)
    assert method.stages()["rest_head"] == "top"


def test_factors_are_those_of_a_stages_classes(make, begin):
    discount = ClassificationLoss("focal", class_factors=(("nv", 0.5),), reduction="batch_mean")
    method = build(make(Classifier, loss_function=discount).parts, TwoStageSettings())
    assert [task.loss_function.class_factors for task in method.tasks] == [(("nv", 0.5),), ()]
    assert isinstance(method, TwoStage)
    begin(method)


@pytest.mark.parametrize(
    ("classes", "dominant", "message"),
    [
        ("abc", ("d",), "unknown class in method.dominant: 'd'; known: a, b, c"),
        ("abc", (), "name one class or more, and leave two"),
        ("abc", ("a", "b"), "name one class or more, and leave two"),
    ],
)
def test_what_leaves_no_second_stage_is_refused(make, classes, dominant, message):
    with pytest.raises(UserError, match=message):
        build(make(Classifier, classes=tuple(classes)).parts, TwoStageSettings(dominant=dominant))
