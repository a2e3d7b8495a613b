"""What an answer rests on by its gradient: that of a class's logit, before the softmax, at any place of any method."""

import functools
from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp

from skinjax.methods.base import Array, Method, Taps, Variables
from skinjax.methods.ensemble import Ensemble, parted
from skinjax.methods.names import taps_of
from skinjax.methods.patches import Patches
from skinjax.methods.repeated import Repeated
from skinjax.methods.synergic import Synergic
from skinjax.methods.two_stage import TwoStage
from skinjax.models.layers import compiler_options


@functools.singledispatch
def class_logits(method: Method, variables: Variables, images: Array, at: Taps | None = None) -> list[Array]:
    """The logits [batch, classes] of each network that answers by itself, before anything joins their answers."""
    return [method.predict(variables, images, at)["logits"]]


@class_logits.register
def _(method: Patches, variables: Variables, images: Array, at: Taps | None = None) -> list[Array]:
    """The mean of the patches' logits, however their answers are joined."""
    return [method.answer(variables, images, at)[0].mean(axis=1)]


@class_logits.register
def _(method: Synergic, variables: Variables, images: Array, at: Taps | None = None) -> list[Array]:
    shown = method.parts.pictures.evaluation_view(images)
    return [logits for logits, _ in method.answers(variables, shown, at)]


@class_logits.register
def _(method: TwoStage, variables: Variables, images: Array, at: Taps | None = None) -> list[Array]:
    """Of each class in the stage that has it: the other stage's network has no part in it, and no gradient."""
    (dominant, rest), (first, second) = method.numbers, method.answers(variables, images, at)
    logits = jnp.zeros((len(images), len(method.parts.task.classes)), first["logits"].dtype)
    return [logits.at[:, dominant].set(first["logits"][:, :-1]).at[:, rest].set(second["logits"])]


@class_logits.register
def _(method: Repeated, variables: Variables, images: Array, at: Taps | None = None) -> list[Array]:
    """Of a picture as it is, once."""
    return class_logits(method.member, variables, images, at)


@class_logits.register
def _(method: Ensemble, variables: Variables, images: Array, at: Taps | None = None) -> list[Array]:
    found = []
    for (name, member), own in zip(method.named(), parted(variables, len(method.members)), strict=True):
        found += class_logits(member, own, images, taps_of(name, at))
    return found


def gradients_at(
    place: str, method: Method, variables: Variables, images: Array, classes: Array
) -> tuple[dict[str, Array], dict[str, Array]]:
    """(the maps, the gradients at them of the logits) at a stage, or at "pixels", of each of a method's trunks.

    images: stored uint8 [batch, H, W, 3]; classes: [batch] int32, whose logits are meant; returns {trunk: [batch, h, w,
    channels]}, for patches [batch * patches, ...]
    """

    def scores(shifts: dict[str, Array]) -> tuple[Array, dict[str, Array]]:
        maps: dict[str, Array] = {}

        def tap(trunk: str) -> Callable[[Array], Array]:
            def shifted(x: Array) -> Array:
                maps[trunk] = x
                return x + shifts[trunk].astype(x.dtype) if shifts else x

            return shifted

        at = {f"{trunk}/{place}": tap(trunk) for trunk in method.trunks()}
        logits = jnp.stack(class_logits(method, variables, images, at))
        # No image and no network has a part in another's logit, so the gradient of the sum is that of each.
        return jnp.take_along_axis(logits, classes[None, :, None], axis=2).sum(), maps

    _, shapes = jax.eval_shape(scores, {})
    nothing = {trunk: jnp.zeros(x.shape, jnp.promote_types(x.dtype, jnp.float32)) for trunk, x in shapes.items()}
    gradients, maps = jax.grad(scores, has_aux=True)(nothing)
    return maps, gradients


@functools.lru_cache(maxsize=16)  # one program of a network, and of all that is made of it by changing weights
def program(function: Callable[..., Any], remat: tuple[str, ...], *fixed: Hashable) -> Callable[..., Any]:
    """A function of variables, images and classes, after what is `fixed`, compiled for a network."""
    return jax.jit(functools.partial(function, *fixed), compiler_options=compiler_options(remat))


def by_patch(maps: Array, batch: int) -> Array:
    """Maps [batch * patches, ...] as [batch, patches, ...]; one patch an image stays [batch, ...]."""
    return maps if len(maps) == batch else maps.reshape(batch, -1, *maps.shape[1:])


def per_picture(values: Array) -> Array:
    """Values [batch, ...] over the largest magnitude in their picture, all its patches together; zeros stay."""
    largest = jnp.abs(values).max(axis=tuple(range(1, values.ndim)), keepdims=True)
    return values / jnp.where(largest > 0, largest, 1)
