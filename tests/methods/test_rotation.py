"""Pictures are turned within the warp of their view, and shown in a circle; the pretext needs no labels."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.images.colour import NORMALISATIONS
from skinjax.images.views import VIEWS, evaluation_view, example_keys, train_view
from skinjax.methods.classifier import Classifier
from skinjax.methods.parts import Pictures
from skinjax.methods.rotation import ANGLES, Rotation, RotationSettings, build

UNIT = NORMALISATIONS["unit"]
PICTURES = Pictures(train_view(VIEWS["none"], (32, 32), UNIT), evaluation_view("squash", (32, 32), UNIT))
CLASSIFIED, TURNED = {"classification": 1.0, "rotation": 0.0}, {"classification": 0.0, "rotation": 1.0}


@pytest.fixture(scope="module")
def rotation(make, begin):
    method = build(dataclasses.replace(make(Classifier).parts, pictures=PICTURES), RotationSettings())
    return method, begin(method)


@pytest.mark.parametrize("view", ["none", "plain", "resized_crop"])
@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
def test_quarter_turns_of_what_is_shown_are_exact(view, quarters):
    images = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), np.uint8)
    keys = example_keys(jax.random.key(1), jnp.arange(3))
    show = jax.jit(train_view(VIEWS[view], (32, 32), UNIT))
    still, turned = show(keys, images, jnp.zeros(3)), show(keys, images, jnp.full(3, 90.0 * quarters))
    np.testing.assert_allclose(turned, np.rot90(still, quarters, axes=(1, 2)), atol=2e-6)


def test_a_turn_and_back_is_the_picture_in_the_middle():
    images = np.repeat(np.repeat(np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8), 8, 1), 8, 2)
    keys, show = example_keys(jax.random.key(1), jnp.arange(1)), train_view(VIEWS["none"], (64, 64), UNIT)
    turned = show(keys, images, jnp.array([60.0]))
    back = show(keys, np.asarray(turned * 255).round().astype(np.uint8), jnp.array([-60.0]))
    off = np.abs(np.asarray(back) - images / 255)[0, 24:40, 24:40]
    assert np.median(off) < 0.02
    assert off.mean() < 0.06


def test_only_the_circle_is_shown_of_turned_pictures(rotation, make):
    method, _ = rotation
    images = jnp.ones((1, 32, 32, 3))
    assert (method.masked(images, True)[0, :, :, 0] > 0).sum() == 812  # of 1,024
    assert (method.masked(images, False) == 1).all()
    always, none = (build(make(Classifier).parts, RotationSettings(mask=mask)) for mask in ("always", "none"))
    assert (always.masked(images, False)[0, :, :, 0] > 0).sum() == 812
    assert (none.masked(images, True) == 1).all()


def test_the_pretext_needs_no_labels_and_begins_at_chance(rotation, batch, loss, phase):
    method, variables = rotation
    unlabelled = batch | {"label": jnp.full(6, -1)}
    zeros = jax.tree.map(jnp.zeros_like, variables["params"]["rotation"])
    flat = {**variables, "params": variables["params"] | {"rotation": zeros}}
    terms, _ = loss(method, flat, unlabelled, phase=phase(coefficients=tuple(TURNED.items())))
    coefficient, total, count = terms["rotation"]
    assert (coefficient, float(count)) == (1.0, 6.0)
    assert float(total / count) == pytest.approx(np.log(6), abs=1e-5)
    assert set(terms) == {"rotation", "rotation_accuracy"}


def test_without_the_pretext_it_is_the_classifier(rotation, batch, loss, phase, make):
    method, variables = rotation
    terms, _ = loss(method, variables, batch, phase=phase(coefficients=tuple(CLASSIFIED.items())))
    plain = make(Classifier)
    plain = dataclasses.replace(plain, parts=dataclasses.replace(plain.parts, pictures=PICTURES))
    expected, _ = loss(plain, variables, batch)
    assert list(terms) == ["classification"]
    np.testing.assert_allclose(terms["classification"][1], expected["classification"][1], rtol=1e-5)
    found, alone = (jax.jit(m.predict)(variables, batch["image"])["logits"] for m in (method, plain))
    np.testing.assert_allclose(found, alone, rtol=1e-5, atol=1e-6)


def test_the_pretext_is_judged_on_turned_pictures_while_it_is_trained_on(rotation, batch, phase):
    """As in training without augmentation: every picture turned, by angles of equal shares."""
    method, variables = rotation
    judge = jax.jit(method.evaluate, static_argnums=2)
    terms = judge(variables, batch, phase())
    shown = method.parts.pictures.train_view(
        example_keys(jax.random.key(0), jnp.arange(6)), batch["image"], jnp.array(ANGLES["six"])
    )
    maps = jax.jit(method.parts.network.maps)(variables, method.masked(shown, True))
    logits = method.head.apply({"params": variables["params"]["rotation"]}, maps["features"], train=False)
    expected = -np.diagonal(jax.nn.log_softmax(logits)).sum()
    assert float(terms["rotation"][0]) == pytest.approx(expected, rel=1e-4)
    assert [float(terms[name][1]) for name in ("rotation", "rotation_accuracy")] == [6, 6]
    assert set(judge(variables, batch, phase(coefficients=tuple(CLASSIFIED.items())))) == {"loss"}


@pytest.mark.parametrize("view", ["plain", "skin7_group", "turns_and_flips", "side_on"])
def test_no_view_shows_one_angle_as_it_shows_another(view):
    """Both mirrors at once would be a half turn, and 0 and 180 degrees the same pictures."""
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    show = jax.jit(train_view(dataclasses.replace(VIEWS[view], colour=lambda keys, images: images), (32, 32), UNIT))
    keys = example_keys(jax.random.key(1), jnp.arange(40))
    angles = (0.0, 90.0, 180.0, 270.0)
    shown = [np.asarray(show(keys, jnp.repeat(image, 40, 0), jnp.full(40, angle))) for angle in angles]
    kinds = [{picture.round(3).tobytes() for picture in pictures} for pictures in shown]
    assert [len(kind) for kind in kinds] == [2 if view in ("plain", "turns_and_flips") else len(kinds[0])] * 4
    assert len(set.union(*kinds)) == sum(map(len, kinds))


def test_a_phase_without_augmentation_turns_what_evaluation_shows(rotation, batch, phase):
    turns = jnp.array(ANGLES["six"])
    plain = phase(augment=False)
    pictures = rotation[0].parts.pictures
    shown, _, _ = pictures.for_training(batch, jax.random.key(0), 3, plain, turns)
    np.testing.assert_array_equal(shown, pictures.evaluation_view(batch["image"], turns))


def test_blended_pictures_have_no_angle():
    with pytest.raises(UserError, match="leave mixup and cutmix off"):
        RotationSettings(mixup_beta=0.4)


def test_four_angles_have_a_head_of_four(make, begin):
    method = build(make(Classifier).parts, RotationSettings(angles="four"))
    assert isinstance(method, Rotation)
    assert begin(method)["params"]["rotation"]["classifier"]["bias"].shape == (4,)
    assert method.stages()["rotation"] == "top"
