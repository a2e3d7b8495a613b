"""Optimisers over flat parameters {path: array}, with factors by stage or pattern that must cover every parameter."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import optax

from skinjax.core.errors import UserError
from skinjax.core.settings import ABOVE_ZERO, BELOW_ONE, Settings, choice, number
from skinjax.methods.names import Stages, accepted_names, addressed, is_below

Rows = Sequence[tuple[str, float]]
EVERYTHING: Rows = ((".*", 1.0),)


@dataclasses.dataclass(frozen=True)
class OptimizerSettings(Settings):
    """The optimiser of every phase."""

    name: str = choice("sgd", "optimiser", lambda: OPTIMIZERS)
    learning_rate: float = number(1e-3, ABOVE_ZERO, 1e38)
    momentum: float = number(0.9, 0, BELOW_ONE)
    nesterov: bool = False
    weight_decay: float = number(0.0, 0, 1e38)
    weight_decay_multipliers: tuple[tuple[str, float], ...] = number(EVERYTHING, 0, 1e38)
    clip_norm: float = number(0.0, 0, 1e38)  # > 0 clips the global norm of the gradient first


def make_optimizer(
    settings: OptimizerSettings, paths: Iterable[str], stages: Stages, multipliers: Rows = EVERYTHING
) -> optax.GradientTransformation:
    """`sgd`, `adam` (weight decay joins the gradient) or `adamw` (decay apart from it), in PyTorch's order.

    Its updates, times the learning rate, are subtracted from the parameters. `paths` are the parameters that will be
    given, for the coverage check of both tables of multipliers.
    """
    core = OPTIMIZERS[settings.name](settings.momentum, settings.nesterov)
    decoupled, weight_decay, clip_norm = settings.name == "adamw", settings.weight_decay, settings.clip_norm
    paths = list(paths)
    rates = parameter_factors("learning_rate_multipliers", multipliers, paths, stages)
    decays = parameter_factors("weight_decay_multipliers", settings.weight_decay_multipliers, paths, stages)
    decay = _add_scaled_parameters({path: weight_decay * factor for path, factor in decays.items()})
    return optax.chain(
        optax.clip_by_global_norm(clip_norm) if clip_norm else optax.identity(),
        optax.identity() if decoupled or not weight_decay else decay,
        core,
        decay if decoupled and weight_decay else optax.identity(),
        _scale(rates) if any(factor != 1 for factor in rates.values()) else optax.identity(),
    )


OPTIMIZERS: Mapping[str, Callable[[float, bool], optax.GradientTransformation]] = {
    "sgd": lambda momentum, nesterov: optax.trace(momentum, nesterov) if momentum else optax.identity(),
    "adam": lambda momentum, nesterov: optax.scale_by_adam(),
    "adamw": lambda momentum, nesterov: optax.scale_by_adam(),
}


def parameter_factors(table: str, rows: Rows, paths: Sequence[str], stages: Stages) -> dict[str, float]:
    """The factor of each parameter path from the first row that matches it.

    A row's first field is the name of a stage, trunk, module or group (all its parameters) or a regular expression for
    the whole path. A parameter without a row and a row without a parameter are both errors: either is a typo more often
    than not.

    >>> paths, stages = ["net/stem/kernel", "head/bias"], {"net/stem": "early", "head": "top"}
    >>> parameter_factors("rates", [("early", 0.1), (".*", 1.0)], paths, stages)
    {'net/stem/kernel': 0.1, 'head/bias': 1.0}
    """
    named = [addressed(name, stages) for name, _ in rows]
    factors: dict[str, float] = {}
    used = set()
    for path in paths:
        for place, names in enumerate(named):
            if is_below(path, names) if names else _matches(table, rows[place][0], path):
                factors[path] = float(rows[place][1])
                used.add(place)
                break
    missing = [path for path in paths if path not in factors]
    if missing:
        raise UserError(f"{table} has no row for {len(missing)} parameters, {missing[0]} first; end it by ('.*', 1.0)")
    idle = [rows[place][0] for place in range(len(rows)) if place not in used]
    if idle:
        known = f"stages: {', '.join(accepted_names(stages))}; a parameter is named like {paths[0]}"
        raise UserError(f"{table} has a row for {idle[0]!r}, which matches no parameter that is left to it ({known})")
    return factors


def _matches(table: str, pattern: str, path: str) -> bool:
    try:
        return re.fullmatch(pattern, path) is not None
    except re.error as error:
        raise UserError(f"{table} has a row {pattern!r} that is no regular expression: {error}") from None


def _add_scaled_parameters(factors: dict[str, float]) -> optax.GradientTransformation:
    return optax.stateless(
        lambda updates, params: {path: x + factors[path] * params[path] for path, x in updates.items()}
    )


def _scale(factors: dict[str, float]) -> optax.GradientTransformation:
    return optax.stateless(lambda updates, params: {path: factors[path] * x for path, x in updates.items()})
