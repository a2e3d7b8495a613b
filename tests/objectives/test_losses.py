"""Losses against PyTorch's numbers and a naive focal loss; what masks, shards and saturation must not change."""

import functools
import itertools
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.objectives.class_weights import CLASS_WEIGHTS
from skinjax.objectives.losses import LOSSES, REDUCTIONS, ClassificationLoss, log_one_minus_softmax
from skinjax.training.state import term_value
from tests.devices import environment_of_devices

LOGITS = np.array([[2.0, -1.0, 0.5], [0.1, 0.2, -0.3], [-1.5, 3.0, 0.0], [0.0, 0.0, 4.0]], np.float32)
LABELS = np.array([0, 2, 1, 0])
HARD = np.eye(3, dtype=np.float32)[LABELS]
SOFT = np.array([[0.7, 0.3, 0], [0, 0.7, 0.3], [0, 1, 0], [0.3, 0, 0.7]], np.float32)
WEIGHTS = np.array([0.5, 1.0, 3.0], np.float32)
ONES = np.ones(3, np.float32)
ALL = np.ones(4, np.float32)
COUNTS = np.array([6.0, 3.0, 1.0], np.float32)
GAMMAS = (0.0, 0.5, 1.0, 1.5, 2.0, 5.0)
SATURATED = np.array(
    [
        [1e4, -1e4, 0],
        [-1e4, -1e4, 1e4],
        [1e4, 1e4, -1e4],
        [1e4, 1e4, 1e4],
        [0, 0, 0],
        [-1e4, -1e4, -1e4],
        [1e4, 9999, 0],
    ],
    np.float32,
)


@functools.partial(jax.jit, static_argnums=0)
def totals(loss, logits, targets, class_weights, example_weights):
    return loss(logits, targets, class_weights, example_weights, COUNTS)


def mean(loss, logits=LOGITS, targets=HARD, class_weights=WEIGHTS, example_weights=ALL):
    return float(term_value(1.0, *totals(loss, logits, targets, class_weights, example_weights)))


def per_example(loss, targets, class_weights):
    rows = range(len(LOGITS))
    return [float(totals(loss, LOGITS[i : i + 1], targets[i : i + 1], class_weights, ALL[:1])[0]) for i in rows]


# torch.nn.functional.cross_entropy(LOGITS, target, weight, label_smoothing=..., reduction=...), torch 2.13, float64.
TORCH_CROSS_ENTROPY = [
    # targets, class weights, label smoothing, reduction 'none', 'sum', 'mean'
    (HARD, ONES, 0.0, [0.2413113, 1.4208277, 0.0591139, 4.0359763], 5.7572291, 1.4393073),
    (HARD, WEIGHTS, 0.0, [0.1206556, 4.262483, 0.0591139, 2.0179881], 6.4602407, 1.2920481),
    (HARD, ONES, 0.1, [0.3913113, 1.3908277, 0.3091139, 3.902643], 5.9938958, 1.498474),
    (HARD, WEIGHTS, 0.1, [0.3947868, 4.0260255, 0.4370696, 2.0215858], 6.8794676, 1.3758935),
    (SOFT, ONES, 0.0, [1.1413113, 1.0708277, 0.0591139, 1.2359763], 3.5072291, 0.8768073),
    (SOFT, ONES, 0.1, [1.2013113, 1.0758277, 0.3091139, 1.382643], 3.9688958, 0.992224),
    (SOFT, WEIGHTS, 0.0, [1.0568523, 1.9233242, 0.0591139, 0.6809467], 3.7202372, 0.9300593),
    (SOFT, WEIGHTS, 0.1, [1.2373638, 1.9207826, 0.4370696, 0.8182485], 4.4134645, 1.1033661),
]


@pytest.mark.parametrize(("targets", "weights", "smoothing", "none", "total", "average"), TORCH_CROSS_ENTROPY)
def test_cross_entropy_is_pytorchs(targets, weights, smoothing, none, total, average):
    summed = ClassificationLoss("cross_entropy", label_smoothing=smoothing, reduction="sum")
    np.testing.assert_allclose(per_example(summed, targets, weights), none, rtol=1e-5)
    assert mean(summed, targets=targets, class_weights=weights) == pytest.approx(total, rel=1e-5)
    # For soft targets PyTorch's 'mean' divides by the number of images, whatever the class weights.
    reduction = "torch_weighted_mean" if targets is HARD else "batch_mean"
    averaged = ClassificationLoss("cross_entropy", label_smoothing=smoothing, reduction=reduction)
    assert mean(averaged, targets=targets, class_weights=weights) == pytest.approx(average, rel=1e-5)


def test_bce_with_logits_is_pytorchs():
    """torch.nn.BCEWithLogitsLoss: the mean over the classes of each image, and over everything."""
    loss = ClassificationLoss("bce_with_logits", reduction="batch_mean")
    none = [0.4714222, 0.7989636, 0.3143826, 1.8014814]
    np.testing.assert_allclose(per_example(loss, HARD, ONES), none, rtol=1e-5)
    np.testing.assert_allclose(per_example(loss, HARD, WEIGHTS), WEIGHTS[LABELS] * none, rtol=1e-5)
    assert mean(loss, class_weights=ONES) == pytest.approx(0.8465625, rel=1e-5)


@pytest.mark.parametrize(("p", "expected"), [(0.5, 0.693147), (0.1, 0.325083)])
def test_bce_with_logits_of_ten_equal_scores(p, expected):
    """Paper 002: the mean over batch and classes is ln 2 at zero logits, and .325083 where every p is .1."""
    loss, logits = ClassificationLoss("bce_with_logits"), np.full((4, 10), np.log(p / (1 - p)), np.float32)
    total, count = loss(logits, np.eye(10, dtype=np.float32)[[3, 0, 3, 9]], np.ones(10, np.float32), ALL)
    assert float(total / count) == pytest.approx(expected, abs=1e-6)


def naive_focal(logits, targets, class_weights, gamma):
    exponentials = np.exp(np.asarray(logits, np.float64))
    p = exponentials / exponentials.sum(-1, keepdims=True)
    return -(targets * class_weights * (1 - p) ** gamma * np.log(p)).sum(-1)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("targets", [HARD, SOFT])
def test_focal_is_the_formula(gamma, targets):
    values = per_example(ClassificationLoss("focal", gamma=gamma, reduction="sum"), targets, WEIGHTS)
    np.testing.assert_allclose(values, naive_focal(LOGITS, targets, WEIGHTS, gamma), rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_has_the_gradient_of_the_formula(gamma):
    loss = ClassificationLoss("focal", gamma=gamma, reduction="sum")
    gradient = jax.jit(jax.grad(lambda logits: loss(logits, SOFT, WEIGHTS, ALL)[0]))(jnp.asarray(LOGITS))
    small = 1e-6 * np.eye(LOGITS.size).reshape(-1, *LOGITS.shape)
    above, below = (naive_focal(LOGITS + sign * small, SOFT, WEIGHTS, gamma).sum(-1) for sign in (1, -1))
    np.testing.assert_allclose(gradient.ravel(), (above - below) / 2e-6, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("targets", [HARD, SOFT])
def test_focal_with_gamma_zero_is_cross_entropy(reduction, targets):
    plain, zero = (ClassificationLoss(name, gamma=0.0, reduction=reduction) for name in ("cross_entropy", "focal"))
    assert mean(zero, targets=targets) == mean(plain, targets=targets)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_focal_is_finite_at_saturated_logits(gamma):
    """Every pair of a saturated, tied or zero row of logits and a class, with its gradient, under jit."""
    logits = jnp.repeat(SATURATED, 3, axis=0)
    targets = jnp.tile(jnp.eye(3), (len(SATURATED), 1))
    loss = ClassificationLoss("focal", gamma=gamma, reduction="sum")

    @jax.jit
    def value_and_gradient(logits):
        return jax.value_and_grad(lambda x: loss(x, targets, WEIGHTS, jnp.ones(len(x)))[0])(logits)

    value, gradient = value_and_gradient(logits)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    assert gradient.any()


@pytest.mark.parametrize("gamma", GAMMAS)
def test_focal_gradient_of_a_confident_mistake_is_that_of_cross_entropy(gamma):
    loss = ClassificationLoss("focal", gamma=gamma, reduction="sum")
    gradient = jax.jit(jax.grad(lambda logits: loss(logits, jnp.eye(2)[1:], jnp.ones(2), jnp.ones(1))[0]))
    np.testing.assert_allclose(gradient(jnp.array([[1e4, -1e4]])), [[1, -1]], rtol=1e-5)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"focal"}))
def test_other_losses_are_finite_at_saturated_logits(name):
    loss = ClassificationLoss(name, label_smoothing=0.1)
    targets = jnp.eye(3)[jnp.arange(len(SATURATED)) % 3]

    def value(logits):
        total, count = loss(logits, targets, WEIGHTS, jnp.ones(len(logits)), COUNTS)
        return total / count

    value, gradient = jax.jit(jax.value_and_grad(value))(jnp.asarray(SATURATED))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def test_log_one_minus_softmax_keeps_small_differences_of_large_logits():
    """log(1 - p) of the likelier of two classes a unit apart is log sigmoid(-1), at any height."""
    for height in (0.0, 1e4):
        values = log_one_minus_softmax(jnp.array([height + 1, height]))
        np.testing.assert_allclose(values, [-1.3132617, -0.3132617], rtol=1e-6)
    np.testing.assert_allclose(log_one_minus_softmax(jnp.array([50.0, 0.0])), [-50, -1.9287e-22], rtol=1e-4)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", LOSSES)
def test_loss_of_a_mixture_is_the_mixture_of_losses(name, smoothing):
    """Mixup with .7 and .3 (paper 001): one soft target, or two weighted losses."""
    loss = ClassificationLoss(name, label_smoothing=smoothing, reduction="batch_mean")
    partner = HARD[::-1]
    mixed = mean(loss, targets=0.7 * HARD + 0.3 * partner)
    assert mixed == pytest.approx(0.7 * mean(loss) + 0.3 * mean(loss, targets=partner), rel=1e-6)


@pytest.mark.parametrize(
    ("loss", "plain", "weighted"),
    [
        ({"name": "cross_entropy"}, 1.141311, 1.056852),
        ({"name": "focal", "gamma": 0.0}, 1.141311, 1.056852),
        ({"name": "focal", "gamma": 1.0}, 0.970577, 0.952469),
        ({"name": "focal", "gamma": 2.0}, 0.905580, 0.901698),
        ({"name": "bce_with_logits"}, 0.771422, 0.606424),
        ({"name": "balanced_softmax"}, 1.168175, 1.147094),
        ({"name": "logit_adjusted", "tau": 2.0}, 1.334361, 1.327896),
        ({"name": "ldam"}, 10.179753, 7.279719),
    ],
)
def test_a_mixture_by_hand(loss, plain, weighted):
    """.7 of the loss were the label the first class, and .3 were it the second, each with its own class weight."""
    loss = ClassificationLoss(**loss, reduction="batch_mean")
    for class_weights, expected in ((ONES, plain), (WEIGHTS, weighted)):
        found = mean(loss, LOGITS[:1], SOFT[:1], class_weights, ALL[:1])
        assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", LOSSES)
def test_classes_that_a_batch_lacks_make_nothing_infinite(name, reduction):
    """A batch without the rarest class, one of a single class, and one without any label: values and gradients."""
    loss = ClassificationLoss(name, label_smoothing=0.1, reduction=reduction)

    @jax.jit
    @jax.value_and_grad
    def value(logits, targets, class_weights):
        return term_value(1.0, *loss(logits, targets, class_weights, ALL, COUNTS))

    for formula, labels in itertools.product(CLASS_WEIGHTS, ([0, 1, 1, 0], [0, 0, 0, 0], [-1, -1, -1, -1])):
        targets = jax.nn.one_hot(jnp.array(labels), 3)
        found, gradient = value(jnp.asarray(LOGITS), targets, np.float32(CLASS_WEIGHTS[formula](COUNTS)))
        assert (found > 0) == (labels[0] >= 0)
        assert np.isfinite(found)
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["cross_entropy", "focal", "bce_with_logits"])
def test_a_class_without_training_images_makes_nothing_infinite(name, reduction):
    """Where it is not refused, which it is wherever a weight or a frequency would be undefined."""
    loss, counts = ClassificationLoss(name, reduction=reduction), jnp.array([6.0, 3.0, 0.0])
    loss.check_counts(counts, "abc")

    @jax.jit
    @jax.value_and_grad
    def value(logits):
        return term_value(1.0, *loss(logits, HARD[:, [0, 1, 1]] * [1, 1, 0], loss.weights(counts), ALL, counts))

    found, gradient = value(jnp.asarray(LOGITS))
    assert found > 0
    assert np.isfinite(gradient).all()


def test_weighted_mean_equals_batch_mean_up_to_the_weight_when_all_labels_are_equal():
    torch_mean, batch_mean = (ClassificationLoss(reduction=name) for name in ("torch_weighted_mean", "batch_mean"))
    same = np.eye(3, dtype=np.float32)[[2, 2, 2, 2]]
    assert mean(batch_mean, targets=same) == pytest.approx(3 * mean(torch_mean, targets=same), rel=1e-6)
    assert mean(torch_mean) == pytest.approx(1.2920481, rel=1e-6)
    assert mean(batch_mean) == pytest.approx(6.4602407 / 4, rel=1e-6)


def with_garbage(targets):
    """The literal batch between padded rows of any content and an unlabelled one."""
    logits = np.concatenate([np.full((1, 3), 1e4, np.float32), LOGITS, [[-1e4, 3e4, 7], [5, 5, 5]]]).astype(np.float32)
    targets = np.concatenate([[[0, 0, 1]], targets, [[1, 0, 0], [0, 0, 0]]]).astype(np.float32)
    return logits, targets, np.array([0, 1, 1, 1, 1, 0, 1], np.float32)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["cross_entropy", "focal", "bce_with_logits"])
def test_masked_and_unlabelled_rows_change_nothing(name, reduction):
    loss = ClassificationLoss(name, label_smoothing=0.1, reduction=reduction)
    logits, targets, example_weights = map(jnp.asarray, with_garbage(SOFT))

    def value(logits, targets, example_weights):
        return term_value(1.0, *loss(logits, targets, WEIGHTS, example_weights))

    padded, gradient = jax.jit(jax.value_and_grad(value))(logits, targets, example_weights)
    alone, expected = jax.jit(jax.value_and_grad(value))(jnp.asarray(LOGITS), SOFT, ALL)
    np.testing.assert_allclose(padded, alone, rtol=1e-6)
    np.testing.assert_allclose(gradient[1:5], expected, rtol=1e-5, atol=1e-7)
    assert not gradient[jnp.array([0, 5, 6])].any()


def test_example_weights_count_as_copies():
    loss = ClassificationLoss()
    twice = [np.concatenate([x, x[:1]]) for x in (LOGITS, HARD)]
    assert mean(loss, example_weights=np.array([2, 1, 1, 1], np.float32)) == pytest.approx(
        mean(loss, *twice, example_weights=np.ones(5, np.float32)), rel=1e-6
    )


@pytest.mark.parametrize("reduction", ["torch_weighted_mean", "batch_mean"])
def test_parts_of_a_batch_add_up(reduction):
    """Sums and counts of the parts, not their means: what accumulation and evaluation rest on."""
    loss = ClassificationLoss(reduction=reduction)
    parts = [loss(LOGITS[rows], HARD[rows], WEIGHTS, ALL[rows]) for rows in (slice(0, 1), slice(1, 4))]
    total, count = (sum(values) for values in zip(*parts, strict=True))
    assert float(total / count) == pytest.approx(mean(loss), rel=1e-6)
    assert np.mean([total / count for total, count in parts]) != pytest.approx(mean(loss), rel=0.1)


SHARDED = """
import json, sys
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from skinjax.objectives.losses import ClassificationLoss, REDUCTIONS
from skinjax.parallel import make_mesh, over_data
from skinjax.training.state import term_value
logits, targets, class_weights, example_weights = (jnp.array(x, jnp.float32) for x in json.load(sys.stdin))
mesh = make_mesh()
assert mesh.shape["data"] == 4
logits, targets, example_weights = (jax.device_put(x, over_data(mesh)) for x in (logits, targets, example_weights))
def value(logits, reduction):
    loss = ClassificationLoss("focal", reduction=reduction)
    return term_value(1.0, *loss(logits, targets, class_weights, example_weights))
step = jax.jit(jax.value_and_grad(value), static_argnums=1)
print(json.dumps({name: jax.tree.map(lambda x: np.asarray(x).tolist(), step(logits, name)) for name in REDUCTIONS}))
"""


def test_reductions_are_those_of_the_whole_batch_when_it_is_sharded():
    """Four devices, one of them with nothing but padding and an unlabelled image."""
    logits, targets, example_weights = with_garbage(HARD)
    logits, targets = (np.concatenate([x, x[-1:]]) for x in (logits, targets))
    example_weights = np.append(example_weights, np.float32(1))
    batch = json.dumps([x.tolist() for x in (logits, targets, WEIGHTS, example_weights)])
    done = subprocess.run(
        [sys.executable, "-c", SHARDED], input=batch, text=True, capture_output=True, env=environment_of_devices(4)
    )
    assert done.returncode == 0, done.stderr
    for reduction, (value, gradient) in json.loads(done.stdout).items():
        loss = ClassificationLoss("focal", reduction=reduction)

        def one_device(logits, loss=loss):
            return term_value(1.0, *loss(logits, HARD, WEIGHTS, ALL))

        expected, expected_gradient = jax.jit(jax.value_and_grad(one_device))(jnp.asarray(LOGITS))
        assert value == pytest.approx(float(expected), rel=1e-6)
        np.testing.assert_allclose(np.array(gradient)[1:5], expected_gradient, rtol=1e-5, atol=1e-7)


def test_bfloat16_logits_are_summed_in_float32():
    logits = jnp.asarray(LOGITS, jnp.bfloat16)
    total, count = ClassificationLoss("focal")(logits, HARD, WEIGHTS, ALL)
    assert total.dtype == count.dtype == jnp.float32
    exact = ClassificationLoss("focal")(logits.astype(jnp.float32), HARD, WEIGHTS, ALL)
    assert (float(total), float(count)) == tuple(map(float, exact))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "focl"}, "unknown loss 'focl'.*did you mean 'focal'"),
        ({"reduction": "mean"}, "unknown loss reduction 'mean'.*batch_mean, sum, torch_weighted_mean"),
        ({"gamma": -0.5}, "ClassificationLoss.gamma is -0.5"),
        ({"label_smoothing": 1.0}, "ClassificationLoss.label_smoothing is 1.0"),
        ({"class_weights": "inverted"}, "unknown class weight formula 'inverted'.*did you mean 'inverse'"),
        ({"effective_beta": 1.0}, "ClassificationLoss.effective_beta is 1.0"),
    ],
)
def test_wrong_settings_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        ClassificationLoss(**arguments)


def adjusted(loss, logits=LOGITS):
    """The mean loss with the counts of the classes."""
    return float(term_value(1.0, *loss(logits, HARD, ONES, ALL, COUNTS)))


def by_hand(logits, scores=None):
    """Cross-entropy in float64, of the logits that a class has when it is the true one."""
    total = 0.0
    for row, label in zip(np.asarray(logits, np.float64), LABELS, strict=True):
        row = row if scores is None else scores(row, label)
        total += np.log(np.exp(row).sum()) - row[label]
    return total / len(LABELS)


def test_balanced_softmax_is_the_cross_entropy_of_a_posterior_with_the_training_priors():
    expected = by_hand(LOGITS + np.log(COUNTS))
    assert adjusted(ClassificationLoss("balanced_softmax")) == pytest.approx(expected, rel=1e-6)
    posterior = COUNTS * np.exp(LOGITS) / (COUNTS * np.exp(LOGITS)).sum(1, keepdims=True)
    assert expected == pytest.approx(-np.log(posterior[np.arange(4), LABELS]).mean(), rel=1e-6)


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0, 2.0])
def test_logit_adjustment_moves_the_logits_by_the_log_frequency(tau):
    loss = ClassificationLoss("logit_adjusted", tau=tau)
    assert adjusted(loss) == pytest.approx(by_hand(LOGITS + tau * np.log(COUNTS / 10)), rel=1e-6)


def test_ldam_takes_a_margin_off_the_true_class_which_is_largest_for_the_rarest():
    margins = 0.5 * (1 / COUNTS) ** 0.25

    def scores(row, label):
        return row - 30 * margins[label] * np.eye(3)[label]

    assert margins.max() == margins[2] == 0.5
    assert adjusted(ClassificationLoss("ldam")) == pytest.approx(by_hand(LOGITS, scores), rel=1e-6)
    assert adjusted(ClassificationLoss("ldam", margin=0.0)) == pytest.approx(by_hand(LOGITS), rel=1e-6)


@pytest.mark.parametrize("name", ["balanced_softmax", "logit_adjusted", "ldam"])
def test_frequencies_that_are_needed_must_be_there(name):
    loss = ClassificationLoss(name)
    loss.check_counts([1, 2, 3], "abc")
    with pytest.raises(UserError, match="no training image of class b"):
        loss.check_counts([1, 0, 3], "abc")
    with pytest.raises(ValueError, match="needs the training images per class"):
        loss(LOGITS, HARD, ONES, ALL)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5])
def test_class_weights_take_a_power(exponent):
    loss = ClassificationLoss(class_weights="inverse", weight_exponent=exponent)
    np.testing.assert_allclose(loss.weights(jnp.asarray(COUNTS)), (10 / COUNTS) ** exponent, rtol=1e-6)


def test_the_effective_number_has_a_beta_of_its_own():
    loss = ClassificationLoss(class_weights="effective", effective_beta=0.9)
    expected = 0.1 / (1 - 0.9 ** COUNTS.astype(np.float64))
    np.testing.assert_allclose(loss.weights(jnp.asarray(COUNTS)), 3 * expected / expected.sum(), rtol=1e-6)


@pytest.mark.parametrize(
    ("factors", "reduction", "expected"),
    [
        ((("a", 0.5),), "batch_mean", 0.772318),
        ((("a", 0.5),), "torch_weighted_mean", 1.029758),
        ((), "batch_mean", 1.274369),
    ],
)
def test_paper_001s_discount_is_undone_by_the_weighted_mean(factors, reduction, expected):
    """Half the focal loss of a class; PyTorch's mean divides by the halves as well."""
    loss = ClassificationLoss("focal", gamma=1.0, class_factors=factors, reduction=reduction)
    weights = loss.weights(jnp.asarray(COUNTS), ("a", "b", "c"))
    assert mean(loss, class_weights=weights) == pytest.approx(expected, abs=1e-6)


def test_factors_multiply_the_weights_of_a_formula_and_name_classes():
    loss = ClassificationLoss(class_weights="inverse", class_factors=(("b", 3.0),))
    plain = ClassificationLoss(class_weights="inverse").weights(jnp.asarray(COUNTS), ("a", "b", "c"))
    np.testing.assert_allclose(loss.weights(jnp.asarray(COUNTS), ("a", "b", "c")), plain * np.array([1, 3, 1]))
    with pytest.raises(UserError, match=r"class in loss.class_factors: 'd'; known: a, b, c"):
        ClassificationLoss(class_factors=(("d", 3.0),)).check_counts(COUNTS, ("a", "b", "c"))


@pytest.mark.parametrize(
    ("gamma", "expected"),
    [
        (0.0, (0.105361, 0.693147, 2.302585, 1.945910)),
        (1.0, (0.0105361, 0.346574, 2.072327, 1.667923)),
        (1.5, (0.00333179, 0.245065, 1.965982, 1.544197)),
        (2.0, (0.00105361, 0.173287, 1.865094, 1.429648)),
        (5.0, (1.0536e-6, 0.0216608, 1.359653, 0.900303)),
    ],
)
def test_paper_001s_focal_losses(gamma, expected):
    """Where the class has the probability 0.9, 0.5, 0.1, and a seventh as before training."""
    loss = ClassificationLoss("focal", gamma=gamma, reduction="sum")
    for p, value in zip((0.9, 0.5, 0.1, 1 / 7), expected, strict=True):
        logits = np.log(np.array([[p, *[(1 - p) / 6] * 6]], np.float32))
        total, _ = loss(logits, np.eye(7, dtype=np.float32)[:1], np.ones(7, np.float32), ALL[:1])
        assert float(total) == pytest.approx(value, rel=2e-5)
