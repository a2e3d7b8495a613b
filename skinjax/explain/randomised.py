"""Does a map depend on what the network learnt? Its weights are drawn anew from the top down (Adebayo et al. 2018)."""

import dataclasses
from collections.abc import Iterator

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from skinjax.explain import grad_cam
from skinjax.methods.base import Method, Variables
from skinjax.methods.names import TOP, in_trunk, is_below
from skinjax.model import Model

MEANING = (
    "a correlation near 1 says that the map hardly changes when what the network learnt there is thrown away: "
    "then it shows the picture and the architecture, not what the answer rests on"
)


def steps(method: Method) -> dict[str, tuple[str, ...]]:
    """{the lowest part that is drawn anew: the names of all that are}: the head, the last stage, half of them, all."""
    stages = method.stages()
    depths = list(zip(*(in_trunk(trunk, tuple(stages)) for trunk in method.trunks()), strict=True))
    names = tuple(name for name, group in stages.items() if group == TOP)
    found = {"head": names}
    for depth in reversed(depths):
        names += tuple(f"{trunk}/{stage}" for trunk, stage in zip(method.trunks(), depth, strict=True))
        found[depth[0]] = names
    kept = {0, 1, len(found) // 2, len(found) - 1}
    return {lowest: names for number, (lowest, names) in enumerate(found.items()) if number in kept}


def explain_randomised(
    model: Model, images: np.ndarray, classes: np.ndarray, stage: str, signed: bool = False, seed: int = 0
) -> Iterator[tuple[str, grad_cam.Maps]]:
    """(the lowest part that was drawn anew, the maps for the same classes) of each of `steps`."""
    # XLA's own generator, as where a run begins: threefry takes four times as long to compile.
    drawn = jax.jit(model.method.init)(jax.random.key(seed, impl="rbg"), {"image": images[:1]})
    for lowest, names in steps(model.method).items():
        changed = dataclasses.replace(model, variables=replaced(model.variables, drawn, names))
        yield lowest, grad_cam.explain(changed, images, classes, stage, signed)


def replaced(variables: Variables, by: Variables, names: tuple[str, ...]) -> Variables:
    """The variables with parameters and statistics of the stages and modules `names` from others."""
    changed = dict(variables)
    for kind in by:
        old, new = (flatten_dict(tree[kind], keep_empty_nodes=True) for tree in (variables, by))
        changed[kind] = unflatten_dict({path: (new if is_below("/".join(path), names) else old)[path] for path in new})
    return changed


def rank_correlations(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each map with its other: [n, ...] twice to [n]; NaN where one is the same all over."""
    one, two = (np.stack([_ranks(values) for values in group.reshape(len(group), -1)]) for group in (maps, others))
    one, two = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (one, two))
    lengths = np.sqrt((one**2).sum(axis=1) * (two**2).sum(axis=1))
    return np.divide((one * two).sum(axis=1), lengths, out=np.full(len(maps), np.nan), where=lengths > 0)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]
