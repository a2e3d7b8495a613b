"""ResNet's blocks against torchvision's numbers, and what the other modules ask of a backbone."""

import functools

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.models import make_backbone
from skinjax.models.families.resnet import BasicBlock, Bottleneck, Stem
from skinjax.models.pooling import max_pool

KEY = jax.random.key(0)
STAGES = ("stem", "stage1", "stage2", "stage3", "features")
TINY = make_backbone("resnet_tiny")


def filled(module, *arguments, **keywords):
    """Variables that another framework can write down: sines, shifted by the place in the sorted list of paths."""
    variables = jax.eval_shape(lambda: module.init(KEY, *arguments, **keywords))
    flat = flax.traverse_util.flatten_dict(variables["params"], sep="/")
    sines = {
        path: 0.3 * np.sin(np.arange(flat[path].size) * 0.7 + number).reshape(flat[path].shape).astype(np.float32)
        for number, path in enumerate(sorted(flat))
    }
    stats = jax.tree.map_with_path(
        lambda path, x: np.full(x.shape, path[-1].key == "var", np.float32), variables["batch_stats"]
    )
    return {"params": flax.traverse_util.unflatten_dict(sines, sep="/"), "batch_stats": stats}


def cosine_image(*shape):
    return jnp.asarray(np.cos(np.arange(np.prod(shape)) * 0.9).reshape(shape), jnp.float32)


# torchvision 0.28's blocks with the same parameters, in float64, rounded: the sum, then pixels (0, 1, 2) and (1, 2, 0);
# a training pass and an evaluation pass with the statistics that it left.
TORCHVISION = {
    "basic": (
        BasicBlock(6, 2),
        (18.72167, [0, 0, 0.04575, 0, 0, 0], [0.45041, 0.49271, 0, 0, 0.31649, 0.57627]),
        (2.32121, [0, 0, 0.03659, 0.03611, 0, 0], [0, 0, 0.03434, 0.0503, 0.031, 0.00515]),
    ),
    "bottleneck": (
        Bottleneck(2, 2),
        (
            13.97047,
            [0.42926, 0.31815, 0.0246, 0, 0.24326, 0.378, 0.17096, 0.01035],
            [0.51651, 0.1215, 0, 0.22823, 0.50659, 0.27955, 0, 0.10381],
        ),
        (
            4.0131,
            [0.1853, 0.14927, 0.00201, 0, 0.06084, 0.14426, 0.08632, 0.01706],
            [0.17568, 0.033, 0, 0.05004, 0.12368, 0.06185, 0, 0.059],
        ),
    ),
}


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_block_of_stride_two_is_torchvisions(name):
    block, train, evaluation = TORCHVISION[name]
    x = cosine_image(2, 6, 6, 4)
    variables = filled(block, x, train=False)
    run = jax.jit(functools.partial(block.apply, mutable=["batch_stats"]), static_argnames="train")
    for mode, (total, one, other) in ((True, train), (False, evaluation)):
        y, updated = run(variables, x, train=mode)
        variables = {**variables, **updated}
        assert float(y.sum()) == pytest.approx(total, abs=2e-4)
        np.testing.assert_allclose([y[0, 1, 2], y[1, 2, 0]], [one, other], atol=2e-5)


def test_the_stem_is_torchvisions():
    x = cosine_image(1, 12, 12, 3)
    run = jax.jit(functools.partial(Stem(2).apply, train=True, mutable=["batch_stats"]))
    y, _ = run(filled(Stem(2), x, train=False), x)
    assert y.shape == (1, 3, 3, 2)
    assert float(y.sum()) == pytest.approx(9.16478, abs=1e-4)
    np.testing.assert_allclose(y[0, 0], [[0.48725, 0.3516], [0.48725, 0.37074], [0.39211, 0.44807]], atol=2e-5)


@pytest.fixture(scope="module")
def tiny():
    """(images, variables) of the smallest network."""
    images = cosine_image(4, 32, 32, 3)
    return images, filled(TINY, images, train=False)


@functools.partial(jax.jit, static_argnames=("train", "frozen", "name"))
def run_tiny(variables, images, train=False, frozen=(), name=None):
    at = {name: lambda x: 2 * x + 1} if name else None
    return TINY.apply(variables, images, train=train, frozen=frozen, at=at, mutable=["batch_stats"])


def test_at_changes_its_map_and_the_later_ones_only(tiny):
    images, variables = tiny
    plain, _ = run_tiny(variables, images)
    changed, _ = run_tiny(variables, images, name="stage2")
    np.testing.assert_allclose(changed["stage2"], 2 * plain["stage2"] + 1, rtol=1e-5)
    same = [np.allclose(changed[name], plain[name], rtol=1e-5, atol=1e-6) for name in STAGES]
    assert same == [True, True, False, False, False]


def test_at_changes_the_images_before_the_first_stage(tiny):
    images, variables = tiny
    changed, _ = run_tiny(variables, images, name="pixels")
    expected, _ = run_tiny(variables, 2 * images + 1)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5), changed, expected)
    assert set(changed) == set(STAGES)


def test_frozen_stages_use_and_keep_their_running_statistics(tiny):
    images, variables = tiny
    evaluated, _ = run_tiny(variables, images)
    trained, _ = run_tiny(variables, images, train=True)
    maps, updated = run_tiny(variables, images, train=True, frozen=("stem", "stage1"))
    for name in ("stem", "stage1"):
        np.testing.assert_allclose(maps[name], evaluated[name], rtol=1e-5, atol=1e-6)
        assert not np.allclose(maps[name], trained[name], rtol=1e-2)
    for name in STAGES:
        before, after = variables["batch_stats"][name], updated["batch_stats"][name]
        kept = [bool((x == y).all()) for x, y in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)]
        assert kept == [name in ("stem", "stage1")] * len(kept)


def test_nothing_is_updated_in_evaluation(tiny):
    images, variables = tiny
    _, updated = run_tiny(variables, images)
    jax.tree.map(np.testing.assert_array_equal, updated["batch_stats"], variables["batch_stats"])


def test_the_pool_of_the_stem_has_torchs_windows():
    x = jnp.arange(64.0).reshape(1, 8, 8, 1)
    assert max_pool(x, 3, 2, 1)[0, :, :, 0].tolist() == [
        [9, 11, 13, 15],
        [25, 27, 29, 31],
        [41, 43, 45, 47],
        [57, 59, 61, 63],
    ]


@pytest.mark.parametrize(("name", "scale"), [("seresnext50_32x4d", 0), ("legacy_seresnext50_32x4d", 1)])
def test_se_resnext_begins_as_its_reference(name, scale):
    """timm's residual branches begin at zero, Cadene's do not; both gates have PyTorch's biases."""
    key = jax.random.key(0, impl="rbg")  # compiles faster than threefry
    block = jax.jit(make_backbone(name).block(64).init, static_argnums=2)(key, jnp.zeros((1, 2, 2, 64)), True)["params"]
    assert set(block["norm3"]["scale"].tolist()) == {scale}
    for layer, fan in (("reduce", 256), ("expand", 16)):
        bias = block["excitation"][layer]["bias"]
        assert np.abs(bias).max() == pytest.approx(fan**-0.5, rel=0.25)
        assert np.abs(bias).max() <= fan**-0.5
