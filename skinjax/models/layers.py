"""The primitives through which every network goes, equal to PyTorch's: padding, epsilon and statistics are explicit.

What wins on one platform only is chosen here, by `LOWERINGS` and `compiler_options`, for all networks.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, ClassVar, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from skinjax.core.errors import UserError
from skinjax.core.portable import is_portable
from skinjax.models import lowerings
from skinjax.models.lowerings import CPU_OPTIONS, LAYOUT, Padding

Initializer = Callable[..., Array]

kaiming_normal_fan_in: Initializer = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
kaiming_normal_fan_out: Initializer = nn.initializers.variance_scaling(2.0, "fan_out", "normal")


def relu(x: Array) -> Array:
    """Every ReLU of every network, so that guided backpropagation can swap its gradient in one place.

    The backward pass reads its output, which the next layer keeps anyway.
    """
    if (guided := _GUIDED.get()) is not None:
        guided.append(x.shape)
    return _relu(guided is not None, x)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _relu(guided: bool, x: Array) -> Array:
    return jnp.maximum(x, _constant(0, x))


_relu.defvjp(
    lambda guided, x: (jnp.maximum(x, _constant(0, x)),) * 2,
    lambda guided, y, dy: (jnp.where((y > 0) & (dy > 0) if guided else y > 0, dy, 0),),
)
_GUIDED: ContextVar[list[tuple[int, ...]] | None] = ContextVar("guided", default=None)


@contextlib.contextmanager
def guided_relus() -> Iterator[list[tuple[int, ...]]]:
    """What is traced within has ReLUs that pass positive gradients alone; gives a list, to which each adds its shape.

    It is read while a program is traced, in this thread: what was compiled before, or is traced elsewhere, stays.
    """
    found: list[tuple[int, ...]] = []
    token = _GUIDED.set(found)
    try:
        yield found
    finally:
        _GUIDED.reset(token)


def uniform_within(bound: float) -> Initializer:
    """U(-bound, bound)."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)


def relu6(x: Array) -> Array:
    """A ReLU that ends at six, without gradient there and beyond as PyTorch's."""
    return relu(_at_most_six(x))


@jax.custom_vjp
def _at_most_six(x: Array) -> Array:
    return jnp.minimum(x, _constant(6, x))


_at_most_six.defvjp(lambda x: (jnp.minimum(x, _constant(6, x)), x < 6), lambda below, dy: (jnp.where(below, dy, 0),))


def _constant(value: int, x: Array) -> Array:
    """A number of the type of x: without one it would be a float64 in ONNX."""
    return jnp.asarray(value, x.dtype)


class Conv(nn.Module):
    """A convolution of `groups` groups; `kernel` and `padding` are of both axes or of (height, width).

    The padding is symmetric, by default half the kernel as torchvision's networks have it, or 'same': TensorFlow's, of
    which the larger half lies after the image and which depends on the size of the map.
    """

    features: int
    kernel: int | tuple[int, int]
    stride: int = 1
    padding: int | tuple[int, int] | Literal["same"] | None = None
    groups: int = 1
    use_bias: bool = False
    kernel_init: Initializer = kaiming_normal_fan_out
    bias_init: Initializer | None = nn.initializers.zeros  # None: U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        height, width = _pair(self.kernel)
        shape = (height, width, x.shape[-1] // self.groups, self.features)
        bias_init = self.bias_init or uniform_within((height * width * shape[2]) ** -0.5)
        kernel = self.param("kernel", self.kernel_init, shape, jnp.float32)
        bias = self.param("bias", bias_init, (self.features,), jnp.float32) if self.use_bias else None
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        around = _conv_padding(self.padding, x.shape[1:3], (height, width), self.stride)
        y = lowering("convolution")(x, kernel, self.stride, around)
        return y if bias is None else y + bias


# operation: how it is computed on a platform, and elsewhere
LOWERINGS: dict[str, tuple[dict[str, Callable[..., Any]], Callable[..., Any]]] = {
    "convolution": ({"cpu": lowerings.cpu_convolution}, lowerings.xla_convolution),
    "max_pool": ({"cpu": lowerings.cpu_max_pool}, lowerings.xla_max_pool),
    # Arrays that several reductions read: a CPU would repeat in each of them what they come from.
    "computed_once": ({"cpu": jax.lax.optimization_barrier}, lambda arrays: arrays),
}


def lowering(operation: str) -> Callable[..., Any]:
    """The implementation of `operation` for the default platform, or for any where the program is `portable`."""
    by_platform, elsewhere = LOWERINGS[operation]
    return elsewhere if is_portable() else by_platform.get(jax.default_backend(), elsewhere)


def compiler_options(remat: Sequence[str] = ()) -> dict[str, str]:
    """The options to give `jax.jit` for any program with a network; `remat`: the stages that are computed again."""
    if jax.default_backend() != "cpu":
        return {}
    options = {name: value for name, value in CPU_OPTIONS.items() if _is_option(name, value)}
    # XLA would remove the barriers behind which maps are computed again before it orders the program.
    return options | {"xla_disable_hlo_passes": "cse_barrier_expander"} if remat else options


@functools.cache
def _is_option(name: str, value: str) -> bool:
    """Whether this version of XLA knows it."""
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _conv_padding(
    padding: int | tuple[int, int] | Literal["same"] | None, sizes: Sequence[int], kernel: tuple[int, int], stride: int
) -> Padding:
    if padding == "same":
        needed = [max((-(-n // stride) - 1) * stride + k - n, 0) for n, k in zip(sizes, kernel, strict=True)]
        (top, left), (bottom, right) = [n // 2 for n in needed], [n - n // 2 for n in needed]
        return (top, bottom), (left, right)
    high, wide = (kernel[0] // 2, kernel[1] // 2) if padding is None else _pair(padding)
    return (high, high), (wide, wide)


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
        init = nn.initializers.normal((2 / (self.features * k * k)) ** 0.5)
        kernel = self.param("kernel", init, (k, k, x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32) if self.use_bias else None
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        if k == self.stride and self.padding == 0:
            y = _depth_to_space_product(x, kernel)
        else:
            pad, dilation = (k - 1 - self.padding,) * 2, (self.stride,) * 2
            y = jax.lax.conv_general_dilated(
                x, kernel[::-1, ::-1], (1, 1), (pad, pad), lhs_dilation=dilation, dimension_numbers=LAYOUT
            )
        return y if bias is None else y + bias


def _depth_to_space_product(x: Array, kernel: Array) -> Array:
    batch, height, width, _ = x.shape
    k, _, inputs, features = kernel.shape
    y = x @ kernel.transpose(2, 0, 1, 3).reshape(inputs, k * k * features)
    y = y.reshape(batch, height, width, k, k, features).transpose(0, 1, 3, 2, 4, 5)
    return y.reshape(batch, height * k, width * k, features)


class Dense(nn.Module):
    """A linear layer with PyTorch's default initialisation of kernel and bias, computing in `dtype`."""

    features: int
    kernel_init: Initializer | None = None  # U(-1/sqrt(inputs), 1/sqrt(inputs)), as that of the bias
    bias_init: Initializer | None = None
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        usual = uniform_within(x.shape[-1] ** -0.5)
        kernel = self.param("kernel", self.kernel_init or usual, (x.shape[-1], self.features), jnp.float32)
        bias = self.param("bias", self.bias_init or usual, (self.features,), jnp.float32)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        return x @ kernel + bias


class SqueezeExcitation(nn.Module):
    """Channels scaled by a gate of their own means: reduce, activate, expand, sigmoid (Hu et al. 2018)."""

    reduced: int
    activation: Callable[[Array], Array] = relu
    kernel_init: Initializer = kaiming_normal_fan_out
    bias_init: Initializer | None = nn.initializers.zeros
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        conv = functools.partial(
            Conv, kernel=1, use_bias=True, kernel_init=self.kernel_init, bias_init=self.bias_init, dtype=self.dtype
        )
        gate = x.mean(axis=(1, 2), keepdims=True)
        gate = self.activation(conv(self.reduced, name="reduce")(gate))
        return x * jax.nn.sigmoid(conv(x.shape[-1], name="expand")(gate))


class Dropout(nn.Module):
    """In training each value is dropped at `rate` and the others are scaled up.

    What an example loses depends on the key and on its position [batch] in the global batch (`dropout_by_position`), by
    default its row: not on how the batch is cut up.
    """

    rate: float
    whole: ClassVar[bool] = False  # drop or keep an example as a whole

    @nn.compact
    def __call__(self, x: Array, train: bool, positions: Array | None = None) -> Array:
        if not train or self.rate == 0:
            return x
        shape = (1,) * (x.ndim - 1) if self.whole else x.shape[1:]
        positions = jnp.arange(x.shape[0]) if positions is None else positions
        keys = jax.vmap(jax.random.fold_in, (None, 0))(self.make_rng("dropout"), positions)
        kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - self.rate, shape))(keys)
        return jnp.where(kept, x / (1 - self.rate), jnp.zeros((), x.dtype))


class DropPath(Dropout):
    """Stochastic depth: in training each example's residual branch is dropped at `rate`, the others are scaled up."""

    whole: ClassVar[bool] = True


def dropout_by_position(positions: Array) -> contextlib.AbstractContextManager[None]:
    """While the context lasts, `Dropout` takes row i of a batch to be at positions[i] of the global batch."""

    def give_positions(call: Callable, args: tuple, kwargs: dict, context: nn.module.InterceptorContext) -> Any:
        if isinstance(context.module, Dropout) and context.method_name == "__call__":
            return call(*args, **kwargs, positions=positions)
        return call(*args, **kwargs)

    return nn.intercept_methods(give_positions)
