"""The U-Net's restorer: PyTorch's numbers (the encoder's are in test_parity.py), any side, gradients everywhere."""

import functools

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import parity
import pytest

from skinjax.models import make_backbone
from skinjax.models.families.unet import Restorer, UNet
from skinjax.models.pretrained.mapping import LEAVES
from tests.models.test_backbones import drawn

KEY = jax.random.key(0, impl="rbg")


def shapes(height, width):
    """(restored image, parameters of encoder and restorer) as shapes only."""

    def both(x):
        maps, encoder = make_backbone("unet").init_with_output(KEY, x, train=False)
        image, restorer = Restorer().init_with_output(KEY, maps, train=False)
        return image, (encoder["params"], restorer["params"])

    return jax.eval_shape(both, jax.ShapeDtypeStruct((2, height, width, 3), jnp.float32))


@pytest.mark.parametrize("size", [(128, 128), (37, 37), (450, 600), (16, 33), (1, 1)])
def test_the_image_has_the_size_of_the_input(size):
    assert shapes(*size)[0].shape == (2, *size, 3)


def test_parameters_by_hand():
    def level(inputs, width):
        return 9 * inputs * width + 9 * width * width + 2 * 2 * width

    def up(inputs, width):
        return 4 * inputs * width + width

    encoder = level(3, 32) + level(32, 64) + level(64, 128) + level(128, 256) + level(256, 512)
    restorer = sum(up(2 * width, width) + level(2 * width, width) for width in (256, 128, 64, 32)) + 3 * 32 + 3
    assert encoder == 4_714_208
    assert restorer == 3_048_899
    assert [sum(x.size for x in jax.tree.leaves(params)) for params in shapes(32, 32)[1]] == [encoder, restorer]


def named_tensors(variables, gain):
    """`variables` of the restorer filled as tools/make_parity_goldens.py fills PyTorch's."""
    filled = {}
    for path, x in flax.traverse_util.flatten_dict(variables).items():
        _, *modules, leaf = path
        # A deconvolution's weight is [inputs, outputs, height, width], a convolution's [outputs, inputs, ...].
        ours = (2, 3, 0, 1) if modules[-1].endswith("_up") else (2, 3, 1, 0)
        shape = tuple(x.shape[ours.index(axis)] for axis in range(4)) if leaf == "kernel" else x.shape
        tensor = parity.tensor(".".join([*modules, LEAVES[leaf]]), shape, gain, parity.EVALUATION_BIAS)
        filled[path] = tensor.transpose(ours) if leaf == "kernel" else tensor
    return flax.traverse_util.unflatten_dict(filled)


def test_the_restored_image_is_the_references():
    golden = np.load(parity.GOLDENS / "unet.npz")
    size, gain = int(golden["size"]), float(golden["gain"])
    assert size % 2
    encoder, _, variables = parity.network("unet", size, gain, parity.EVALUATION_BIAS)
    own = {name: variables[name]["backbone"] for name in ("params", "batch_stats")}
    maps = jax.jit(functools.partial(encoder.apply, train=False))(own, parity.images(2, size))
    restorer = jax.eval_shape(functools.partial(Restorer().init, train=False), KEY, maps)
    image = jax.jit(functools.partial(Restorer().apply, train=False))(named_tensors(restorer, gain), maps)
    assert image.shape == (2, size, size, 3)
    assert parity.error(np.asarray(image)[:, ::4, ::4], golden["restored"]) <= 1e-4


def test_the_error_of_the_image_reaches_every_parameter():
    encoder, images = UNet(widths=(2, 2, 2, 2, 4)), jax.random.normal(KEY, (2, 21, 18, 3))

    def initial():
        maps, own = encoder.init_with_output(KEY, images, train=False)
        return own, Restorer().init(KEY, maps, train=False)

    @jax.jit
    def gradient(variables):
        def loss(params):
            first, second = (v | {"params": p} for v, p in zip(variables, params, strict=True))
            maps, _ = encoder.apply(first, images, train=True, mutable=["batch_stats"])
            image, _ = Restorer().apply(second, maps, train=True, mutable=["batch_stats"])
            return jnp.square(image - images).mean()

        return jax.grad(loss)([v["params"] for v in variables])

    for name, params in zip(("encoder", "restorer"), gradient(drawn(jax.eval_shape(initial))), strict=True):
        for path, x in flax.traverse_util.flatten_dict(params).items():
            assert np.isfinite(x).all(), (name, path)
            assert np.abs(x).max() > 0, (name, path)
