"""MobileNets and EfficientNets where parity goldens do not look: what is dropped, initial values, rounding."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.models import make_backbone
from skinjax.models.families.efficientnet import multiple_of_8
from skinjax.models.families.inverted_residual import ConvNorm
from skinjax.models.layers import DropPath

KEY = jax.random.key(0)


def drop_path_rates(backbone):
    """The rates of the residual branches in the order of a pass."""
    rates = []

    def keep(call, args, kwargs, context):
        if isinstance(context.module, DropPath):
            rates.append(context.module.rate)
        return call(*args, **kwargs)

    with nn.intercept_methods(keep):
        jax.eval_shape(functools.partial(backbone.init, KEY, train=False), jnp.zeros((1, 32, 32, 3)))
    return rates


def test_blocks_are_dropped_the_more_the_deeper_they_are():
    # of 16 blocks, those with a shortcut: all but the first of every stage
    expected = [0.2 * number / 16 for number in (2, 4, 6, 7, 9, 10, 12, 13, 14)]
    np.testing.assert_allclose(drop_path_rates(make_backbone("efficientnet_b0")), expected)


def test_mobilenets_drop_no_blocks():
    assert set(drop_path_rates(make_backbone("mobilenetv2_100"))) == {0.0}
    assert drop_path_rates(make_backbone("mobilenetv1_100")) == []


def test_a_rate_that_would_drop_nothing_is_refused():
    with pytest.raises(UserError, match=r"model.drop_path is 0.1 and MobileNet v1 has no shortcuts"):
        make_backbone("mobilenetv1_100", drop_path=0.1)
    assert drop_path_rates(make_backbone("mobilenetv1_100", drop_path=0.0)) == []


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("efficientnet_b0", 0.2),
        ("tf_efficientnet_b7", 0.5),
        ("mobilenetv1_100", 0.001),
        ("mobilenetv2_100", 0.2),
        ("inception_v3", 0.5),
    ],
)
def test_heads_drop_as_the_originals(name, rate):
    assert make_backbone(name).original_head(7).dropout == rate


@pytest.mark.parametrize(("kernel", "deviation"), [(3, (2 / 9) ** 0.5), (5, (2 / 25) ** 0.5)])
def test_depthwise_kernels_begin_with_the_fan_of_one_channel(kernel, deviation):
    layer = ConvNorm(2048, kernel, depthwise=True)
    params = layer.init(KEY, jnp.zeros((1, 8, 8, 2048)), False)["params"]
    assert np.std(params["conv"]["kernel"]) == pytest.approx(deviation, rel=0.02)


@pytest.mark.parametrize(("channels", "rounded"), [(1.1 * 32, 32), (1.1 * 24, 24), (1.4 * 24, 32), (2.5, 8), (11, 16)])
def test_widths_are_multiples_of_8_no_more_than_a_tenth_below(channels, rounded):
    assert multiple_of_8(channels) == rounded
