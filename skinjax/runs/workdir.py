"""The folder of a run: claimed by one config and one process at a time, never taken from anybody else."""

import contextlib
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from skinjax.core.errors import UserError
from skinjax.core.files import write_atomically
from skinjax.core.hashes import short_hash
from skinjax.core.locks import exclusive
from skinjax.defaults import NOT_IDENTITY

CONFIG_FILE = "config.json"


def identity(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a config (as plain data) that decides what a run computes."""
    return {name: value for name, value in config.items() if name not in NOT_IDENTITY}


def default_workdir(config: Mapping[str, Any]) -> Path:
    """runs/<config>-<variant>-<8 hex digits of the config>."""
    return Path("runs") / f"{config['name']}-{config['variant']}-{short_hash(identity(config))}"


def read_config(workdir: Path) -> dict[str, Any]:
    """The config of the run in `workdir` as plain data, its lists the tuples that they were."""
    try:
        config = json.loads((workdir / CONFIG_FILE).read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{workdir} holds no run of skinjax: there is no {CONFIG_FILE} in it") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{workdir / CONFIG_FILE} cannot be read ({error}): bring it back from a copy") from error
    if not isinstance(config, dict):
        raise UserError(f"{workdir / CONFIG_FILE} holds no config: bring it back from a copy")
    return with_tuples(config)


def with_tuples(value: Any) -> Any:
    """Plain data with a tuple for every list, as configs have them."""
    if isinstance(value, dict):
        return {name: with_tuples(inner) for name, inner in value.items()}
    return tuple(map(with_tuples, value)) if isinstance(value, list) else value


@contextlib.contextmanager
def claim(workdir: Path, config: Mapping[str, Any]) -> Iterator[None]:
    """Make `workdir` this config's, or refuse; hold it against other processes for as long as the context lasts."""
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(workdir)
        taken = f"another process is running in {workdir}: wait for it or use another workdir"
        with exclusive(workdir / ".lock", taken):
            for leftover in filter(_unfinished, list(workdir.iterdir())):
                leftover.unlink(missing_ok=True)
            _refuse_other_config(workdir, config)
            write_atomically(workdir / CONFIG_FILE, json.dumps(config, indent=2))
            yield
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise UserError("the program that read the output is gone; the same command continues") from error
        where = error.filename or workdir
        raise UserError(
            f"cannot read or write {where}: {error.strerror or error}; what was saved before is intact"
        ) from error


def _refuse_foreign(workdir: Path) -> None:
    found = sorted(entry.name for entry in workdir.iterdir() if entry.name != ".lock" and not _unfinished(entry))
    if found and CONFIG_FILE not in found:
        raise UserError(
            f"{workdir} is not empty ({found[0]} is in it) and holds no run of skinjax: choose another workdir"
        )


def _unfinished(path: Path) -> bool:
    """Whether it was being written (by files.py) when a run was killed."""
    return re.fullmatch(r"\..+\.[0-9a-f]{8}\.tmp", path.name) is not None


def _refuse_other_config(workdir: Path, config: Mapping[str, Any]) -> None:
    path = workdir / CONFIG_FILE
    if not path.exists():
        return
    try:
        theirs = flatten(identity(json.loads(path.read_text())))
    except (ValueError, AttributeError):
        raise UserError(f"{path} is not a config of skinjax: choose another workdir") from None
    ours = flatten(json.loads(json.dumps(identity(config))))
    different = sorted(name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name))
    if not theirs.keys() >= {"name", "variant", "phase_order"}:
        raise UserError(f"{path} is not a config of skinjax: choose another workdir")
    if different and not _holds_results(workdir):
        for name in ("split.csv", "split.json", "weights.json"):  # left by a start that failed before it trained
            (workdir / name).unlink(missing_ok=True)
    elif different:
        name = different[0]
        more = f" and {len(different) - 1} more fields" if len(different) > 1 else ""
        raise UserError(
            f"{workdir} belongs to another config: its {name} is {theirs.get(name)!r}, not {ours.get(name)!r}{more}; "
            "choose another workdir"
        )


def _holds_results(workdir: Path) -> bool:
    return any(workdir.glob("checkpoints/*.json")) or any(workdir.glob("metrics_*.json"))


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} to {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def environment(seed: int, devices: list[str]) -> dict[str, Any]:
    """Versions, devices, revision and flags: what one needs to run the same again."""
    packages = (
        "skinjax",
        "jax",
        "jaxlib",
        "flax",
        "optax",
        "orbax-checkpoint",
        "grain",
        "numpy",
        "simplejpeg",
        "pillow",
    )
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: metadata.version(name) for name in packages},
        "devices": devices,
        "git_revision": _git_revision(),
        "seed": seed,
        "arguments": sys.argv[1:],
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
    }


def _git_revision() -> str | None:
    """The revision of the checkout that runs, marked when it was changed; None for an installed package."""
    source = Path(__file__).parent
    try:
        command = ["git", "-C", str(source), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
