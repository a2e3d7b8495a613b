"""Tensors to variables: names and layouts, every mismatch in one message, and what a head of one's own keeps."""

import jax
import ml_dtypes
import numpy as np
import pytest
from flax import traverse_util

from skinjax.core.errors import UserError
from skinjax.models import make_backbone
from skinjax.models.families.resnet import ResNet
from skinjax.models.heads.classifiers import make_head
from skinjax.models.pretrained.fitting import fits, matching_backbones, plan, same_architecture
from skinjax.models.pretrained.mapping import file_shape, fill, leaf_at, start_from, timm_names

TINY = plan("resnet_tiny").variables
ORIGINAL = {name: {"head": tree["head"]} for name, tree in TINY.items()}


def shapes_of(name):
    """{tensor: shape} of a file for a registered backbone."""
    variables = plan(name).variables
    names = timm_names(variables, type(make_backbone(name)))
    return {name: file_shape(path, leaf_at(variables, path).shape) for path, name in names.items()}


def tensors_of(name):
    """Random tensors of a file for a registered backbone."""
    draw = np.random.default_rng(0)
    return {name: draw.uniform(0.5, 1, shape).astype(np.float32) for name, shape in shapes_of(name).items()}


def network(head):
    """The variables of a tiny ResNet with a head, as shapes."""
    features = jax.ShapeDtypeStruct((1, 7, 7, 32), np.float32)
    own = jax.eval_shape(head.init, jax.random.key(0), features)
    return {
        "params": {"backbone": TINY["params"]["backbone"], "head": own["params"]},
        "batch_stats": {"backbone": TINY["batch_stats"]["backbone"], "head": own.get("batch_stats", {})},
    }


def test_layouts_and_names():
    tensors = tensors_of("resnet_tiny")
    assert tensors["fc.weight"].shape == (1000, 32)
    variables = fill(TINY, tensors, ResNet, "x")
    backbone, head = variables["params"]["backbone"], variables["params"]["head"]
    stem = tensors["conv1.weight"]
    assert stem.shape == (4, 3, 7, 7)
    np.testing.assert_array_equal(backbone["stem"]["conv"]["kernel"][2, 3], stem[:, :, 2, 3].T)
    np.testing.assert_array_equal(head["classifier"]["kernel"], tensors["fc.weight"].T)
    mean = variables["batch_stats"]["backbone"]["features"]["block0"]["shortcut_norm"]["mean"]
    np.testing.assert_array_equal(mean, tensors["layer4.0.downsample.1.running_mean"])


def test_every_mismatch_is_in_one_message():
    tensors = tensors_of("resnet_tiny")
    del tensors["conv1.weight"], tensors["bn1.running_var"]
    tensors["surplus"] = np.zeros(3, np.float32)
    tensors["bn1.num_batches_tracked"] = np.array(7)
    tensors["fc.weight"] = np.zeros((1000, 31), np.float32)
    tensors["bn1.weight"] = np.array([1, np.nan, np.inf, 1], np.float32)
    tensors["bn1.bias"] = np.zeros(4, np.int64)
    tensors["layer1.0.bn1.running_var"] = np.array([1, 1, -1, 1], np.float32)
    tensors["layer1.0.bn1.weight"] = np.array([1, 1, 1, 1e300])
    with pytest.raises(UserError) as caught:
        fill(TINY, tensors, ResNet, "x.safetensors")
    assert str(caught.value) == (
        "x.safetensors does not fit ResNet: 2 are missing (bn1.running_var, conv1.weight); 1 is not used (surplus); "
        "1 is of another shape (fc.weight is 1000x31 and not 1000x32); 4 are without usable numbers (bn1.bias holds "
        "int64, bn1.weight has 2 of 4 that are not finite, layer1.0.bn1.running_var has negative variances, "
        "layer1.0.bn1.weight has 1 of 4 that are not finite)"
    )


def test_many_mismatches_are_cut_and_counted():
    with pytest.raises(UserError, match=r"62 are missing \(bn1.bias, bn1.running_mean, (\S+, ){4}and 56 more\)"):
        fill(TINY, {}, ResNet, "an empty file")


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float64])
def test_other_precisions_are_cast(dtype):
    tensors = {name: tensor.astype(dtype) for name, tensor in tensors_of("resnet_tiny").items()}
    flat = traverse_util.flatten_dict(fill(TINY, tensors, ResNet, "x"))
    assert {leaf.dtype for leaf in flat.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(
        flat["params", "backbone", "stem", "norm", "scale"], tensors["bn1.weight"].astype(np.float32)
    )


def test_another_number_of_classes_leaves_the_classifier_alone():
    taken = start_from(
        network(make_backbone("resnet_tiny").original_head(7)), ORIGINAL, tensors_of("resnet_tiny"), ResNet, "x"
    )
    assert len(taken.arrays) == len(shapes_of("resnet_tiny")) - 2
    assert not any("classifier" in path for path in taken.arrays)
    assert taken.remark.endswith(
        "of x are taken: its classifier of 1,000 classes is left out, and one of 7 starts anew"
    )


def test_the_same_number_keeps_it_and_is_told():
    taken = start_from(TINY, ORIGINAL, tensors_of("resnet_tiny"), ResNet, "x")
    assert len(taken.arrays) == len(shapes_of("resnet_tiny"))
    assert taken.remark.endswith("the classifier of 1,000 classes included")


@pytest.mark.parametrize("head", ["fc1024", "concat_pool"])
def test_another_head_starts_anew_whatever_the_classes(head):
    taken = start_from(network(make_head(head, None, 1000)), ORIGINAL, tensors_of("resnet_tiny"), ResNet, "x")
    assert {path[1] for path in taken.arrays} == {"backbone"}
    assert taken.remark.endswith("its head is left out, and the one of this network starts anew")


def test_a_file_without_a_classifier_serves():
    tensors = {name: tensor for name, tensor in tensors_of("resnet_tiny").items() if not name.startswith("fc.")}
    assert "it has no classifier" in start_from(TINY, ORIGINAL, tensors, ResNet, "x").remark


def test_half_a_classifier_and_a_damaged_backbone_do_not():
    tensors = tensors_of("resnet_tiny")
    with pytest.raises(UserError, match=r"1 is missing \(fc.bias\)"):
        start_from(TINY, ORIGINAL, {k: v for k, v in tensors.items() if k != "fc.bias"}, ResNet, "x")
    wrong = {k: v for k, v in tensors.items() if k != "bn1.bias"} | {"head.bias": tensors["fc.bias"]}
    with pytest.raises(UserError, match=r"1 is missing \(bn1.bias\); 1 is not used \(head.bias\)"):
        start_from(network(make_head("fc1024", None, 7)), ORIGINAL, wrong, ResNet, "x")
    scalar = tensors | {"fc.weight": np.float32(1).reshape(())}
    with pytest.raises(UserError, match=r"fc.weight is a single number and not 1000x32"):
        fill(TINY, scalar, ResNet, "x")


def test_inceptions_auxiliary_classifier_is_no_surplus():
    shapes = shapes_of("inception_v3")
    assert fits("inception_v3", {**shapes, "AuxLogits.fc.weight": (1000, 768), "fc.weight": (7, 2048)})
    assert not fits("inception_v3", {**shapes, "AuxLogit.fc.weight": (1000, 768)})


def test_a_file_is_known_by_its_tensors():
    assert matching_backbones(shapes_of("resnet_tiny"), "resnet_tiny") == ["resnet_tiny"]
    assert not fits("resnet18", shapes_of("resnet_tiny"))
    assert matching_backbones({"a": (1,)}) == []
    same = "mobilenetv2_100_same"
    assert matching_backbones(shapes_of(same), "mobilenetv2_100") == ["mobilenetv2_100", same]


def test_how_a_network_is_built_is_read_from_itself():
    assert str(plan("mobilenetv2_100_same").built) == "padding 'same' and epsilon 1e-05"
    assert str(plan("inception_v3").built) == "padding 'symmetric' and epsilon 0.001"
    assert same_architecture("tf_efficientnet_b0", "efficientnet_b0")
    assert not same_architecture("efficientnet_b1", "efficientnet_b0")
