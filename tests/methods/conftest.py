"""The smallest classifier, six images of three classes, and jitted losses, shared by the tests of all methods."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.images.views import ViewSettings
from skinjax.methods.base import Objective
from skinjax.methods.decoder_classifier import DecoderClassifier, DecoderClassifierSettings
from skinjax.methods.parts import Classification, Network, Parts, Pictures
from skinjax.methods.patches import Patches, PatchesSettings
from skinjax.models import make_backbone
from skinjax.models.heads.classifiers import LinearHead
from skinjax.objectives.losses import ClassificationLoss
from skinjax.training.state import batch_gradient

PLAIN = Objective()
STEP_KEY = jax.random.key(1)


def train_view(keys, images):
    """Every image at a brightness of its own."""
    brightness = jax.vmap(functools.partial(jax.random.uniform, minval=0.8, maxval=1.2))(keys)
    return brightness[:, None, None, None] * evaluation_view(images)


def evaluation_view(images):
    return images / 127.5 - 1


@functools.partial(jax.jit, static_argnums=0, static_argnames="phase")
def _loss(method, variables, batch, phase=PLAIN):
    return method.loss(variables, batch, STEP_KEY, step=jnp.int32(0), phase=phase)


@functools.partial(jax.jit, static_argnums=0, static_argnames="phase")
def _counts(method, variables, batch, phase=PLAIN):
    terms, _ = method.loss(variables, batch, STEP_KEY, step=jnp.int32(0), phase=phase)
    return {name: count for name, (_, _, count) in terms.items()}


@functools.partial(jax.jit, static_argnums=0, static_argnames="phase")
def _stats(method, variables, batch, phase=PLAIN):
    return method.loss(variables, batch, STEP_KEY, step=jnp.int32(0), phase=phase)[1]


@functools.partial(jax.jit, static_argnums=0, static_argnames="phase")
def _gradient(method, variables, batch, phase=PLAIN):
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
        "index": jnp.arange(6),
        "weight": jnp.ones(6),
        "mask": jnp.ones(6, bool),
    }


@pytest.fixture(scope="session")
def phase():
    """The constructor of an objective: frozen stages, and a loss function of its own."""
    return Objective


SETTINGS = {DecoderClassifier: DecoderClassifierSettings, Patches: PatchesSettings}


def made(kind, **fields):
    """A method of a class, of the fields of its parts, modules and settings."""
    take = {name: fields.pop(name) for name in ("backbone", "head", "train_view", "evaluation_view", "loss_function")}
    network = Network(take["backbone"], take["head"])
    pictures = Pictures(take["train_view"], take["evaluation_view"], fields.pop("mix", None))
    task = Classification(fields.pop("classes"), take["loss_function"])
    modules = {name: fields.pop(name) for name in ("decoder", "gru") if name in fields}
    own = {"settings": SETTINGS[kind](**fields)} if kind in SETTINGS else {}
    return kind(Parts(network, pictures, task, ViewSettings()), **modules, **own)


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
    return lambda kind, **changed: made(kind, **{**common, **changed})


@pytest.fixture(scope="session")
def change():
    """A function (method, changed settings) -> method."""
    return lambda method, **changed: dataclasses.replace(method, settings=method.settings.replace(**changed))


@pytest.fixture(scope="session")
def begin(batch):
    """A function (method) -> its initial variables, for 4, 1 and 7 training images of three classes drawn alike."""

    def begin(method):
        initial = jax.jit(method.init)(jax.random.key(0, impl="rbg"), batch)
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
