"""Convolutions against numpy loops: every padding, rectangular kernels, groups."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.models.layers import Conv

KEY = jax.random.key(0, impl="rbg")  # compiles faster than threefry


def by_definition(x, kernel, stride, pads, groups):
    """Sums of products under a window that moves by `stride` over x padded by (top, bottom), (left, right)."""
    x = np.pad(x, ((0, 0), *pads, (0, 0)))
    height, width, inputs, features = kernel.shape
    y = np.zeros((len(x), (x.shape[1] - height) // stride + 1, (x.shape[2] - width) // stride + 1, features))
    for row, column, feature in np.ndindex(y.shape[1:]):
        first = feature // (features // groups) * inputs
        rows, columns = slice(row * stride, row * stride + height), slice(column * stride, column * stride + width)
        window = x[:, rows, columns, first : first + inputs]
        y[:, row, column, feature] = (window * kernel[..., feature]).sum(axis=(1, 2, 3))
    return y


# kernel, stride, padding, groups: the pixels that a map of 7x8 gets above and below, left and right
CASES = {
    (3, 1, None, 1): ((1, 1), (1, 1)),
    (3, 2, None, 2): ((1, 1), (1, 1)),
    (3, 2, None, 4): ((1, 1), (1, 1)),  # depthwise, two features from every channel
    (3, 1, None, 4): ((1, 1), (1, 1)),
    (3, 2, 0, 1): ((0, 0), (0, 0)),
    ((1, 7), 1, None, 1): ((0, 0), (3, 3)),
    ((7, 1), 1, None, 1): ((3, 3), (0, 0)),
    ((3, 1), 2, (1, 0), 2): ((1, 1), (0, 0)),
    (1, 1, None, 1): ((0, 0), (0, 0)),
    (1, 2, None, 1): ((0, 0), (0, 0)),
    (1, 2, None, 2): ((0, 0), (0, 0)),
    (1, 1, 1, 1): ((1, 1), (1, 1)),
    (1, 3, "same", 1): ((0, 0), (0, 0)),
    (2, 2, "same", 1): ((0, 1), (0, 0)),
    (3, 2, "same", 1): ((1, 1), (0, 1)),
    (3, 2, "same", 4): ((1, 1), (0, 1)),
    (4, 1, "same", 1): ((1, 2), (1, 2)),
    (5, 2, "same", 2): ((2, 2), (1, 2)),
    ((2, 5), 2, "same", 1): ((0, 1), (1, 2)),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_convolution_is_its_definition(case):
    """The output, and the gradients of <output, direction> along a random change of image and kernel."""
    kernel, stride, padding, groups = case
    layer = Conv(8, kernel, stride, padding, groups, use_bias=True)
    draw = np.random.default_rng(0).normal
    x, change = draw(size=(2, 2, 7, 8, 4)).astype(np.float32)
    params = layer.init(KEY, x)["params"] | {"bias": jnp.arange(8.0)}
    kernels = np.asarray(params["kernel"]), draw(size=params["kernel"].shape).astype(np.float32)

    def expected(x, kernel):
        return by_definition(x, kernel, stride, CASES[case], groups)

    def run(x, kernel):
        return layer.apply({"params": params | {"kernel": kernel}}, x)

    y = expected(x, kernels[0])
    direction = draw(size=y.shape).astype(np.float32)
    found, gradients = jax.jit(lambda *at: (run(*at), jax.vjp(run, *at)[1](direction)))(x, kernels[0])
    np.testing.assert_allclose(found, y + np.arange(8), atol=1e-4)
    assert np.vdot(gradients[0], change) == pytest.approx((expected(change, kernels[0]) * direction).sum(), abs=1e-2)
    assert np.vdot(gradients[1], kernels[1]) == pytest.approx((expected(x, kernels[1]) * direction).sum(), abs=1e-2)


def test_same_padding_follows_the_size_of_the_map():
    """Stride 2 over an even side pads after the image only, over an odd side both ends."""
    ones = {"params": {"kernel": jnp.ones((3, 3, 1, 1))}}
    layer = Conv(1, 3, 2, "same")
    assert layer.apply(ones, jnp.ones((1, 4, 4, 1)))[0, :, :, 0].tolist() == [[9, 6], [6, 4]]
    assert layer.apply(ones, jnp.ones((1, 3, 3, 1)))[0, :, :, 0].tolist() == [[4, 4], [4, 4]]


@pytest.mark.parametrize(
    ("channels", "kernel", "groups", "bound"), [(16, 1, 1, 0.25), (4, (3, 3), 1, 1 / 6), (32, 3, 8, 1 / 6)]
)
def test_pytorchs_biases_begin_within_the_root_of_the_fan(channels, kernel, groups, bound):
    layer = Conv(800, kernel, groups=groups, use_bias=True, bias_init=None)
    bias = layer.init(KEY, jnp.zeros((1, 4, 4, channels)))["params"]["bias"]
    assert np.abs(bias).max() == pytest.approx(bound, rel=0.02)
    assert np.abs(bias).max() <= bound
    assert np.std(bias) == pytest.approx(bound / 3**0.5, rel=0.1)
