"""Operations in the form that a CPU computes fastest; layers.py decides where which of them is used.

XLA's CPU convolutions, compiled with `CPU_OPTIONS`, are fast but for depthwise and grouped kernels, for maps of one to
four pixels and for the gradient of the input of a strided one. XLA also repeats what produced an operand inside every
consumer, transposed where the consumer wants it so: the barriers say that it is computed once.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

Padding = tuple[tuple[int, int], tuple[int, int]]
LAYOUT = ("NHWC", "HWIO", "NHWC")

SMALL_MAP = 2  # up to here a convolution is a product with patches
GROUPED_CHANNELS = 32  # groups are merged to dense kernels of so many channels, which are zero between groups
# Products and sums by YNNPACK as is XLA's default; convolutions not, which take up to twice as long there, kernel
# gradients five times.
CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"}


def xla_convolution(x: Array, kernel: Array, stride: int, padding: Padding) -> Array:
    """XLA's convolution of [batch, height, width, inputs] with [height, width, inputs / groups, features]."""
    if _pointwise(x, kernel, padding):
        return x[:, ::stride, ::stride] @ kernel[0, 0]
    groups = x.shape[-1] // kernel.shape[2]
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), padding, dimension_numbers=LAYOUT, feature_group_count=groups
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def cpu_convolution(x: Array, kernel: Array, stride: int, padding: Padding) -> Array:
    """The convolution of [batch, height, width, inputs] with [height, width, inputs / groups, features]."""
    if _depthwise(x, kernel):
        return _depthwise_forward(x, kernel, stride, padding)
    if not _dense(x, kernel):
        return _by_blocks(x, kernel, stride, padding)
    if _better_as_product(x, kernel, stride, padding) and not _pointwise(x, kernel, padding):
        return _patches(x, kernel.shape[:2], stride, padding) @ kernel.reshape(-1, kernel.shape[3])
    return xla_convolution(x, kernel, stride, padding)


def _cpu_convolution_backward(
    stride: int, padding: Padding, saved: tuple[Array, Array], dy: Array
) -> tuple[Array, Array]:
    x, kernel = saved
    x, dy = jax.lax.optimization_barrier((x, dy))
    size = kernel.shape[:2]
    if _pointwise(x, kernel, padding):
        (dx,) = jax.vjp(lambda x: xla_convolution(x, kernel, stride, padding), x)[1](dy)
        return dx, _sum_of_outer_products(x[:, ::stride, ::stride], dy)[None, None]
    if _depthwise(x, kernel):
        weights = kernel.astype(_accumulator(dy))
        dx = _scattered((dy,), lambda tap, dy: dy * weights[(*tap, 0)], size, x.shape, stride, padding)
        return dx, _depthwise_kernel_gradient(x, dy, size, stride, padding)
    if not _dense(x, kernel):
        return jax.vjp(lambda x, kernel: _by_blocks(x, kernel, stride, padding), x, kernel)[1](dy)
    product = _better_as_product(x, kernel, stride, padding)
    patches, unpatch = jax.vjp(lambda x: _patches(x, size, stride, padding), x)
    if product or stride > 1:
        (dx,) = unpatch(dy @ kernel.reshape(-1, kernel.shape[3]).T)
    else:
        (dx,) = jax.vjp(lambda x: xla_convolution(x, kernel, stride, padding), x)[1](dy)
    if product:
        dkernel = _sum_of_outer_products(patches, dy).reshape(kernel.shape)
    else:
        (dkernel,) = jax.vjp(lambda kernel: xla_convolution(x, kernel, stride, padding), kernel)[1](dy)
    return dx, dkernel


cpu_convolution.defvjp(
    lambda x, kernel, stride, padding: (cpu_convolution(x, kernel, stride, padding), (x, kernel)),
    _cpu_convolution_backward,
)


def _dense(x: Array, kernel: Array) -> bool:
    return kernel.shape[2] == x.shape[-1]


def _better_as_product(x: Array, kernel: Array, stride: int, padding: Padding) -> bool:
    """Whether a matrix product is faster: for maps of a few pixels, and for more features than pixels in the batch."""
    pixels = x.shape[0] * math.prod(_outputs(x, kernel.shape[:2], stride, padding))
    return _dense(x, kernel) and (max(x.shape[1:3]) <= SMALL_MAP or pixels <= kernel.shape[3])


def _pointwise(x: Array, kernel: Array, padding: Padding) -> bool:
    return _dense(x, kernel) and kernel.shape[:2] == (1, 1) and padding == ((0, 0), (0, 0))


def _depthwise(x: Array, kernel: Array) -> bool:
    return kernel.shape[2] == 1 and kernel.shape[3] == x.shape[-1] > 1


def _taps(size: Sequence[int]) -> Iterator[tuple[int, int]]:
    return ((row, column) for row in range(size[0]) for column in range(size[1]))


def _shifted(padded: Array, tap: tuple[int, int], stride: int, outputs: tuple[int, int]) -> Array:
    """The pixels that `tap` of a kernel meets: every stride-th of [..., height, width, channels] from the tap on."""
    (row, column), (height, width) = tap, outputs
    rows = slice(row, row + (height - 1) * stride + 1, stride)
    return padded[..., rows, column : column + (width - 1) * stride + 1 : stride, :]


def _padded(x: Array, padding: Padding) -> Array:
    return jnp.pad(x, ((0, 0), *padding, (0, 0)))


def _outputs(x: Array, size: Sequence[int], stride: int, padding: Padding) -> tuple[int, int]:
    high, wide = ((n + sum(p) - k) // stride + 1 for n, p, k in zip(x.shape[1:3], padding, size, strict=True))
    return high, wide


def _patches(x: Array, size: Sequence[int], stride: int, padding: Padding) -> Array:
    """[batch, height, width, inputs] to what the kernel meets at every output [.., .., .., taps * inputs]."""
    outputs, padded = _outputs(x, size, stride, padding), _padded(x, padding)
    return jnp.concatenate([_shifted(padded, tap, stride, outputs) for tap in _taps(size)], axis=-1)


def _sum_of_outer_products(x: Array, y: Array) -> Array:
    """The gradient [inputs, features] of a matrix, from its inputs and the gradient of its outputs, by rows."""
    rows, columns = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
    product = functools.partial(
        jax.lax.dot_general, dimension_numbers=(((0,), (0,)), ((), ())), preferred_element_type=_accumulator(y)
    )
    # XLA transposes the first operand: it should be the smaller one.
    total = product(rows, columns) if rows.shape[1] <= columns.shape[1] else product(columns, rows).T
    return total.astype(y.dtype)


def _accumulator(x: Array) -> jnp.dtype:
    return jnp.promote_types(x.dtype, jnp.float32)


def _merged_groups(inputs: int, kernel: Array) -> Array:
    """A grouped kernel as dense ones of some groups each [blocks, height, width, inputs, features]."""
    height, width, each, features = kernel.shape
    groups = inputs // each
    merged = max(n for n in range(1, groups + 1) if groups % n == 0 and (n == 1 or n * each <= GROUPED_CHANNELS))
    kernel = kernel.reshape(height, width, each, groups // merged, merged, features // groups)
    blocks = jnp.einsum("hwibgf,gn->bhwnigf", kernel, jnp.eye(merged, dtype=kernel.dtype))
    return blocks.reshape(groups // merged, height, width, merged * each, merged * features // groups)


def _by_blocks(x: Array, kernel: Array, stride: int, padding: Padding) -> Array:
    blocks = _merged_groups(x.shape[-1], kernel)
    parts = zip(jnp.split(x, len(blocks), axis=-1), blocks, strict=True)
    return jnp.concatenate([xla_convolution(part, block, stride, padding) for part, block in parts], axis=-1)


def _depthwise_forward(x: Array, kernel: Array, stride: int, padding: Padding) -> Array:
    padded, size = jax.lax.optimization_barrier(_padded(x, padding)), kernel.shape[:2]
    outputs, weights = _outputs(x, size, stride, padding), kernel.astype(_accumulator(x))
    terms = (_shifted(padded, tap, stride, outputs) * weights[(*tap, 0)] for tap in _taps(size))
    return functools.reduce(jnp.add, terms).astype(x.dtype)


def _depthwise_kernel_gradient(x: Array, dy: Array, size: Sequence[int], stride: int, padding: Padding) -> Array:
    """[height, width, 1, channels], summed over the rows of the output before its columns."""
    batch, height, width, channels = dy.shape
    padded, taps = jax.lax.optimization_barrier(_padded(x, padding)), list(_taps(size))
    zero = jnp.zeros((width, channels), _accumulator(dy))

    def add(number: Array, totals: tuple[Array, ...]) -> tuple[Array, ...]:
        image, row = number // height, number % height
        shape = (1, size[0], padded.shape[2], channels)
        seen = jax.lax.dynamic_slice(padded, (image, row * stride, 0, 0), shape)[0].astype(zero.dtype)
        change = jax.lax.dynamic_slice(dy, (image, row, 0, 0), (1, 1, width, channels))[0].astype(zero.dtype)
        return tuple(
            total + (_shifted(seen, tap, stride, (1, width)) * change)[0]
            for tap, total in zip(taps, totals, strict=True)
        )

    totals = jax.lax.fori_loop(0, batch * height, add, (zero,) * len(taps))
    return jnp.stack([total.sum(axis=0) for total in totals]).reshape(*size, 1, channels).astype(dy.dtype)


def xla_max_pool(x: Array, window: int, stride: int, padding: Padding) -> Array:
    """XLA's max pooling of [batch, height, width, channels]."""
    if padding != ((0, 0), (0, 0)):  # written out, as jax2onnx leaves a pooling's own padding away
        x = jnp.pad(x, ((0, 0), *padding, (0, 0)), constant_values=-jnp.inf)
    return nn.max_pool(x, window_shape=(window, window), strides=(stride, stride), padding="VALID")


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2, 3))
def cpu_max_pool(x: Array, window: int, stride: int, padding: Padding) -> Array:
    """Max pooling of [batch, height, width, channels] that gives the gradient to the first maximum of each window."""
    return xla_max_pool(x, window, stride, padding)


def _cpu_max_pool_forward(x: Array, window: int, stride: int, padding: Padding) -> tuple[Array, Array]:
    return cpu_max_pool(x, window, stride, padding), x


def _cpu_max_pool_backward(window: int, stride: int, padding: Padding, x: Array, dy: Array) -> tuple[Array]:
    x, dy = jax.lax.optimization_barrier((x, dy))
    size, (height, width) = (window, window), dy.shape[1:3]
    padded = jnp.pad(x, ((0, 0), *padding, (0, 0)), constant_values=-jnp.inf)
    # Compared with each other, not with the forward pass's maximum: XLA may compute x twice, and round otherwise.
    first, most = jnp.zeros(dy.shape, jnp.int16), jnp.full(dy.shape, -jnp.inf, x.dtype)
    for row, column in _taps(size):
        here = _shifted(padded, (row, column), stride, (height, width))
        larger = here > most
        first = jnp.where(larger, jnp.int16(row * window + column), first)
        most = jnp.where(larger, here, most)

    def routed(tap: tuple[int, int], first: Array, dy: Array) -> Array:
        return jnp.where(first == tap[0] * window + tap[1], dy, 0).astype(_accumulator(dy))

    return (_scattered((first, dy), routed, size, x.shape, stride, padding).astype(x.dtype),)


cpu_max_pool.defvjp(_cpu_max_pool_forward, _cpu_max_pool_backward)


def _scattered(
    outputs: tuple[Array, ...],
    contribution: Callable[..., Array],
    size: Sequence[int],
    shape: tuple[int, ...],
    stride: int,
    padding: Padding,
) -> Array:
    """The sum of `contribution(tap, *outputs)` at each pixel, of `shape`, over the taps of a kernel that meet it.

    The pixels of one phase, those that are a multiple of the stride apart, meet the same taps: they are sums of shifted
    outputs, and the phases are interleaved at the end.
    """
    batch, height, width, channels = shape
    many = [-(-(n + sum(pad)) // stride) for n, pad in zip((height, width), padding, strict=True)]
    reach = [(k - 1) // stride for k in size]
    around = [(low, n - m) for low, n, m in zip(reach, many, outputs[0].shape[1:3], strict=True)]
    outputs = jax.lax.optimization_barrier(tuple(_padded(x, (around[0], around[1])) for x in outputs))

    def shifted(tap: tuple[int, int]) -> Array:
        down, right = (low - k // stride for low, k in zip(reach, tap, strict=True))
        return contribution(tap, *(x[:, down : down + many[0], right : right + many[1]] for x in outputs))

    phases = []
    for row, column in _taps((stride, stride)):
        taps = [(r, c) for r, c in _taps(size) if r % stride == row and c % stride == column]
        nothing = jnp.zeros((batch, *many, channels), _accumulator(outputs[-1]))
        phases.append(functools.reduce(jnp.add, map(shifted, taps), nothing).astype(outputs[-1].dtype))
    x = jnp.stack(phases, axis=3)
    x = x.reshape(batch, *many, stride, stride, channels).transpose(0, 1, 3, 2, 4, 5)
    x = x.reshape(batch, many[0] * stride, many[1] * stride, channels)
    (top, _), (left, _) = padding
    return x[:, top : top + height, left : left + width]
