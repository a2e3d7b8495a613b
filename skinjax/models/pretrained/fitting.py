"""Find the registered backbones that a file of weights fits, by its tensors and by how the networks are built."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from skinjax.models import BACKBONES, make_backbone
from skinjax.models.backbone import Backbone
from skinjax.models.layers import Conv
from skinjax.models.normalisation import BatchNorm
from skinjax.models.pretrained.mapping import Variables, file_shape, is_ignored, leaf_at, timm_names

CLASSES = 1000


class Built(NamedTuple):
    """What the tensors of a network do not show: the padding of its strides, and BatchNorm's epsilon if it has any."""

    padding: str
    epsilon: float | None

    def __str__(self) -> str:
        return f"padding {self.padding!r}" + ("" if self.epsilon is None else f" and epsilon {self.epsilon:g}")


class Plan(NamedTuple):
    """A backbone with its original head of 1,000 classes: its variables as shapes, and how it is built."""

    variables: Variables
    built: Built


@functools.cache
def plan(name: str) -> Plan:
    """The plan of a registered backbone for inputs of 224x224, without computing anything."""
    backbone, padding, epsilons = make_backbone(name), "symmetric", []

    def look(call: Any, arguments: Any, options: Any, context: Any) -> Any:
        nonlocal padding
        module = context.module
        if context.method_name == "__call__" and isinstance(module, Conv):
            padding = "same" if module.padding == "same" and module.stride > 1 else padding
        if context.method_name == "__call__" and isinstance(module, BatchNorm):
            epsilons.append(module.epsilon)
        return call(*arguments, **options)

    def variables(x: jax.Array) -> Variables:
        maps, trunk = backbone.init_with_output(jax.random.key(0), x, train=False)
        head = backbone.original_head(CLASSES).init(jax.random.key(0), maps["features"])
        return {
            collection: {"backbone": trunk.get(collection, {}), "head": head.get(collection, {})}
            for collection in ("params", "batch_stats")
        }

    with nn.intercept_methods(look):
        shapes = jax.eval_shape(variables, jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32))
    return Plan(shapes, Built(padding, epsilons[0] if epsilons else None))


def tensor_shapes(name: str) -> dict[str, tuple[int, ...]]:
    """{tensor: shape} of a timm file for a registered backbone, the classifier's without the number of classes."""
    shapes = {}
    for path, tensor in timm_names(plan(name).variables, family(name)).items():
        shape = file_shape(path, leaf_at(plan(name).variables, path).shape)
        shapes[tensor] = shape[1:] if path[1:3] == ("head", "classifier") else shape
    return shapes


def matching_backbones(shapes: Mapping[str, tuple[int, ...]], guess: str = "") -> list[str]:
    """The registered backbones whose tensors are those of a file, all but its classifier's number of classes.

    All are of the `same_architecture`; that of `guess` is tried first, because trying all others takes seconds.
    """
    near = [name for name in BACKBONES if same_architecture(name, guess)]
    first = next((name for name in [*near, *BACKBONES] if fits(name, shapes)), "")
    return [name for name in BACKBONES if same_architecture(name, first) and fits(name, shapes)]


def fits(name: str, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether a file of these tensors holds all of a registered backbone and nothing else."""
    (classifier,) = timm_names({"params": {"head": {"classifier": {"kernel": 0}}}}, family(name)).values()
    if classifier not in shapes:  # so that few plans need be made
        return False
    ours = tensor_shapes(name)
    theirs = {
        tensor: shape[1:] if tensor.rpartition(".")[0] == classifier.rpartition(".")[0] else shape
        for tensor, shape in shapes.items()
        if not is_ignored(tensor, family(name))
    }
    return ours == theirs


def same_architecture(name: str, other: str) -> bool:
    """Whether two names are of one architecture built in different ways, as `efficientnet_b0`, `tf_efficientnet_b0`."""
    one, another = (full.removeprefix("tf_").removesuffix("_same") for full in (name, other))
    return bool(other) and one == another


def family(name: str) -> type[Backbone]:
    """The class of a registered backbone."""
    return type(make_backbone(name))
