"""Computing stages again changes nothing but memory, and bfloat16 is for maps only."""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.models import make_backbone
from skinjax.models.backbone import Backbone
from skinjax.models.families import convnext
from skinjax.models.families.densenet import DenseBlock
from skinjax.models.families.inception import Mixed
from skinjax.models.families.inverted_residual import ConvNorm, InvertedResidual
from skinjax.models.families.resnet import BasicBlock, Bottleneck
from skinjax.models.layers import Conv, Dropout, DropPath, compiler_options, relu
from tests.models.test_backbones import KEY, SMALLEST, drawn, shapes

MAPS = jax.random.normal(jax.random.key(1), (4, 8, 8, 8))


class Dropping(nn.Module):
    """A residual branch that drops values, and examples."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x, train):
        y = Dropout(0.3)(relu(Conv(8, 3, dtype=self.dtype, name="conv")(x)), train)
        return x + DropPath(0.5)(y, train)


class Deep(nn.Module):
    """Many maps of one size."""

    dtype: Any = None

    @nn.compact
    def __call__(self, x, train):
        for number in range(6):
            x = relu(Conv(8, 1, dtype=self.dtype, name=f"conv{number}")(x))
        return x


def inverted_residual(dtype, name):
    conv_norm = functools.partial(ConvNorm, dtype=dtype)
    return InvertedResidual(conv_norm, jax.nn.silu, 8, 3, 1, 2, True, True, drop_path=0.5, dtype=dtype, name=name)


BLOCKS = {
    "basic": functools.partial(BasicBlock, 8),
    "grouped and squeezed": functools.partial(Bottleneck, 16, groups=4, group_width=16, reduction=4),
    "inverted residual": inverted_residual,
    "branches": functools.partial(Mixed, {"branch1": ((4, 1),), "branch2": ((4, 1), (4, (1, 3), (3, 1)))}, 4),
    "dense": functools.partial(DenseBlock, 2, 4, True, True),
    "layer normalised": functools.partial(convnext.Block, 0.5),
    "dropping": Dropping,
}


class Blocks(Backbone):
    """A block for each stage."""

    block: Callable[..., nn.Module]
    stages: ClassVar[tuple[str, ...]] = ("features",)

    def layers(self):
        return [self.block(dtype=self.dtype, name=name) for name in self.stages]


class TwoBlocks(Blocks):
    stages: ClassVar[tuple[str, ...]] = ("stage1", "features")


class SixBlocks(Blocks):
    stages: ClassVar[tuple[str, ...]] = ("stage1", "stage2", "stage3", "stage4", "stage5", "features")


def compiled_step(backbone, frozen=()):
    """(the program from variables to (loss, (last map, updated statistics)) and gradient, variables)."""
    variables = drawn(jax.eval_shape(functools.partial(backbone.init, train=False), KEY, MAPS))

    def loss(params, variables):
        maps, updated = backbone.apply(
            {**variables, "params": params},
            MAPS,
            train=True,
            frozen=frozen,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.key(2)},
        )
        features = maps["features"].astype(jnp.float32)
        return jnp.square(features).mean(), (features, updated)

    step = jax.jit(lambda variables: jax.value_and_grad(loss, has_aux=True)(variables["params"], variables))
    return step.lower(variables).compile(compiler_options(["stem"])), variables


@functools.cache
def run(backbone, frozen=()):
    program, variables = compiled_step(backbone, frozen)
    return program(variables)


def assert_near(one, other, part):
    """No leaf differs by more than that part of its largest value, or by what rounding leaves of nothing."""
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert jnp.abs(a - b).max() <= part * jnp.abs(b).max() + 1e-7


@pytest.mark.parametrize("kind", BLOCKS)
def test_a_block_computed_again_changes_nothing(kind):
    backbone = Blocks(block=BLOCKS[kind])
    assert_near(run(backbone.clone(remat=("features",))), run(backbone), 1e-5)


@pytest.mark.parametrize("stages", [("stage1",), ("features",), ("stage1", "features")])
def test_any_stage_may_be_computed_again_and_draws_the_same(stages):
    backbone = TwoBlocks(block=Dropping)
    assert_near(run(backbone.clone(remat=stages)), run(backbone), 1e-5)


def test_a_frozen_stage_computed_again_keeps_its_statistics():
    backbone = TwoBlocks(block=BLOCKS["basic"], remat=TwoBlocks.stages)
    program, variables = compiled_step(backbone, frozen=("stage1",))
    again = program(variables)
    assert_near(again, run(backbone.clone(remat=()), frozen=("stage1",)), 1e-5)
    (_, (_, updated)), _ = again
    old, new = variables["batch_stats"], updated["batch_stats"]
    jax.tree.map(np.testing.assert_array_equal, old["stage1"], new["stage1"])
    assert np.all(old["features"]["norm1"]["mean"] != new["features"]["norm1"]["mean"])


def test_stages_computed_again_take_less_memory():
    backbone = SixBlocks(block=Deep)
    kept, again = (
        compiled_step(backbone.clone(remat=remat))[0].memory_analysis().temp_size_in_bytes
        for remat in ((), backbone.stages)
    )
    assert again < kept / 2


@pytest.mark.parametrize("kind", BLOCKS)
def test_bfloat16_is_near_float32(kind):
    backbone = Blocks(block=BLOCKS[kind])
    forward, gradient = run(backbone.clone(dtype=jnp.bfloat16))
    assert_near(forward, run(backbone)[0], 0.02)
    assert {x.dtype for x in jax.tree.leaves((forward, gradient))} == {jnp.dtype("float32")}


@pytest.mark.parametrize("name", sorted(SMALLEST.values()))
def test_all_but_maps_are_float32_whatever_the_compute_type(name):
    variables, maps = shapes(name, jnp.bfloat16)
    assert {x.dtype for x in maps.values()} == {jnp.dtype("bfloat16")}
    backbone, images = make_backbone(name, jnp.bfloat16), jax.ShapeDtypeStruct((2, 224, 224, 3), jnp.float32)

    def train(variables, images):
        rngs = {"dropout": KEY}
        maps, updated = backbone.apply(variables, images, train=True, mutable=["batch_stats"], rngs=rngs)
        return updated, backbone.original_head(10).init_with_output(KEY, maps["features"])

    outputs = jax.eval_shape(train, variables, images)
    assert {x.dtype for x in jax.tree.leaves((variables, outputs))} == {jnp.dtype("float32")}
