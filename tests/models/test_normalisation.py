"""Batch normalisation against PyTorch's numbers, and where float32 and bfloat16 run out of digits."""

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.models.normalisation import BatchNorm, batch_statistics

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
