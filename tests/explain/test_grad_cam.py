"""Grad-CAM against pytorch-grad-cam, by hand, and of every method."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import parity
import pytest

from skinjax.core.errors import UserError
from skinjax.explain import grad_cam
from skinjax.explain.gradients import per_picture
from skinjax.methods import METHODS
from skinjax.methods.two_stage import TwoStage
from tests.test_model import METHOD, drawn, photographs

EVERY = 4  # pixels that are stored


@pytest.mark.parametrize("stage", ["stage2", "features"])
def test_the_maps_are_those_of_pytorch_grad_cam(stage, reference):
    method, variables, images, classes, golden = reference

    @parity.compiled
    def both(variables, images, classes):
        return [grad_cam.grad_cam(stage, on, (64, 64), method, variables, images, classes) for on in (True, False)]

    signed, maps = both(variables, images, classes)
    assert parity.error(signed.raw["backbone"], golden[stage]) < 1e-4
    assert parity.error(maps.raw["backbone"], np.maximum(golden[stage], 0)) < 1e-4
    assert parity.error(maps.scaled["backbone"][:, ::EVERY, ::EVERY], golden[f"{stage}_scaled"]) < 1e-4


def test_of_a_linear_head_on_averages_the_map_is_the_class_activation_map(reference):
    """Then the weights are those of the head, over the number of places (Zhou et al. 2016)."""
    method, variables, images, classes, _ = reference
    maps = jax.jit(method.parts.network.maps)(variables, images)["features"]
    kernel = variables["params"]["head"]["classifier"]["kernel"]
    by_hand = np.stack([x @ kernel[:, c] for x, c in zip(np.asarray(maps), classes, strict=True)]) / 4
    found = parity.compiled(functools.partial(grad_cam.grad_cam, "features", True, (64, 64), method))
    np.testing.assert_allclose(found(variables, images, classes).raw["backbone"], by_hand, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "members"), [*((name, 0) for name in METHODS), ("two_stage", 2)])
def test_every_method_has_a_map_for_each_of_its_trunks(name, members):
    model = drawn(name, members)
    maps = grad_cam.explain(model, photographs(2), np.array([0, 1]), "stage1", signed=True)
    assert maps.raw.keys() == set(model.method.trunks())
    patches = (4,) if name == "patches" else ()
    for trunk in maps.raw:
        assert maps.raw[trunk].shape == (2, *patches, 4, 4)
        assert maps.scaled[trunk].shape == (2, *patches, 16, 16)
        largest = np.abs(maps.scaled[trunk]).max(axis=tuple(range(1, 3 + len(patches))))
        if name != "two_stage":
            np.testing.assert_allclose(largest, 1, rtol=1e-6)
    if name == "two_stage":  # nv, the second class, is dominant: the other stage has no part in its answer
        for trunk, raw in maps.raw.items():
            lit = [bool(np.any(of)) for of in raw]
            assert lit == ([False, True] if "dominant" in trunk else [True, False])


def test_two_heads_on_one_trunk_have_one_map(monkeypatch):
    monkeypatch.setitem(METHOD, "two_stage", {**METHOD["two_stage"], "shared_trunk": True})
    model = drawn("two_stage")
    assert isinstance(model.method, TwoStage)
    maps = grad_cam.explain(model, photographs(2), np.array([0, 1]), signed=True)
    assert maps.raw.keys() == {"backbone"}
    assert all(np.any(of) for of in maps.raw["backbone"])


def test_what_no_network_has_is_refused():
    with pytest.raises(UserError, match=r"unknown stage 'stage9'.*known: features, stage1, stage2, stage3, stem"):
        grad_cam.explain(drawn(), photographs(1), np.array([0]), "stage9")
    with pytest.raises(UserError, match="unknown stage 'encoder'"):
        grad_cam.check_stage(drawn("restoration").method, "encoder")


def test_pictures_in_the_colours_of_their_maps():
    pictures = np.full((1, 1, 3, 3), 100, np.uint8)
    plain = grad_cam.overlaid(pictures, np.array([[[0.0, 0.5, 1.0]]]))
    assert plain[0, 0].tolist() == [[84, 51, 92], [66, 122, 120], [177, 166, 68]]
    signed = grad_cam.overlaid(pictures, np.array([[[-1.0, 0.0, 1.0]]]), signed=True)
    blue, grey, red = signed[0, 0].astype(int)
    assert blue[2] - blue[0] > 40
    assert np.ptp(grey) < 4
    assert red[0] - red[2] > 40


def test_a_picture_that_is_lit_nowhere_stays_dark():
    values = per_picture(jnp.array([[0.0, 0.0], [2.0, -4.0]]))
    assert values.tolist() == [[0, 0], [0.5, -1]]
