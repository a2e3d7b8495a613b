"""ImageNet weights as timm publishes them: tensors of a safetensors file to the variables of a network.

Tensors are found by the names that each family gives (`timm_names`); everything that does not fit is reported at once.
"""

import functools
import operator
import re
from collections.abc import Mapping, Sequence, Set
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import traverse_util

from skinjax.core.errors import UserError
from skinjax.models.backbone import Backbone

Variables = dict[str, Any]
Path = tuple[str, ...]
Tensors = Mapping[str, np.ndarray]
Trunks = Mapping[str, Sequence[str]]  # the modules that are trunks, and the heads of each
LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
SHOWN = 6  # tensors of each kind of mismatch


class Loaded(NamedTuple):
    """The arrays that a network starts from, by path in its variables, and a line that says what became of its head."""

    arrays: dict[Path, np.ndarray]
    remark: str


def fill(variables: Variables, tensors: Tensors, family: type[Backbone], source: str) -> Variables:
    """`variables` of a backbone and its head with every array taken from `tensors`, which must fit one to one."""
    arrays = _matched(timm_names(variables, family), variables, tensors, family, source)
    return traverse_util.unflatten_dict(traverse_util.flatten_dict(variables, keep_empty_nodes=True) | arrays)


def start_from(
    variables: Variables, original: Variables, tensors: Tensors, family: type[Backbone], source: str
) -> Loaded:
    """The `tensors` for the backbone and the head of `variables`, which may have other classes or be another head.

    The backbone must fit one to one. Of a head like the original one (its variables are `original`) the hidden layers
    must too, and the classifier is taken if it has as many classes; another head starts as it was drawn.
    """
    names = timm_names({name: _only(tree, "backbone", "head") for name, tree in variables.items()}, family)
    in_file = timm_names(original, family)
    classifier = {path: name for path, name in names.items() if path[1:3] == ("head", "classifier")}
    classes = max((leaf_at(variables, path).shape[-1] for path in classifier), default=0)
    before = {tensors[name].shape[:1] for path, name in in_file.items() if path[2] == "classifier" and name in tensors}
    if _head_shapes(variables) != _head_shapes(original):
        left = {path for path in names if path[1] == "head"}
        remark = "its head is left out, and the one of this network starts anew"
    elif not before:
        left, remark = set(classifier), "it has no classifier, and that of this network starts anew"
    elif before != {(classes,)}:
        left = set(classifier)
        had = ", ".join(f"{size:,}" for (size,) in sorted(filter(None, before), reverse=True))
        remark = f"its classifier of {had} classes is left out, and one of {classes:,} starts anew"
    else:
        left, remark = set(), f"the classifier of {classes:,} classes included"
    taken = {path: name for path, name in names.items() if path not in left}
    arrays = _matched(taken, variables, tensors, family, source, spare=set(in_file.values()))
    return Loaded(arrays, f"{len(arrays):,} tensors of {source} are taken: {remark}")


def start_from_run(variables: Variables, tensors: Tensors, trunks: Trunks, same_classes: bool, source: str) -> Loaded:
    """The `tensors` of a run's network for the modules of another one.

    A module takes the arrays of that of its name, a trunk or head else those of the run's first. A trunk must fit one
    to one; a head is taken whole if it has the same classes and layers, any other module if it has the same layers,
    and else they start as they were drawn.
    """
    theirs = {name: _module(name) for name in tensors}
    modules = list(dict.fromkeys(filter(None, theirs.values())))
    flat = traverse_util.flatten_dict(variables)

    def wanted(module: str, kind: str) -> dict[Path, tuple[str, tuple[int, ...]]]:
        first = next((name for name in modules if re.fullmatch(rf"(\w+_)?{kind}1?", name)), kind)
        there = module if module in modules else first
        leaves = {path: leaf for path, leaf in flat.items() if path[1] == module}
        return {path: ("/".join([path[0], there, *path[2:]]), leaf.shape) for path, leaf in leaves.items()}

    arrays = {path: place for trunk in trunks for path, place in wanted(trunk, "backbone").items()}
    heads = {head for heads in trunks.values() for head in heads}
    anew = []
    for module in dict.fromkeys(path[1] for path in flat):
        found = wanted(module, "head" if module in heads else module)
        fits = all(name in tensors and tensors[name].shape == shape for name, shape in found.values())
        if module not in trunks and fits and (same_classes or module not in heads):
            arrays |= found
        elif module not in trunks:
            anew.append(module)
    read = {_module(name) for name, _ in arrays.values()}
    spare = {name for name, module in theirs.items() if module not in read}
    taken = matched(arrays, tensors, spare, f"{source} does not fit this network")
    left_out = [module for module in modules if module not in read]
    lists = {"": dict.fromkeys(path[1] for path in arrays), "; anew: ": anew, "; left out: ": left_out}
    told = "".join(f"{what}{', '.join(names)}" for what, names in lists.items() if names)
    return Loaded(taken, f"{len(taken):,} tensors of {source} are taken: {told}")


def timm_names(variables: Variables, family: type[Backbone]) -> dict[Path, str]:
    """{path of an array in `variables`: its name in a timm file}; backbone and head are one network there."""
    names = {}
    for path in traverse_util.flatten_dict(variables):
        _collection, module, *inner, leaf = path
        name = "/".join(inner if module == "backbone" else [module, *inner])
        for pattern, replacement in family.timm_names:
            name = re.sub(pattern, replacement, name)
        names[path] = f"{name}/{LEAVES.get(leaf, leaf)}".replace("/", ".")
    return names


def file_shape(path: Path, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape that the array at `path` has in a file: [out, in, height, width] or [out, in] for a kernel."""
    if path[-1] != "kernel":
        return tuple(shape)
    return (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else tuple(shape[::-1])


def to_jax_layout(path: Path, tensor: np.ndarray) -> np.ndarray:
    """A kernel [out, in, height, width] as [height, width, in, out], a linear one transposed, all else as it is."""
    if path[-1] != "kernel":
        return tensor
    return tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor.T


def to_file_layout(path: Path, array: np.ndarray) -> np.ndarray:
    """The inverse of `to_jax_layout`."""
    if path[-1] != "kernel":
        return array
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T


def is_ignored(name: str, family: type[Backbone]) -> bool:
    """Whether a tensor of a published file has no use in the network."""
    return name.endswith("num_batches_tracked") or name.startswith(family.unused_tensors)


def matched(
    wanted: Mapping[Path, tuple[str, tuple[int, ...]]], tensors: Tensors, spare: Set[str], complaint: str
) -> dict[Path, np.ndarray]:
    """The arrays of the names and shapes `wanted`, as float32; only `spare` tensors may be left over."""
    arrays, shapes, values = {}, [], []
    for path, (name, shape) in wanted.items():
        if name not in tensors:
            continue
        tensor = tensors[name]
        if tensor.shape != shape:
            shapes.append(f"{name} is {_sides(tensor.shape)} and not {_sides(shape)}")
        elif wrong := _wrong_values(path, tensor):
            values.append(f"{name} {wrong}")
        else:
            arrays[path] = tensor.astype(np.float32)
    used = {name for name, _ in wanted.values()}
    mismatches = {
        "missing": [name for name in used if name not in tensors],
        "not used": [name for name in tensors if name not in used | spare],
        "of another shape": shapes,
        "without usable numbers": values,
    }
    if any(mismatches.values()):
        problems = "; ".join(_list_mismatches(found, kind) for kind, found in mismatches.items() if found)
        raise UserError(f"{complaint}: {problems}")
    return arrays


def _matched(
    names: Mapping[Path, str],
    variables: Variables,
    tensors: Tensors,
    family: type[Backbone],
    source: str,
    spare: Set[str] = frozenset(),
) -> dict[Path, np.ndarray]:
    """The arrays that `names` ask for, float32 and in our layout; what is `spare` may be left over."""
    wanted = {path: (name, file_shape(path, leaf_at(variables, path).shape)) for path, name in names.items()}
    ignored = {name for name in tensors if name in spare or is_ignored(name, family)}
    arrays = matched(wanted, tensors, ignored, f"{source} does not fit {family.__name__}")
    return {path: to_jax_layout(path, array) for path, array in arrays.items()}


def _wrong_values(path: Path, tensor: np.ndarray) -> str:
    """What is wrong with the numbers of a tensor, or nothing."""
    if not jnp.issubdtype(tensor.dtype, jnp.floating):
        return f"holds {tensor.dtype}"
    with np.errstate(over="ignore"):
        finite = np.isfinite(tensor.astype(np.float32))
    if not finite.all():
        return f"has {finite.size - finite.sum():,} of {finite.size:,} that are not finite"
    return "has negative variances" if path[-1] == "var" and (tensor < 0).any() else ""


def _list_mismatches(found: Sequence[str], kind: str) -> str:
    more = f", and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    return f"{len(found):,} {'is' if len(found) == 1 else 'are'} {kind} ({', '.join(sorted(found)[:SHOWN])}{more})"


def _sides(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a single number"


def _module(name: str) -> str:
    """`head` of `params/head/classifier/kernel`, the name of a tensor that a run left."""
    return name.split("/")[1] if name.startswith(("params/", "batch_stats/")) else ""


def _head_shapes(variables: Variables) -> dict[Path, tuple[int, ...]]:
    """The shapes of a head but for the number of classes."""
    flat = traverse_util.flatten_dict({name: _only(tree, "head") for name, tree in variables.items()})
    return {path: leaf.shape[:-1] if path[2] == "classifier" else leaf.shape for path, leaf in flat.items()}


def _only(tree: Mapping[str, Any], *modules: str) -> dict[str, Any]:
    return {module: tree[module] for module in modules if module in tree}


def leaf_at(variables: Variables, path: Path) -> Any:
    """The array at a path."""
    return functools.reduce(operator.getitem, path, variables)
