"""Every head by hand in numpy, what it starts from, and what dropout drops."""

import contextlib
import functools
from pathlib import Path

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.models import make_backbone
from skinjax.models.heads import classifiers as heads
from skinjax.models.heads.classifiers import (
    HEADS,
    ConcatPoolHead,
    CosineHead,
    LinearHead,
    make_head,
)
from skinjax.models.layers import Dropout, DropPath, dropout_by_position
from tests.models.test_backbones import SMALLEST

KEY = jax.random.key(0)
FC1024, MLP = (lambda classes, name=name: make_head(name, None, classes) for name in ("fc1024", "mlp"))
FEATURES = jax.random.normal(jax.random.key(1), (6, 2, 3, 4))
close = functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6)


@functools.cache
def drawn(head):
    return jax.jit(functools.partial(head.init, train=False))(jax.random.key(0, impl="rbg"), FEATURES)


def run(head, variables, features=FEATURES, train=False):
    """(logits, what the classifier read, batch statistics after it)."""
    collections = ["intermediates", "batch_stats"]
    call = jax.jit(functools.partial(head.apply, train=train, mutable=collections, rngs={"dropout": KEY}))
    logits, updated = call(variables, features)
    return logits, updated["intermediates"]["pooled"][0], updated.get("batch_stats", {})


def dense(params, name, x):
    return x @ np.asarray(params[name]["kernel"], np.float64) + np.asarray(params[name]["bias"])


def normalise(params, name, x, train):
    mean, variance = (x.mean(0), x.var(0)) if train else (0, 1)
    return (x - mean) / np.sqrt(variance + 1e-5) * params[name]["scale"] + params[name]["bias"]


def pool(features):
    return np.asarray(features, np.float64).mean((1, 2))


def test_linear_by_hand():
    params = drawn(LinearHead(3))["params"]
    logits, pooled, _ = run(LinearHead(3), drawn(LinearHead(3)))
    close(pooled, pool(FEATURES))
    close(logits, dense(params, "classifier", pool(FEATURES)))


def test_linear_head_pools_over_the_map_and_answers_in_float32():
    features = jnp.array([[[[1.0, 0], [3, 4]], [[5, 0], [7, 4]]]], jnp.bfloat16)
    params = {"kernel": jnp.array([[1.0, 2], [10, 0]]), "bias": jnp.array([0.5, 0.25])}
    logits = LinearHead(2).apply({"params": {"classifier": params}}, features)
    assert logits.tolist() == [[24.5, 8.25]]
    assert logits.dtype == jnp.float32


def test_cosine_by_hand():
    params = drawn(CosineHead(3))["params"]
    logits, pooled, _ = run(CosineHead(3), drawn(CosineHead(3)))
    close(pooled, pool(FEATURES))
    directions = np.asarray(params["directions"], np.float64)
    unit = pool(FEATURES) / np.linalg.norm(pool(FEATURES), axis=1, keepdims=True)
    close(logits, 30 * unit @ (directions / np.linalg.norm(directions, axis=0)))
    warmer, _, _ = run(make_head("cosine", make_backbone("resnet_tiny"), 3, scale=15.0), drawn(CosineHead(3)))
    close(warmer, logits / 2)
    nothing, _, _ = run(CosineHead(3), drawn(CosineHead(3)), jnp.zeros_like(FEATURES))
    assert not nothing.any()


def test_fc1024_by_hand():
    params = drawn(FC1024(3))["params"]
    logits, pooled, _ = run(FC1024(3), drawn(FC1024(3)))
    hidden = np.maximum(dense(params, "hidden1", pool(FEATURES)), 0)
    assert hidden.shape == (6, 1024)
    close(pooled, hidden)
    close(logits, dense(params, "classifier", hidden))


def test_mlp_by_hand():
    params = drawn(MLP(3))["params"]
    logits, pooled, _ = run(MLP(3), drawn(MLP(3)))
    hidden = np.maximum(dense(params, "hidden1", pool(FEATURES)), 0)
    assert hidden.shape == (6, 512)
    hidden = np.maximum(dense(params, "hidden2", hidden), 0)
    assert hidden.shape == (6, 128)
    close(pooled, hidden)
    close(logits, dense(params, "classifier", hidden))


@pytest.mark.parametrize("train", [False, True])
def test_concat_pool_by_hand(train):
    head = ConcatPoolHead(3, dropout=0.0)
    params = drawn(head)["params"]
    logits, pooled, stats = run(head, drawn(head), train=train)
    x = np.concatenate([np.asarray(FEATURES, np.float64).max((1, 2)), pool(FEATURES)], axis=1)
    hidden = np.maximum(dense(params, "hidden", normalise(params, "norm1", x, train)), 0)
    assert hidden.shape == (6, 512)
    hidden = normalise(params, "norm2", hidden, train)
    np.testing.assert_allclose(pooled, hidden, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(logits, dense(params, "classifier", hidden), rtol=1e-4, atol=1e-4)
    close(stats["norm1"]["mean"], 0.1 * x.mean(0) if train else np.zeros(8))


def test_fc1024_starts_from_the_uniform_of_paper_004():
    for name, x in flax.traverse_util.flatten_dict(drawn(FC1024(400))["params"], sep="/").items():
        assert float(jnp.abs(x).max()) <= 0.05, name
        assert float(jnp.std(x)) == pytest.approx(0.05 / 3**0.5, rel=0.05), name


def test_concat_pool_starts_from_kaimings_normal():
    params = drawn(ConcatPoolHead(400))["params"]
    assert float(jnp.std(params["hidden"]["kernel"])) == pytest.approx((2 / 8) ** 0.5, rel=0.05)
    assert float(jnp.std(params["classifier"]["kernel"])) == pytest.approx((2 / 512) ** 0.5, rel=0.05)
    assert float(jnp.abs(params["hidden"]["kernel"]).max()) > 3 * (2 / 8) ** 0.5  # not truncated
    assert not params["hidden"]["bias"].any()
    assert not params["classifier"]["bias"].any()


@pytest.mark.parametrize("name", sorted(SMALLEST.values()))
def test_the_classifier_of_every_original_head_begins_as_pytorchs_linear(name):
    """Kernel and bias are of U(-1/sqrt(inputs), 1/sqrt(inputs)), as those of new classes are there in every network."""
    head, features = make_backbone(name).original_head(200), jnp.zeros((1, 1, 1, 1024))  # as a recurrent network gives

    @jax.jit
    def classifier():
        return head.init(jax.random.key(0, impl="rbg"), features)["params"]["classifier"]

    kernel, bias = (np.asarray(classifier()[part], np.float64) for part in ("kernel", "bias"))
    bound = kernel.shape[0] ** -0.5
    for x in (kernel, bias):
        deviation = bound / 3**0.5
        assert np.abs(x).max() <= bound * (1 + 1e-6)
        assert np.abs(x).max() == pytest.approx(bound, rel=0.05)
        assert np.mean(x) == pytest.approx(0, abs=4 * deviation / x.size**0.5)
        assert np.std(x) == pytest.approx(deviation, rel=0.1)


@pytest.mark.parametrize("name", HEADS)
def test_logits_are_float32_of_a_bfloat16_map(name):
    head = make_head(name, make_backbone("resnet_tiny"), 3)
    variables = drawn(head)
    assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    logits, _, _ = run(head, variables, FEATURES.astype(jnp.bfloat16))
    assert (logits.shape, logits.dtype) == ((6, 3), jnp.float32)


@pytest.mark.parametrize("head", [*(name for name in HEADS if name != "original"), "convnext_tiny"])
def test_a_head_takes_what_it_pooled_as_well_as_maps(head):
    backbone = make_backbone(head if head == "convnext_tiny" else "resnet_tiny")
    head = make_head("original" if head == "convnext_tiny" else head, backbone, 3)
    pooled = jax.jit(head.pool)(FEATURES)
    assert pooled.shape == (6, 8 if isinstance(head, ConcatPoolHead) else 4)
    close(run(head, drawn(head), pooled)[0], run(head, drawn(head))[0])


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (LinearHead(3), [(0, 4)]),
        (LinearHead(3, dropout=0.2), [(0.2, 4)]),
        (FC1024(3), [(0, 1024)]),
        (MLP(3), [(0.25, 512), (0.5, 128)]),
        (ConcatPoolHead(3), [(0.25, 8), (0.5, 512)]),
        (make_head("concat_pool", make_backbone("resnet_tiny"), 3, dropout=0.2), [(0.1, 8), (0.2, 512)]),
    ],
)
def test_rates_and_widths_of_dropout(head, expected):
    seen = []

    def watch(call, args, kwargs, context):
        if isinstance(context.module, Dropout):
            seen.append((context.module.rate, args[0].shape[-1]))
        return call(*args, **kwargs)

    with nn.intercept_methods(watch):
        jax.eval_shape(functools.partial(head.init, train=False), KEY, FEATURES)
    assert seen == expected


def test_original_is_the_networks_own():
    assert make_head("original", make_backbone("resnet_tiny"), 3) == LinearHead(3)


def test_an_unknown_head_lists_the_known_ones():
    with pytest.raises(UserError, match=r"unknown head 'liner' .*'linear'.*; known: concat_pool, cosine, fc1024, lin"):
        make_head("liner", make_backbone("resnet_tiny"), 3)


@functools.partial(jax.jit, static_argnums=0, static_argnames="train")
def dropped(layer, x, positions=None, key=KEY, train=True):
    with contextlib.nullcontext() if positions is None else dropout_by_position(positions):
        return layer.apply({}, x, train, rngs={"dropout": key})


def test_dropout_drops_its_share_and_scales_the_rest():
    x = dropped(Dropout(0.25), jnp.ones((16, 10, 25)))
    assert set(np.unique(x)) == {0, np.float32(4 / 3)}
    assert float((x == 0).mean()) == pytest.approx(0.25, abs=0.03)
    assert len({row.tobytes() for row in np.asarray(x)}) == 16


def test_drop_path_drops_whole_examples():
    x = np.asarray(dropped(DropPath(0.25), jnp.ones((400, 2, 3))))
    assert (x == x[:, :1, :1]).all()
    assert (x[:, 0, 0] == 0).mean() == pytest.approx(0.25, abs=0.06)


@pytest.mark.parametrize("layer", [Dropout(0.5), DropPath(0.5)])
def test_draws_belong_to_positions_and_keys(layer):
    x = jnp.ones((8, 5))
    whole = dropped(layer, x)
    np.testing.assert_array_equal(dropped(layer, x, jnp.arange(8)), whole)
    np.testing.assert_array_equal(dropped(layer, x[:4], jnp.array([6, 4, 2, 0])), whole[jnp.array([6, 4, 2, 0])])
    assert not np.array_equal(dropped(layer, x, key=jax.random.key(9)), whole)
    np.testing.assert_array_equal(dropped(layer, x, train=False), x)


def test_no_network_drops_otherwise():
    """flax's own dropout would draw by row, and accumulated parts of a batch would all lose the same."""
    sources = Path(heads.__file__).parent.glob("*.py")
    assert [path.name for path in sources if "nn.Dropout" in path.read_text()] == []
