"""A U-Net before the classifier: what it is trained on, what the classifier sees, and how large both are."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.images.views import example_keys
from skinjax.methods.classifier import Classifier
from skinjax.methods.restoration import RestorationSettings, build
from skinjax.model import make_method, variable_shapes
from skinjax.recipe import Recipe
from skinjax.recipe.config_files import with_changes

RESTORED, CLASSIFIED = {"classification": 0.0, "restoration": 1.0}, {"classification": 1.0, "restoration": 0.0}


def small(make, **settings):
    parts = make(Classifier).parts
    parts = dataclasses.replace(parts, views=parts.views.replace(size=(32, 32)))
    return build(parts, RestorationSettings(width=2, **settings))


@pytest.fixture(scope="module")
def restoration(make, begin):
    method = small(make)
    return method, begin(method)


def test_the_pretext_compares_with_the_whole_picture_and_needs_no_labels(restoration, batch, loss, phase):
    method, variables = restoration
    pretext = phase(coefficients=tuple(RESTORED.items()))
    terms, _ = loss(method, variables, batch | {"label": jnp.full(6, -1)}, phase=pretext)
    assert list(terms) == ["restoration"]
    coefficient, total, count = terms["restoration"]
    assert (coefficient, float(count)) == (1.0, 6.0)
    assert float(total) > 0
    masked, _ = loss(method, variables, batch | {"mask": jnp.arange(6) < 4}, phase=pretext)
    assert float(masked["restoration"][2]) == 4


def test_the_classifier_reads_what_was_restored(restoration, batch, loss, gradient, phase):
    method, variables = restoration
    grads, values, _ = gradient(method, variables, batch, phase=phase(coefficients=tuple(CLASSIFIED.items())))
    assert set(values) == {"loss", "classification"}
    assert any(x.any() for x in jax.tree.leaves(grads["encoder"]))  # its gradient reaches the U-Net
    both, _ = loss(method, variables, batch)
    assert set(both) == {"classification", "restoration"}


def test_in_evaluation_pictures_are_whole(restoration, batch):
    method, variables = restoration
    outputs = jax.jit(method.predict)(variables, batch["image"])
    assert outputs["reconstruction"].shape == (6, 32, 32, 3)
    shown = method.parts.pictures.evaluation_view(batch["image"])
    restored = jax.jit(method.restored)(variables, shown)
    np.testing.assert_allclose(outputs["reconstruction"], restored, rtol=1e-4, atol=1e-5)
    network = method.parts.network
    logits, _ = jax.jit(lambda v, x: network.answer(v, network.maps(v, x)["features"]))(variables, restored)
    np.testing.assert_allclose(outputs["logits"], logits, rtol=1e-4, atol=1e-5)


def test_the_pretext_is_judged_on_disordered_pictures_while_it_is_trained_on(restoration, batch, phase):
    method, variables = restoration
    judge = jax.jit(method.evaluate, static_argnums=2)
    terms = judge(variables, batch, phase())
    shown = method.parts.pictures.evaluation_view(batch["image"])
    disordered = method.disordered(example_keys(jax.random.key(0), batch["index"]), shown)
    errors = np.square(jax.jit(method.restored)(variables, disordered) - shown).mean(axis=(1, 2, 3))
    assert float(terms["restoration"][0]) == pytest.approx(errors.sum(), rel=1e-4)
    assert float(terms["restoration"][1]) == 6
    assert set(judge(variables, batch, phase(coefficients=tuple(CLASSIFIED.items())))) == {"loss"}


def test_a_frozen_unet_stands_still(restoration, batch, gradient, phase):
    method, variables = restoration
    frozen = (*(stage for stage in method.stages() if stage.startswith("encoder")), "restorer")
    _, _, stats = gradient(method, variables, batch, phase=phase(frozen=frozen, coefficients=tuple(CLASSIFIED.items())))
    for name in ("encoder", "restorer"):
        jax.tree.map(np.testing.assert_array_equal, stats[name], variables["batch_stats"][name])


def test_a_patch_must_divide_the_picture(make):
    with pytest.raises(UserError, match=r"method.patch 5 does not divide views.size \(32, 32\): choose another"):
        small(make, patch=5)


@pytest.mark.parametrize(("backbone", "size"), [("mobilenetv1_100", 10_977_258), ("mobilenetv2_100", 9_995_946)])
def test_paper_001s_parameters(backbone, size):
    """A U-Net of 4,714,208 and 3,048,899, and a MobileNet with a linear layer for seven classes."""
    changes = ["method.name=restoration", f"model.backbone={backbone}", "views.size=(128,128)"]
    recipe = with_changes(Recipe(), changes)
    params = variable_shapes(make_method(recipe, tuple("abcdefg")), recipe.stored_size, 7)["params"]
    counts = {name: sum(x.size for x in jax.tree.leaves(tree)) for name, tree in params.items()}
    assert (counts["encoder"], counts["restorer"], sum(counts.values())) == (4_714_208, 3_048_899, size)
