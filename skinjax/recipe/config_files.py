"""Config files and the fields that a command line changes in them: `configs/cdc.py:demo` and `config.seed=1`."""

import ast
import contextlib
import re
import runpy
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from skinjax.config_checks import PHASE_LOSS_FIELDS, kind
from skinjax.core.errors import UserError, lookup
from skinjax.defaults import defaults

# Sections whose fields belong to whoever reads them; a command line may add some.
OPEN_SECTIONS = ("dataset.arguments",)
# What it may add to a phase's loss are fields of `loss`.
PHASE_LOSS = re.compile(r"phases\.\w+\.loss")


def load_config(name: str, changes: Sequence[str] = ()) -> ConfigDict:
    """The config that `get_config(variant)` of the file `name` (`FILE[:VARIANT]`) gives, with `FIELD=VALUE` changes.

    >>> load_config("configs/cdc.py:demo", ["seed=3", "views.size=(64, 64)"]).seed  # doctest: +SKIP
    3
    """
    path, _, variant = name.partition(":")
    try:
        readable = Path(path).is_file()
    except (OSError, ValueError):  # a name too long for the system, or with a NUL in it
        readable = False
    if not readable:
        raise UserError(f"there is no config file {path[:200]!r}")
    try:
        with _importable(Path(path).parent):
            get_config = runpy.run_path(path).get("get_config")
            if get_config is None:
                raise UserError(f"{path} is no config file: it defines no get_config(variant)")
            config = get_config(*[variant] if variant else [])
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        # The config is a program of the user's: whatever it raises is told with its place.
        raise UserError(f"the config cannot be read: {_place(error, path)}: {_reason(error)}") from error
    if not isinstance(config, ConfigDict):
        raise UserError(f"get_config of {path} gives {type(config).__name__}, not the ConfigDict of skinjax.defaults")
    for change in changes:
        field, equals, text = change.partition("=")
        if not equals:
            raise UserError(f"--config.{field} needs a value: --config.{field}=VALUE")
        change_field(config, field, text)
    return config


def change_field(config: ConfigDict, field: str, text: str) -> None:
    """Set a dotted field from text, which must read as a value of the field's own type."""
    *sections, last = field.split(".")
    section, walked, old = config, "", None
    for name in [*sections, last]:
        if not isinstance(section, ConfigDict):
            raise UserError(f"the config's field {walked} is a value and has no field {name!r}")
        known = dict(section.items())
        if PHASE_LOSS.fullmatch(walked):
            known = {**{name: config.loss[name] for name in PHASE_LOSS_FIELDS}, **known}
        if name == last and walked in OPEN_SECTIONS:
            old = known.get(name)
            break
        old = lookup(f"field of config{'.' * bool(walked)}{walked}", name, known)
        walked = f"{walked}.{name}".lstrip(".")
        if walked != field:
            section = old
    if isinstance(old, ConfigDict):
        raise UserError(f"the config's {field} is a section; set one of its fields: {', '.join(sorted(old))}")
    with section.unlocked(), section.ignore_type():
        section[last] = _read(field, text, old)


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let config files import their neighbours; last in the path, so that they hide nothing."""
    sys.path.append(str(folder.absolute()))
    try:
        yield
    finally:
        sys.path.remove(str(folder.absolute()))


def _read(field: str, text: str, old: Any) -> Any:
    """`text` as a value of the type of `old`; whole numbers do for decimal ones, and anything does for a new field."""
    if isinstance(old, str):
        return text
    literal = {"true": "True", "false": "False"}.get(text, text)
    try:
        value = ast.literal_eval(literal)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = text
    if isinstance(old, float) and type(value) is int:
        return float(value)
    if isinstance(old, tuple) and isinstance(value, list):
        return tuple(value)
    if old is not None and type(value) is not type(old):
        fix = ""
        if isinstance(old, tuple):
            example = (value,) if isinstance(value, str) else old or (3, 3)
            fix = f': write a tuple, like "{example}"'
        raise UserError(f"the config's {field} is {kind(old)} (now {old!r}) and cannot be {text!r}{fix}")
    return value


def _place(error: BaseException, path: str) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return f"{path}, line {frames[-1].lineno}" if frames else path


def _reason(error: BaseException) -> str:
    text = str(error.args[0]) if error.args else ""
    misread = re.search(r'Did you mean "(\w+)" instead of "(\w+)"', text)
    if misread:
        sections = [defaults("", ""), *(x for x in defaults("", "").values() if isinstance(x, ConfigDict))]
        known = next((", ".join(sorted(section)) for section in sections if misread[1] in section), misread[1])
        return f"unknown field {misread[2]!r} (did you mean {misread[1]!r}?); known: {known}"
    unknown = re.search(r'Key "(\w+)" does not exist.*Other fields present: (.*)', text, re.DOTALL)
    if unknown:  # the fields of the section itself are the quoted ones
        known = ", ".join(sorted(re.findall(r"'(\w+)\\?':", unknown[2])))
        return f"unknown field {unknown[1]!r}; known: {known}"
    return f"{type(error).__name__}: {' '.join(text.split())}"
