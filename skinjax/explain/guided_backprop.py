"""Guided backpropagation (Springenberg et al. 2015).

The gradient of a class's logit at the pixels, of which every ReLU passes on what is positive alone.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.core.errors import UserError
from skinjax.explain.gradients import by_patch, gradients_at, program
from skinjax.methods.base import Array, Method, Variables
from skinjax.model import Model
from skinjax.models import make_backbone
from skinjax.models.backbone import PIXELS
from skinjax.models.layers import guided_relus

FULL = 99.5  # per cent of the pixels of a picture that are drawn without being cut


def guided_gradients(method: Method, variables: Variables, images: Array, classes: Array) -> dict[str, Array]:
    """{trunk: the guided gradient at what it is shown [batch, h, w, 3]}, of patches [batch, patches, h, w, 3].

    images: stored uint8 [batch, H, W, 3]; classes: [batch], whose logits are meant
    """
    with guided_relus():
        _, gradients = gradients_at(PIXELS, method, variables, images, classes)
    return {trunk: by_patch(gradient, len(images)) for trunk, gradient in gradients.items()}


def explain(model: Model, images: np.ndarray, classes: np.ndarray) -> dict[str, np.ndarray]:
    """The guided gradients of a trained network, for photographs uint8 [n, H, W, 3] as `Model.read` gives them."""
    check_relus(model.spec.model.backbone, model.spec.views.size)
    compiled = program(guided_gradients, model.spec.model.remat, model.method)
    return model.in_batches(compiled, images, np.asarray(classes, np.int32))


@functools.cache
def check_relus(backbone: str, size: tuple[int, int]) -> None:
    """Refuse a backbone without ReLU."""
    with guided_relus() as relus:
        init = functools.partial(make_backbone(backbone).init, train=False)
        jax.eval_shape(init, jax.random.key(0), jax.ShapeDtypeStruct((1, *size, 3), jnp.float32))
    if not relus:
        raise UserError(
            f"guided backpropagation cuts the gradient at every ReLU, and {backbone} has none, as its activations pass "
            "negative values on: leave it out; Grad-CAM needs no ReLU"
        )


def drawn(gradients: np.ndarray) -> np.ndarray:
    """Gradients [n, ..., h, w, 3] as pictures uint8: grey where there is none, each picture in its own scale."""
    axes = tuple(range(1, gradients.ndim))
    largest = np.percentile(np.abs(gradients), FULL, axis=axes, keepdims=True)
    scaled = gradients / np.where(largest > 0, largest, 1)
    return np.round(np.clip(127.5 * (1 + scaled), 0, 255)).astype(np.uint8)
