"""Dropout, stochastic depth and a head with statistics of its own, as methods run them."""

import functools
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.methods.base import Objective
from skinjax.methods.classifier import Classifier
from skinjax.methods.decoder_classifier import TWIN_BATCH_NORMS, DecoderClassifier
from skinjax.models.backbone import Backbone
from skinjax.models.heads.classifiers import ConcatPoolHead, LinearHead
from skinjax.models.heads.decoder import Decoder
from skinjax.models.layers import Conv, Dropout, DropPath
from skinjax.objectives.losses import ClassificationLoss
from skinjax.training.state import batch_gradient

KEY = jax.random.key(1)
DECODER = Decoder((32, 32), channels=8)


class Branch(nn.Module):
    """A convolution whose residual branch may be dropped."""

    drop_path: float

    @nn.compact
    def __call__(self, x, train):
        x = Conv(4, 3, 4, name="shrink")(x)
        return x + DropPath(self.drop_path)(Conv(4, 3, name="conv")(x), train)


class Branches(Backbone):
    """Two stages without batch normalisation, so that examples do not meet."""

    drop_path: float = 0.5
    stages: ClassVar[tuple[str, ...]] = ("stem", "features")
    late: ClassVar[str] = "features"

    def layers(self):
        return [Branch(self.drop_path, name=name) for name in self.stages]


class Masks(nn.Module):
    """A head whose logits are what dropout leaves of ones."""

    @nn.compact
    def __call__(self, features, *, train=False):
        return Dropout(0.5)(jnp.ones((len(features), 3)), train)


class LogitsThemselves(ClassificationLoss):
    """Instead of a loss, so that a term shows the logits that it is of."""

    def __call__(self, logits, *_):
        return logits, None


@pytest.fixture(scope="module")
def masks(make):
    """A function (method class, fields) -> a method whose terms are masks."""
    return functools.partial(make, backbone=Branches(), head=Masks(), loss_function=LogitsThemselves())


def logits(loss, begin, method, batch, **phase):
    terms, _ = loss(method, begin(method), batch, **phase)
    return {name: np.asarray(term[1]) for name, term in terms.items() if name != "reconstruction"}


def test_draws_belong_to_positions(masks, loss, begin, batch):
    method = masks(Classifier)
    mask = logits(loss, begin, method, batch)["classification"]
    assert set(np.unique(mask)) == {0, 2}
    assert len({row.tobytes() for row in mask}) > 1
    turned = logits(loss, begin, method, {**batch, "position": batch["position"][::-1]})["classification"]
    np.testing.assert_array_equal(turned, mask[::-1])


def test_a_twin_has_draws_of_its_own_the_same_for_every_batch_norm_option(masks, loss, begin, batch, change):
    method = masks(DecoderClassifier, decoder=DECODER)
    found = [logits(loss, begin, change(method, twin_batch_norm=option), batch) for option in TWIN_BATCH_NORMS]
    assert not np.array_equal(found[0]["classification"], found[0]["twin"])
    for other in found[1:]:
        jax.tree.map(np.testing.assert_array_equal, other, found[0])
    alone = logits(loss, begin, masks(Classifier), batch)
    np.testing.assert_array_equal(found[0]["classification"], alone["classification"])


def test_a_frozen_head_drops_nothing(masks, loss, begin, batch, phase):
    method = masks(DecoderClassifier, decoder=DECODER)
    found = logits(loss, begin, method, batch, phase=phase(frozen=("head",)))
    assert all((x == 1).all() for x in found.values())


def test_a_frozen_stage_drops_nothing(batch):
    backbone, images = Branches(), batch["image"] / 127.5 - 1
    variables = jax.jit(functools.partial(backbone.init, train=False))(KEY, images)
    run = jax.jit(functools.partial(backbone.apply, rngs={"dropout": KEY}), static_argnames=("train", "frozen"))
    evaluated, trained = (run(variables, images, train=train) for train in (False, True))
    frozen = run(variables, images, train=True, frozen=("stem",))
    np.testing.assert_allclose(frozen["stem"], evaluated["stem"], rtol=1e-6)
    assert not np.allclose(trained["stem"], evaluated["stem"])
    assert not np.allclose(frozen["features"], evaluated["features"])


def test_a_frozen_head_keeps_its_statistics(make, begin, batch, stats, phase):
    method = make(Classifier, backbone=Branches(), head=ConcatPoolHead(3))
    variables = begin(method)
    moved, kept = (stats(method, variables, batch, phase=phase(frozen=x))["head"] for x in ((), ("head",)))
    jax.tree.map(np.testing.assert_array_equal, kept, variables["batch_stats"]["head"])
    assert all((a != b).any() for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(kept), strict=True))


@functools.partial(jax.jit, static_argnums=0)
def head_statistics(method, variables, stats, features):
    own = {"params": variables["params"]["head"], "batch_stats": stats}
    return method.parts.network.head.apply(own, features, train=True, mutable=["batch_stats"])[1]["batch_stats"]


@pytest.mark.parametrize("option", TWIN_BATCH_NORMS)
def test_the_heads_statistics_follow_the_twins_option(make, begin, batch, stats, option):
    """One pass of the images, of images and reconstructions as one batch, or of the one and then the other."""
    method = make(
        DecoderClassifier,
        backbone=Branches(drop_path=0.0),
        head=ConcatPoolHead(3, dropout=0.0),
        decoder=DECODER,
        twin_batch_norm=option,
    )
    variables = begin(method)

    @jax.jit
    def by_hand(images):
        own = {
            part: {name: variables[name][part] for name in ("params", "batch_stats")} for part in variables["params"]
        }
        features = method.parts.network.backbone.apply(own["backbone"], images, train=True)["features"]
        rebuilt, _ = method.decoder.apply(own["decoder"], features, train=True, mutable=["batch_stats"])
        return features, method.parts.network.backbone.apply(own["backbone"], rebuilt, train=True)["features"]

    images, twins = by_hand(method.parts.pictures.for_training(batch, KEY, 3, Objective())[0])
    start = variables["batch_stats"]["head"]
    once = head_statistics(method, variables, start, images)
    expected = {
        "update": head_statistics(method, variables, once, twins),
        "batch_stats_no_update": once,
        "concat": head_statistics(method, variables, start, jnp.concatenate([images, twins])),
    }
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, stats(method, variables, batch)["head"], expected[option])


@pytest.fixture(scope="module")
def gradient_in(make, begin, batch, phase):
    """A function (accumulated parts, stages to recompute) -> gradients of a network that drops in backbone and head."""

    def gradient(parts, remat=()):
        method = make(Classifier, backbone=Branches(remat=remat), head=LinearHead(3, dropout=0.5))
        variables = begin(method)

        def terms_of(params, stats, part):
            changed = {**variables, "params": params, "batch_stats": stats}
            return method.loss(changed, part, KEY, step=jnp.int32(0), phase=phase())

        return jax.jit(lambda b: batch_gradient(terms_of, variables["params"], variables["batch_stats"], b, parts)[0])(
            batch
        )

    return gradient


def assert_close(one, other):
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), one, other)


def test_recomputed_stages_drop_the_same(gradient_in):
    assert_close(gradient_in(1, ("stem", "features")), gradient_in(1))


@pytest.mark.parametrize("parts", [2, 3])
def test_accumulated_parts_drop_what_the_whole_batch_drops(gradient_in, parts):
    assert_close(gradient_in(parts), gradient_in(1))
