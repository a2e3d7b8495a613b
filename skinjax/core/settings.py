"""Settings of a component: a frozen dataclass whose fields say what they may be, checked once, when one is made.

A field's annotation is its type (whole numbers do for decimal ones, lists for tuples), `number` its range, `choice` the
table that its name is looked up in, `one_of` a section whose field `name` decides which other fields it has.
`from_plain` and `to_plain` convert from and to plain JSON data; an error names the path of the field.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Self

from skinjax.core.errors import UserError, lookup

BELOW_ONE = math.nextafter(1.0, 0.0)
ABOVE_ZERO = math.nextafter(0.0, 1.0)
Table = Mapping[str, Any]


class FieldError(UserError):
    """A field with a value that it must not have; `reason` follows the path, to which callers may add a beginning."""

    def __init__(self, path: str, reason: str):
        super().__init__(f"{path}{reason}")
        self.path, self.reason = path, reason


def number(default: Any, low: float, high: float = math.inf) -> Any:
    """A field whose number, or every number in it, lies from `low` to `high`."""
    return dataclasses.field(default=default, metadata={"range": (low, high)})


def choice(default: str | tuple[str, ...], kind: str, table: Table | Callable[[], Table]) -> Any:
    """A field that names an entry of `table`, which is called a `kind`."""
    return dataclasses.field(default=default, metadata={"choice": (kind, table)})


class Kind(NamedTuple):
    """An entry of a registry: the settings of a component, and the function (parts, settings) that makes it."""

    settings: "type[Settings]"
    make: Callable[[Any, Any], Any]


def one_of(default: str | None, kind: str, table: Mapping[str, Any]) -> Any:
    """A section with the settings of the `Kind` that its field `name` picks from `table`; the name alone will do."""
    return dataclasses.field(
        default_factory=lambda: table[default].settings(name=default) if default else None,
        metadata={"variant": (kind, table)},
    )


def section(settings: "type[Settings]") -> Any:
    """A section with the defaults of `settings`."""
    return dataclasses.field(default_factory=settings)


@dataclasses.dataclass(frozen=True)
class Settings:
    """The base of all settings: frozen dataclasses that check every value when they are made.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Focal(Settings):
    ...     gamma: float = number(2.0, low=0)
    >>> Focal(gamma=-1)
    Traceback (most recent call last):
    skinjax.core.settings.FieldError: Focal.gamma is -1.0; it must be a number from 0 on
    """

    def __post_init__(self) -> None:
        for field in dataclasses.fields(type(self)):
            value = checked(field, getattr(self, field.name), f"{type(self).__name__}.{field.name}")
            object.__setattr__(self, field.name, value)
        self.check()

    def check(self) -> None:
        """Refuse fields that do not fit together; subclasses extend it."""

    def replace(self, **changes: Any) -> Self:
        """These settings with other values of some fields."""
        return dataclasses.replace(self, **changes)


@dataclasses.dataclass(frozen=True)
class Named(Settings):
    """The settings of a component chosen by its `name`; this class itself serves those that have no other fields."""

    name: str = ""


def field_named(settings: type[Settings], name: str, path: str) -> dataclasses.Field:
    """The field `name` of the settings at `path`, or a `UserError` that may point to a section that has it."""
    fields = {field.name: field for field in dataclasses.fields(settings)}
    if name in fields:
        return fields[name]
    kinds = [(field.name, kind) for field in fields.values() for kind in _kinds(field)]
    below = [f"{section}.{field.name}" for section, kind in kinds for field in dataclasses.fields(kind)]
    return lookup(f"field of {path}", name, fields, below)


def variant(field: dataclasses.Field, name: str) -> type[Settings]:
    """The class of settings that a `one_of` field has under this name."""
    kind, table = field.metadata["variant"]
    return lookup(kind, name, table).settings


def checked(field: dataclasses.Field, value: Any, path: str) -> Any:
    """`value` as the type of a field, or a `FieldError` that says what it must be."""
    if "variant" in field.metadata:
        return _variant(field, value, path)
    try:
        value = _typed(value, field.type)
    except TypeError:
        raise FieldError(path, f" is {value!r}; it must be {described(field)}") from None
    if "choice" in field.metadata:
        kind, table = field.metadata["choice"]
        table = table() if callable(table) else table
        for name in (value,) if isinstance(value, str) else value:
            lookup(kind, name, table)
    if "range" in field.metadata and value is not None:
        low, high = field.metadata["range"]
        if not all(low <= part <= high for part in _numbers(value)):
            raise FieldError(path, f" is {value!r}; it must be {described(field)}")
    return value


def described(field: dataclasses.Field) -> str:
    """Describe what a field must be, for a person."""
    if "choice" in field.metadata:
        table = field.metadata["choice"][1]
        names = ", ".join(sorted(filter(None, table() if callable(table) else table)))
        return f"one of {names}" if field.type is str else f"a tuple of names from {names}"
    low, high = field.metadata.get("range", (-math.inf, math.inf))
    to = " to less than 1" if high == BELOW_ONE else f" to {high:.10g}" if high < math.inf else " on"
    limits = f" above 0{to}" if low == ABOVE_ZERO else f" from {low:.6g}{to}" if low > -math.inf else ""
    kind, parts = _optional(field.type), typing.get_args(_optional(field.type))
    if kind in (int, float):
        return f"a {'whole ' * (kind is int)}number{limits}"
    if typing.get_origin(kind) is not tuple:
        named = {bool: "true or false", str: "text", Mapping[str, float]: "names with a number each"}
        return named.get(kind, "a section with fields")
    if parts[0] is str:
        return "a tuple of names, like ('stem',)"
    if typing.get_origin(parts[0]) is tuple:
        return "rows of a name and a number, like (('stem', 0.1),)"
    what = "whole numbers" if parts[0] is int else "numbers"
    return f"a tuple of {what}{limits}, like ({', '.join(['8'] * max(2, len(parts)))})"


def help_lines(settings: Settings, path: str, skip: str = "") -> Iterator[str]:
    """A line of help for each field except `skip`: its path, its value, and what it may be."""
    for field in (field for field in dataclasses.fields(type(settings)) if field.name != skip):
        value, place = getattr(settings, field.name), f"{path}.{field.name}"
        if "variant" in field.metadata:
            yield f"{place}={value and value.name}  # one of {', '.join(sorted(field.metadata['variant'][1]))}"
        if isinstance(value, Settings):
            yield from help_lines(value, place, "name" if "variant" in field.metadata else "")
        elif isinstance(value, Mapping) and any(isinstance(inner, Settings) for inner in value.values()):
            for name, inner in value.items():
                yield from help_lines(inner, f"{place}.{name}")
        elif "variant" not in field.metadata:
            yield f"{place}={value!r}  # {described(field)}"


def from_plain(settings: type[Settings], values: Any, path: str = "") -> Any:
    """Settings from a mapping of plain data, which may leave out what has a default.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Focal(Settings):
    ...     gamma: float = number(2.0, low=0)
    >>> from_plain(Focal, {"gama": 1}, "config.loss")
    Traceback (most recent call last):
    skinjax.core.errors.UserError: unknown field of config.loss 'gama' (did you mean 'gamma'?); known: gamma
    """
    if not isinstance(values, Mapping):
        raise FieldError(path, f" is {values!r}; it must be a section with fields")
    known = {name: field_named(settings, name, path) for name in values}
    given = {name: _converted(known[name], value, f"{path}.{name}") for name, value in values.items()}
    try:
        return settings(**given)
    except FieldError as error:
        raise FieldError(f"{path}.{error.path.rpartition('.')[2]}", error.reason) from None


def to_plain(value: Any) -> Any:
    """Settings as dictionaries, tuples, text and numbers."""
    if isinstance(value, Settings):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(type(value))}
    return {name: to_plain(inner) for name, inner in value.items()} if isinstance(value, Mapping) else value


def differences(value: Any, default: Any) -> dict[str, Any]:
    """{path: plain value} of the fields that differ between settings and `default` settings.

    A variant of another name is given by its name and by what differs from that variant's own defaults.
    """
    found: dict[str, Any] = {}
    for field in dataclasses.fields(type(value)):
        ours, theirs = getattr(value, field.name), getattr(default, field.name, None)
        if isinstance(ours, Settings):
            like = theirs if type(theirs) is type(ours) else type(ours)()
            inner = differences(ours, like)
            if getattr(ours, "name", None) != getattr(theirs, "name", None):
                inner["name"] = ours.name  # type: ignore[attr-defined]
            found |= {f"{field.name}.{path}": part for path, part in inner.items()}
        elif ours != theirs:
            found[field.name] = to_plain(ours)
    return found


def _converted(field: dataclasses.Field, value: Any, path: str) -> Any:
    """A plain value as what the field holds: nested settings, a chosen variant, or the value itself."""
    kind = _optional(field.type)
    if "variant" in field.metadata:
        return _variant(field, value, path)
    if _is_section(kind) and not isinstance(value, Settings):
        return None if value is None and kind != field.type else from_plain(kind, value, path)
    if "overrides" in field.metadata:  # some fields of other settings
        whole = from_plain(field.metadata["overrides"], value, path)
        return {name: getattr(whole, name) for name in value}
    if typing.get_origin(kind) in (Mapping, dict) and _is_section(typing.get_args(kind)[1]):
        if not isinstance(value, Mapping):
            raise FieldError(path, f" is {value!r}; it must be a section with fields")
        entry = typing.get_args(kind)[1]
        return {name: from_plain(entry, inner, f"{path}.{name}") for name, inner in value.items()}
    return checked(field, value, path)


def _variant(field: dataclasses.Field, value: Any, path: str) -> Settings | None:
    """The settings that a name, or a section with a name, stands for; None where the field is optional."""
    if value is None and _optional(field.type) != field.type:
        return None
    values = {"name": value} if isinstance(value, str) else to_plain(value)
    if not isinstance(values, Mapping) or "name" not in values:
        raise FieldError(path, f" is {value!r}; it must be a name, or a section with a name")
    return from_plain(variant(field, values["name"]), values, path)


def _typed(value: Any, kind: Any) -> Any:
    """`value` as the type that the annotation `kind` asks for; a TypeError if it is another."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _typed(value, _optional(kind))
    if kind is Any:
        return value
    if origin in (Mapping, dict):
        if not isinstance(value, Mapping):
            raise TypeError
        return {name: _typed(part, parts[1]) for name, part in value.items()}
    if origin is tuple:
        if not isinstance(value, tuple | list) or (parts[-1] is not Ellipsis and len(value) != len(parts)):
            raise TypeError
        kinds = [parts[0]] * len(value) if parts[-1] is Ellipsis else parts
        return tuple(_typed(part, kind) for part, kind in zip(value, kinds, strict=True))
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError
    if kind is float and math.isnan(value):
        raise TypeError
    return value


def _numbers(value: Any) -> Iterable[float]:
    if isinstance(value, tuple):
        return [part for inner in value for part in _numbers(inner)]
    return [] if isinstance(value, str) else [value]


def _optional(kind: Any) -> Any:
    """X of `X | None`, and any other type as it is."""
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return next(part for part in typing.get_args(kind) if part is not type(None))
    return kind


def _kinds(field: dataclasses.Field) -> list[type[Settings]]:
    """The classes of settings that a section may have; empty for a field that is no section."""
    if "variant" in field.metadata:
        return [kind.settings for kind in field.metadata["variant"][1].values()]
    return [_optional(field.type)] if _is_section(field.type) else []


def _is_section(kind: Any) -> bool:
    return isinstance(kind := _optional(kind), type) and issubclass(kind, Settings)
