"""Optimisers against PyTorch's trajectories on a quadratic of two parameters, and the tables of factors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from skinjax.core.errors import UserError
from skinjax.training.optimizers import EVERYTHING, OptimizerSettings, make_optimizer, parameter_factors
from skinjax.training.schedules import WarmRestartsSettings, make_schedule

A, B = "backbone/stem/kernel", "head/kernel"
STAGES = {"backbone/stem": "early", "backbone/features": "late", "head": "top"}
PATHS = [
    "backbone/stem/conv/kernel",
    "backbone/stem/norm/scale",
    "backbone/features/block1/conv1/kernel",
    "head/kernel",
    "head/bias",
]


def made(name, paths, learning_rate_multipliers=EVERYTHING, **arguments):
    return make_optimizer(OptimizerSettings(name=name, **arguments), paths, STAGES, learning_rate_multipliers)


def trajectory(name, **arguments):
    """Five steps on 3a^2/2 + b^2/2 + ab from (1, -2) at rate 0.1."""
    params = {A: jnp.float32(1), B: jnp.float32(-2)}
    optimizer = made(name, params, **arguments)
    state = optimizer.init(params)

    @jax.jit
    def step(params, state):
        gradient = {A: 3 * params[A] + params[B], B: params[A] + params[B]}
        updates, state = optimizer.update(gradient, state, params)
        return optax.apply_updates(params, jax.tree.map(lambda update: -0.1 * update, updates)), state

    places = []
    for _ in range(5):
        params, state = step(params, state)
        places.append([float(params[A]), float(params[B])])
    return places


# torch 2.13, float64: torch.optim.SGD, Adam, AdamW, clip_grad_norm_, one parameter group per factor.
MOMENTUM = [[0.9, -1.9], [0.73, -1.71], [0.529, -1.441], [0.3335, -1.1077], [0.16827, -0.73031]]
TORCH = {
    "sgd": (
        functools.partial(trajectory, "sgd", momentum=0.0),
        [[0.9, -1.9], [0.82, -1.8], [0.754, -1.702], [0.698, -1.6072], [0.64932, -1.51628]],
    ),
    "momentum": (functools.partial(trajectory, "sgd", momentum=0.9), MOMENTUM),
    "nesterov": (
        functools.partial(trajectory, "sgd", momentum=0.9, nesterov=True),
        [[0.81, -1.81], [0.6112, -1.539], [0.432106, -1.208818], [0.2808104, -0.8475809], [0.1534978, -0.4846852]],
    ),
    "momentum and decay": (
        functools.partial(trajectory, "sgd", momentum=0.9, weight_decay=0.2),
        [[0.88, -1.86], [0.6764, -1.5988], [0.436592, -1.239504], [0.2050058, -0.8110563], [0.0120819, -0.3486272]],
    ),
    "nesterov and decay": (
        functools.partial(trajectory, "sgd", momentum=0.9, nesterov=True, weight_decay=0.2),
        [
            [0.772, -1.734],
            [0.534884, -1.371928],
            [0.3232124, -0.9526836],
            [0.1477778, -0.5195908],
            [0.0061037, -0.113219],
        ],
    ),
    "adam": (
        functools.partial(trajectory, "adam"),
        [[0.9, -1.9], [0.8011874, -1.8], [0.7048521, -1.7000042], [0.6127787, -1.6000254], [0.5272421, -1.5000919]],
    ),
    "adam and decay": (
        functools.partial(trajectory, "adam", weight_decay=0.2),
        [
            [0.9, -1.9],
            [0.8010289, -1.8000401],
            [0.7041618, -1.7001506],
            [0.6108595, -1.6003683],
            [0.5229891, -1.5007411],
        ],
    ),
    "adamw": (
        functools.partial(trajectory, "adamw", weight_decay=0.2),
        [
            [0.88, -1.86],
            [0.7637947, -1.7228578],
            [0.652826, -1.5885603],
            [0.5490633, -1.4571068],
            [0.4549192, -1.3285191],
        ],
    ),
    "clipped": (
        functools.partial(trajectory, "sgd", clip_norm=0.5),
        [
            [0.9646447, -1.9646447],
            [0.8987883, -1.8961984],
            [0.8082294, -1.795596],
            [0.6998593, -1.6628857],
            [0.5816772, -1.4979095],
        ],
    ),
    "a tenth of the rate and no decay for the stem": (
        functools.partial(
            trajectory,
            "sgd",
            weight_decay=0.2,
            learning_rate_multipliers=(("stem", 0.1), (".*", 1.0)),
            weight_decay_multipliers=((".*stem.*", 0.0), ("head/.*", 1.0)),
        ),
        [[0.99, -1.86], [0.9699, -1.6098], [0.938811, -1.288434], [0.8955509, -0.9384736], [0.839135, -0.6004475]],
    ),
    "the same with adamw": (
        functools.partial(
            trajectory,
            "adamw",
            weight_decay=0.2,
            learning_rate_multipliers=(("stem", 0.1), (".*", 1.0)),
            weight_decay_multipliers=(("stem", 0.0), (".*", 1.0)),
        ),
        [
            [0.99, -1.86],
            [0.9799864, -1.7234023],
            [0.9699505, -1.5906649],
            [0.9598841, -1.4623491],
            [0.9497802, -1.3391306],
        ],
    ),
}


@pytest.mark.parametrize("case", TORCH)
def test_trajectory_is_pytorchs(case):
    run, expected = TORCH[case]
    np.testing.assert_allclose(run(), expected, rtol=1e-5, atol=2e-6)


def test_a_gradient_below_the_clip_is_left_alone():
    np.testing.assert_allclose(trajectory("sgd", clip_norm=10.0), MOMENTUM, rtol=1e-5)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (((".*", 0.5),), [0.5, 0.5, 0.5, 0.5, 0.5]),
        ((("stem", 0.1), ("features", 0.3), ("head", 1.0)), [0.1, 0.1, 0.3, 1.0, 1.0]),
        (((".*/(scale|bias)", 0.0), (".*", 1.0)), [1.0, 0.0, 1.0, 1.0, 0.0]),
        ((("head/bias", 2.0), ("head", 3.0), ("backbone/.*", 4.0)), [4.0, 4.0, 4.0, 3.0, 2.0]),
        ((("early", 0.01), ("late", 0.1), ("top", 1.0)), [0.01, 0.01, 0.1, 1.0, 1.0]),
        ((("features", 2.0), ("early", 0.1), (".*", 1.0)), [0.1, 0.1, 2.0, 1.0, 1.0]),
    ],
)
def test_factors_come_from_the_first_row_that_matches(rows, expected):
    assert parameter_factors("rates", rows, PATHS, STAGES) == dict(zip(PATHS, expected, strict=True))


def test_a_stage_is_a_whole_part_of_the_path():
    paths = ["backbone/stem/kernel", "backbone/stemlike/kernel", "restorer/stem/kernel"]
    factors = parameter_factors("rates", [("stem", 0.1), (".*", 1.0)], paths, STAGES)
    assert list(factors.values()) == [0.1, 1.0, 1.0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((("stem", 0.1),), "rates has no row for 3 parameters, backbone/features/block1/conv1/kernel first"),
        (((".*", 1.0), ("stem", 0.1)), "rates has a row for 'stem', which matches no parameter that is left to it"),
        (
            (("steam", 0.1), (".*", 1.0)),
            r"row for 'steam', which matches no .*stages: stem, features, head, backbone, early, late, top;",
        ),
        ((("(head", 0.1), (".*", 1.0)), r"rates has a row '\(head' that is no regular expression"),
        ((), "rates has no row for 5 parameters"),
    ],
)
def test_tables_that_do_not_fit_are_refused(rows, message):
    with pytest.raises(UserError, match=message):
        parameter_factors("rates", rows, PATHS, STAGES)


@pytest.mark.parametrize("table", ["learning_rate_multipliers", "weight_decay_multipliers"])
def test_make_optimizer_checks_both_tables_even_where_they_do_nothing(table):
    with pytest.raises(UserError, match=f"{table} has no row for 3 parameters"):
        made("sgd", PATHS, **{table: (("head", 1.0),)})


def test_unknown_optimiser_is_named():
    with pytest.raises(UserError, match=r"unknown optimiser 'adamw2'.*did you mean 'adamw'"):
        OptimizerSettings(name="adamw2")


def test_the_cosine_of_a_cycle_scales_every_group_of_rates():
    """Paper 002: groups at .01, .1 and 1 of the rate .01, five of ten steps into a cycle."""
    rows = (("stem", 0.01), ("features", 0.1), ("head", 1.0))
    optimizer = made("sgd", PATHS, rows, momentum=0.0)
    ones = {path: jnp.ones(()) for path in PATHS}
    updates, _ = optimizer.update(ones, optimizer.init(ones), ones)
    rate = make_schedule(WarmRestartsSettings(cycle=10, multiplier=2), 0.01, 70)(5)
    found = [float(rate * updates[path]) for path in (PATHS[0], PATHS[2], PATHS[3])]
    assert found == pytest.approx([5e-5, 5e-4, 5e-3])
