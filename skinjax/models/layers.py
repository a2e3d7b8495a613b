"""The primitives through which every network goes, equal to PyTorch's: padding, epsilon and statistics are explicit.

A faster lowering is written here, once, for all networks.
"""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from skinjax.errors import UserError

Array = jax.Array
Initializer = Callable[..., Array]

kaiming_normal_fan_out: Initializer = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def relu(x: Array) -> Array:
    """Every ReLU of every network, so that guided backpropagation can swap its gradient in one place."""
    return jax.nn.relu(x)


def uniform_fan_in(key: Array, shape: Sequence[int], dtype: Any = jnp.float32) -> Array:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for a kernel [inputs, outputs]: the default of torch.nn.Linear."""
    bound = shape[0] ** -0.5
    return jax.random.uniform(key, shape, dtype, -bound, bound)


def max_pool(x: Array, window: int, stride: int, padding: int) -> Array:
    """Max pooling of [batch, height, width, channels] with symmetric padding."""
    return nn.max_pool(x, (window, window), (stride, stride), ((padding, padding), (padding, padding)))


class Conv(nn.Module):
    """A convolution with symmetric padding of half the kernel, as torchvision's networks have it.

    A 1x1 kernel is a matrix product: on a CPU its backward pass is several times faster than XLA's convolution.
    """

    features: int
    kernel: int
    stride: int = 1
    use_bias: bool = False
    kernel_init: Initializer = kaiming_normal_fan_out
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (self.kernel, self.kernel, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32) if self.use_bias else None
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        if self.kernel == 1:
            y = x[:, :: self.stride, :: self.stride] @ kernel[0, 0]
        else:
            pad = self.kernel // 2
            y = jax.lax.conv_general_dilated(
                x,
                kernel,
                (self.stride, self.stride),
                ((pad, pad), (pad, pad)),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
        return y if bias is None else y + bias


class BatchNorm(nn.Module):
    """Batch normalisation with PyTorch's statistics: momentum 0.1 (their convention), unbiased running variance.

    Statistics are of the global batch under jit and sharding, and never computed in less than float32.
    """

    momentum: float = 0.1
    epsilon: float = 1e-5
    scale_init: Initializer = nn.initializers.ones
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array, *, use_running_average: bool) -> Array:
        features = (x.shape[-1],)
        scale = self.param("scale", self.scale_init, features, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, features, jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, features, jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, features, jnp.float32)
        if use_running_average:
            mean, var = running_mean.value, running_var.value
        else:
            mean, var = batch_statistics(x)
            if not self.is_initializing():
                count = x.size // x.shape[-1]
                unbiased = var * (count / max(count - 1, 1))
                running_mean.value = (1 - self.momentum) * running_mean.value + self.momentum * mean
                running_var.value = (1 - self.momentum) * running_var.value + self.momentum * unbiased
        multiplier = scale * jax.lax.rsqrt(var + self.epsilon)
        offset = bias - mean * multiplier
        dtype = self.dtype or jnp.result_type(x, scale)
        return (x * multiplier + offset).astype(dtype)


def batch_statistics(x: Array) -> tuple[Array, Array]:
    """Mean and biased variance [channels] over all other axes, the variance about the mean (two passes)."""
    rows = x.reshape(-1, x.shape[-1]).astype(jnp.promote_types(x.dtype, jnp.float32))
    mean = rows.mean(axis=0)
    return mean, jnp.square(rows - mean).mean(axis=0)


class ConvTranspose(nn.Module):
    """A transposed convolution as torch.nn.ConvTranspose2d: output (n - 1) * stride - 2 * padding + kernel.

    Its Kaiming-normal initialisation takes the fan that PyTorch computes for it, output channels * kernel^2 (dimension
    1 of the (in, out, k, k) weight). Where kernel equals stride the outputs do not overlap: one matrix product.
    """

    features: int
    kernel: int
    stride: int
    padding: int = 0
    use_bias: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        k = self.kernel
        if (min(x.shape[1:3]) - 1) * self.stride - 2 * self.padding + k < 1:
            raise UserError(
                f"a deconvolution of kernel {k}, stride {self.stride} and padding {self.padding} "
                f"leaves nothing of a map of {x.shape[1]}x{x.shape[2]}; lower the padding"
            )
        fan = self.features * k * k
        init = nn.initializers.normal((2 / fan) ** 0.5)
        kernel = self.param("kernel", init, (k, k, x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32) if self.use_bias else None
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        if k == self.stride and self.padding == 0:
            y = _depth_to_space_product(x, kernel)
        else:
            pad = k - 1 - self.padding
            y = jax.lax.conv_general_dilated(
                x,
                kernel[::-1, ::-1],
                (1, 1),
                ((pad, pad), (pad, pad)),
                lhs_dilation=(self.stride, self.stride),
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
        return y if bias is None else y + bias


def _depth_to_space_product(x: Array, kernel: Array) -> Array:
    batch, height, width, _ = x.shape
    k, _, inputs, features = kernel.shape
    y = x @ kernel.transpose(2, 0, 1, 3).reshape(inputs, k * k * features)
    y = y.reshape(batch, height, width, k, k, features).transpose(0, 1, 3, 2, 4, 5)
    return y.reshape(batch, height * k, width * k, features)
