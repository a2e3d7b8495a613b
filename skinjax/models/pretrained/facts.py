"""What weights say of themselves: the architecture, and how the images that they were trained on were prepared.

They say it in the header of the safetensors file (text by name), or in timm's config.json beside it; the words are
timm's, with `padding` and `bn_eps` added for what timm ties to an architecture's name.
"""

import dataclasses
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from skinjax.core.errors import UserError

CONFIG_FILE = "config.json"
MOST_CONFIG_BYTES = 2**20
Colour = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known; None and '' stand for what is not.

    mean, std: of red, green and blue, in units of 0..1; size: (height, width) of the network's input; crop: which share
    of the resized image's side that was, in evaluation; pool: (height, width) of the last map at that size; epsilon: of
    BatchNorm
    """

    architecture: str = ""
    classes: int | None = None
    mean: Colour | None = None
    std: Colour | None = None
    size: tuple[int, ...] | None = None
    filter: str = ""
    crop: float | None = None
    pool: tuple[int, ...] | None = None
    padding: str = ""
    epsilon: float | None = None
    licence: str = ""

    def known(self) -> dict[str, Any]:
        """The facts that are known, by name."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value not in (None, "")}

    def header(self) -> dict[str, str]:
        """The facts that are known as the metadata of a safetensors file."""
        texts = {name: str(value).strip("()") for name, value in self.known().items()}
        return {word: texts[name] for word, (name, _) in WORDS.items() if name in texts}

    def completed(self, others: "Facts") -> "Facts":
        """These facts, with those that are unknown taken from `others`."""
        return Facts(**(others.known() | self.known()))


NO_FACTS = Facts()


def facts_from_header(metadata: Mapping[str, str], where: Path) -> Facts:
    """The facts among the metadata of a safetensors file."""
    return _read({"license": metadata.get("licence", ""), **metadata}, f"the header of {where}")


def facts_from_json(values: Mapping[str, Any], where: Path) -> Facts:
    """The facts in the JSON form of `Facts.known()`."""
    if unknown := sorted(values.keys() - {name for name, _ in WORDS.values()}):
        raise UserError(f"{where} states {unknown[0][:80]!r}, which this version does not know: get the file again")
    return _read({word: values.get(name) for word, (name, _) in WORDS.items()}, str(where))


def facts_from_config(path: Path) -> Facts:
    """The facts in timm's config.json at `path`; none if there is no such file."""
    try:
        if not path.is_file():
            return Facts()
        with path.open("rb") as file:
            raw = file.read(MOST_CONFIG_BYTES + 1)
        config = json.loads(raw) if len(raw) <= MOST_CONFIG_BYTES else None
        if not isinstance(config, dict) or not isinstance(config.get("pretrained_cfg", {}), dict):
            raise ValueError("it is not what timm writes")
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error) or type(error).__name__
        raise UserError(f"{path} cannot be read: {reason}; get it again, or remove it") from error
    return _read({**config, **config.get("pretrained_cfg", {})}, str(path))


def _read(stated: Mapping[str, Any], where: str) -> Facts:
    facts = {}
    for word, (name, read) in WORDS.items():
        value = stated.get(word)
        if value in (None, "", []):
            continue
        try:
            facts[name] = read(value)
        except (ValueError, TypeError, OverflowError) as error:
            raise UserError(f"{where} says {word} is {str(value)[:80]!r} ({error}): get the file again") from error
    return Facts(**facts)


def _numbers(value: Any) -> tuple[float, ...]:
    """3, '0.5, 0.5, 0.5' or [3, 224, 224] as finite numbers."""
    parts = value.strip("[]() ").split(",") if isinstance(value, str) else value
    numbers = tuple(float(part) for part in (parts if isinstance(parts, list | tuple) else [parts]))
    if not all(map(math.isfinite, numbers)):
        raise ValueError("it must be finite")
    return numbers


def _number_in(low: float, high: float, count: int = 1) -> Callable[[Any], Any]:
    """A function that reads a number in this range, or a tuple of `count` such numbers."""

    def read(value: Any) -> Any:
        numbers = _numbers(value)
        if len(numbers) != count or not all(low <= number <= high for number in numbers):
            raise ValueError(f"it must be {f'{count} numbers' if count > 1 else 'a number'} from {low:g} to {high:g}")
        return numbers if count > 1 else numbers[0]

    return read


def _sides(value: Any) -> tuple[int, ...]:
    """224, '224', (7, 7) or [3, 224, 224] as (height, width)."""
    sides = _numbers(value)
    sides = sides * 2 if len(sides) == 1 else sides[-2:]
    if not all(side == int(side) and 1 <= side <= 2**14 for side in sides):
        raise ValueError("it must be height and width")
    return tuple(map(int, sides))


def _text(value: Any, pattern: str = ".{1,200}") -> str:
    if not isinstance(value, str) or not value.isprintable() or not re.fullmatch(pattern, value):
        raise ValueError(f"it must be text like {pattern}")
    return value


# What timm calls each fact, and how it is read from text or JSON.
WORDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "architecture": ("architecture", _text),
    "num_classes": ("classes", lambda value: int(_number_in(0, 2**24)(value)) or None),
    "mean": ("mean", _number_in(0, 255, 3)),
    "std": ("std", _number_in(1e-6, 255, 3)),
    "input_size": ("size", _sides),
    "interpolation": ("filter", _text),
    "crop_pct": ("crop", _number_in(0.01, 10)),
    "pool_size": ("pool", _sides),
    "padding": ("padding", lambda value: _text(value, "same|symmetric")),
    "bn_eps": ("epsilon", _number_in(0, 1)),
    "license": ("licence", _text),
}
