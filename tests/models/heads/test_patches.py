"""Attention between patches and the recurrent network over them, against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.models.heads.patches import GRU, PatchAttention

PATCHES = 9


@pytest.fixture(scope="module")
def pixels():
    return jnp.asarray(np.random.default_rng(0).uniform(size=(2, PATCHES, 4, 4, 3)).astype(np.float32))


@pytest.fixture(scope="module")
def attention(pixels):
    return PatchAttention().init(jax.random.key(0), pixels)["params"]


def count(parameters):
    return sum(x.size for x in jax.tree.leaves(parameters))


@pytest.mark.parametrize("shape", [(5, 8, 8, 3), (9, 1024), (16, 2, 2, 7)])
def test_it_has_a_weight_for_every_pair_and_a_bias_for_every_patch(shape):
    parameters = PatchAttention().init(jax.random.key(0), jnp.ones((1, *shape)))["params"]
    assert count(parameters) == shape[0] ** 2 + shape[0]
    assert all(np.abs(x).max() <= shape[0] ** -0.5 for x in jax.tree.leaves(parameters))


def test_it_scales_patches_by_the_sigmoid_of_what_all_of_them_hold(pixels, attention):
    scaled, weights = PatchAttention().apply({"params": attention}, pixels)
    mix = jax.tree.map(lambda x: np.asarray(x, np.float64), attention["mix"])
    expected = 1 / (1 + np.exp(-(np.asarray(pixels).mean((2, 3, 4)) @ mix["kernel"] + mix["bias"])))
    np.testing.assert_allclose(weights, expected, rtol=1e-5)
    np.testing.assert_allclose(scaled, np.asarray(pixels) * expected[..., None, None, None], rtol=1e-5)


def test_patches_and_parameters_in_another_order_give_the_answer_in_that_order(pixels, attention):
    order = np.random.default_rng(1).permutation(PATCHES)
    mix = attention["mix"]
    moved = {"mix": {"kernel": mix["kernel"][order][:, order], "bias": mix["bias"][order]}}
    scaled, weights = PatchAttention().apply({"params": attention}, pixels)
    again, moved_weights = PatchAttention().apply({"params": moved}, pixels[:, order])
    np.testing.assert_allclose(moved_weights, weights[:, order], rtol=1e-5)
    np.testing.assert_allclose(again, scaled[:, order], rtol=1e-5)


def test_an_empty_patch_stays_empty_and_bfloat16_stays_bfloat16(pixels, attention):
    scaled, weights = PatchAttention().apply({"params": attention}, pixels.at[:, 2].set(0).astype(jnp.bfloat16))
    assert not scaled[:, 2].any()
    assert scaled[:, 3].any()
    assert (scaled.dtype, weights.dtype) == (jnp.bfloat16, jnp.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru(x, own, features):
    """PyTorch's equations in float64, for [batch, steps, inputs]."""
    state, outputs = np.zeros((len(x), features)), []
    w, b, u, c = own["inputs_kernel"], own["inputs_bias"], own["state_kernel"], own["state_bias"]
    for step in range(x.shape[1]):
        (ri, zi, ni), (rh, zh, nh) = (np.split(y, 3, axis=1) for y in (x[:, step] @ w + b, state @ u + c))
        new = np.tanh(ni + sigmoid(ri + rh) * nh)
        z = sigmoid(zi + zh)
        state = (1 - z) * new + z * state
        outputs.append(state)
    return np.stack(outputs, axis=1)


def own(parameters, name):
    parts = {of: {k: np.asarray(v, np.float64) for k, v in parameters[f"{name}_{of}"].items()} for of in ("inputs",)}
    inputs = {f"inputs_{k}": v for k, v in parts["inputs"].items()}
    return inputs | {f"state_{k}": np.asarray(parameters[f"{name}_state_{k}"], np.float64) for k in ("kernel", "bias")}


@pytest.mark.parametrize("both", [False, True])
def test_the_recurrent_network_is_pytorchs(both):
    x = np.random.default_rng(0).normal(size=(3, 5, 7))
    network = GRU(features=4, layers=2, both_directions=both)
    parameters = network.init(jax.random.key(0), jnp.asarray(x, jnp.float32))["params"]
    expected = x
    for layer in range(2):
        there = gru(expected, own(parameters, f"layer{layer}"), 4)
        if both:
            back = gru(expected[:, ::-1], own(parameters, f"layer{layer}_backwards"), 4)[:, ::-1]
            there = np.concatenate([there, back], axis=-1)
        expected = there
    found = network.apply({"params": parameters}, jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_the_papers_recurrent_network_has_pytorchs_number_of_parameters():
    shapes = jax.eval_shape(lambda x: GRU().init(jax.random.key(0), x), jnp.zeros((1, 9, 2048)))
    assert count(shapes) == 3 * 1024 * (2048 + 1024 + 2)
