"""Paper 000: what each coefficient adds, the options of the twin pass, and whom the terms count (papers.md, 2.1)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.methods.base import Objective
from skinjax.methods.classifier import Classifier
from skinjax.methods.decoder_classifier import DecoderClassifier, DecoderClassifierSettings
from skinjax.models.heads.decoder import Decoder
from skinjax.objectives.losses import ClassificationLoss

DECODER = Decoder((32, 32), channels=8)
ODDS = np.array([8 / 4, 11 / 1, 5 / 7])  # against each class, of 4, 1 and 7 images
close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def cdc(make):
    return make(DecoderClassifier, decoder=DECODER, alpha=10.0, beta=0.2)


@pytest.fixture(scope="module")
def variables(begin, cdc):
    return begin(cdc)


def assert_same(one, other):
    """Equal bit for bit, and of the same structure."""
    jax.tree.map(np.testing.assert_array_equal, one, other)


def values(terms):
    return jax.tree.map(np.asarray, terms)


@functools.partial(jax.jit, static_argnums=0)
def encode(method, variables, stats, images):
    """The last map and the statistics of one training pass, by hand."""
    own = {"params": variables["params"]["backbone"], "batch_stats": stats}
    maps, updated = method.parts.network.backbone.apply(own, images, train=True, mutable=["batch_stats"])
    return maps["features"], updated["batch_stats"]


@functools.partial(jax.jit, static_argnums=0)
def decode(method, variables, features):
    own = {name: variables[name]["decoder"] for name in ("params", "batch_stats")}
    image, updated = method.decoder.apply(own, features, train=True, mutable=["batch_stats"])
    return image, updated["batch_stats"]


@functools.partial(jax.jit, static_argnums=0)
def shown(method, batch):
    return method.parts.pictures.for_training(batch, jax.random.key(1), 3, Objective())[0]


def cross_entropy(method, variables, features, batch):
    """The (sum, count) of the classification loss for this last map."""
    logits = method.parts.network.head.apply({"params": variables["params"]["head"]}, features)
    targets = jax.nn.one_hot(batch["label"], 3)
    weights = method.parts.task.loss_function.weights(variables["constants"]["class_counts"])
    return method.parts.task.loss_function(logits, targets, weights, jnp.ones(len(targets)))


def test_without_both_terms_it_is_the_classifier_bit_for_bit(make, drawn, batch, gradient):
    plain = make(Classifier)
    nothing = make(DecoderClassifier, decoder=DECODER, alpha=0.0, beta=0.0)
    variables = drawn(plain)
    assert nothing.stages() == plain.stages()
    assert_same(drawn(nothing), variables)
    assert_same(gradient(nothing, variables, batch), gradient(plain, variables, batch))
    images = batch["image"]
    assert_same(jax.jit(nothing.predict)(variables, images), jax.jit(plain.predict)(variables, images))


def test_the_decoder_leaves_the_other_initial_parameters_as_they_are(make, drawn, cdc):
    variables, plain = drawn(cdc), drawn(make(Classifier))
    assert set(variables["params"]) == {"backbone", "head", "decoder"}
    for collection in ("params", "batch_stats"):
        assert_same({name: variables[collection][name] for name in ("backbone", "head")}, plain[collection])


def test_all_three_terms_by_hand(cdc, variables, batch, loss):
    terms, stats = loss(cdc, variables, batch)
    images = shown(cdc, batch)
    features, once = encode(cdc, variables, variables["batch_stats"]["backbone"], images)
    rebuilt, decoder_stats = decode(cdc, variables, features)
    twin_features, twice = encode(cdc, variables, once, rebuilt)
    assert set(terms) == {"classification", "reconstruction", "twin"}
    close(terms["classification"], (1, *cross_entropy(cdc, variables, features, batch)))
    close(terms["twin"], (0.2, *cross_entropy(cdc, variables, twin_features, batch)))
    error = np.square(rebuilt - images).mean(axis=(1, 2, 3))
    weights = 3 * ODDS / ODDS.sum()  # drawn alike, each class is a third of a batch
    close(terms["reconstruction"], (10, error @ weights[batch["label"]], 6))
    jax.tree.map(close, stats, {"backbone": twice, "decoder": decoder_stats, "head": {}})


def test_class_means_by_hand(cdc, begin, batch, loss, change):
    method = change(cdc, beta=0.0, reconstruction_reduction="class_means")
    variables = begin(method)
    coefficients, sums, counts = loss(method, variables, batch)[0]["reconstruction"]
    images = shown(cdc, batch)
    features, _ = encode(cdc, variables, variables["batch_stats"]["backbone"], images)
    error = np.square(decode(cdc, variables, features)[0] - images).mean(axis=(1, 2, 3))
    close(coefficients, 10 * ODDS / ODDS.sum())
    close(sums, [error[0] + error[4], error[1] + error[3], error[2] + error[5]])
    assert counts.tolist() == [2, 2, 2]


def test_beta_zero_is_cd(cdc, variables, batch, loss, change):
    """No twin pass: one update of the statistics, the other terms as with a twin that leaves the statistics alone."""
    cd = change(cdc, beta=0.0)
    terms, stats = loss(cd, variables, batch)
    quiet = change(cdc, twin_batch_norm="batch_stats_no_update")
    expected, expected_stats = loss(quiet, variables, batch)
    assert set(terms) == {"classification", "reconstruction"}
    jax.tree.map(close, terms, {name: expected[name] for name in terms})
    jax.tree.map(close, stats, expected_stats)
    _, once = encode(cdc, variables, variables["batch_stats"]["backbone"], shown(cdc, batch))
    jax.tree.map(close, stats["backbone"], once)


def test_alpha_zero_has_a_twin_and_no_reconstruction_term(make, batch, counts, variables):
    method = make(DecoderClassifier, decoder=DECODER, alpha=0.0)
    assert set(method.constants(np.array([4, 1, 7]), np.full(3, 1 / 3))) == {"class_counts"}
    assert set(counts(method, variables, batch)) == {"classification", "twin"}


def test_the_silent_twin_uses_its_own_batch(cdc, variables, batch, loss, change):
    quiet = change(cdc, twin_batch_norm="batch_stats_no_update")
    terms, _ = loss(quiet, variables, batch)
    jax.tree.map(close, terms["twin"], loss(cdc, variables, batch)[0]["twin"])


def test_concat_is_one_batch_of_images_and_reconstructions(cdc, variables, batch, loss, change):
    method = change(cdc, twin_batch_norm="concat")
    terms, stats = loss(method, variables, batch)
    images = shown(cdc, batch)
    start = variables["batch_stats"]["backbone"]
    rebuilt, decoder_stats = decode(cdc, variables, encode(cdc, variables, start, images)[0])
    both, once = encode(cdc, variables, start, jnp.concatenate([images, rebuilt]))
    close(terms["classification"], (1, *cross_entropy(cdc, variables, both[:6], batch)))
    close(terms["twin"], (0.2, *cross_entropy(cdc, variables, both[6:], batch)))
    jax.tree.map(close, stats, {"backbone": once, "decoder": decoder_stats, "head": {}})
    assert terms["twin"][1] != pytest.approx(float(loss(cdc, variables, batch)[0]["twin"][1]), rel=1e-3)


@pytest.mark.parametrize("stop", [False, True])
def test_the_twins_gradient_reaches_the_decoder_unless_stopped(cdc, variables, batch, phase, stop, change):
    """A small change of the decoder changes the twin term; stopped, it has no derivative."""
    method = change(cdc, stop_reconstruction_gradient=stop)

    def twin(decoder):
        changed = {**variables, "params": {**variables["params"], "decoder": decoder}}
        terms, _ = method.loss(changed, batch, jax.random.key(1), step=jnp.int32(0), phase=phase())
        return terms["twin"][1]

    decoder = variables["params"]["decoder"]
    value, gradient = jax.jit(jax.value_and_grad(twin))(decoder)
    slope = sum(np.vdot(*pair) for pair in zip(jax.tree.leaves(gradient), jax.tree.leaves(decoder), strict=True))
    assert value > 0
    assert np.isfinite(slope)
    assert (slope == 0) == stop


class Weightless(ClassificationLoss):
    """A classification loss of nothing."""

    def weights(self, counts, classes=()):
        return jnp.zeros_like(counts)


def test_the_reconstruction_term_trains_decoder_and_encoder(make, variables, batch, gradient):
    """Without the classification loss, what is left is alpha * L_r."""
    method = make(DecoderClassifier, decoder=DECODER, beta=0.0, loss_function=Weightless())
    grown, terms, _ = gradient(method, variables, batch)
    assert terms["classification"] == 0
    assert terms["reconstruction"] > 0
    reached = {name: max(np.abs(x).max() for x in jax.tree.leaves(part)) > 0 for name, part in grown.items()}
    assert reached == {"backbone": True, "head": False, "decoder": True}
    assert np.abs(grown["backbone"]["stem"]["conv"]["kernel"]).max() > 0


def test_rows_that_are_masked_weightless_or_unlabelled_are_in_no_term(cdc, variables, batch, loss):
    masked = {**batch, "mask": batch["mask"].at[2].set(False)}
    terms = values(loss(cdc, variables, masked)[0])
    for other in (
        {**masked, "label": batch["label"].at[2].set(0)},
        {**batch, "weight": batch["weight"].at[2].set(0)},
        {**batch, "label": batch["label"].at[2].set(-1)},
    ):
        assert_same(values(loss(cdc, variables, other)[0]), terms)
    full = values(loss(cdc, variables, batch)[0])
    weight = 4 / 7  # balanced, of the masked image's class
    for name in ("classification", "twin"):
        assert full[name][2] - terms[name][2] == pytest.approx(weight, rel=1e-5)
        assert full[name][1] > terms[name][1]
    assert full["reconstruction"][1] > terms["reconstruction"][1] + 1e-3
    assert terms["reconstruction"][2] == 5


def test_a_class_that_is_not_in_the_batch_costs_nothing(make, variables, batch, gradient):
    method = make(DecoderClassifier, decoder=DECODER, beta=0.0)
    without = {**batch, "label": jnp.array([0, 1, -1, 1, 0, -1])}
    grown, terms, _ = gradient(method, variables, without)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(grown))
    weights = {
        **variables["constants"],
        "reconstruction_weights": variables["constants"]["reconstruction_weights"].at[2].set(9),
    }
    _, same, _ = gradient(method, {**variables, "constants": weights}, without)
    assert same["reconstruction"] == terms["reconstruction"] > 0


def test_counts_do_not_depend_on_images(make, variables, batch, counts):
    blind = make(DecoderClassifier, decoder=DECODER, train_view=lambda keys, images: jnp.full(images.shape, jnp.nan))
    expected = {"classification": 2 * (1 + 4 + 4 / 7), "twin": 2 * (1 + 4 + 4 / 7), "reconstruction": 6}
    jax.tree.map(close, counts(blind, variables, batch), {name: np.array(x) for name, x in expected.items()})


def test_the_terms_of_two_halves_add_up(cdc, variables, batch, loss):
    """What sharding and accumulation rest on: sums and counts are of rows alone."""
    whole, _ = loss(cdc, variables, batch)
    first = jnp.arange(6) < 3
    halves = [loss(cdc, variables, {**batch, "mask": rows})[0] for rows in (first, ~first)]
    for name, (_, total, count) in whole.items():
        close(halves[0][name][1] + halves[1][name][1], total)
        close(halves[0][name][2] + halves[1][name][2], count)


def test_a_frozen_decoder_keeps_its_statistics(cdc, variables, batch, stats, phase):
    after = stats(cdc, variables, batch, phase=phase(frozen=tuple(cdc.stages())))
    assert_same(after, variables["batch_stats"])


def test_the_twin_takes_the_phases_loss(cdc, variables, batch, counts, phase):
    own = phase(loss_function=ClassificationLoss("focal", reduction="batch_mean"))
    after = counts(cdc, variables, batch, phase=own)
    assert (after["classification"], after["twin"]) == (6, 6)


def test_prediction_shows_the_reconstruction_of_the_evaluation_view(cdc, make, variables, batch):
    outputs = jax.jit(cdc.predict)(variables, batch["image"])
    close(outputs["probabilities"], jax.jit(make(Classifier).predict)(variables, batch["image"])["probabilities"])
    assert outputs["reconstruction"].shape == (6, 32, 32, 3)

    @jax.jit
    def by_hand(images):
        own = {
            name: {part: variables[name][part] for part in ("backbone", "decoder")}
            for name in ("params", "batch_stats")
        }
        backbone, decoder = ({name: own[name][part] for name in own} for part in ("backbone", "decoder"))
        features = cdc.parts.network.backbone.apply(backbone, cdc.parts.pictures.evaluation_view(images), train=False)[
            "features"
        ]
        return cdc.decoder.apply(decoder, features, train=False)

    close(outputs["reconstruction"], by_hand(batch["image"]))


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("odds_normalised", [2 / (13 + 5 / 7), 11 / (13 + 5 / 7), 5 / 7 / (13 + 5 / 7)]),
        ("none", [1 / 3, 1 / 3, 1 / 3]),
        ("inverse", [7 / 39, 28 / 39, 4 / 39]),
    ],
)
def test_reconstruction_weights_sum_to_one_for_every_formula(cdc, formula, expected, change):
    """And are over the classes' shares, but for class means and for the plain mean over images."""
    counts, shares = np.array([4, 1, 7]), np.array([0.5, 0.2, 0.3])
    over_shares = np.ones(3) if formula == "none" else np.array(expected) / shares
    for reduction, weights in (("class_means", expected), ("per_image", over_shares)):
        method = change(cdc, reconstruction_weights=formula, reconstruction_reduction=reduction)
        found = method.constants(counts, shares)["reconstruction_weights"]
        np.testing.assert_allclose(found, weights, rtol=1e-6)


def test_the_decoder_is_a_stage_of_its_own(cdc):
    assert cdc.stages() == {**cdc.parts.network.stages(), "decoder": "top"}
    assert tuple(cdc.stages())[-2:] == ("head", "decoder")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"norm": "l3"}, "unknown reconstruction norm 'l3'"),
        ({"reconstruction_reduction": "mean"}, "unknown reconstruction_reduction 'mean'.*class_means, per_image"),
        ({"twin_batch_norm": "none"}, "unknown twin_batch_norm 'none'.*batch_stats_no_update, concat, update"),
        ({"alpha": -1.0}, "DecoderClassifierSettings.alpha is -1.0; it must be a number from 0"),
    ],
)
def test_wrong_settings_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        DecoderClassifierSettings(**arguments)
