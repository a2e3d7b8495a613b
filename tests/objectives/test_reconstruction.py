"""The class-weighted reconstruction term: what is averaged, over whom, and what it is of in expectation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.core.settings import Named
from skinjax.data.sampling import SAMPLERS
from skinjax.data.sampling.samplers import Images, WeightedSettings, natural, weights_by_class
from skinjax.objectives.class_weights import CLASS_WEIGHTS, odds_normalised
from skinjax.objectives.reconstruction import RECONSTRUCTION_REDUCTIONS, reconstruction, reconstruction_weights
from skinjax.training.state import term_value

IMAGES = np.linspace(-2, 2, 4 * 2 * 3 * 3, dtype=np.float32).reshape(4, 2, 3, 3)
REBUILT = np.cos(7 * IMAGES)
SQUARES = np.square(REBUILT - IMAGES).mean(axis=(1, 2, 3))
HARD = np.eye(3, dtype=np.float32)[[0, 2, 1, 0]]
WEIGHTS = np.array([0.5, 1.0, 3.0], np.float32)
ALL = np.ones(4, np.float32)
NAMES = ("nv", "mel", "df")
ERRORS = np.array([1.0, 2.0, 5.0])  # of every image of these classes, so that expectations can be exact


@pytest.mark.parametrize(("norm", "function"), [("l1", np.abs), ("l2", np.square)])
def test_the_error_of_an_image_is_a_mean_over_its_pixels(norm, function):
    error = function(REBUILT - IMAGES).mean(axis=(1, 2, 3))
    coefficients, sums, counts = reconstruction(REBUILT, IMAGES, HARD, WEIGHTS, ALL, norm, "class_means")
    np.testing.assert_array_equal(coefficients, WEIGHTS)
    np.testing.assert_allclose(sums, [error[0] + error[3], error[2], error[1]], rtol=1e-6)
    assert counts.tolist() == [2, 1, 1]
    one, total, count = reconstruction(REBUILT, IMAGES, HARD, WEIGHTS, ALL, norm, "per_image")
    assert (one, count) == (1, 4)
    assert total == pytest.approx(error @ [0.5, 3, 1, 0.5], rel=1e-6)


def test_masked_and_unlabelled_images_are_left_out_and_weights_multiply_the_error():
    targets = HARD.copy()
    targets[1] = 0
    example_weights = np.array([4, 1, 0, 1], np.float32)
    _, sums, counts = reconstruction(REBUILT, IMAGES, targets, WEIGHTS, example_weights, "l2", "class_means")
    np.testing.assert_allclose(sums, [4 * SQUARES[0] + SQUARES[3], 0, 0], rtol=1e-6)
    assert counts.tolist() == [5, 0, 0]
    _, total, count = reconstruction(REBUILT, IMAGES, targets, WEIGHTS, example_weights, "l2", "per_image")
    assert total == pytest.approx(0.5 * (4 * SQUARES[0] + SQUARES[3]), rel=1e-6)
    assert count == 2


def test_a_mixed_image_weighs_what_its_classes_do_together():
    """Mixup of .7 and .3: one image, with the mixture of two weights."""
    mixed = 0.7 * HARD + 0.3 * HARD[::-1]
    _, total, count = reconstruction(REBUILT, IMAGES, mixed, WEIGHTS, ALL, "l2", "per_image")
    assert total == pytest.approx(SQUARES @ [0.5, 0.7 * 3 + 0.3 * 1, 0.7 * 1 + 0.3 * 3, 0.5], rel=1e-6)
    assert count == pytest.approx(4, rel=1e-6)


@pytest.mark.parametrize("reduction", RECONSTRUCTION_REDUCTIONS)
def test_parts_of_a_batch_add_up(reduction):
    """What sharding and accumulation rest on; the second part has none of two classes."""
    parts = [slice(0, 3), slice(3, 4)]
    whole, *rows = (
        reconstruction(REBUILT[part], IMAGES[part], HARD[part], WEIGHTS, ALL[part], "l2", reduction)[1:]
        for part in (slice(4), *parts)
    )
    jax.tree.map(lambda x, *xs: np.testing.assert_allclose(sum(xs), x, rtol=1e-6), whole, *rows)


@pytest.mark.parametrize("reduction", RECONSTRUCTION_REDUCTIONS)
@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_a_weight_of_zero_ignores_a_class_and_an_absent_class_costs_nothing(norm, reduction):
    targets = np.eye(3, dtype=np.float32)[[0, 1, 1, 0]]

    def value(rebuilt):
        one_hot = jnp.array([1.0, 0.0, 9.0])  # the last class is not in the batch
        return term_value(*reconstruction(rebuilt, IMAGES, targets, one_hot, ALL, norm, reduction))

    found, gradient = jax.jit(jax.value_and_grad(value))(jnp.asarray(REBUILT))
    others = REBUILT + 100 * (targets[:, 1] > 0)[:, None, None, None]
    assert np.isfinite(found)
    assert value(others) == pytest.approx(float(found), rel=1e-6)
    assert np.abs(gradient).max(axis=(1, 2, 3)).astype(bool).tolist() == [True, False, False, True]


def mean_term(labels: np.ndarray, weights: np.ndarray, reduction: str, errors: np.ndarray = ERRORS) -> float:
    """The mean over the batches `labels` [batches, batch] of L_r, where an image's error is that of its class."""

    def of_batch(batch):
        rebuilt = jnp.float32(errors)[batch][:, None, None, None]
        targets, ones = jax.nn.one_hot(batch, len(errors)), jnp.ones(len(batch))
        images = jnp.zeros(rebuilt.shape)
        return term_value(*reconstruction(rebuilt, images, targets, jnp.float32(weights), ones, "l1", reduction))

    return float(np.asarray(jax.jit(jax.vmap(of_batch))(labels)).mean(dtype=np.float64))


def drawn(name: str, counts: list[int], batch: int) -> tuple[np.ndarray, np.ndarray]:
    """(labels [batches, batch] of 3,000 batches, whole epochs, or 20,000 independent ones; the class shares)."""
    labels = np.repeat(np.arange(len(counts)), counts)
    images = Images(np.arange(len(labels)), labels, batch, 0, weights=weights_by_class("inverse", labels) ** 0.5)
    sampler = SAMPLERS[name].make(images, WeightedSettings(weights="column") if name == "weighted" else Named(name))
    steps = 20_000 if name == "weighted" else 3000  # a multiple of the epochs of all others here
    return labels[np.stack([sampler(step) for step in range(steps)])], sampler.class_shares(len(counts))


@pytest.mark.parametrize("name", SAMPLERS)
def test_per_image_is_equation_2_in_expectation_with_any_sampler(name):
    """Batches of 4, of three classes of 20, 8 and 2 images: most have none of the rarest class unless balanced."""
    counts = np.array([20, 8, 2])
    labels, shares = drawn(name, counts.tolist(), batch=4)
    rtol = 0.01 if name == "weighted" else 1e-5
    for formula in ("odds_normalised", "inverse"):
        w = CLASS_WEIGHTS[formula](counts) / CLASS_WEIGHTS[formula](counts).sum()
        weights = reconstruction_weights(formula, "per_image", counts, shares, NAMES)
        np.testing.assert_allclose(mean_term(labels, weights, "per_image"), w @ ERRORS, rtol=rtol)


@pytest.mark.parametrize("name", SAMPLERS)
def test_per_image_without_class_weights_is_the_plain_mean_over_images(name):
    labels, shares = drawn(name, [20, 8, 2], batch=4)
    weights = reconstruction_weights("none", "per_image", np.array([20, 8, 2]), shares, NAMES)
    assert mean_term(labels[:50], weights, "per_image") == pytest.approx(ERRORS[labels[:50]].mean(), rel=1e-6)


@pytest.mark.parametrize(
    ("name", "part_left"),
    [
        ("natural", 0.350),
        ("oversampled", 0.813),
        ("downsampled", 0.902),
        ("balanced_batches", 1),
        ("weighted", 0.565),
        ("statically_balanced", 0.813),
    ],
)
def test_class_means_lose_the_weight_of_classes_that_batches_lack(name, part_left):
    """sum_k w_k P(class k is in the batch), which is known, for errors that are all equal."""
    counts = np.array([20, 8, 2])
    labels, shares = drawn(name, counts.tolist(), batch=4)
    weights = reconstruction_weights("odds_normalised", "class_means", counts, shares, NAMES)
    found = mean_term(labels, weights, "class_means", np.ones(3))
    present = (labels[:, :, None] == np.arange(3)).any(axis=1).mean(axis=0)
    assert found == pytest.approx(odds_normalised(counts) @ present, rel=1e-5)
    assert found == pytest.approx(part_left, abs=0.015)


SKIN_7 = np.array([1113, 6705, 514, 327, 1099, 115, 142])
SKIN_198 = np.linspace(10, 60, 198).round().astype(int)  # as few to as many images of a class as SD-198 has


@pytest.mark.parametrize(("counts", "part_left"), [(SKIN_7, 0.78), (SKIN_198, 0.31)])
def test_class_means_are_a_part_of_equation_2_at_paper_000s_batch(counts, part_left):
    """Natural batches of 96; what is left of alpha differs from data set to data set."""
    numbers, classes = np.repeat(np.arange(len(counts)), counts), tuple(map(str, range(len(counts))))
    sampler = natural(Images(np.arange(len(numbers)), numbers, 96, seed=0))
    labels = numbers[np.stack([sampler(step) for step in range(1500)])]
    left = {}
    for reduction in RECONSTRUCTION_REDUCTIONS:
        weights = reconstruction_weights(
            "odds_normalised", reduction, counts, sampler.class_shares(len(counts)), classes
        )
        left[reduction] = mean_term(labels, weights, reduction, np.ones(len(counts)))
    assert left["class_means"] == pytest.approx(part_left, abs=0.01)
    assert left["per_image"] == pytest.approx(1, abs=0.01)


def test_weights_of_a_class_that_is_never_drawn_are_zero():
    shares = np.array([0.75, 0.25, 0])
    weights = reconstruction_weights("balanced", "per_image", np.array([2, 4, 4]), shares, NAMES)
    np.testing.assert_allclose(weights, [0.5 / 0.75, 0.25 / 0.25, 0])


def test_wrong_norm_is_named():
    with pytest.raises(UserError, match=r"unknown reconstruction norm 'l3'.*l1, l2"):
        reconstruction(REBUILT, IMAGES, HARD, WEIGHTS, ALL, "l3", "per_image")
