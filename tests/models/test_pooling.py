"""Pooling against torch.nn.functional's numbers, on a map with an odd and an even side."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.models.pooling import average_pool, max_pool

MAP = [
    [-20, -13, -19, -12, -18, -11],
    [-17, -10, -16, -9, -15, -8],
    [-14, -20, -13, -19, -12, -18],
    [-11, -17, -10, -16, -9, -15],
    [-8, -14, -20, -13, -19, -12],
]
X = jnp.array(MAP, jnp.float32)[None, :, :, None]

# (window, stride, padding, ceil_mode): what torch answers
MAXIMA = {
    (3, 2, 0, False): [[-10, -9], [-8, -9]],
    (3, 2, 0, True): [[-10, -9, -8], [-8, -9, -9]],
    (3, 2, 1, False): [[-10, -9, -8], [-10, -9, -8], [-8, -10, -9]],
    (3, 2, 1, True): [[-10, -9, -8, -8], [-10, -9, -8, -8], [-8, -10, -9, -12]],
    (2, 2, 1, True): [[-20, -13, -12, -11], [-14, -10, -9, -8], [-8, -10, -9, -12]],
}
# (window, stride, padding), rounded down and with the padding counted
MEANS = {
    (3, 2, 0): [[-15.7778, -14.7778], [-14.1111, -14.5556]],
    (3, 2, 1): [[-6.6667, -8.7778, -8.1111], [-9.8889, -14.4444, -13.4444], [-5.5556, -10.0, -9.3333]],
}


@pytest.mark.parametrize("arguments", MAXIMA)
def test_max_pool_is_pytorchs(arguments):
    assert max_pool(X, *arguments)[0, :, :, 0].tolist() == MAXIMA[arguments]


@pytest.mark.parametrize("arguments", MEANS)
def test_average_pool_is_pytorchs(arguments):
    np.testing.assert_allclose(average_pool(X, *arguments)[0, :, :, 0], MEANS[arguments], atol=1e-4)


def test_rounding_up_is_not_padding():
    """The stem of a 224 px image: 56 windows either way, over other rows."""
    rows = jnp.arange(112.0)[None, :, None, None] * jnp.ones((1, 1, 112, 1))
    up, padded = (max_pool(rows, 3, 2, ceil_mode=True), max_pool(rows, 3, 2, 1))
    assert up.shape == padded.shape == (1, 56, 56, 1)
    assert up[0, :3, 0, 0].tolist() == [2, 4, 6]
    assert padded[0, :3, 0, 0].tolist() == [1, 3, 5]
    assert up[0, -1, 0, 0] == padded[0, -1, 0, 0] == 111


def test_gradient_of_average_pool():
    """Four windows see each of four pixels, and divide by nine."""
    gradient = jax.jit(jax.grad(lambda x: average_pool(x, 3, 1, 1).sum()))(jnp.ones((1, 2, 2, 1)))
    np.testing.assert_allclose(gradient[0, :, :, 0], np.full((2, 2), 4 / 9), rtol=1e-6)


def test_pools_keep_the_compute_type():
    x = X.astype(jnp.bfloat16)
    assert average_pool(x, 3, 2, 1).dtype == max_pool(x, 3, 2, 1).dtype == jnp.bfloat16


def test_max_pool_pads_with_nothing_that_could_win():
    x = -1 - jnp.arange(16.0).reshape(1, 4, 4, 1)
    assert max_pool(x, 3, 2, 1)[0, :, :, 0].tolist() == [[-1, -2], [-5, -6]]
