"""Guided backpropagation against pytorch-grad-cam, its refusals, and that nothing of it is left behind."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import parity
import pytest

from skinjax.core.errors import UserError
from skinjax.explain import guided_backprop
from skinjax.models.layers import guided_relus, relu, relu6
from tests.explain.test_grad_cam import EVERY
from tests.test_model import drawn, photographs


def test_the_gradients_are_those_of_pytorch_grad_cam(reference):
    method, variables, images, classes, golden = reference
    program = parity.compiled(functools.partial(guided_backprop.guided_gradients, method))
    found = program(variables, images, classes)["backbone"]
    assert parity.error(found[:, ::EVERY, ::EVERY], golden["guided"]) < 1e-4


def test_a_guided_relu_passes_positive_gradients_of_positive_values():
    x, slopes = jnp.array([-1.0, 2.0, 3.0, 7.0]), jnp.array([1.0, 1.0, -1.0, 1.0])
    assert jax.grad(lambda x: (slopes * relu(x)).sum())(x).tolist() == [0, 1, -1, 1]
    with guided_relus() as relus:
        assert jax.grad(lambda x: (slopes * relu(x)).sum())(x).tolist() == [0, 1, 0, 1]
        assert jax.grad(lambda x: (slopes * relu6(x)).sum())(x).tolist() == [0, 1, 0, 0]
    assert relus == [(4,), (4,)]


def test_nothing_of_it_is_left_in_other_programs():
    def slope(x):
        return jax.grad(lambda x: -relu(x))(x)

    plain = jax.jit(slope)
    assert plain(1.0) == -1
    with guided_relus():
        assert plain(1.0) == -1  # compiled before
        guided = jax.jit(lambda x: slope(x))
        assert guided(1.0) == 0
    assert guided(1.0) == 0
    assert jax.jit(lambda x: slope(x))(1.0) == -1


def test_patches_have_a_picture_each():
    found = guided_backprop.explain(drawn("patches"), photographs(2), np.array([0, 1]))
    assert found["backbone"].shape == (2, 4, 16, 16, 3)


@pytest.mark.parametrize("backbone", ["efficientnet_b0", "convnext_tiny"])
def test_a_network_without_relus_is_refused(backbone):
    with pytest.raises(UserError, match=f"cuts the gradient at every ReLU, and {backbone} has none"):
        guided_backprop.check_relus(backbone, (32, 32))
    guided_backprop.check_relus("mobilenetv1_100", (32, 32))


def test_drawn_grey_where_there_is_no_gradient():
    gradients = np.zeros((2, 10, 10, 3))
    gradients[0, 0, 0] = (1, -1, 0.5)  # the largest half per cent of values is cut: those above 0.75
    pictures = guided_backprop.drawn(gradients)
    assert (pictures[1] == 128).all()
    assert (pictures[0, 1:] == 128).all()
    assert pictures[0, 0, 0].tolist() == [255, 0, 212]
