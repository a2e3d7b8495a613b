"""ConvNeXt's layer normalisation where float32 and bfloat16 run out of digits."""

import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.models.families.convnext import LayerNorm


@pytest.mark.parametrize(("dtype", "mean", "tolerance"), [(jnp.float32, 1000, 1e-3), (jnp.bfloat16, 30, 0.02)])
def test_pixels_far_from_zero_are_normalised(dtype, mean, tolerance):
    """As torch.nn.LayerNorm, with statistics in float32 whatever the type."""
    x = jnp.asarray(np.random.default_rng(0).normal(mean, 1, (2, 3, 3, 96)), dtype)
    scale, bias = np.linspace(0.5, 2, 96), np.linspace(-1, 1, 96)
    y = LayerNorm(dtype=dtype).apply({"params": {"scale": jnp.float32(scale), "bias": jnp.float32(bias)}}, x)
    exact = np.asarray(x, np.float64)
    deviation = np.sqrt(exact.var(axis=-1, keepdims=True) + 1e-6)
    expected = (exact - exact.mean(axis=-1, keepdims=True)) / deviation * scale + bias
    assert y.dtype == dtype
    np.testing.assert_allclose(np.asarray(y, np.float64), expected, atol=tolerance)
