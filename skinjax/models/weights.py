"""ImageNet weights as timm publishes them: tensors of a safetensors file to the variables of a network."""

import re
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import traverse_util

from skinjax.errors import UserError
from skinjax.models.timm_names import NAMES, Rows

Variables = dict[str, Any]
LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def fill(variables: Variables, tensors: Mapping[str, np.ndarray], family: type, source: str) -> Variables:
    """`variables` of a backbone and its head with every array taken from `tensors`, which must fit one to one."""
    names = timm_names(variables, NAMES[family])
    wrong = [f"{name} is missing" for name in names.values() if name not in tensors]
    wrong += [f"{name} is not used" for name in tensors if name not in set(names.values()) and not _is_counter(name)]
    arrays = {}
    for path, name in names.items():
        if name not in tensors:
            continue
        array, expected = to_jax_layout(path, tensors[name]), _leaf(variables, path)
        if array.shape != expected.shape:
            wrong.append(f"{name} is {array.shape} in our layout, not {expected.shape}")
        arrays[path] = array
    if wrong:
        raise UserError(f"{source} does not fit {family.__name__}: {'; '.join(wrong)}")
    return traverse_util.unflatten_dict(traverse_util.flatten_dict(variables, keep_empty_nodes=True) | arrays)


def timm_names(variables: Variables, rows: Rows) -> dict[tuple[str, ...], str]:
    """{path of an array in `variables`: its name in a timm file}; backbone and head are one network there."""
    names = {}
    for path in traverse_util.flatten_dict(variables):
        _collection, module, *inner, leaf = path
        name = "/".join(inner if module == "backbone" else [module, *inner])
        for pattern, replacement in rows:
            name = re.sub(pattern, replacement, name)
        names[path] = f"{name}/{LEAVES.get(leaf, leaf)}".replace("/", ".")
    return names


def to_jax_layout(path: tuple[str, ...], tensor: np.ndarray) -> np.ndarray:
    """A kernel [out, in, height, width] as [height, width, in, out], a linear one transposed, all else as it is."""
    if path[-1] != "kernel":
        return tensor
    return tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor.T


def _is_counter(name: str) -> bool:
    return name.endswith("num_batches_tracked")


def _leaf(variables: Variables, path: tuple[str, ...]) -> jax.Array:
    leaf: Any = variables
    for part in path:
        leaf = leaf[part]
    return leaf
