"""The decoder fits every backbone's last map, and its gradient reaches the encoder (papers.md, section 7, check 14)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from skinjax.core.errors import UserError
from skinjax.models.heads.decoder import Decoder
from tests.models.test_backbones import shapes

KEY = jax.random.key(0, impl="rbg")  # compiles faster than threefry


def built(decoder, *features):
    """(image, {path: shape} of the parameters) for a map of this shape, as shapes only."""
    features = jax.ShapeDtypeStruct(features, jnp.float32)
    image, variables = jax.eval_shape(lambda x: decoder.init_with_output(KEY, x, train=False), features)
    return image, {
        f"{layer}/{name}": x.shape for layer, group in variables["params"].items() for name, x in group.items()
    }


def test_paper_000_decodes_7_to_28_to_224():
    image, shapes = built(Decoder((224, 224)), 2, 7, 7, 2048)
    assert image.shape == (2, 224, 224, 3)
    assert shapes == {
        "deconv1/kernel": (4, 4, 2048, 256),
        "deconv1/bias": (256,),
        "norm1/scale": (256,),
        "norm1/bias": (256,),
        "deconv2/kernel": (8, 8, 256, 3),
        "deconv2/bias": (3,),
    }
    assert sum(np.prod(shape) for shape in shapes.values()) == 8_438_531  # 8.4 million


@pytest.mark.parametrize(
    ("arguments", "features", "size"),
    [
        ({}, (7, 7, 512), (224, 224)),
        ({}, (3, 3, 128), (96, 96)),
        ({}, (8, 8, 2048), (299, 299)),
        ({}, (5, 5, 32), (224, 224)),
        ({}, (14, 19, 32), (450, 600)),
        ({}, (1, 1, 32), (32, 32)),
        ({"kernels": (8, 16), "strides": (4, 8), "paddings": (2, 4)}, (7, 7, 512), (224, 224)),
        ({"kernels": (4, 4), "strides": (2, 2), "paddings": (1, 1)}, (7, 7, 512), (224, 224)),
    ],
)
def test_the_image_has_the_size_of_the_input(arguments, features, size):
    image, _ = built(Decoder(size, channels=16, **arguments), 2, *features)
    assert image.shape == (2, *size, 3)


@pytest.mark.parametrize(("name", "channels"), [("resnet50", 2048), ("vgg16", 512), ("densenet121", 1024)])
def test_the_networks_of_paper_000_end_in_7_pixels(name, channels):
    assert shapes(name)[1]["features"].shape == (2, 7, 7, channels)


@pytest.fixture(scope="module")
def one_pixel():
    """(variables, map of one pixel, its image) of a decoder to 32 x 32."""
    features = jax.random.normal(KEY, (2, 1, 1, 4))
    decoder = Decoder((32, 32), channels=8)
    variables = jax.jit(functools.partial(decoder.init, train=False))(KEY, features)
    return variables, features, np.asarray(jax.jit(functools.partial(decoder.apply, train=False))(variables, features))


def test_one_pixel_by_hand(one_pixel):
    """Stamps of 4 x 4, unit statistics, ReLU, stamps of 8 x 8 side by side."""
    variables, features, image = one_pixel
    first, second = (variables["params"][name]["kernel"] for name in ("deconv1", "deconv2"))
    hidden = np.maximum(np.einsum("bi,hwio->bhwo", features[:, 0, 0], first) / np.sqrt(1 + 1e-5), 0)
    assert (hidden == 0).any()
    expected = np.einsum("bhwi,yxio->bhywxo", hidden, second).reshape(2, 32, 32, 3)
    np.testing.assert_allclose(image, expected, rtol=1e-4, atol=1e-5)


def test_a_map_that_does_not_divide_the_input_is_resized_bilinearly(one_pixel):
    variables, features, image = one_pixel
    larger = Decoder((40, 40), channels=8)
    resized = jax.jit(functools.partial(larger.apply, train=False))(variables, features)
    expected = [Image.fromarray(image[0, :, :, i]).resize((40, 40), Image.BILINEAR) for i in range(3)]
    np.testing.assert_allclose(resized[0], np.stack(expected, axis=-1), atol=1e-5)


def test_the_output_is_linear_and_the_gradient_reaches_the_encoder():
    features = jax.random.normal(KEY, (4, 1, 1, 8))
    decoder = Decoder((32, 32), channels=16)
    variables = jax.jit(functools.partial(decoder.init, train=False))(KEY, features)

    def error(features):
        image, _ = decoder.apply(variables, features, train=True, mutable=["batch_stats"])
        return jnp.square(image - 1).mean(), image

    gradient, image = jax.jit(jax.grad(error, has_aux=True))(features)
    assert image.min() < 0 < image.max()
    assert np.isfinite(gradient).all()
    assert (np.abs(gradient).max(axis=(1, 2, 3)) > 0).all()


def test_bfloat16_decoder_keeps_float32_parameters():
    features = jax.ShapeDtypeStruct((2, 3, 3, 8), jnp.bfloat16)
    decoder = Decoder((96, 96), channels=16, dtype=jnp.bfloat16)
    image, variables = jax.eval_shape(lambda x: decoder.init_with_output(KEY, x, train=False), features)
    assert image.dtype == jnp.bfloat16
    assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


def test_kernels_that_leave_nothing_are_refused():
    with pytest.raises(UserError, match="kernel 2, stride 1 and padding 3 leaves nothing of a map of 1x1"):
        built(Decoder((32, 32), channels=4, kernels=(2, 2), strides=(1, 1), paddings=(3, 0)), 1, 1, 1, 8)
