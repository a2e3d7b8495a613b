"""Whether a config has the fields that a run reads, of the right types and in sensible ranges."""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

from skinjax.core.errors import UserError, lookup
from skinjax.defaults import decoder_method, defaults, patches_method, phase
from skinjax.objectives.losses import ClassificationLoss

METHOD_FIELDS = {
    "classifier": lambda: defaults("", "")["method"].to_dict(),
    "decoder_classifier": decoder_method,
    "patches": patches_method,
}
PHASE_LOSS_FIELDS = tuple(field.name for field in dataclasses.fields(ClassificationLoss))
BELOW_ONE = math.nextafter(1.0, 0.0)
RANGES: dict[str, tuple[float, float]] = {
    "seed": (0, 2**32 - 1),
    "split.seed": (0, 2**32 - 1),
    "split.test": (0, BELOW_ONE),
    "split.validation": (0, BELOW_ONE),
    "split.folds": (1, 1000),
    "split.fold": (0, 999),
    "batch": (1, 2**20),
    "accumulate": (1, 2**20),
    "ema_decay": (0, BELOW_ONE),
    "stored_size.height": (1, 2**14),
    "stored_size.width": (1, 2**14),
    "model.dropout": (0, BELOW_ONE),
    "model.drop_path": (0, BELOW_ONE),
    "method.mixup_share": (0, 1),
    "method.mixup_beta": (0, 1e6),
    "method.alpha": (0, 1e9),
    "method.beta": (0, 1e9),
    "method.decoder.channels": (1, 2**16),
    "method.patch_dropout": (0, BELOW_ONE),
    "method.gru.features": (1, 2**16),
    "method.gru.layers": (1, 64),
    "views.crops": (1, 2**10),
    "loss.gamma": (0, 1e3),
    "loss.weight_exponent": (0, 10),
    "loss.effective_beta": (math.nextafter(0.0, 1.0), BELOW_ONE),
    "loss.tau": (0, 100),
    "loss.margin": (0, 100),
    "loss.scale": (0, 1e4),
    "method.logit_adjustment": (0, 100),
    "loss.label_smoothing": (0, BELOW_ONE),
    "optimizer.learning_rate": (math.nextafter(0.0, 1.0), 1e38),
    "optimizer.momentum": (0, BELOW_ONE),
    "optimizer.weight_decay": (0, 1e38),
    "optimizer.clip_norm": (0, 1e38),
    "evaluations.every": (0, 1e12),
    "evaluations.patience": (0, 2**31),
    "checkpoints.every": (0, 1e12),
    "checkpoints.keep": (1, 2**31),
    "logging.every": (1, 2**31),
    "logging.threads": (0, 1024),
}
PHASE_RANGES: dict[str, tuple[float, float]] = {
    "duration": (math.nextafter(0.0, 1.0), 1e9),
    "warmup": (0, 1e9),
    "factor": (0, 1e6),
}
# Pairs of whole numbers, and the least that each may be.
PAIRS = {"views.size": 1, "method.decoder.kernels": 1, "method.decoder.strides": 1, "method.decoder.paddings": 0}
PAIRS_OR_NOTHING = ("views.window", "views.grid")


def check_config(config: Mapping[str, Any]) -> None:
    """Raise a `UserError` for the first field of a config (as plain data) that is missing, unknown or out of range."""
    expected = defaults("", "").to_dict()
    method = config.get("method")
    name = method.get("name") if isinstance(method, Mapping) else None
    expected["method"] = lookup("method", str(name), METHOD_FIELDS)()
    phases = config.get("phases")
    expected["phases"] = dict.fromkeys(phases, phase()) if isinstance(phases, Mapping) else {}
    check_fields(config, expected, "config")
    for field, limits in RANGES.items():
        check_range(f"config.{field}", _at(config, field), limits)
    for name, settings in config["phases"].items():
        for field, limits in PHASE_RANGES.items():
            check_range(f"config.phases.{name}.{field}", settings[field], limits)
        for milestone in settings["milestones"]:
            check_range(f"config.phases.{name}.milestones", milestone, PHASE_RANGES["duration"])
        check_rows(f"config.phases.{name}.learning_rate_multipliers", settings["learning_rate_multipliers"])
        for field in ("frozen", "classes"):
            check_names(f"config.phases.{name}.{field}", settings[field])
        own_loss = {field: expected["loss"][field] for field in PHASE_LOSS_FIELDS}
        for field in settings["loss"]:
            lookup(f"field of config.phases.{name}.loss", field, own_loss)
        own_loss = {field: own_loss[field] for field in settings["loss"]}
        check_fields(settings["loss"], own_loss, f"config.phases.{name}.loss")
        for field, limits in RANGES.items():
            if field.startswith("loss."):
                check_range(f"config.phases.{name}.{field}", _at(settings, field), limits)
    check_rows("config.loss.diagnosis_factors", config["loss"]["diagnosis_factors"], example="follow_up")
    check_rows("config.optimizer.weight_decay_multipliers", config["optimizer"]["weight_decay_multipliers"])
    check_names("config.phase_order", config["phase_order"])
    check_weights(config["model"], config["views"]["normalisation"])
    check_names("config.method.attention", config["method"].get("attention", ()))
    check_names("config.model.remat", config["model"]["remat"])
    check_names("config.views.corrections", config["views"]["corrections"])
    for field, least in PAIRS.items():
        check_pair(f"config.{field}", _at(config, field), least)
    for field in PAIRS_OR_NOTHING:
        check_pair(f"config.{field}", _at(config, field) or None, least=1)


def check_fields(found: Mapping[str, Any], expected: Mapping[str, Any], where: str) -> None:
    """The same fields, with values of the same types; `arguments` and a phase's `loss` may hold anything."""
    for name in found:
        lookup(f"field of {where}", name, dict(expected))
    for name, default in expected.items():
        field = f"{where}.{name}"
        if name not in found:
            raise UserError(f"{field} is missing; start from skinjax.defaults and change fields")
        value = found[name]
        if isinstance(default, Mapping):
            if not isinstance(value, Mapping):
                raise UserError(f"{field} is {value!r}; it must be a section with fields")
            if default:
                check_fields(value, default, field)
        elif default is None:  # unset, or a number whose range says all
            continue
        elif type(value) is not type(default) and not (type(default) is float and type(value) is int):
            raise UserError(f"{field} is {value!r}; it must be {kind(default)}")


def kind(value: Any) -> str:
    """What a person calls the type of a value."""
    kinds = {bool: "true or false", int: "a whole number", float: "a number", tuple: "a tuple like (1, 2)", str: "text"}
    return kinds.get(type(value), type(value).__name__)


def check_range(field: str, value: Any, limits: tuple[float, float]) -> None:
    """A number within `limits`, both included; None (unset, or a field that this method does not have) passes."""
    low, high = limits
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        end = "to less than 1" if high == BELOW_ONE else f"to {high:.6g}"
        raise UserError(f"{field} is {value!r}; it must be a number from {low:.6g} {end}")


def check_pair(field: str, value: Any, least: int) -> None:
    """Two whole numbers from `least` on; None (a field that this method does not have) passes."""
    if value is not None and not (len(value) == 2 and all(type(side) is int and side >= least for side in value)):
        raise UserError(f"{field} is {value!r}; it must be two {'positive ' * least}whole numbers like (8, 8)")


def check_rows(field: str, rows: Any, example: str = "stem") -> None:
    """Rows of (name, factor), where names are like `example`."""
    for row in rows:
        named = isinstance(row, tuple | list) and len(row) == 2 and isinstance(row[0], str)
        if not named or isinstance(row[1], bool) or not isinstance(row[1], int | float) or not 0 <= row[1] < math.inf:
            raise UserError(
                f"{field} has the row {row!r}; a row is a name and a factor from 0 on, like {(example, 0.5)}"
            )


def check_weights(model: Mapping[str, Any], normalisation: str) -> None:
    """A sha256 of 64 hex digits or nothing, and nothing that needs weights without any."""
    if not re.fullmatch("([0-9a-f]{64})?", model["weights_sha256"]):
        raise UserError(
            f"config.model.weights_sha256 is {model['weights_sha256']!r}; it must be the 64 hex digits of a sha256"
        )
    if not model["weights"] and (model["weights_sha256"] or normalisation == "weights"):
        field = "model.weights_sha256" if model["weights_sha256"] else "views.normalisation"
        raise UserError(f"config.{field} is {model['weights_sha256'] or normalisation!r} and model.weights names none")


def check_names(field: str, names: Any) -> None:
    """A tuple of text."""
    if not all(isinstance(name, str) for name in names):
        raise UserError(f"{field} is {names!r}; it must hold names, like ('stem',)")


def _at(config: Mapping[str, Any], field: str) -> Any:
    value: Any = config
    for name in field.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
