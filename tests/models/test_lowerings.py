"""What is computed in a platform's own way against XLA's own operations: outputs and gradients, on every choice."""

import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from skinjax.core.portable import portable
from skinjax.models import lowerings, pooling
from skinjax.models.layers import LOWERINGS, Conv, lowering, relu, relu6
from skinjax.models.normalisation import BatchNorm, batch_statistics, normalised
from skinjax.models.pooling import max_pool
from tests.devices import environment_of_devices
from tests.models.test_backbones import KEY, drawn


@pytest.fixture(params=["cpu", "gpu"])
def platform(request, monkeypatch):
    """The choice of a platform, run on this machine."""
    monkeypatch.setattr(jax, "default_backend", lambda: request.param)
    return request.param


def gradients(function, *arrays):
    """The output, and the gradients of its inner product with a fixed random array, compiled afresh."""

    def run(*arrays):
        y, pull = jax.vjp(function, *arrays)
        direction = np.random.default_rng(1).normal(size=y.shape).astype(np.float32)
        return y, *pull(jnp.asarray(direction, y.dtype))

    return jax.jit(run)(*arrays)


def normal(*shape, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(sum(shape)).normal(size=shape), dtype)


def close(found, expected, tolerance):
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        assert np.abs(a - b).max() <= tolerance * np.abs(b).max()


# the sides of the map, inputs, features, kernel, stride, ((top, bottom), (left, right)), groups
CONVOLUTIONS = {
    "pointwise": ((5, 7), 3, 8, (1, 1), 1, ((0, 0), (0, 0)), 1),
    "pointwise to fewer": ((5, 7), 8, 3, (1, 1), 2, ((0, 0), (0, 0)), 1),
    "pointwise padded": ((4, 4), 3, 8, (1, 1), 1, ((1, 1), (0, 1)), 1),
    "stem": ((58, 61), 3, 4, (7, 7), 2, ((3, 3), (3, 3)), 1),
    "large": ((28, 30), 3, 4, (3, 3), 1, ((1, 1), (1, 1)), 1),
    "large, prime side": ((29, 31), 3, 4, (3, 3), 1, ((1, 1), (1, 1)), 1),
    "large, same": ((56, 57), 3, 4, (3, 3), 2, ((0, 1), (1, 1)), 1),
    "large, rows": ((30, 29), 3, 4, (1, 5), 1, ((0, 0), (2, 2)), 1),
    "middle": ((9, 8), 3, 4, (3, 3), 2, ((1, 1), (1, 1)), 1),
    "more features than pixels": ((7, 6), 3, 21, (3, 3), 2, ((1, 1), (0, 1)), 1),
    "many features": ((5, 4), 3, 256, (3, 3), 2, ((1, 1), (1, 1)), 1),
    "many features, few of a batch": ((14, 13), 3, 256, (3, 3), 1, ((1, 1), (1, 1)), 1),
    "two by two": ((2, 2), 3, 4, (3, 3), 1, ((1, 1), (1, 1)), 1),
    "two by one, strided": ((2, 1), 3, 4, (3, 3), 2, ((1, 1), (1, 1)), 1),
    "grouped": ((9, 8), 8, 4, (3, 3), 2, ((1, 1), (1, 1)), 4),
    "grouped, in two blocks": ((7, 8), 64, 64, (3, 3), 2, ((0, 1), (0, 1)), 16),
    "grouped, wide": ((3, 4), 80, 20, (3, 3), 1, ((1, 1), (1, 1)), 2),
    "grouped, pointwise": ((3, 4), 8, 4, (1, 1), 2, ((0, 0), (0, 0)), 2),
    "grouped, small": ((2, 2), 8, 8, (3, 3), 1, ((1, 1), (1, 1)), 2),
    "depthwise": ((9, 8), 5, 5, (3, 3), 1, ((1, 1), (1, 1)), 5),
    "depthwise, strided": ((9, 8), 5, 5, (3, 3), 2, ((1, 1), (1, 1)), 5),
    "depthwise, same": ((9, 8), 5, 5, (5, 5), 2, ((2, 2), (1, 2)), 5),
    "depthwise, stride beyond the kernel": ((8, 9), 5, 5, (2, 1), 3, ((0, 0), (0, 0)), 5),
    "depthwise, a pixel": ((1, 1), 5, 5, (3, 3), 1, ((1, 1), (1, 1)), 5),
    "depthwise, two of each": ((5, 4), 3, 6, (3, 3), 1, ((1, 1), (1, 1)), 3),
}


CHOICES = [
    *(("cpu", jnp.float32, case) for case in CONVOLUTIONS),
    *(
        ("cpu", jnp.bfloat16, case)
        for case in ("pointwise", "large", "two by two", "depthwise, strided", "grouped, in two blocks")
    ),
    *(("gpu", jnp.float32, case) for case in ("pointwise", "pointwise padded", "middle", "depthwise")),
]


@pytest.mark.parametrize(("platform", "dtype", "case"), CHOICES, indirect=["platform"])
def test_convolution_and_its_gradients_are_xlas(platform, dtype, case):
    sides, inputs, features, size, stride, padding, groups = CONVOLUTIONS[case]
    x, kernel = normal(2, *sides, inputs, dtype=dtype), normal(*size, inputs // groups, features, dtype=dtype)
    found = gradients(lambda x, kernel: lowering("convolution")(x, kernel, stride, padding), x, kernel)
    expected = gradients(lambda x, kernel: lowerings.xla_convolution(x, kernel, stride, padding), x, kernel)
    close(found, expected, 1e-5 if dtype == jnp.float32 else 2e-2)


def test_a_sum_over_many_pixels_in_bfloat16_is_kept_in_float32():
    """In bfloat16 a sum of ones would stop at 256."""
    x, padding = jnp.ones((1, 56, 56, 4), jnp.bfloat16), ((1, 1), (1, 1))
    for shape in ((3, 3, 4, 4), (3, 3, 1, 4), (1, 1, 4, 4)):
        around = padding if shape[0] == 3 else ((0, 0), (0, 0))
        _, _, dkernel = jax.jit(
            lambda x, k, around=around: _with_gradients_of_sum(
                lambda x, k: lowering("convolution")(x, k, 1, around), x, k
            )
        )(x, jnp.ones(shape, jnp.bfloat16))
        assert dkernel.dtype == jnp.bfloat16
        assert dkernel[shape[0] // 2, shape[1] // 2].tolist() == [[3136] * 4] * shape[2]


def _with_gradients_of_sum(function, *arrays):
    y, pull = jax.vjp(function, *arrays)
    return y, *pull(jnp.ones_like(y))


@pytest.mark.parametrize(
    ("sides", "pool"),
    [
        ((9, 8), (3, 2, 1, False)),
        ((9, 8), (3, 2, 0, True)),
        ((7, 6), (2, 2, 0, False)),
        ((5, 4), (3, 1, 1, False)),
        ((7, 8), (2, 3, 0, False)),
    ],
)
def test_max_pool_and_its_gradient_are_xlas(sides, pool, platform):
    x = jnp.round(normal(2, *sides, 3))  # many equal values: the first one takes the gradient
    window, stride, padding, ceil_mode = pool
    pads = [pooling._pool_padding(n, window, stride, padding, ceil_mode) for n in sides]
    expected = gradients(lambda x: nn.max_pool(x, (window, window), (stride, stride), pads), x)
    close(gradients(lambda x: max_pool(x, *pool), x), expected, 1e-6)


def test_max_pool_in_bfloat16_adds_up_its_gradient_in_float32():
    """A pixel that is the maximum of 400 windows; in bfloat16 a sum of ones would stop at 256."""
    x = jnp.zeros((1, 39, 39, 1), jnp.bfloat16).at[0, 19, 19].set(1)
    dx = jax.jit(jax.grad(lambda x: max_pool(x, 20, 1).sum()))(x)
    assert dx.dtype == jnp.bfloat16
    assert (float(dx[0, 19, 19, 0]), float(dx.sum())) == (400, 400)


def test_max_pool_gives_the_gradient_to_the_first_maximum(platform):
    """torch.nn.functional.max_pool2d(x, 3, 2, 1) of ones."""
    dx = jax.grad(lambda x: max_pool(x, 3, 2, 1).sum())(jnp.ones((1, 5, 5, 1)))
    assert dx[0, :, :, 0].tolist() == [[1, 1, 0, 1, 0], [1, 1, 0, 1, 0], [0] * 5, [1, 1, 0, 1, 0], [0] * 5]


def test_batch_normalisation_has_the_gradients_of_its_formula(platform):
    """Of the output and of the statistics, for inputs far from zero."""
    x, scale, bias = 30 + normal(3, 5, 4, 6), normal(6), normal(6)

    def formula(x, scale, bias):
        mean, var = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
        y = (x - mean) * jax.lax.rsqrt(var + 1e-3) * scale + bias
        return jnp.concatenate([y.ravel(), mean, var])

    def ours(x, scale, bias):
        mean, var = batch_statistics(x)
        y = normalised(x, scale, bias, mean, var, 1e-3)
        return jnp.concatenate([y.ravel(), mean, var])

    close(gradients(ours, x, scale, bias), gradients(formula, x, scale, bias), 1e-4)


def test_the_ends_of_relu6_have_no_gradient():
    assert jax.grad(lambda x: relu6(x).sum())(jnp.array([-1.0, 0, 1, 6, 7])).tolist() == [0, 0, 1, 0, 0]


class Network(nn.Module):
    """Every lowering once."""

    @nn.compact
    def __call__(self, x):
        x = relu(BatchNorm(name="norm")(Conv(4, 3, 1, name="large")(x), use_running_average=False))
        x = max_pool(x, 3, 2, 1)
        x = relu6(Conv(4, 3, 2, groups=4, name="depthwise")(x))
        x = Conv(8, 1, name="pointwise")(x)
        x = Conv(8, 3, 4, name="middle")(x)
        return Conv(8, 3, name="small")(x)


def loss_of(network, variables):
    def loss(params, x):
        y, stats = network.apply({**variables, "params": params}, x, mutable=["batch_stats"])
        return jnp.square(y).mean(axis=(1, 2, 3)).sum(), stats

    return jax.value_and_grad(loss, has_aux=True, argnums=(0, 1))


def step_on_two_devices():
    """Prints how far the loss and the gradients of a batch over two devices are from those on one."""
    network, x = Network(), normal(4, 28, 28, 3)
    variables = drawn(jax.eval_shape(network.init, KEY, x))
    step = jax.jit(loss_of(network, variables))
    mesh = Mesh(np.array(jax.devices()).reshape(2), ("data",))
    shared = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    everywhere = jax.device_put(variables["params"], NamedSharding(mesh, PartitionSpec()))
    close(jax.tree.leaves(step(everywhere, shared)), jax.tree.leaves(step(variables["params"], x)), 1e-5)
    print("the same")


def test_a_batch_over_two_devices_takes_the_same_step():
    environment = environment_of_devices(2) | {"PYTHONPATH": os.pathsep.join(sys.path)}
    program = "from tests.models.test_lowerings import step_on_two_devices as run; run()"
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout == "the same\n"


def test_examples_under_vmap_are_examples_in_a_loop():
    network, x = Network(), normal(2, 1, 28, 28, 3)
    variables = drawn(jax.eval_shape(network.init, KEY, x[0]))
    step = loss_of(network, variables)
    one_by_one = jax.tree.map(
        lambda *leaves: jnp.stack(leaves), *[jax.jit(step)(variables["params"], each) for each in x]
    )
    at_once = jax.jit(jax.vmap(functools.partial(step, variables["params"])))(x)
    close(jax.tree.leaves(at_once), jax.tree.leaves(one_by_one), 1e-5)


@pytest.mark.parametrize("operation", LOWERINGS)
def test_portable_programs_are_lowered_as_on_no_platform_in_particular(operation):
    by_platform, elsewhere = LOWERINGS[operation]
    with portable():
        assert lowering(operation) is elsewhere
    assert lowering(operation) is by_platform.get(jax.default_backend(), elsewhere)
