"""The smallest classifier, six images of three classes, and jitted losses, shared by the tests of all methods."""

import dataclasses
import functools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

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


def constants_of(method):
    """Those for 4, 1 and 7 training images of three classes drawn alike."""
    return {name: jnp.asarray(x) for name, x in method.constants(np.array([4, 1, 7]), np.full(3, 1 / 3)).items()}


@pytest.fixture(scope="session")
def drawn(batch):
    """A function (method) -> the variables that a run begins with."""

    def drawn(method):
        initial = jax.jit(method.init)(jax.random.key(0, impl="rbg"), batch)
        return {**initial, "constants": constants_of(method)}

    return drawn


@pytest.fixture(scope="session")
def begin(batch):
    """A function (method) -> variables like those that a run begins with, of numbers that need no compilation."""

    def begin(method):
        shapes = flatten_dict(jax.eval_shape(method.init, jax.random.key(0), batch), keep_empty_nodes=True)
        initial = {path: filled(path, of) if hasattr(of, "shape") else of for path, of in shapes.items()}
        return {**unflatten_dict(initial), "constants": constants_of(method)}

    return begin


def filled(path, of):
    """Kernels at random, each by its name; ones for scales and variances, zeros for everything else."""
    if len(of.shape) < 2:
        return jnp.full(of.shape, float(path[-1] in ("scale", "var")), of.dtype)
    numbers = np.random.default_rng(zlib.crc32("/".join(path).encode())).standard_normal(of.shape)
    return jnp.asarray(numbers * (2 / np.prod(of.shape[:-1])) ** 0.5, of.dtype)


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
