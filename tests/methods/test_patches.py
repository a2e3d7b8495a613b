"""Patches of an image joined into one answer: by averages, votes, attention and a recurrent network."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.methods.base import Objective
from skinjax.methods.classifier import Classifier
from skinjax.methods.patches import Patches, PatchesSettings, chained_taps, dropped, in_patches
from skinjax.models.heads.patches import GRU

SLOTS = 4


def quarters(images):
    """[batch, 32, 32, 3] to its quarters [batch, 4, 16, 16, 3], in rows."""
    rows = images.reshape(len(images), 2, 16, 2, 16, 3).swapaxes(2, 3)
    return rows.reshape(len(images), SLOTS, 16, 16, 3) / 127.5 - 1


def training_quarters(keys, images):
    del keys
    return quarters(images)


@pytest.fixture(scope="module")
def make_patches(make):
    return functools.partial(make, Patches, train_view=training_quarters, evaluation_view=quarters)


@pytest.fixture(scope="module")
def plain(make_patches):
    return make_patches()


@pytest.fixture(scope="module")
def variables(begin, plain):
    return begin(plain)


@functools.partial(jax.jit, static_argnums=0)
def predicted(method, variables, images):
    return method.predict(variables, images)


def logits_of_each(method, variables, images):
    """By hand: [batch, patches, classes]."""
    shown = in_patches(method.parts.pictures.evaluation_view(images))
    answers = []
    for slot in range(shown.shape[1]):
        of = {name: {c: variables[c][name] for c in ("params", "batch_stats")} for name in ("backbone", "head")}
        maps = method.parts.network.backbone.apply(of["backbone"], shown[:, slot], train=False)
        answers.append(method.parts.network.head.apply(of["head"], maps["features"], train=False))
    return jnp.stack(answers, axis=1)


def test_one_patch_is_the_plain_classifier(make, variables, batch, loss):
    alone, as_patches = make(Classifier), make(Patches)
    for mine, theirs in zip(loss(alone, variables, batch), loss(as_patches, variables, batch), strict=True):
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), mine, theirs)
    ours = predicted(as_patches, variables, batch["image"])["probabilities"]
    np.testing.assert_allclose(ours, predicted(alone, variables, batch["image"])["probabilities"], rtol=1e-5)


def test_answers_are_joined_as_asked(plain, variables, batch, change):
    each = logits_of_each(plain, variables, batch["image"])
    votes = jax.nn.one_hot(each.argmax(-1), 3).sum(1)
    expected = {
        "logits": jax.nn.softmax(each.mean(1)),
        "probabilities": jax.nn.softmax(each).mean(1),
        "votes": (votes + jax.nn.softmax(each).mean(1)) / (SLOTS + 1),
    }
    for join, probabilities in expected.items():
        found = predicted(change(plain, join=join), variables, batch["image"])["probabilities"]
        np.testing.assert_allclose(found, probabilities, rtol=1e-4, atol=1e-6)


def test_the_loss_is_of_what_is_predicted(plain, variables, batch, change):
    """Cross-entropy on held-out images, by the probabilities that the table gets."""
    for join in ("logits", "probabilities"):
        method = change(plain, join=join)
        total, count = method.evaluate(variables, batch, Objective())["loss"]
        weights = np.array([1.0, 4.0, 4 / 7])[batch["label"]]
        own = np.asarray(predicted(method, variables, batch["image"])["probabilities"])
        expected = -(weights * np.log(own[np.arange(6), batch["label"]])).sum() / weights.sum()
        assert total / count == pytest.approx(expected, rel=1e-4)


PLACES = {"dual": ("pixels", "features"), "between": ("stage1", "stage3")}


@pytest.mark.parametrize("name", PLACES)
def test_attention_at_any_place(name, make_patches, begin, batch, gradient):
    method = make_patches(attention=PLACES[name])
    variables = begin(method)
    names = [f"attention_{place}" for place in PLACES[name]]
    assert list(method.stages().items())[-len(names) :] == [(name, "top") for name in names]
    assert sum(x.size for n in names for x in jax.tree.leaves(variables["params"][n])) == 20 * len(names)
    outputs = predicted(method, variables, batch["image"])
    assert all(outputs[n].shape == (6, SLOTS) and (outputs[n] > 0).all() and (outputs[n] < 1).all() for n in names)
    grown, _, _ = gradient(method, variables, batch)
    assert all(np.abs(x).max() > 0 for n in names for x in jax.tree.leaves(grown[n]))


def test_attention_on_the_last_map_scales_what_is_pooled(make_patches, begin, batch):
    method = make_patches(attention=("features",))
    variables = begin(method)
    outputs = predicted(method, variables, batch["image"])
    head = variables["params"]["head"]["classifier"]
    each = logits_of_each(method, variables, batch["image"])
    scaled = outputs["attention_features"][..., None] * (each - head["bias"]) + head["bias"]
    np.testing.assert_allclose(outputs["probabilities"], jax.nn.softmax(scaled.mean(1)), rtol=1e-4)


def test_what_is_asked_of_a_stage_comes_after_the_attention_there(make_patches, begin, batch):
    method = make_patches(attention=("stage3",))
    variables = begin(method)
    nothing = method.predict(variables, batch["image"], at={"stage3": jnp.zeros_like})["probabilities"]
    alone = chained_taps({}, {"stage3": jnp.zeros_like})["stage3"]
    assert np.ptp(np.asarray(nothing), axis=0).max() < 1e-6
    assert not alone(jnp.ones(3)).any()


def test_the_recurrent_network_reads_patches_in_order(make_patches, begin, batch, gradient):
    method = make_patches(join="gru", gru=GRU(features=8))
    variables = begin(method)
    assert tuple(method.stages())[-1] == "gru"
    outputs = predicted(method, variables, batch["image"])["probabilities"]
    turned = predicted(method, variables, batch["image"][:, ::-1])["probabilities"]
    assert np.abs(outputs - turned).max() > 1e-6
    grown, _, stats = gradient(method, variables, batch)
    assert all(np.abs(x).max() > 0 for x in jax.tree.leaves(grown["gru"]))
    assert set(stats) == {"backbone", "head", "gru"}


def test_patches_are_dropped_each_for_itself():
    keys = jax.vmap(jax.random.key)(jnp.arange(4000))
    kept = np.asarray(dropped(keys, jnp.ones((4000, 5, 2)), 0.2))
    assert set(np.unique(kept)) == {0, 1}
    assert (kept[..., 0] == kept[..., 1]).all()
    rates = 1 - kept[..., 0].mean(0)
    np.testing.assert_allclose(rates, 0.2, atol=0.03)
    together = (1 - kept[..., 0]).prod(1).mean()
    assert together == pytest.approx(0.2**5, abs=1e-3)
    assert dropped(keys, kept, 0.0) is kept


def test_dropping_patches_changes_training_alone(plain, variables, batch, loss, change):
    dropping = change(plain, patch_dropout=0.5)
    assert loss(plain, variables, batch)[0] != loss(dropping, variables, batch)[0]
    ours, theirs = (predicted(method, variables, batch["image"])["probabilities"] for method in (plain, dropping))
    np.testing.assert_array_equal(ours, theirs)


def test_unknown_places_joins_and_rates_are_refused(make_patches):
    with pytest.raises(UserError, match="place of attention 'end'"):
        make_patches(attention=("end",))
    with pytest.raises(UserError, match=r"method.join 'median'"):
        PatchesSettings(join="median")
    told = r"PatchesSettings.patch_dropout is 1.0; it must be a number from 0 to less than 1"
    with pytest.raises(UserError, match=told):
        PatchesSettings(patch_dropout=1.0)
