"""Grad-CAM (Selvaraju et al. 2017): where in a picture the maps of a stage speak for a class.

Each channel weighs the spatial mean of the gradient of the class's logit at it; what is left of their sum after a ReLU
is enlarged and scaled by its maximum. (pytorch-grad-cam subtracts the minimum too, which is zero unless all is lit.)
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import colormaps

from skinjax.core.errors import lookup
from skinjax.explain.gradients import by_patch, gradients_at, per_picture, program
from skinjax.methods.base import Array, Method, Variables
from skinjax.methods.names import in_trunk
from skinjax.model import Model

OPACITY = 0.5


class Maps(NamedTuple):
    """Of each trunk: as they are, [batch, h, w], and at the size that the network is shown, at most 1 in a picture.

    Of patches [batch, patches, h, w].
    """

    raw: dict[str, Any]
    scaled: dict[str, Any]


def grad_cam(
    stage: str, signed: bool, size: tuple[int, int], method: Method, variables: Variables, images: Array, classes: Array
) -> Maps:
    """The maps for stored uint8 images [batch, H, W, 3] and the numbers of their classes [batch].

    signed: without the final ReLU, so that what speaks against the class is negative; size: (H, W) of `scaled`
    """
    raw = {}
    maps, gradients = gradients_at(stage, method, variables, images, classes)
    for trunk in maps:
        weights = gradients[trunk].mean(axis=(1, 2), keepdims=True)
        weighted = (weights * maps[trunk].astype(weights.dtype)).sum(axis=-1)
        raw[trunk] = by_patch(weighted if signed else jnp.maximum(weighted, 0), len(images))
    enlarge = functools.partial(jax.image.resize, method="linear", antialias=False)
    large = {trunk: enlarge(values, (*values.shape[:-2], *size)) for trunk, values in raw.items()}
    return Maps(raw, {trunk: per_picture(values) for trunk, values in large.items()})


def explain(
    model: Model, images: np.ndarray, classes: np.ndarray, stage: str = "features", signed: bool = False
) -> Maps:
    """Grad-CAM of a trained network, for photographs uint8 [n, H, W, 3] as `Model.read` gives them.

    >>> explain(model, images, model.predict(images)["probabilities"].argmax(-1)).scaled  # doctest: +SKIP
    {'backbone': [n, 224, 224]}
    """
    check_stage(model.method, stage)
    compiled = program(grad_cam, model.spec.model.remat, stage, signed, model.spec.views.size, model.method)
    return model.in_batches(compiled, images, np.asarray(classes, np.int32))


def check_stage(method: Method, stage: str) -> None:
    """Refuse what is no stage of a method's trunks."""
    stages = method.stages()
    lookup("stage", stage, dict.fromkeys(name for trunk in method.trunks() for name in in_trunk(trunk, tuple(stages))))


def overlaid(pictures: np.ndarray, maps: np.ndarray, signed: bool = False) -> np.ndarray:
    """Pictures uint8 [..., H, W, 3] in the colours of their maps [..., H, W]: 0 to 1, or `signed` -1 to 1."""
    colours = colormaps["coolwarm"](maps / 2 + 0.5) if signed else colormaps["viridis"](maps)
    return np.round((1 - OPACITY) * pictures + OPACITY * 255 * colours[..., :3]).astype(np.uint8)
