"""What a bundle decides is what `skinjax evaluate` finds: temperature, prior, conformal sets, thresholds."""

import dataclasses

import numpy as np
import pytest
from scipy.special import softmax

from skinjax.core.errors import UserError
from skinjax.deploy import decisions
from skinjax.deploy.predictor import Predictor, open_predictor
from skinjax.deploy.unlike import distances, reference, threshold
from skinjax.evaluation import binary
from skinjax.evaluation.calibration import fit_temperature, with_temperature
from skinjax.evaluation.conformal import conformal_sets
from skinjax.evaluation.predictions import Predictions
from skinjax.evaluation.priors import choose_tau, with_prior
from tests.deploy.conftest import DECISIONS
from tests.test_model import CLASSES, photographs


def table(n, seed=0, prior=None):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    probabilities = softmax(3 * np.eye(3)[labels] + rng.normal(0, 2, (n, 3)), axis=1)
    names = [f"i{row}" for row in range(n)]
    protocol = {"training_prior": {"stages": [prior]}} if prior else {}
    return Predictions(names, [f"g{row // 2}" for row in range(n)], labels, ["v"] * n, probabilities, CLASSES, protocol)


@pytest.mark.parametrize("n", [12, 60, 61, 200, 400])
def test_conformal_sets_are_those_of_crepes(n):
    validation, test = table(n, 1), table(150, 2)
    limits, lesions = decisions.farthest(validation)
    expected = conformal_sets(validation, test)
    settings = decisions.Decisions(farthest=limits, lesions=lesions)
    np.testing.assert_array_equal(decisions.sets(settings, test.probabilities), expected.members)
    np.testing.assert_array_equal(lesions, expected.lesions)


def test_what_is_fitted_is_what_evaluate_fits():
    prior = {"mel": 0.6, "nv": 0.3, "bcc": 0.1}
    validation, test = table(300, 3, prior), table(50, 4, prior)
    found = decisions.fitted(validation, ["mel", "bcc"])
    temperature = fit_temperature(validation)
    kept, expected = with_temperature(validation, temperature), with_temperature(test, temperature)
    uniform = np.full(3, 1 / 3)
    tau = choose_tau(kept, [prior], uniform)
    corrected = with_prior(expected, [prior], uniform, tau)
    ours = decisions.calibrated(found, test.probabilities, CLASSES, "uniform")
    np.testing.assert_allclose(ours, corrected.probabilities, rtol=1e-12)
    np.testing.assert_allclose(decisions.calibrated(found, test.probabilities, CLASSES), expected.probabilities)
    assert found.question.threshold == binary.threshold_for(binary.answers(kept, ["mel", "bcc"]), 0.9, True)
    assert (found.tau, found.temperature) == (tau, temperature)


def test_entropy_is_one_for_classes_alike_and_zero_for_a_sure_one():
    np.testing.assert_allclose(decisions.entropy(np.array([[1 / 3] * 3, [1, 0, 0]])), [1, 0], atol=1e-12)


def test_a_direction_of_its_own_is_unlike():
    features = np.random.default_rng(0).normal(3, 1, (100, 8))
    kept = reference(features[:50])
    limit = threshold(distances(features[50:], kept))
    np.testing.assert_allclose(distances(7 * features[:50], kept), 0, atol=1e-3)  # the direction, not the length
    assert distances(-features[:1], kept)[0] > limit


def test_the_predictor_applies_all_of_them(bundle_file, model, pixels):
    told = []
    predictor = open_predictor(bundle_file, say=told.append)
    assert told == predictor.notices
    answers, plain = predictor.ask(pixels), model.predict(pixels)["probabilities"]
    expected = decisions.calibrated(DECISIONS, plain, CLASSES)
    np.testing.assert_allclose(answers.probabilities, expected, rtol=1e-5)
    np.testing.assert_array_equal(answers.sets, 1 - expected <= np.array(DECISIONS.farthest))
    np.testing.assert_allclose(answers.positive, expected[:, [0, 2]].sum(1), rtol=1e-5)
    np.testing.assert_array_equal(answers.yes, answers.positive >= 0.6)
    np.testing.assert_array_equal(answers.is_unlike, answers.distance > 0.01)
    natural = Predictor(predictor.model, predictor.bundle, "natural").ask(pixels)
    np.testing.assert_allclose(
        natural.probabilities, decisions.calibrated(DECISIONS, plain, CLASSES, "natural"), rtol=1e-5
    )
    np.testing.assert_array_equal(natural.sets, answers.sets)  # they were fitted without it
    known = predictor.ask(photographs(6)).distance
    np.testing.assert_allclose(known, 0, atol=2e-3)


def test_a_temperature_at_the_end_of_what_is_tried_is_none():
    validation = table(100, 5)
    zeros = np.where(np.eye(3, dtype=bool)[validation.labels], 0.0, 0.5)  # of true classes, as two stages give them
    told = []
    found = decisions.fitted(dataclasses.replace(validation, probabilities=zeros), say=told.append)
    assert found.temperature == 1
    assert told[0].startswith("no temperature: the best is 20")


def test_what_evaluate_remarks_on_a_prior_correction_is_told():
    prior, told = {"mel": 0.4, "nv": 0.3, "bcc": 0.3}, []
    validation = table(300, 3, prior)
    validation.protocol["training_prior"]["approximate"] = ["focal", "mixing"]
    leaning = softmax(np.log(validation.probabilities) + np.log([0.8, 0.1, 0.1]), axis=1)
    found = decisions.fitted(dataclasses.replace(validation, probabilities=leaning), say=told.append)
    assert found.tau == 1.5
    assert told == [
        "the correction for classes alike takes off 1.5 times the prior of training, the largest tried",
        "the prior correction is approximate: focal and mixing",
    ]


def test_tables_of_other_priors_have_no_correction_and_a_class_is_named_once():
    validation, told = table(100, 6), []
    validation = dataclasses.replace(validation, protocol={"training_prior": "different"})
    assert decisions.fitted(validation, say=told.append).prior == ()
    assert told == ["no prior correction: the runs were trained for different frequencies of the classes"]
    with pytest.raises(UserError, match="names a class twice"):
        decisions.fitted(validation, ["mel", "mel"])
