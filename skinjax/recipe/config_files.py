"""Config files and the fields that a command line changes in them: `configs/cdc.py:demo` and `config.seed=1`."""

import ast
import contextlib
import dataclasses
import re
import runpy
import sys
import traceback
import typing
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from skinjax.core.errors import UserError, lookup
from skinjax.core.settings import Settings, field_named, from_plain, to_plain, variant
from skinjax.recipe.recipe import Recipe

ANYTHING: dataclasses.Field = dataclasses.field()
ANYTHING.type = Any

# What config files of version 0.1.0 import, and where it is now.
MOVED = {
    "skinjax.defaults": "from skinjax.recipe import defaults",
    "skinjax.errors": "from skinjax.core.errors import lookup",
    "skinjax.diagnosis": "from skinjax.objectives.diagnosis import PAPERS_FACTORS",
}


def defaults(name: str, variant: str) -> ConfigDict:
    """The base of every config file: all fields with their defaults, to be changed; see `Recipe` for what they may be.

    A section may be given as a dictionary, `{"name": "patches", "join": "gru"}`, of the fields that differ.
    """
    return ConfigDict(to_plain(Recipe(name=name, variant=variant)), type_safe=False)


def load_config(name: str, changes: Sequence[str] = (), own: bool = False) -> Recipe:
    """The recipe that `get_config(variant)` of the file `name` (`FILE[:VARIANT]`) gives, with `FIELD=VALUE` changes.

    own: skinjax's own file of that name comes before one of the user's

    >>> load_config("configs/cdc.py:demo", ["seed=3", "views.size=(64, 64)"]).seed  # doctest: +SKIP
    3
    """
    path, _, variant = name.partition(":")
    path = str(((own or not _readable(path)) and _installed(path)) or path)
    if not _readable(path):
        raise UserError(f"there is no config file {path[:200]!r}: give one as FILE[:VARIANT], like configs/cdc.py:demo")
    with readable_program(path, "config"):
        get_config = runpy.run_path(path).get("get_config")
        if get_config is None:
            raise UserError(f"{path} is no config file: it defines no get_config(variant)")
        config = get_config(*[variant] if variant else [])
    if not isinstance(config, ConfigDict):
        raise UserError(f"get_config of {path} gives {type(config).__name__}, not the ConfigDict of defaults()")
    return with_changes(from_plain(Recipe, config.to_dict(), "config"), changes)


def _readable(path: str | Path) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # a name too long for the system, or with a NUL in it
        return False


def _installed(path: str) -> Path | None:
    """Where skinjax's own config of this relative path lies, if it is one: in the checkout, or installed."""
    if Path(path).parts[:-1] != ("configs",):
        return None
    checkout = Path(__file__).parents[2] / path
    if _readable(checkout):
        return checkout
    try:
        files = metadata.files("skinjax") or ()
    except metadata.PackageNotFoundError:
        return None
    found = (Path(str(file.locate())) for file in files if file.match(f"share/skinjax/{path}"))
    return next(filter(_readable, found), None)


def with_changes(recipe: Recipe, changes: Sequence[str]) -> Recipe:
    """Apply `FIELD=VALUE` changes to a recipe; a name that decides which fields exist is changed before those."""
    for change in changes:
        if "=" not in change:
            raise UserError(f"--config.{change} needs a value: --config.{change}=VALUE")
    if not changes:
        return recipe
    plain: dict[str, Any] = to_plain(recipe)
    parts = [change.partition("=") for change in changes]
    for field, _, text in sorted(parts, key=lambda part: (part[0].count("."), not part[0].endswith(".name"))):
        change_field(plain, field, text)
    return from_plain(Recipe, plain, "config")


def change_field(plain: dict[str, Any], field: str, text: str) -> None:
    """Set a dotted field of a recipe as plain data from text, which must read as a value of the field's own type."""
    *sections, last = field.split(".")
    kind: Any = Recipe
    values, path = plain, "config"
    for name in sections:
        kind = _below(kind, values, name, path)
        values, path = values.setdefault(name, {}), f"{path}.{name}"
    if last == "name" and _is_variant(kind):
        return change_field(plain, ".".join(sections), text)
    found = _below(kind, values, last, path)
    if _is_variant(found):
        name = _literal(text)
        has = set() if name is None else {inner.name for inner in dataclasses.fields(variant(found, name))}
        kept = {inner: value for inner, value in (values.get(last) or {}).items() if inner in has}
        values[last] = None if name is None else kept | {"name": name}
    elif not isinstance(found, dataclasses.Field):
        inner = ", ".join(sorted(values.get(last, ()))) or f"--config.{field}.NAME=VALUE"
        raise UserError(f"the config's {field} is a section; set one of its fields: {inner}")
    else:
        values[last] = text if found.type is str else _literal(text)
        if field == "dataset.name":  # arguments are those of the set before
            values["arguments"] = {}


def _is_variant(kind: Any) -> bool:
    return isinstance(kind, dataclasses.Field) and "variant" in kind.metadata


def _below(kind: Any, values: Mapping[str, Any], name: str, path: str) -> Any:
    """The kind of what stands at `name` in a section of a kind: that of another section, or the field of a value.

    A kind is a class of settings, a mapping from names to such a class, one that may hold anything, or the field of a
    variant.
    """
    if _is_variant(kind):
        if not values:
            raise UserError(f"{path} has no name, which decides what fields it has: set {path} as well")
        kind = variant(kind, values["name"])
    if isinstance(kind, dataclasses.Field):
        raise UserError(f"the config's field {path.removeprefix('config.')} is a value and has no field {name!r}")
    if not isinstance(kind, type):
        entry = typing.get_args(kind)[1]
        is_section = isinstance(entry, type) and issubclass(entry, Settings)
        return lookup(f"field of {path}", name, dict.fromkeys(values, entry)) if is_section else ANYTHING
    found = field_named(kind, name, path)
    if "overrides" in found.metadata:
        return found.metadata["overrides"]
    is_section = not _is_variant(found) and isinstance(found.type, type) and issubclass(found.type, Settings)
    return found.type if is_section or typing.get_origin(found.type) is Mapping else found


@contextlib.contextmanager
def readable_program(path: str, kind: str) -> Iterator[None]:
    """Run what reads a file of Python: it may import its neighbours, and whatever it raises is told with its place."""
    folder = str(Path(path).parent.absolute())
    sys.path.append(folder)  # last, so that the neighbours hide nothing
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"the {kind} cannot be read: {_place(error, path)}: {_reason(error)}") from error
    finally:
        sys.path.remove(folder)


def _literal(text: str) -> Any:
    """The Python literal that a text is, else the text itself."""
    try:
        return ast.literal_eval({"true": "True", "false": "False"}.get(text, text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _place(error: BaseException, path: str) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f"{path}, line {frames[-1].lineno}" if frames else path


def _reason(error: BaseException) -> str:
    text = str(error.args[0]) if error.args else ""
    if isinstance(error, ImportError) and error.name in MOVED:
        return f"{error.name} has moved: write `{MOVED[error.name]}`"
    misread = re.search(r'Did you mean "(\w+)" instead of "(\w+)"', text)
    if misread:
        return f"unknown field {misread[2]!r} (did you mean {misread[1]!r}?)"
    return f"{type(error).__name__}: {' '.join(text.split())}"
