"""The plain classifier against its parts applied by hand, and what labels, masks and images may influence."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.images.copies import fixed_copies
from skinjax.images.mixing import Mixed, mixup
from skinjax.methods.base import Method, Objective
from skinjax.methods.classifier import Classifier
from skinjax.models.heads.classifiers import ConcatPoolHead
from skinjax.objectives.losses import LOSSES, ClassificationLoss

STAGES = tuple(f"backbone/{stage}" for stage in ("stem", "stage1", "stage2", "stage3", "features"))
CLASS_WEIGHTS = [1.0, 4.0, 4 / 7]  # balanced, for 4, 1 and 7 images


@pytest.fixture(scope="module")
def classifier(make) -> Method:
    return make(Classifier)


@pytest.fixture(scope="module")
def variables(begin, classifier):
    return begin(classifier)


@functools.partial(jax.jit, static_argnums=0)
def training_logits(method, variables, images):
    """Logits and statistics of one training pass, module by module."""
    own = {name: variables[name]["backbone"] for name in ("params", "batch_stats")}
    maps, updated = method.parts.network.backbone.apply(own, images, train=True, mutable=["batch_stats"])
    return method.parts.network.head.apply({"params": variables["params"]["head"]}, maps["features"]), updated[
        "batch_stats"
    ]


def shown(method, batch):
    return method.parts.pictures.train_view(
        jax.vmap(jax.random.fold_in, (None, 0))(view_key(), batch["position"]), batch["image"]
    )


def view_key():
    return jax.random.split(jax.random.key(1))[0]


def weighted_cross_entropy(logits, labels):
    """In numpy, per image."""
    log_p = logits - np.log(np.exp(np.asarray(logits, np.float64)).sum(-1, keepdims=True))
    return np.array([-CLASS_WEIGHTS[label] * row[label] for row, label in zip(log_p, labels, strict=True)])


def test_parts_and_constants(classifier, variables):
    assert set(variables["params"]) == {"backbone", "head"}
    assert set(variables["params"]["backbone"]) == set(variables["batch_stats"]["backbone"])
    assert tuple(classifier.stages()) == (*STAGES, "head")
    np.testing.assert_array_equal(variables["constants"]["class_counts"], [4, 1, 7])


def test_the_loss_is_that_of_the_parts(classifier, variables, batch, loss):
    logits, expected_stats = training_logits(classifier, variables, shown(classifier, batch))
    terms, stats = loss(classifier, variables, batch)
    assert set(terms) == {"classification"}
    coefficient, total, count = terms["classification"]
    assert coefficient == 1
    assert total == pytest.approx(weighted_cross_entropy(logits, [0, 1, 2, 1, 0, 2]).sum(), rel=1e-4)
    assert count == pytest.approx(2 * sum(CLASS_WEIGHTS), rel=1e-6)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), stats["backbone"], expected_stats)


def test_masked_weightless_and_unlabelled_rows_are_the_same_to_the_loss(classifier, variables, batch, loss):
    full = loss(classifier, variables, batch)[0]["classification"]
    masked = {**batch, "mask": batch["mask"].at[2].set(False)}
    changes = [
        masked,
        {**masked, "label": batch["label"].at[2].set(1)},
        {**batch, "weight": batch["weight"].at[2].set(0)},
        {**batch, "label": batch["label"].at[2].set(-1)},
    ]
    results = [tuple(map(float, loss(classifier, variables, x)[0]["classification"])) for x in changes]
    assert len(set(results)) == 1
    _, total, count = results[0]
    assert float(full[2]) - count == pytest.approx(CLASS_WEIGHTS[2], rel=1e-5)
    logits, _ = training_logits(classifier, variables, shown(classifier, batch))
    own = weighted_cross_entropy(logits, [0, 1, 2, 1, 0, 2])[2]
    assert float(full[1]) - total == pytest.approx(own, rel=1e-3)


def test_counts_do_not_depend_on_images(make, variables, batch, counts):
    blind = make(Classifier, train_view=lambda keys, images: jnp.full(images.shape, jnp.nan))
    assert counts(blind, variables, batch)["classification"] == pytest.approx(2 * sum(CLASS_WEIGHTS), rel=1e-6)


def test_copies_are_made_before_the_training_view(classifier, batch):
    numbers = {"index": jnp.arange(6) + 50, "copy": jnp.array([0, 3, 1, 0, 7, 1])}
    inputs = jax.jit(functools.partial(classifier.parts.pictures.for_training, classes=3, phase=Objective()))
    images = inputs({**batch, **numbers}, jax.random.key(1))[0]
    copies = jax.jit(fixed_copies)(batch["image"], numbers["index"], numbers["copy"])
    expected = inputs({**batch, "image": copies}, jax.random.key(1))[0]
    np.testing.assert_allclose(images, expected, atol=0.01)  # one level, should another program round another way
    assert not np.allclose(images[1], inputs(batch, jax.random.key(1))[0][1], atol=0.1)


def mix_with_reversed(key, images, targets, mask):
    """The batch blended .7 to .3 with itself read backwards."""
    del key, mask
    mixed = [0.7 * x + 0.3 * x[::-1] for x in (images, targets)]
    return Mixed(*mixed, jnp.arange(len(images))[::-1], jnp.full(len(images), 0.7))


@pytest.mark.parametrize("name", LOSSES)
def test_a_mixed_batch_costs_the_mixture_of_both_labels_each_with_its_weights(
    make, classifier, variables, batch, loss, name
):
    loss_function = ClassificationLoss(name, class_weights="balanced")
    mixing = make(Classifier, mix=mix_with_reversed, loss_function=loss_function)
    images = shown(classifier, batch)
    logits, _ = training_logits(classifier, variables, 0.7 * images + 0.3 * images[::-1])
    weights = jnp.array([1.0, 4, 1, 1, 1, 1])
    hard = jax.nn.one_hot(batch["label"], 3), weights
    counts, class_weights = jnp.array([4.0, 1, 7]), jnp.array(CLASS_WEIGHTS)
    own, partner = (loss_function(logits, x, class_weights, w, counts) for x, w in (hard, [y[::-1] for y in hard]))
    _, total, count = loss(mixing, variables, {**batch, "weight": weights})[0]["classification"]
    assert total == pytest.approx(float(0.7 * own[0] + 0.3 * partner[0]), rel=1e-4)
    assert count == pytest.approx(2 * sum(CLASS_WEIGHTS) + 3 * CLASS_WEIGHTS[1], rel=1e-6)


def test_mixup_leaves_unusable_rows_out(make, variables, batch, counts):
    mixing = make(
        Classifier,
        mix=functools.partial(mixup, share=0.7),
        loss_function=ClassificationLoss(class_weights="balanced", reduction="batch_mean"),
    )
    batch = {**batch, "label": batch["label"].at[0].set(-1), "mask": batch["mask"].at[5].set(False)}
    assert counts(mixing, variables, batch)["classification"] == pytest.approx(4, rel=1e-6)


def test_a_phase_brings_its_own_loss(classifier, variables, batch, counts, phase):
    assert counts(classifier, variables, batch)["classification"] == pytest.approx(2 * sum(CLASS_WEIGHTS), rel=1e-6)
    own = phase(loss_function=ClassificationLoss(reduction="batch_mean"))
    assert counts(classifier, variables, batch, phase=own)["classification"] == 6


def test_frozen_stages_keep_their_statistics(classifier, variables, batch, stats, phase):
    after = stats(classifier, variables, batch, phase=phase(frozen=STAGES[:3]))
    kept = {
        stage: all(map(np.array_equal, jax.tree.leaves(before), jax.tree.leaves(after["backbone"][stage])))
        for stage, before in variables["batch_stats"]["backbone"].items()
    }
    assert kept == {"stem": True, "stage1": True, "stage2": True, "stage3": False, "features": False}


def test_a_network_frozen_whole_keeps_all_statistics(classifier, variables, batch, stats, phase):
    after = stats(classifier, variables, batch, phase=phase(frozen=STAGES))
    jax.tree.map(np.testing.assert_array_equal, after, variables["batch_stats"])


@functools.partial(jax.jit, static_argnums=0)
def answer(method, variables, batch):
    """The logits of a batch in evaluation."""
    network = method.parts.network
    maps = network.maps(variables, method.parts.pictures.evaluation_view(batch["image"]))
    return network.answer(variables, maps["features"])[0]


@pytest.mark.parametrize("name", ["cross_entropy", "bce_with_logits"])
def test_predictions_are_probabilities(make, variables, batch, name):
    method = make(Classifier, loss_function=ClassificationLoss(name))
    outputs = jax.jit(method.predict)(variables, batch["image"])
    logits = answer(method, variables, batch)
    np.testing.assert_allclose(outputs["probabilities"].sum(-1), np.ones(6), rtol=1e-6)
    np.testing.assert_allclose(outputs["probabilities"], jax.nn.softmax(logits), rtol=1e-5)
    np.testing.assert_allclose(outputs["logits"], logits, rtol=1e-5)
    assert outputs["pooled"].shape == (6, 32)
    assert ("scores" in outputs) == (name == "bce_with_logits")
    if "scores" in outputs:
        np.testing.assert_allclose(outputs["scores"], 1 / (1 + np.exp(-logits)), rtol=1e-5)


def test_prediction_can_be_changed_at_a_stage(classifier, variables, batch):
    erased = jax.jit(lambda images: classifier.predict(variables, images, at={"features": jnp.zeros_like}))
    bias = variables["params"]["head"]["classifier"]["bias"]
    expected = np.tile(jax.nn.softmax(bias), (6, 1))
    np.testing.assert_allclose(erased(batch["image"])["probabilities"], expected, rtol=1e-6)


def test_evaluation_is_the_loss_without_augmentation(classifier, variables, batch):
    held_out = {**batch, "label": batch["label"].at[1].set(-1), "mask": batch["mask"].at[4].set(False)}
    total, count = jax.jit(functools.partial(classifier.evaluate, phase=Objective()))(variables, held_out)["loss"]
    logits = answer(classifier, variables, batch)
    expected = weighted_cross_entropy(logits, [0, 1, 2, 1, 0, 2])[[0, 2, 3, 5]]
    assert total == pytest.approx(expected.sum(), rel=1e-4)
    assert count == pytest.approx(CLASS_WEIGHTS[0] + CLASS_WEIGHTS[1] + 2 * CLASS_WEIGHTS[2], rel=1e-6)


def test_class_counts_are_an_argument_of_the_compiled_loss(classifier, variables, batch, loss):
    """Another fold's weights change the loss, not the program."""
    loss(classifier, variables, batch)
    compiled = loss._cache_size()
    other = {**variables, "constants": {"class_counts": jnp.array([1.0, 1.0, 2.0])}}
    assert loss(classifier, other, batch)[0]["classification"][2] == pytest.approx(2 * 4 / 3 * 2.5, rel=1e-6)
    assert loss._cache_size() == compiled


# Stored features


@functools.partial(jax.jit, static_argnums=0)
def features_of(method, variables, images):
    return method.features(variables, images)


def on_features(method, variables, batch):
    """The batch with what the head reads of its images, and without these."""
    features = features_of(method, variables, batch["image"])
    return {**{name: x for name, x in batch.items() if name != "image"}, "features": features}


def test_a_frozen_trunk_on_its_stored_features_is_the_network_without_augmentation(make, begin, batch, loss, phase):
    """The head drops half of what it reads by the same draws, and its own statistics move."""
    classifier = make(Classifier, head=ConcatPoolHead(3), mix=functools.partial(mixup, share=0.7))
    variables, plain = begin(classifier), phase(frozen=STAGES, augment=False)
    stored = on_features(classifier, variables, batch)
    assert stored["features"].shape == (6, 64)
    expected, found = (loss(classifier, variables, x, phase=plain) for x in (batch, stored))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), found, expected)
    jax.tree.map(np.testing.assert_array_equal, found[1]["backbone"], variables["batch_stats"]["backbone"])
    assert not np.allclose(found[1]["head"]["norm1"]["mean"], variables["batch_stats"]["head"]["norm1"]["mean"])
    augmented, _ = loss(classifier, variables, batch, phase=phase(frozen=STAGES))
    assert float(augmented["classification"][1]) != pytest.approx(float(found[0]["classification"][1]), rel=1e-3)


def test_predictions_from_stored_features_are_those_of_the_images(classifier, variables, batch):
    stored = on_features(classifier, variables, batch)
    expected = jax.jit(classifier.predict)(variables, batch["image"])
    found = jax.jit(classifier.predict_from)(variables, stored["features"])
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6)
    evaluate = jax.jit(functools.partial(classifier.evaluate, phase=Objective()))
    np.testing.assert_allclose(evaluate(variables, stored)["loss"], evaluate(variables, batch)["loss"], rtol=1e-5)
