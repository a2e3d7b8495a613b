"""The auxiliary decoder of paper 000: two deconvolution blocks from the last map back to an image of input size."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
from jax import Array

from skinjax.core.settings import Settings, number
from skinjax.models.layers import ConvTranspose, relu
from skinjax.models.normalisation import BatchNorm

Pair = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class DecoderSettings(Settings):
    """Channels between the two deconvolutions, and each one's kernel, stride and padding."""

    channels: int = number(256, 1, 2**16)
    kernels: Pair = number((4, 8), 1)
    strides: Pair = number((4, 8), 1)
    paddings: Pair = number((0, 0), 0)


class Decoder(nn.Module):
    """Features [batch, h, w, channels] to an image [batch, *size, 3] in the space of the normalised input.

    Two deconvolutions of the usual stride 2 would end at 28 pixels of 224; strides of 4 and 8 undo a total stride of 32
    exactly (7 -> 28 -> 224). Where a backbone's map does not divide the input (Inception), the output is resized
    bilinearly. It is linear: a valid network input.
    """

    size: Pair
    channels: int = DecoderSettings.channels
    kernels: Pair = DecoderSettings.kernels
    strides: Pair = DecoderSettings.strides
    paddings: Pair = DecoderSettings.paddings
    dtype: Any = None

    @nn.compact
    def __call__(self, features: Array, *, train: bool) -> Array:
        first, second = zip(self.kernels, self.strides, self.paddings, strict=True)
        x = ConvTranspose(self.channels, *first, dtype=self.dtype, name="deconv1")(features)
        x = relu(BatchNorm(dtype=self.dtype, name="norm1")(x, use_running_average=not train))
        x = ConvTranspose(3, *second, dtype=self.dtype, name="deconv2")(x)
        return x if x.shape[1:3] == self.size else jax.image.resize(x, (x.shape[0], *self.size, 3), "bilinear")
