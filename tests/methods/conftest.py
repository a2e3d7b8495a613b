"""The smallest classifier, six images of three classes, and jitted losses, shared by the tests of all methods."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.models import make_backbone
from skinjax.models.heads.classifiers import LinearHead
from skinjax.objectives.losses import ClassificationLoss
from skinjax.training.state import batch_gradient
from tests.jitted import jitted

STEP_KEY = jax.random.key(1)


@dataclasses.dataclass(frozen=True)
class Phase:
    frozen: tuple[str, ...] = ()
    loss_function: ClassificationLoss | None = None


def train_view(keys, images):
    """Every image at a brightness of its own."""
    brightness = jax.vmap(functools.partial(jax.random.uniform, minval=0.8, maxval=1.2))(keys)
    return brightness[:, None, None, None] * evaluation_view(images)


def evaluation_view(images):
    return images / 127.5 - 1


@functools.partial(jitted, static_argnums=0, static_argnames="phase")
def _loss(method, variables, batch, phase=Phase()):
    return method.loss(variables, batch, STEP_KEY, step=jnp.int32(0), phase=phase)


@functools.partial(jitted, static_argnums=0, static_argnames="phase")
def _counts(method, variables, batch, phase=Phase()):
    terms, _ = method.loss(variables, batch, STEP_KEY, step=jnp.int32(0), phase=phase)
    return {name: count for name, (_, _, count) in terms.items()}


@functools.partial(jitted, static_argnums=0, static_argnames="phase")
def _stats(method, variables, batch, phase=Phase()):
    return method.loss(variables, batch, STEP_KEY, step=jnp.int32(0), phase=phase)[1]


@functools.partial(jitted, static_argnums=0, static_argnames="phase")
def _gradient(method, variables, batch, phase=Phase()):
    def terms_of(params, stats, part):
        changed = {**variables, "params": params, "batch_stats": stats}
        return method.loss(changed, part, STEP_KEY, step=jnp.int32(0), phase=phase)

    return batch_gradient(terms_of, variables["params"], variables["batch_stats"], batch, accumulate=1)


@pytest.fixture(scope="session")
def batch():
    """Six images of 32 x 32; two of each class."""
    images = np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), np.uint8)
    labels = jnp.array([0, 1, 2, 1, 0, 2])
    return {
        "image": jnp.asarray(images),
        "label": labels,
        "position": jnp.arange(6),
        "weight": jnp.ones(6),
        "mask": jnp.ones(6, bool),
    }


@pytest.fixture(scope="session")
def phase():
    """The constructor of a phase: frozen stages, and a loss function of its own."""
    return Phase


@pytest.fixture(scope="session")
def make():
    """A function (method class, changed fields) -> method."""
    common = {
        "classes": ("akiec", "df", "nv"),
        "backbone": make_backbone("resnet_tiny"),
        "head": LinearHead(3),
        "train_view": train_view,
        "evaluation_view": evaluation_view,
        "loss_function": ClassificationLoss(class_weights="balanced"),
    }
    return lambda kind, **changed: kind(**{**common, **changed})


@pytest.fixture(scope="session")
def begin(batch):
    """A function (method) -> its initial variables, for 4, 1 and 7 training images of three classes drawn alike."""

    def begin(method):
        initial = jitted(method.init)(jax.random.key(0, impl="rbg"), batch)
        constants = method.constants(np.array([4, 1, 7]), np.full(3, 1 / 3))
        return {**initial, "constants": {name: jnp.asarray(x) for name, x in constants.items()}}

    return begin


@pytest.fixture(scope="session")
def loss():
    """A jitted function (method, variables, batch, phase=...) -> (terms, batch statistics)."""
    return _loss


@pytest.fixture(scope="session")
def counts():
    """The counts of the loss's terms alone: the compiler leaves the networks out."""
    return _counts


@pytest.fixture(scope="session")
def stats():
    """The batch statistics after the loss alone."""
    return _stats


@pytest.fixture(scope="session")
def gradient():
    """A jitted function (method, variables, batch, phase=...) -> (gradient, value of each term, batch statistics)."""
    return _gradient
