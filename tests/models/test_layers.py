"""Layers against PyTorch's numbers, numpy loops and XLA's own convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.models.layers import Conv, ConvTranspose, relu

KEY = jax.random.key(0, impl="rbg")  # compiles faster than threefry


@pytest.mark.parametrize(("kernel", "stride", "use_bias"), [(1, 1, False), (1, 2, True), (3, 2, False), (7, 2, True)])
def test_conv_is_xlas_with_symmetric_padding(kernel, stride, use_bias):
    x = jax.random.normal(KEY, (2, 9, 8, 3))
    layer = Conv(5, kernel, stride, use_bias=use_bias)
    params = layer.init(KEY, x)["params"]
    if use_bias:
        params["bias"] = jnp.arange(5.0)
    expected = jax.lax.conv_general_dilated(
        x,
        params["kernel"],
        (stride, stride),
        [(kernel // 2, kernel // 2)] * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    np.testing.assert_allclose(
        layer.apply({"params": params}, x), expected + params.get("bias", 0), rtol=1e-4, atol=1e-5
    )


def scattered(x, kernel, bias, stride, padding):
    """A transposed convolution as its definition: every input pixel adds a stamp to the output."""
    batch, height, width, _ = x.shape
    k, _, _, features = kernel.shape
    y = np.zeros((batch, (height - 1) * stride + k, (width - 1) * stride + k, features))
    for row, column in np.ndindex(height, width):
        stamp = np.einsum("bi,hwio->bhwo", x[:, row, column], kernel)
        y[:, row * stride : row * stride + k, column * stride : column * stride + k] += stamp
    inside = slice(padding, -padding or None)
    return y[:, inside, inside] + bias


# torch.nn.functional.conv_transpose2d: the sum and three pixels (top left, last row's second, centre), in float64.
TORCH_TRANSPOSED = {
    (4, 4, 0): (
        8,
        91.029162,
        [[0.38224, -0.472134, -0.708551], [-1.109436, -0.141191, 1.140743], [1.22896, 0.035877, -1.006312]],
    ),
    (8, 4, 2): (
        8,
        29.462904,
        [[-0.702284, -0.763249, 0.061394], [0.526491, -0.571784, -0.960485], [1.552015, 0.328731, -1.012907]],
    ),
    (4, 2, 1): (
        4,
        60.178241,
        [[1.111792, 0.854128, -0.004939], [-0.435868, 2.10632, 2.895846], [-0.274297, 2.392315, 3.043323]],
    ),
    (16, 8, 4): (
        16,
        211.458348,
        [[0.747153, -0.11357, -0.685998], [1.350209, 1.038281, -0.044359], [1.641582, 0.849823, -0.53938]],
    ),
}


@pytest.mark.parametrize("shape", TORCH_TRANSPOSED)
def test_transposed_convolution_is_pytorchs(shape):
    k, stride, padding = shape
    x = np.arange(1.0, 9).reshape(1, 2, 2, 2)
    kernel = np.sin(np.arange(2.0 * 3 * k * k)).reshape(k, k, 2, 3)
    bias = np.array([0.1, 0.2, 0.3])
    params = {"kernel": jnp.float32(kernel), "bias": jnp.float32(bias)}
    y = np.asarray(ConvTranspose(3, k, stride, padding).apply({"params": params}, jnp.float32(x)))
    side, total, pixels = TORCH_TRANSPOSED[shape]
    assert y.shape == (1, side, side, 3)
    assert y.sum(dtype=np.float64) == pytest.approx(total, abs=1e-3)
    np.testing.assert_allclose([y[0, 0, 0], y[0, -1, 1], y[0, side // 2, side // 2]], pixels, atol=1e-5)
    np.testing.assert_allclose(y, scattered(x, kernel, bias, stride, padding), atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 2, 0), (3, 2, 1), (2, 4, 0)])
def test_transposed_convolution_of_other_shapes_is_its_definition(shape):
    k, stride, padding = shape
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    layer = ConvTranspose(2, k, stride, padding)
    params = layer.init(KEY, x)["params"]
    expected = scattered(x, params["kernel"], params["bias"], stride, padding)
    np.testing.assert_allclose(layer.apply({"params": params}, x), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "channels", "deviation"),
    [
        (ConvTranspose(64, 4, 4), 32, (2 / (64 * 16)) ** 0.5),
        (ConvTranspose(3, 8, 8), 256, (2 / (3 * 64)) ** 0.5),
        (Conv(64, 3), 32, (2 / (64 * 9)) ** 0.5),
        (Conv(128, 1), 256, (2 / 128) ** 0.5),
    ],
)
def test_kaiming_normal_takes_the_fan_of_the_outputs(layer, channels, deviation):
    kernel = layer.init(KEY, jnp.zeros((1, 8, 8, channels)))["params"]["kernel"]
    assert np.std(kernel) == pytest.approx(deviation, rel=0.02)
    assert np.mean(kernel) == pytest.approx(0, abs=0.02 * deviation)
    assert np.abs(kernel).max() > 3 * deviation  # a normal distribution, not a truncated or uniform one


def test_relu_has_no_gradient_at_and_below_zero():
    assert jax.grad(lambda x: relu(x).sum())(jnp.array([-1.0, 0, 2])).tolist() == [0, 0, 1]
