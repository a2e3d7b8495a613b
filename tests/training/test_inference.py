"""Predictions: one row per image whatever the batch, weighted means, and a way out between two batches."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.data.dataset import Dataset
from skinjax.data.pipeline import StoredSize, held_out_batches, load
from skinjax.data.sampling.samplers import EvaluationBatches
from skinjax.methods.base import Objective
from skinjax.methods.classifier import Classifier
from skinjax.objectives.losses import ClassificationLoss
from skinjax.training.inference import collect, tables
from skinjax.training.programs import evaluation_program
from skinjax.training.signals import Interrupted

SIZE, BATCH = StoredSize(32, 40), 8


@pytest.fixture(scope="module")
def variables(classifier):
    variables = jax.jit(classifier.init)(jax.random.key(0), {"image": jnp.zeros((1, 32, 40, 3), jnp.uint8)})
    return {**variables, "constants": {"class_counts": jnp.ones(7)}}


@pytest.fixture
def judged(photographs, evaluation_step, variables, mesh):
    """A function from records to their predictions and the means of the terms."""

    def make(records, dataset: Dataset = photographs, step=evaluation_step, **settings):
        pixels = functools.partial(load, dataset, size=SIZE)
        batches = held_out_batches(dataset, records, EvaluationBatches(len(records), BATCH), pixels, threads=0)
        columns, terms = collect(step, variables, batches, len(records), mesh=mesh, **settings)
        return tables(columns, dataset, records, split="test", protocol={})[""], terms

    return make


@pytest.mark.parametrize("count", [1, 8, 13])
def test_every_image_has_its_row(judged, photographs, classifier, variables, count):
    records = np.random.default_rng(count).permutation(60)[:count]
    predictions, means = judged(records)
    assert predictions.image_ids.tolist() == photographs.columns["image_id"][records].tolist()
    assert predictions.groups.tolist() == photographs.columns["group"][records].tolist()
    assert predictions.labels.tolist() == photographs.columns["label"][records].tolist()
    assert set(predictions.splits) == {"test"}
    assert predictions.classes == photographs.classes
    assert predictions.scores is None
    at_once = classifier.predict(variables, jnp.asarray(load(photographs, records, SIZE)))["probabilities"]
    np.testing.assert_allclose(predictions.probabilities, at_once, rtol=1e-5)
    own = predictions.probabilities[np.arange(count), predictions.labels]
    assert means["loss"] == pytest.approx(-np.log(own).mean(), rel=1e-5)


def test_unlabelled_images_are_predicted_and_count_in_no_term(judged, photographs):
    labels = photographs.columns["label"].copy()
    labels[1::2] = -1
    half = dataclasses.replace(photographs, columns={**photographs.columns, "label": labels})
    predictions, means = judged(np.arange(10), half)
    labelled, expected = judged(np.arange(0, 10, 2))
    assert len(predictions) == 10
    np.testing.assert_allclose(predictions.probabilities[::2], labelled.probabilities, rtol=1e-5)
    assert means["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    _, means = judged(np.arange(1, 10, 2), half)
    assert np.isnan(means["loss"])


def test_a_method_that_does_not_tell_the_classes_has_terms_and_no_table(photographs):
    assert tables({}, photographs, np.arange(3), split="test", protocol={}) == {}


def test_heads_of_sigmoids_give_scores_too(judged, classifier, mesh):
    task = dataclasses.replace(classifier.parts.task, loss_function=ClassificationLoss("bce_with_logits"))
    sigmoids = Classifier(dataclasses.replace(classifier.parts, task=task))
    predictions, _ = judged(np.arange(9), step=evaluation_program(sigmoids, Objective(), mesh))
    assert predictions.scores.shape == (9, 7)
    logits = np.log(predictions.scores) - np.log1p(-predictions.scores)
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(predictions.probabilities, softmax, rtol=1e-4)


def test_it_can_be_left_before_any_batch_and_closes_its_source(photographs, evaluation_step, variables, mesh):
    closed = []
    records = np.arange(30)

    def batches():
        try:
            pixels = functools.partial(load, photographs, size=SIZE)
            yield from held_out_batches(photographs, records, EvaluationBatches(30, BATCH), pixels, threads=2)
        finally:
            closed.append(True)

    calls = iter([None, None, Interrupted])

    def check():
        stop = next(calls)
        if stop:
            raise stop

    with pytest.raises(Interrupted):
        collect(evaluation_step, variables, batches(), len(records), mesh=mesh, check=check)
    assert closed == [True]
    assert list(calls) == []
