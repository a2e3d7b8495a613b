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
# (window, stride, padding, ceil_mode, count_include_pad)
MEANS = {
    (3, 2, 0, False, False): [[-15.7778, -14.7778], [-14.1111, -14.5556]],
    (3, 2, 0, False, True): [[-15.7778, -14.7778], [-14.1111, -14.5556]],
    (3, 2, 0, True, False): [[-15.7778, -14.7778, -13.6667], [-14.1111, -14.5556, -14.1667]],
    (3, 2, 0, True, True): [[-15.7778, -14.7778, -13.6667], [-14.1111, -14.5556, -14.1667]],
    (3, 2, 1, False, False): [[-15.0, -13.1667, -12.1667], [-14.8333, -14.4444, -13.4444], [-12.5, -15.0, -14.0]],
    (3, 2, 1, False, True): [[-6.6667, -8.7778, -8.1111], [-9.8889, -14.4444, -13.4444], [-5.5556, -10.0, -9.3333]],
    (3, 2, 1, True, False): [
        [-15.0, -13.1667, -12.1667, -9.5],
        [-14.8333, -14.4444, -13.4444, -13.6667],
        [-12.5, -15.0, -14.0, -13.5],
    ],
    (3, 2, 1, True, True): [
        [-6.6667, -8.7778, -8.1111, -3.1667],
        [-9.8889, -14.4444, -13.4444, -6.8333],
        [-5.5556, -10.0, -9.3333, -4.5],
    ],
    # A fourth row of windows would begin in the padding: there is none.
    (2, 2, 1, True, False): [
        [-20.0, -16.0, -15.0, -11.0],
        [-15.5, -14.75, -13.75, -13.0],
        [-9.5, -15.25, -14.25, -13.5],
    ],
    (2, 2, 1, True, True): [[-5.0, -8.0, -7.5, -2.75], [-7.75, -14.75, -13.75, -6.5], [-4.75, -15.25, -14.25, -6.75]],
    (3, 3, 1, True, False): [[-15.0, -14.8333, -9.5], [-14.0, -14.5556, -15.0]],
    (3, 3, 1, True, True): [[-6.6667, -9.8889, -3.1667], [-9.3333, -14.5556, -7.5]],
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


@pytest.mark.parametrize(("count_include_pad", "expected"), [(True, 4 / 9), (False, 1.0)])
def test_gradient_of_average_pool(count_include_pad, expected):
    """Four windows see each of four pixels, and divide by nine with the padding, by four without."""

    def total(x):
        return average_pool(x, 3, 1, 1, count_include_pad=count_include_pad).sum()

    gradient = jax.jit(jax.grad(total))(jnp.ones((1, 2, 2, 1)))
    np.testing.assert_allclose(gradient[0, :, :, 0], np.full((2, 2), expected), rtol=1e-6)


def test_pools_keep_the_compute_type():
    x = X.astype(jnp.bfloat16)
    assert average_pool(x, 3, 2, 1).dtype == max_pool(x, 3, 2, 1).dtype == jnp.bfloat16


def test_max_pool_pads_with_nothing_that_could_win():
    x = -1 - jnp.arange(16.0).reshape(1, 4, 4, 1)
    assert max_pool(x, 3, 2, 1)[0, :, :, 0].tolist() == [[-1, -2], [-5, -6]]
