"""Layers against PyTorch's numbers, numpy loops and XLA's own convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.models.heads.classifiers import LinearHead
from skinjax.models.layers import BatchNorm, Conv, ConvTranspose, batch_statistics, max_pool, relu

KEY = jax.random.key(0, impl="rbg")  # compiles faster than threefry

# torch.nn.BatchNorm2d(2), weight (2, .5), bias (-1, 1), one training pass and one evaluation pass in float64.
IMAGE = np.array([[[[1, 0], [2, -1]], [[3, 5], [6, 4]]]], np.float32)
AFFINE = {"scale": jnp.array([2.0, 0.5]), "bias": jnp.array([-1.0, 1.0])}
TORCH_TRAIN = [[[[-3.1380869, 0.607768], [-2.0690434, 0.411652]], [[-1.0, 1.588348], [2.2071303, 1.392232]]]]
TORCH_MEAN, TORCH_VARIANCE = [0.3, 0.2], [1.3666667, 1.7666667]
TORCH_EVALUATION = [[[[0.1975541, 0.9247647], [1.9083457, 0.5485884]], [[3.6191373, 2.8056464], [8.751512, 2.4294701]]]]


def batch_norm(x, stats=None, train=True, **arguments):
    """(output, statistics after it) of a BatchNorm with the literal scale and bias."""
    layer = BatchNorm(**arguments)
    if stats is None:
        stats = layer.init(KEY, x, use_running_average=False)["batch_stats"]
    variables = {"params": AFFINE, "batch_stats": stats}
    y, updated = layer.apply(variables, x, use_running_average=not train, mutable=["batch_stats"])
    return y, updated["batch_stats"]


def test_batch_norm_is_pytorchs_in_training_and_evaluation():
    y, stats = batch_norm(IMAGE)
    np.testing.assert_allclose(y, TORCH_TRAIN, rtol=1e-5)
    np.testing.assert_allclose(stats["mean"], TORCH_MEAN, rtol=1e-6)
    np.testing.assert_allclose(stats["var"], TORCH_VARIANCE, rtol=1e-6)
    y, kept = batch_norm(IMAGE, stats, train=False)
    np.testing.assert_allclose(y, TORCH_EVALUATION, rtol=1e-5)
    assert {name: x.tolist() for name, x in kept.items()} == {name: x.tolist() for name, x in stats.items()}


def test_batch_norm_begins_with_unit_statistics_and_parameters():
    variables = BatchNorm().init(KEY, IMAGE, use_running_average=False)
    values = jax.tree.map(lambda x: x.tolist(), variables)
    assert values == {"params": {"scale": [1, 1], "bias": [0, 0]}, "batch_stats": {"mean": [0, 0], "var": [1, 1]}}


def test_batch_norm_in_bfloat16_keeps_float32_statistics():
    x = jnp.asarray(np.random.default_rng(0).normal(3, 2, (8, 4, 4, 2)), jnp.bfloat16)
    y, stats = batch_norm(x, dtype=jnp.bfloat16)
    assert y.dtype == jnp.bfloat16
    assert stats["mean"].dtype == stats["var"].dtype == jnp.float32
    rows = np.asarray(x, np.float64).reshape(-1, 2)
    np.testing.assert_allclose(stats["mean"], 0.1 * rows.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(stats["var"], 0.9 + 0.1 * rows.var(axis=0, ddof=1), rtol=1e-5)


def test_variance_of_inputs_far_from_zero():
    """Mean 1000, deviation 1: the mean of squares less the squared mean has no digit left in float32."""
    x = np.random.default_rng(1).normal(1000, 1, (16, 4, 4, 2)).astype(np.float32)
    rows = x.reshape(-1, 2).astype(np.float64)
    mean, variance = batch_statistics(jnp.asarray(x))
    np.testing.assert_allclose(mean, rows.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(variance, rows.var(axis=0), rtol=1e-4)
    y, _ = batch_norm(x)
    expected = (rows - rows.mean(axis=0)) / np.sqrt(rows.var(axis=0) + 1e-5) * [2, 0.5] + [-1, 1]
    np.testing.assert_allclose(y.reshape(-1, 2), expected, atol=1e-3)


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


def test_linear_head_begins_like_pytorchs_linear():
    params = LinearHead(200).init(KEY, jnp.zeros((1, 2, 2, 400)))["params"]["classifier"]
    for x in (params["kernel"], params["bias"]):
        assert np.abs(x).max() == pytest.approx(0.05, rel=0.02)
        assert np.std(x) == pytest.approx(0.05 / 3**0.5, rel=0.1)
    assert np.abs(params["kernel"]).max() <= 0.05


def test_linear_head_pools_over_the_map_and_answers_in_float32():
    features = jnp.array([[[[1.0, 0], [3, 4]], [[5, 0], [7, 4]]]], jnp.bfloat16)
    params = {"kernel": jnp.array([[1.0, 2], [10, 0]]), "bias": jnp.array([0.5, 0.25])}
    logits = LinearHead(2).apply({"params": {"classifier": params}}, features)
    assert logits.tolist() == [[24.5, 8.25]]
    assert logits.dtype == jnp.float32


def test_max_pool_pads_with_nothing_that_could_win():
    x = -1 - jnp.arange(16.0).reshape(1, 4, 4, 1)
    assert max_pool(x, 3, 2, 1)[0, :, :, 0].tolist() == [[-1, -2], [-5, -6]]


def test_relu_has_no_gradient_at_and_below_zero():
    assert jax.grad(lambda x: relu(x).sum())(jnp.array([-1.0, 0, 2])).tolist() == [0, 0, 1]
