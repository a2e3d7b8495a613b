"""What holds for every registered backbone: published size, named stages in groups of depth, float32 parameters."""

import functools

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from skinjax.core.errors import UserError
from skinjax.methods.names import addressed
from skinjax.methods.parts import Network
from skinjax.models import BACKBONES, make_backbone
from skinjax.models.heads.classifiers import ConcatPoolHead, LinearHead
from skinjax.models.heads.patches import GRU
from skinjax.training.optimizers import parameter_factors

KEY = jax.random.key(0)

# Parameters with the original head of 1,000 classes, as published (torchvision, timm).
PARAMETERS = {
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "efficientnet_b4": 19_341_616,
    "efficientnet_b5": 30_389_784,
    "efficientnet_b6": 43_040_704,
    "efficientnet_b7": 66_347_960,
    "tf_efficientnet_b0": 5_288_548,
    "tf_efficientnet_b1": 7_794_184,
    "tf_efficientnet_b2": 9_109_994,
    "tf_efficientnet_b3": 12_233_232,
    "tf_efficientnet_b4": 19_341_616,
    "tf_efficientnet_b5": 30_389_784,
    "tf_efficientnet_b6": 43_040_704,
    "tf_efficientnet_b7": 66_347_960,
    "convnext_tiny": 28_589_128,
    "densenet121": 7_978_856,
    "densenet161": 28_681_000,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "inception_v3": 23_834_568,
    "legacy_seresnext50_32x4d": 27_559_896,
    "seresnext50_32x4d": 27_559_896,
    "mobilenetv1_100": 4_231_976,
    "mobilenetv1_100_same": 4_231_976,
    "mobilenetv2_100": 3_504_872,
    "mobilenetv2_100_same": 3_504_872,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "unet": 5_227_208,  # nobody's: counted by hand in test_unet.py, and 513,000 of the linear head
}
OUR_OWN = {"resnet_narrow", *(name for name in BACKBONES if name.startswith("resnet_tiny"))}  # no reference exists
TWINS = {f"tf_efficientnet_b{number}" for number in range(1, 8)}  # whose padding tf_efficientnet_b0 has
# The smallest of every family.
SMALLEST = {type(make_backbone(name)): name for name in sorted(PARAMETERS, key=PARAMETERS.__getitem__, reverse=True)}


@functools.cache
def shapes(name, dtype=None):
    """(variables, maps) of a backbone for images of 224 px, as shapes only."""
    images = jax.ShapeDtypeStruct((2, 224, 224, 3), jnp.float32)
    backbone = make_backbone(name, dtype)
    return jax.eval_shape(lambda x: backbone.init_with_output(KEY, x, train=False), images)[::-1]


def drawn(shapes):
    """Arrays of these shapes from numpy, for which nothing is compiled; no scale or variance is negative."""
    uniform = np.random.default_rng(0).uniform
    arrays = jax.tree.map(lambda like: uniform(-0.3, 0.5, like.shape).astype(like.dtype), shapes)
    return jax.tree.map(lambda x: x if x.ndim > 1 else np.abs(x), arrays)


def test_every_backbone_has_a_published_size():
    assert set(PARAMETERS) | OUR_OWN == set(BACKBONES)


@pytest.mark.parametrize("name", sorted(set(PARAMETERS) - TWINS))
def test_parameters_are_as_many_as_published(name):
    variables, maps = shapes(name)
    head = jax.eval_shape(make_backbone(name).original_head(1000).init, KEY, maps["features"])
    assert sum(x.size for x in jax.tree.leaves((variables["params"], head["params"]))) == PARAMETERS[name]


@pytest.mark.parametrize("name", sorted(set(BACKBONES) - TWINS))
def test_stages_name_maps_and_parameters(name):
    backbone = make_backbone(name)
    variables, maps = shapes(name)
    assert set(maps) == set(backbone.stages)
    assert len(set(backbone.stages)) == len(backbone.stages)
    assert backbone.stages[-1] == "features"
    assert set(variables["params"]) == set(backbone.stages)
    sides = [maps[stage].shape[1] for stage in backbone.stages]
    assert sides == sorted(sides, reverse=True)
    assert next(stage for stage, side in zip(backbone.stages, sides, strict=True) if side <= 224 / 16) == backbone.late


@pytest.mark.parametrize("name", sorted(set(BACKBONES) - TWINS))
def test_every_parameter_is_in_one_group_of_depth_and_no_group_is_empty(name):
    groups = ("early", "late", "top")
    sizes, stages = group_sizes(name)
    assert min(sizes) > 0
    assert sorted(stage for group in groups for stage in addressed(group, stages)) == sorted(stages)
    assert not {word for stage in stages for word in stage.split("/")} & set(groups)


# Paper 002 with fastai 0.7, whose cuts are before layer3 of a ResNet and transition2 of a DenseNet: early, late, top.
FASTAI = {
    "resnet34": (1_347_904, 19_936_768, 533_002),
    "resnet50": (1_444_928, 22_063_104, 2_112_010),
    "resnet101": (1_444_928, 41_055_232, 2_112_010),
    "resnet152": (2_565_184, 55_578_624, 2_112_010),
    "densenet161": (2_901_696, 23_570_304, 2_276_490),
}


@pytest.mark.parametrize("name", FASTAI)
def test_groups_have_as_many_parameters_as_fastais(name):
    assert group_sizes(name)[0] == FASTAI[name]


def group_sizes(name):
    """Parameters of the groups of a network with the head `concat_pool` for ten classes, and its stages."""
    variables, maps = shapes(name)
    network = Network(make_backbone(name), ConcatPoolHead(10))
    head = jax.eval_shape(network.head.init, KEY, maps["features"])
    params = flatten_dict({"backbone": variables["params"], "head": head["params"]}, sep="/")
    rows, stages = [("early", 0), ("late", 1), ("top", 2)], network.stages()
    groups = parameter_factors("groups", rows, list(params), stages)  # an error for a parameter in none of them
    return tuple(sum(x.size for path, x in params.items() if groups[path] == place) for _, place in rows), stages


@pytest.mark.parametrize(
    ("name", "side", "stage"),
    [("densenet121", 16, "features"), ("vgg16", 31, "features"), ("convnext_tiny", 15, "stage3")],
)
def test_images_of_which_nothing_would_be_left_are_refused(name, side, stage):
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    told = f"images of {side}x{side} are too small for .*, which has nothing left of them in {stage}: raise views.size"
    with pytest.raises(UserError, match=told):
        jax.eval_shape(lambda x: make_backbone(name).init(KEY, x, train=False), images)


def test_a_map_that_no_stage_has_cannot_be_changed():
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    with pytest.raises(UserError, match="unknown stage of ResNet 'layer4'"):
        jax.eval_shape(lambda x: make_backbone("resnet_tiny").init(KEY, x, train=False, at={"layer4": abs}), images)


def test_a_batch_of_any_size_is_exported(monkeypatch):
    """By XLA's own lowerings, which hold on every platform; here a recurrent network joins each image's two patches."""
    monkeypatch.setattr(jax, "default_backend", lambda: "any other than a CPU")
    backbone, gru, head = make_backbone("resnet_tiny"), GRU(features=8), LinearHead(7)
    images = np.random.default_rng(1).normal(size=(6, 32, 32, 3)).astype(np.float32)

    def network(variables, x):
        features = backbone.apply(variables[0], x, train=False)["features"]
        vectors = features.reshape(-1, 2, 32)
        return head.apply(variables[2], gru.apply(variables[1], vectors)[:, -1, None, None])

    def initial():
        of_gru, of_head = gru.init(KEY, jnp.zeros((3, 2, 32))), head.init(KEY, jnp.zeros((3, 1, 1, 8)))
        return backbone.init(KEY, images, train=False), of_gru, of_head

    variables = drawn(jax.eval_shape(initial))
    of_any = jax.ShapeDtypeStruct(jax.export.symbolic_shape("2*n, 32, 32, 3"), jnp.float32)
    exported = jax.export.export(jax.jit(network), platforms=["cpu", "cuda", "tpu"])(variables, of_any)
    logits = exported.call(variables, images)
    assert logits.shape == (3, 7)
    np.testing.assert_allclose(logits, jax.jit(network)(variables, images), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(exported.call(variables, images[:2]), logits[:1], rtol=1e-5, atol=1e-6)


def test_unknown_backbone_is_named():
    with pytest.raises(UserError, match=r"unknown backbone 'resnet51'.*did you mean 'resnet50'"):
        make_backbone("resnet51")
