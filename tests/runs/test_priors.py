"""The prior of a training: shares of the loss under samplers, weights, reductions and stages."""

import numpy as np
import pytest

from skinjax.core.settings import from_plain
from skinjax.model import make_method
from skinjax.recipe import Recipe
from skinjax.runs.building import make_data, make_phases
from skinjax.runs.priors import training_prior

IMAGES = {"images": 700, "height": 32, "width": 32}


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")

    def found(**sections):
        plain = {"dataset": {"arguments": IMAGES}, "batch": 20, "split": {"test": 0.0, "validation": 0.2}, **sections}
        recipe = from_plain(Recipe, plain)
        folder = root / str(abs(hash(repr(plain))))
        folder.mkdir(exist_ok=True)
        data = make_data(recipe, folder, root, lambda line: None)
        method = make_method(recipe, data.dataset.classes)
        phases = make_phases(recipe, data)
        counts = dict(zip(data.dataset.classes, data.training_counts().tolist(), strict=True))
        return training_prior(recipe, data, method, phases), counts

    return found


def shares(counts):
    return {name: count / sum(counts.values()) for name, count in counts.items()}


def test_natural_batches_have_the_frequencies(prior):
    found, counts = prior()
    assert found["approximate"] == []
    assert found["stages"][0] == pytest.approx(shares(counts), abs=0.01)


def test_balanced_batches_and_inverse_weights_are_uniform(prior):
    uniform = pytest.approx(np.full(7, 1 / 7), abs=0.01)
    balanced, _ = prior(sampler="balanced_batches", batch=21)
    assert list(balanced["stages"][0].values()) == uniform
    weighted, _ = prior(loss={"class_weights": "inverse", "reduction": "batch_mean"})
    assert list(weighted["stages"][0].values()) == pytest.approx(np.full(7, 1 / 7), abs=0.05)


def test_pytorchs_mean_undoes_part_of_the_weights_in_small_batches(prior):
    small, counts = prior(loss={"class_weights": "inverse"}, batch=4)
    rarest = min(counts, key=counts.__getitem__)
    assert small["stages"][0]["nv"] > 2 / 7
    assert small["stages"][0][rarest] < 0.8 / 7


def test_losses_that_correct_themselves_are_uniform(prior):
    for loss in ({"name": "balanced_softmax"}, {"name": "logit_adjusted"}):
        assert list(prior(loss=loss)[0]["stages"][0].values()) == pytest.approx(np.full(7, 1 / 7), abs=0.03)
    adjusted, _ = prior(method={"name": "classifier", "logit_adjustment": 1.0})
    assert list(adjusted["stages"][0].values()) == pytest.approx(np.full(7, 1 / 7), abs=0.03)


def test_focal_and_mixup_are_marked_approximate(prior):
    found, counts = prior(loss={"name": "focal", "class_factors": (("nv", 0.5),), "reduction": "batch_mean"})
    assert found["approximate"] == ["focal"]
    halved = {name: count * (0.5 if name == "nv" else 1) for name, count in counts.items()}
    assert found["stages"][0] == pytest.approx(shares(halved), abs=0.02)
    mixed, _ = prior(method={"name": "classifier", "mixup_share": 0.7})
    assert mixed["approximate"] == ["mixing"]


def test_each_stage_has_its_own_prior(prior):
    rest = ("akiec", "bcc", "bkl", "df", "mel", "vasc")
    phases = {
        "dominant": {"terms": {"rest": 0.0}, "frozen": ("rest_backbone", "rest_head")},
        "rest": {"terms": {"dominant": 0.0}, "frozen": ("dominant_backbone", "dominant_head"), "classes": rest},
    }
    evaluations = {"metric": "dominant_macro_recall", "better": "higher"}
    plain = {"phases": phases, "phase_order": ("dominant", "rest"), "evaluations": evaluations}
    found, counts = prior(method={"name": "two_stage"}, **plain)
    first, second = found["stages"]
    others = {name: counts[name] for name in rest}
    assert first == pytest.approx(shares({"nv": counts["nv"], "rest": sum(others.values())}), abs=0.01)
    assert second == pytest.approx(shares(others), abs=0.02)
