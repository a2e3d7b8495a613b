"""Where DenseNet's stages begin, and its statistics that are shared."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.models import make_backbone
from skinjax.models.families.densenet import DenseBlock, DenseNet
from skinjax.models.normalisation import batch_statistics
from tests.models.test_backbones import drawn

KEY = jax.random.key(0)


def test_a_stage_begins_with_its_transition():
    backbone = DenseNet((1, 1, 1, 2))
    images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    maps, _ = jax.eval_shape(lambda x: backbone.init_with_output(KEY, x, train=False), images)
    shapes = {name: (x.shape[1], x.shape[3]) for name, x in maps.items()}
    assert shapes == {
        "stem": (56, 64),
        "block1": (56, 96),
        "block2": (28, 80),
        "block3": (14, 72),
        "features": (7, 100),
    }


def test_every_layer_is_given_the_statistics_of_what_it_reads():
    """In bfloat16, whose statistics are float32: one batch at momentum 0.1 leaves a tenth of its mean."""
    block = DenseBlock(depth=3, growth=2, first=True, last=False, dtype=jnp.bfloat16)
    x = jax.random.normal(KEY, (2, 4, 4, 5), jnp.bfloat16) + 3
    variables = drawn(jax.eval_shape(functools.partial(block.init, train=False), KEY, x))
    variables["batch_stats"] = jax.tree.map(np.zeros_like, variables["batch_stats"])
    y, updated = jax.jit(functools.partial(block.apply, train=True, mutable=["batch_stats"]))(variables, x)
    mean, _ = batch_statistics(y)
    for number, channels in ((1, 5), (2, 7), (3, 9)):
        stats = updated["batch_stats"][f"layer{number}"]["norm1"]
        assert stats["mean"].dtype == jnp.float32
        np.testing.assert_allclose(stats["mean"], 0.1 * mean[:channels], rtol=1e-5, atol=1e-6)


def test_the_last_relu_can_be_left_out():
    """Paper 003's attention models pool the last norm as it is."""
    backbone = DenseNet((1, 1, 1, 1), growth=4, final_relu=False)
    images = jnp.asarray(np.random.default_rng(0).normal(size=(1, 32, 32, 3)), jnp.float32)
    variables = drawn(jax.eval_shape(functools.partial(backbone.init, train=False), KEY, images))
    bare, rectified = (
        jax.jit(functools.partial(network.apply, train=False))(variables, images)["features"]
        for network in (backbone, backbone.clone(final_relu=True))
    )
    assert not make_backbone("densenet121", final_relu=False).final_relu
    assert (bare < 0).any()
    np.testing.assert_allclose(rectified, jnp.maximum(bare, 0), rtol=1e-4, atol=1e-5)
    with pytest.raises(UserError, match="resnet18 is no DenseNet"):
        make_backbone("resnet18", final_relu=False)
