"""The training step: what moves and what does not, the average, and gradients that do not depend on accumulation."""

import dataclasses
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from skinjax.methods.base import Objective
from skinjax.methods.classifier import Classifier
from skinjax.methods.parts import Network
from skinjax.models.backbone import Backbone
from skinjax.models.heads.classifiers import ConcatPoolHead
from skinjax.models.layers import Conv, Dropout
from skinjax.models.normalisation import BatchNorm
from skinjax.objectives.losses import ClassificationLoss
from skinjax.training.state import (
    TrainState,
    batch_gradient,
    begin_phase,
    make_train_step,
    merge,
    partition,
    term_value,
)

PARAMS = {"backbone": {"stem": {"kernel": 1, "bias": 2}, "features": {"kernel": 3}}, "head": {"kernel": 4}}


def phase(*frozen: str):
    return Objective(frozen)


@pytest.mark.parametrize(
    ("frozen", "trainable"),
    [
        ((), {"backbone/stem/kernel", "backbone/stem/bias", "backbone/features/kernel", "head/kernel"}),
        (("backbone/stem",), {"backbone/features/kernel", "head/kernel"}),
        (("backbone/stem", "backbone/features"), {"head/kernel"}),
        (("head",), {"backbone/stem/kernel", "backbone/stem/bias", "backbone/features/kernel"}),
    ],
)
def test_partition_by_stage_or_module_and_merge_back(frozen, trainable):
    moving, still = partition(PARAMS, frozen)
    assert set(moving) == trainable
    assert merge(moving, still) == PARAMS


@pytest.mark.parametrize(
    ("coefficient", "total", "count", "value"),
    [
        (1.0, 6.0, 3.0, 2.0),
        (0.5, 6.0, 3.0, 1.0),
        (1.0, 0.0, 0.0, 0.0),
        (1.0, [6.0, 0.0, 5.0], [3.0, 0.0, 1.0], 7.0),
        ([1.0, 9.0, 2.0], [6.0, 0.0, 5.0], [3.0, 0.0, 1.0], 12.0),
    ],
)
def test_term_value_divides_where_there_is_something(coefficient, total, count, value):
    arrays = [jnp.asarray(x) for x in (coefficient, total, count)]
    assert float(term_value(*arrays)) == value
    gradient = jax.grad(lambda total: term_value(arrays[0], total, arrays[2]))(arrays[1])
    assert np.isfinite(gradient).all()


def per_class_terms(params, stats, part):
    """A vector term (class-wise mean of scale * value) and a scalar one, with a counter for statistics."""
    member = jax.nn.one_hot(part["label"], 3) * part["mask"][:, None]
    values = params["scale"] * part["value"]
    terms = {
        "by_class": (2.0, member.T @ values, member.sum(0)),
        "square": (1.0, jnp.sum(part["mask"] * values**2), jnp.sum(part["mask"])),
    }
    return terms, {"passes": stats["passes"] + 1}


@pytest.mark.parametrize("accumulate", [1, 2, 4])
def test_accumulated_sums_are_divided_by_the_counts_of_the_whole_batch(accumulate):
    batch = {
        "value": jnp.array([1.0, 3.0, 5.0, 100.0, 7.0, 2.0, 200.0, 4.0]),
        "label": jnp.array([0, 0, 1, 1, 1, -1, 2, 0]),
        "mask": jnp.array([1.0, 1, 1, 0, 1, 1, 0, 1]),
    }
    gradient, values, stats = batch_gradient(
        per_class_terms, {"scale": jnp.float32(1)}, {"passes": jnp.int32(0)}, batch, accumulate
    )
    # Means 8/3 and 12/2, class 2 has no image that counts; squares 1 + 9 + 25 + 49 + 4 + 16 over six images.
    np.testing.assert_allclose(values["by_class"], 2 * (8 / 3 + 6), rtol=1e-6)
    np.testing.assert_allclose(values["square"], 104 / 6, rtol=1e-6)
    np.testing.assert_allclose(gradient["scale"], 2 * (8 / 3 + 6) + 2 * 104 / 6, rtol=1e-6)
    assert int(stats["passes"]) == accumulate


@pytest.fixture(scope="module")
def batch(photographs) -> dict[str, jax.Array]:
    """Eight images: two unlabelled, one masked, one that counts thrice."""
    rng = np.random.default_rng(0)
    return {
        "image": jnp.asarray(rng.integers(0, 256, (8, 32, 40, 3), np.uint8)),
        "label": jnp.array([0, 5, 5, -1, 1, 2, -1, 5]),
        "position": jnp.arange(8),
        "weight": jnp.array([1.0, 1, 1, 1, 3, 1, 1, 1]),
        "mask": jnp.array([True, True, False, True, True, True, True, True]),
    }


@pytest.fixture(scope="module")
def variables(classifier, batch):
    """Class weights differ, so that a mean of parts would show."""
    variables = jax.jit(classifier.init)(jax.random.key(0), batch)
    return {**variables, "constants": {"class_counts": jnp.array([36.0, 9, 4, 36, 36, 144, 36])}}


@pytest.mark.parametrize("reduction", ["torch_weighted_mean", "sum"])
def test_gradients_do_not_depend_on_accumulation(classifier, batch, variables, reduction):
    """Every parameter's gradient, through batch normalisation that uses its running statistics."""
    loss_function = ClassificationLoss(class_weights="balanced", reduction=reduction)
    still = dataclasses.replace(phase("backbone/stem", "backbone/features"), loss_function=loss_function)
    rng = jax.random.key(3)

    def gradient(accumulate: int):
        def terms_of(trainable, stats, part):
            whole = {**variables, "params": merge(trainable), "batch_stats": stats}
            return classifier.loss(whole, part, rng, step=jnp.int32(0), phase=still)

        trainable, _ = partition(variables["params"], ())
        return jax.jit(lambda b: batch_gradient(terms_of, trainable, variables["batch_stats"], b, accumulate))(batch)

    whole, whole_values, whole_stats = gradient(1)
    assert min(float(jnp.abs(x).max()) for path, x in whole.items() if "norm" not in path) > 1e-4
    for accumulate in (2, 4) if reduction == "torch_weighted_mean" else (2,):
        parts, values, stats = gradient(accumulate)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), parts, whole)
        np.testing.assert_allclose(values["classification"], whole_values["classification"], rtol=1e-5)
        jax.tree.map(np.testing.assert_array_equal, stats, whole_stats)


@pytest.fixture(scope="module")
def stepped(classifier, batch, variables):
    """The states before and after each of two steps that train the head and the last stage, with an average."""
    optimizer, still = optax.scale_by_adam(), phase("backbone/stem")
    begin = jax.jit(
        lambda v: begin_phase(jnp.int32(4), jnp.uint32(7), v, optimizer=optimizer, frozen=still.frozen, ema=True)
    )
    # Donated, as in the loop: an array that occurred twice in the state would be refused here.
    step = jax.jit(make_train_step(classifier, still, optimizer, ema_decay=0.75), donate_argnums=0)
    state = begin(jax.tree.map(jnp.copy, variables))
    states, reports = [jax.tree.map(np.array, state)], []
    for _ in range(2):
        state, report = step(state, batch, np.float32(0.01))
        states.append(jax.tree.map(np.array, state))
        reports.append(report)
    return states, reports


def test_a_step_moves_what_trains_and_nothing_else(stepped, assert_identical):
    states, _ = stepped
    before, after = states[0].variables, states[-1].variables
    assert_identical(after["params"]["backbone"]["stem"], before["params"]["backbone"]["stem"])
    assert_identical(after["batch_stats"]["backbone"]["stem"], before["batch_stats"]["backbone"]["stem"])
    assert_identical(after["constants"], before["constants"])
    moved = {"params": after["params"]["head"], "stats": after["batch_stats"]["backbone"]["features"]}
    was = {"params": before["params"]["head"], "stats": before["batch_stats"]["backbone"]["features"]}
    assert all((a != b).any() for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(was), strict=True))
    assert [int(state.step) for state in states] == [4, 5, 6]
    assert {int(state.seed) for state in states} == {7}


def test_the_optimiser_keeps_nothing_for_frozen_parameters(stepped):
    adam, trainable = (
        stepped[0][-1].optimizer,
        {"backbone/features/conv/kernel", "head/classifier/bias", "head/classifier/kernel"},
    )
    trainable |= {"backbone/features/norm/bias", "backbone/features/norm/scale"}
    assert set(adam.mu) == set(adam.nu) == trainable
    assert int(adam.count) == 2


def test_the_average_is_of_parameters_and_statistics_and_is_what_is_evaluated(stepped, assert_identical):
    states, _ = stepped
    expected = {name: states[0].variables[name] for name in ("params", "batch_stats")}
    assert_identical(states[0].ema, expected)
    for state in states[1:]:
        now = {name: state.variables[name] for name in expected}
        expected = jax.tree.map(lambda old, new: np.float32(0.75) * old + np.float32(0.25) * new, expected, now)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8), state.ema, expected)
    last = states[-1]
    assert_identical(last.evaluated(), {**last.ema, "constants": last.variables["constants"]})
    without = TrainState(last.step, last.seed, last.variables, last.optimizer, None)
    assert_identical(without.evaluated(), last.variables)


def test_the_report_has_the_terms_and_norms(stepped):
    states, reports = stepped
    assert set(reports[0]) == {"loss", "classification", "gradient_norm", "state_norm"}
    assert float(reports[0]["loss"]) == float(reports[0]["classification"])
    state = states[1].variables
    kinds = [state[kind] for kind in ("params", "batch_stats")]
    moved = [(kind["head"], kind["backbone"]["features"]) for kind in kinds] + [states[1].ema]  # the stem is frozen
    norm = np.sqrt(sum(np.sum(np.square(x)) for x in jax.tree.leaves(moved)))
    np.testing.assert_allclose(reports[0]["state_norm"], norm, rtol=1e-5)


def test_a_step_is_a_function_of_state_and_batch_and_draws_by_seed_and_step(classifier, batch, variables):
    optimizer = optax.identity()
    step = jax.jit(make_train_step(classifier, phase(), optimizer))

    def loss(number: int, seed: int) -> float:
        state = begin_phase(jnp.int32(number), jnp.uint32(seed), variables, optimizer=optimizer, frozen=(), ema=False)
        return float(step(state, batch, np.float32(0.1))[1]["loss"])

    assert loss(0, 7) == loss(0, 7)
    assert len({loss(0, 7), loss(1, 7), loss(0, 8)}) == 3


class Dropping(nn.Module):
    """Convolution, batch normalisation, dropout."""

    @nn.compact
    def __call__(self, x, train):
        x = Conv(4, 3, 2, name="conv")(x)
        return Dropout(0.5)(BatchNorm(name="norm")(x, use_running_average=not train), train)


class ThreeStages(Backbone):
    """Everything that a frozen stage must not do in training, in either group."""

    stages: ClassVar[tuple[str, ...]] = ("stem", "stage1", "features")
    late: ClassVar[str] = "stage1"

    def layers(self):
        return [Dropping(name=name) for name in self.stages]


def test_steps_of_the_head_leave_frozen_groups_bit_for_bit_as_they_were_and_in_evaluation_mode(
    classifier, batch, variables, assert_identical
):
    network = Network(ThreeStages(), ConcatPoolHead(7))
    method = Classifier(dataclasses.replace(classifier.parts, network=network))
    still = Objective(frozen=("early", "late")).resolved(method, "head")
    start = {**jax.jit(method.init)(jax.random.key(0), batch), "constants": variables["constants"]}
    optimizer = optax.scale_by_adam()
    begin = jax.jit(
        lambda v: begin_phase(jnp.int32(0), jnp.uint32(7), v, optimizer=optimizer, frozen=still.frozen, ema=False)
    )
    step = jax.jit(make_train_step(method, still, optimizer))
    states = [begin(start)]
    for _ in range(3):
        states.append(step(states[-1], batch, np.float32(0.01))[0])
    first, last = states[1].variables, states[-1].variables
    for kind in ("params", "batch_stats"):
        assert_identical(last[kind]["backbone"], start[kind]["backbone"])
        pairs = zip(jax.tree.leaves(last[kind]["head"]), jax.tree.leaves(start[kind]["head"]), strict=True)
        assert all((a != b).any() for a, b in pairs)

    # What the head's first norm read: maps of the frozen stages in evaluation mode, of which a step leaves a tenth.
    @jax.jit
    def features(images, key):
        shown, _, _ = method.parts.pictures.for_training({**batch, "image": images}, key, 7, still)
        return network.maps(start, shown)["features"]

    key = jax.random.fold_in(jax.random.key(7), 0)
    maps = np.asarray(features(batch["image"], key))
    read = np.concatenate([maps.max((1, 2)), maps.mean((1, 2))], axis=1)
    np.testing.assert_allclose(first["batch_stats"]["head"]["norm1"]["mean"], 0.1 * read.mean(0), rtol=1e-4, atol=1e-6)
