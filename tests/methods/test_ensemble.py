"""Members that answer together: by the mean of what each says alone, under names of their own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.methods.classifier import Classifier
from skinjax.methods.decoder_classifier import DecoderClassifier
from skinjax.methods.ensemble import Ensemble, united
from skinjax.models.heads.classifiers import LinearHead
from skinjax.objectives.losses import ClassificationLoss

COUNTS = (np.array([4, 1, 7]), np.full(3, 1 / 3))


def drawn(ensemble, batch):
    """The variables of each member, which differ, and of all."""
    initial = jax.jit(ensemble.init)(jax.random.key(0, impl="rbg"), batch)
    variables = {**initial, "constants": ensemble.constants(*COUNTS)}
    names = [f"member{number}" for number in range(len(ensemble.members))]
    return [{kind: tree[name] for kind, tree in variables.items()} for name in names], variables


@functools.partial(jax.jit, static_argnums=0)
def predict(method, variables, images):
    return method.predict(variables, images)


@pytest.fixture(scope="module")
def three(make, batch):
    """Three classifiers that are judged by sigmoids too, and their variables."""
    ensemble = Ensemble((make(Classifier, loss_function=ClassificationLoss("bce_with_logits")),) * 3)
    return ensemble, *drawn(ensemble, batch)


def test_an_answer_is_the_mean_of_the_members(three, batch):
    ensemble, members, variables = three
    together = predict(ensemble, variables, batch["image"])
    each = [predict(ensemble.members[0], own, batch["image"]) for own in members]
    alone = np.stack([outputs["probabilities"] for outputs in each], axis=1)
    assert np.ptp(alone, axis=1).max() > 0.01  # they differ
    np.testing.assert_allclose(together["members"], alone, rtol=1e-5)
    np.testing.assert_allclose(together["probabilities"], alone.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(jax.nn.softmax(together["logits"]), together["probabilities"], rtol=1e-5)
    np.testing.assert_allclose(together["scores"], np.mean([outputs["scores"] for outputs in each], axis=0), rtol=1e-5)
    np.testing.assert_allclose(together["pooled"], np.hstack([outputs["pooled"] for outputs in each]), rtol=1e-4)


def test_variables_of_members_are_united_in_their_order(three):
    _, members, variables = three
    again = united(members)
    assert jax.tree.structure(again) == jax.tree.structure(variables)
    jax.tree.map(np.testing.assert_array_equal, again, variables)


def test_every_member_has_names_of_its_own(three, make):
    ensemble, *_ = three
    stages = ensemble.stages()
    assert len(stages) == 3 * len(ensemble.members[0].stages())
    assert list(stages.items())[:2] == [("member0/backbone/stem", "early"), ("member0/backbone/stage1", "early")]
    assert ensemble.trunks()["member2/backbone"] == ("member2/head",)
    assert Ensemble((make(DecoderClassifier, decoder=LinearHead(3)),)).trunks() == {
        "member0/backbone": ("member0/head",)
    }
    assert ensemble == Ensemble(ensemble.members)
    assert hash(ensemble) == hash(Ensemble(ensemble.members))


def test_taps_reach_the_stage_of_one_member_or_of_all(three, batch):
    ensemble, _, variables = three
    changed = {}
    for name in ("member1/backbone/stem", "stem"):
        tapped = jax.jit(lambda v, images, name=name: ensemble.predict(v, images, {name: jnp.zeros_like})["members"])
        plain = predict(ensemble, variables, batch["image"])["members"]
        difference = np.abs(tapped(variables, batch["image"]) - plain).max(axis=(0, 2))
        changed[name] = (difference > 1e-4).tolist()
    assert changed == {"member1/backbone/stem": [False, True, False], "stem": [True, True, True]}


def test_it_is_not_trained_as_one(three, batch):
    ensemble, _, variables = three
    with pytest.raises(
        UserError, match="an ensemble is not trained as one: train each of its members, and unite their"
    ):
        ensemble.loss(variables, batch, jax.random.key(0), step=jnp.int32(0), phase=None)


def test_members_that_do_not_know_the_classes_give_no_answer():
    class Silent:
        def predict(self, variables, images, at):
            return {}

    assert Ensemble((Silent(),) * 2).predict({"params": {"member0": {}, "member1": {}}}, None) == {}
