"""Networks that learn from pairs: the page's gradients, which images each network has, and how it is addressed."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.core.settings import from_plain
from skinjax.images.views import ViewSettings
from skinjax.methods.base import Objective
from skinjax.methods.classifier import Classifier
from skinjax.methods.ensemble import united_outputs
from skinjax.methods.parts import Classification, Network, Parts, Pictures
from skinjax.methods.synergic import Synergic, SynergicSettings, build, told
from skinjax.model import make_method, variable_shapes
from skinjax.objectives.losses import ClassificationLoss
from skinjax.recipe.config_files import load_config
from skinjax.training.state import batch_gradient
from tests.end_to_end.conftest import ROOT


class Scaled(nn.Module):
    """A network of one number, whose only map is its input times that."""

    stages = ("features",)
    late = "features"

    @nn.compact
    def __call__(self, images, *, train, at=None, frozen=()):
        return {"features": self.param("a", nn.initializers.ones, ()) * images}


class Answer(nn.Module):
    """A head of one number: the second of two classes has this times the map as its logit."""

    @nn.compact
    def __call__(self, features, *, train):
        x = features.reshape(-1, 1)
        self.sow("intermediates", "pooled", x)
        return jnp.concatenate([0 * x, self.param("k", nn.initializers.ones, ()) * x], axis=1)


class Line(nn.Module):
    """A synergic head of three numbers."""

    @nn.compact
    def __call__(self, pairs, *, train):
        u, w, c = (self.param(name, nn.initializers.ones, ()) for name in "uwc")
        return u * pairs[:, 0] + w * pairs[:, 1] + c


TOY = (
    {"a": 0.5, "x": 1.5, "k": 1.2, "label": 1},
    {"a": -0.3, "x": 2.0, "k": -0.7, "label": 0},
    {"a": 0.2, "x": -1.0, "k": 0.9, "label": 1},
)
LINES = {"synergy12": (0.8, 0.4, 0.1), "synergy13": (-0.5, 0.6, 0.0), "synergy23": (0.3, -0.2, 0.2)}


def toy(n, **settings):
    """The terms and gradients of the toy with n networks and one row, by module."""
    networks = tuple(Network(Scaled(), Answer(), f"backbone{k + 1}", f"head{k + 1}") for k in range(n))
    pictures = Pictures(lambda keys, images: images, lambda images: images)
    task = Classification(("no", "yes"), ClassificationLoss())
    parts = Parts(networks[0], pictures, task, ViewSettings())
    method = Synergic(parts, networks, Line(), SynergicSettings(members=n, **settings))
    params = {f"backbone{k + 1}": {"a": net["a"]} for k, net in enumerate(TOY[:n])}
    params |= {f"head{k + 1}": {"k": net["k"]} for k, net in enumerate(TOY[:n])}
    params |= {name: dict(zip("uwc", LINES[name], strict=True)) for name in method.pairs()}
    params = jax.tree.map(jnp.float32, params)
    batch = {
        "image": jnp.array([net["x"] for net in TOY[:n]]).reshape(1, n, 1, 1, 1),
        "label": jnp.array([[net["label"] for net in TOY[:n]]]),
        "weight": jnp.ones((1, n)),
        "mask": jnp.ones((1, n), bool),
        "position": jnp.arange(1),
    }
    variables = {"constants": {"class_counts": jnp.ones(2)}, "batch_stats": {name: {} for name in params}}

    def terms_of(params, stats, part):
        changed = {**variables, "params": params}
        return method.loss(changed, part, jax.random.key(0), step=jnp.int32(0), phase=Objective())

    gradient, values, _ = batch_gradient(terms_of, params, variables["batch_stats"], batch, accumulate=1)
    return values, gradient


def test_gradients_of_two_networks_by_the_papers_rule():
    values, gradient = toy(2)
    assert values["synergic"] == pytest.approx(0.949367, abs=1e-6)
    assert values["classification"] == pytest.approx(0.341154 + 0.925037, abs=2e-6)
    assert values["loss"] == pytest.approx(0.949367 + 0.341154 + 0.925037, abs=3e-6)
    found = [gradient["backbone1"]["a"], gradient["backbone2"]["a"], *(gradient["synergy12"][name] for name in "uwc")]
    np.testing.assert_allclose(found, [1.686560, 0.626357, 0.459761, -0.367809, 0.613014], atol=2e-6)
    np.testing.assert_allclose(gradient["head1"]["k"], -0.216788, atol=2e-6)


def test_by_the_total_loss_the_head_moves_so_much_faster_and_the_networks_alike():
    paper, total = toy(2)[1], toy(2, gradient="total_loss")[1]
    for name in ("backbone1", "backbone2", "head1", "head2"):
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), total[name], paper[name])
    np.testing.assert_allclose([total["synergy12"][name] for name in "uwc"], [1.379282, -1.103426, 1.839043], atol=3e-6)
    assert toy(2, gradient="total_loss")[0]["synergic"] == pytest.approx(3 * 0.949367, abs=3e-6)


def test_gradients_of_three_networks():
    values, gradient = toy(3)
    assert values["synergic"] == pytest.approx(0.949367 + 0.970968 + 0.723597, abs=3e-6)
    found = [gradient[f"backbone{number}"]["a"] for number in (1, 2, 3)]
    np.testing.assert_allclose(found, [3.084448, 1.553349, 1.917699], atol=4e-6)
    alone = [gradient[f"backbone{number}"]["a"] for gradient in (toy(3, synergy=0.0)[1],) for number in (1, 2, 3)]
    np.testing.assert_allclose((np.array(found) - alone) / 3, [1.201580, 0.799409, 0.475769], atol=2e-6)


def test_without_synergy_networks_are_alone():
    """Of lambda 0 the heads learn and the networks feel nothing; None leaves them out."""
    apart, still = toy(2, synergy=None), toy(2, synergy=0.0)
    assert set(apart[1]) == {"backbone1", "backbone2", "head1", "head2"}
    assert "synergic" not in apart[0]
    for name in apart[1]:
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), apart[1][name], still[1][name])
    assert still[1]["synergy12"]["c"] == pytest.approx(0.613014, abs=2e-6)
    np.testing.assert_allclose(apart[1]["backbone1"]["a"], -0.520291, atol=2e-6)
    np.testing.assert_allclose(apart[1]["backbone2"]["a"], -0.844877, atol=2e-6)


@pytest.mark.parametrize(
    ("same", "chance", "loss"), [(1, 0.9, 0.105361), (1, 0.5, 0.693147), (0, 0.9, 2.302585), (0, 0.1, 0.105361)]
)
def test_the_synergic_loss_is_a_cross_entropy_whatever_eq_4_prints(same, chance, loss):
    side = {"weight": jnp.ones(1), "mask": jnp.ones(1, bool)}
    logits = jnp.log(jnp.array([chance / (1 - chance)]))
    count, value, right, agreed = told(logits, side | {"label": jnp.array([1])}, side | {"label": jnp.array([same])})
    assert (float(count), float(agreed), float(right)) == (1, same, (chance > 0.5) == same)
    assert float(value) == pytest.approx(loss, abs=1e-6)


def test_pairs_with_an_image_that_does_not_count_do_not():
    ones = {"weight": jnp.ones(4), "mask": jnp.ones(4, bool), "label": jnp.arange(4)}
    other = ones | {"mask": jnp.array([1, 0, 1, 1], bool), "weight": jnp.array([1, 1, 0.5, 1])}
    one, other = ones | {"label": jnp.array([0, 1, 2, -1])}, other | {"label": -ones["label"]}
    count, _, _, agreed = told(jnp.zeros(4), one, other)
    assert (float(count), float(agreed)) == (1.0, 1.0)


# With real networks


@pytest.fixture(scope="module")
def two(make, drawn):
    """Two networks and their variables."""
    method = build(make(Classifier).parts, SynergicSettings())
    return method, drawn(method)


@pytest.fixture(scope="module")
def pairs(batch):
    """Three rows of two of the six images."""
    rows = {name: column.reshape(3, 2, *column.shape[1:]) for name, column in batch.items()}
    return rows | {"position": jnp.arange(3)}


def test_every_network_starts_from_numbers_of_its_own_and_has_names_of_its_own(two):
    method, variables = two
    kernels = [variables["params"][f"backbone{number}"]["stem"]["conv"]["kernel"] for number in (1, 2)]
    assert (kernels[0] != kernels[1]).all()
    assert sorted(variables["params"]) == ["backbone1", "backbone2", "head1", "head2", "synergy12"]
    stages = method.stages()
    assert [stages[name] for name in ("backbone2/stem", "backbone1/features", "head2", "synergy12")] == [
        *("early", "late", "top", "top"),
    ]
    assert method.trunks() == {"backbone1": ("head1",), "backbone2": ("head2",)}
    hidden = variables["params"]["synergy12"]["hidden"]["kernel"]
    assert hidden.shape == (2 * 32, 1024)
    assert float(jnp.std(hidden)) == pytest.approx(0.0288675, rel=0.02)
    assert float(jnp.abs(variables["params"]["synergy12"]["synergy"]["bias"]).max()) <= 0.05


def test_they_answer_for_one_image_by_the_mean_of_their_probabilities(two, make, batch):
    method, variables = two
    together = jax.jit(method.predict)(variables, batch["image"])
    alone = make(Classifier)
    for place in range(2):
        names = {"backbone": f"backbone{place + 1}", "head": f"head{place + 1}"}
        own = {kind: {name: variables[kind][of] for name, of in names.items()} for kind in ("params", "batch_stats")}
        found = jax.jit(alone.predict)({**own, "constants": variables["constants"]}, batch["image"])
        np.testing.assert_allclose(together["members"][:, place], found["probabilities"], rtol=1e-5)
    np.testing.assert_allclose(together["probabilities"], together["members"].mean(axis=1), rtol=1e-6)


def test_eq_6_takes_the_class_that_is_most_probable_on_average():
    """Two networks that disagree, twice."""
    for members, mean in (([[0.9, 0.1], [0.2, 0.8]], [0.55, 0.45]), ([[0.55, 0.45], [0.1, 0.9]], [0.325, 0.675])):
        found = united_outputs([{"probabilities": jnp.array([of])} for of in members])
        np.testing.assert_allclose(found["probabilities"], [mean], rtol=1e-6)


def test_a_network_sees_the_images_of_its_place_augmented_for_its_place(two, pairs, loss):
    """Of a swapped batch the other network has the image, at another position, so that it is drawn anew."""
    method, variables = two
    terms, _ = loss(method, variables, pairs)
    other = {name: column if name == "position" else column[:, ::-1] for name, column in pairs.items()}
    swapped, _ = loss(method, variables, other)
    assert terms["classification"][1].shape == (2,)
    assert (terms["classification"][1] != swapped["classification"][1]).all()
    assert terms["same_class"][1] == swapped["same_class"][1] == 0
    same = pairs | {"label": jnp.array([[0, 0], [1, 1], [0, 2]])}
    _, right, count = loss(method, variables, same)[0]["synergic_accuracy"]
    assert (float(count), float(loss(method, variables, same)[0]["same_class"][1])) == (3.0, 2.0)
    assert 0 <= float(right) <= 3


def test_one_network_is_the_classifier(make, begin, batch, loss):
    alone, one = make(Classifier), build(make(Classifier).parts, SynergicSettings(members=1))
    assert one.pairs() == {}
    variables = begin(one)
    names = {"backbone": "backbone1", "head": "head1"}
    renamed = {kind: {name: variables[kind][of] for name, of in names.items()} for kind in ("params", "batch_stats")}
    found, expected = loss(one, variables, batch), loss(alone, {**renamed, "constants": variables["constants"]}, batch)
    np.testing.assert_allclose(found[0]["classification"][1][0], expected[0]["classification"][1], rtol=1e-5)
    assert list(found[0]) == ["classification"]


def test_a_phase_can_do_without_the_synergic_loss_and_freeze_one_network(two, pairs, gradient, phase):
    method, variables = two
    frozen = [stage for stage in method.stages() if stage.startswith("backbone1")]
    objective = phase(frozen=(*frozen, "head1"), coefficients=(("synergic", 0.0),))
    grads, values, stats = gradient(method, variables, pairs, phase=objective)
    assert "synergic" not in values
    assert not any(x.any() for x in jax.tree.leaves(grads["synergy12"]))
    jax.tree.map(np.testing.assert_array_equal, stats["backbone1"], variables["batch_stats"]["backbone1"])
    moved, still = (jax.tree.leaves(tree["backbone2"]) for tree in (stats, variables["batch_stats"]))
    assert any((a != b).any() for a, b in zip(moved, still, strict=True))


def test_mixup_leaves_no_pairs():
    with pytest.raises(UserError, match="mixup leaves no pair of images that are of one class or not"):
        from_plain(SynergicSettings, {"mixup_share": 0.3})
    SynergicSettings(mixup_share=0.3, synergy=None)


def test_paper_004s_parameters():
    """A component, its synergic heads, and SDL of one to four."""
    changes = ["model.weights=", "views.normalisation=half"]
    config = load_config(f"{ROOT / 'configs' / 'synergic.py'}:isic2016_sdl", changes)
    one, pair = (parameters(config.replace(method=config.method.replace(members=n))) for n in (1, 2))
    assert (one, pair) == (25_608_258, 53_315_717)
    head = pair - 2 * one
    assert head == 2_099_201
    assert [n * one + n * (n - 1) // 2 * head for n in (1, 2, 3, 4)] == [one, pair, 83_122_377, 115_028_238]


def parameters(recipe):
    """The parameters of a method for two classes."""
    method = make_method(recipe, ("0", "1"))
    return sum(x.size for x in jax.tree.leaves(variable_shapes(method, recipe.stored_size, 2)["params"]))
