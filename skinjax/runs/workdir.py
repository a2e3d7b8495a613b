"""The folder of a run: claimed by one config and one process at a time, never taken from anybody else."""

import contextlib
import glob
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from skinjax.core.errors import UserError
from skinjax.core.files import write_atomically
from skinjax.core.hashes import sha256_of, short_hash
from skinjax.core.locks import exclusive
from skinjax.core.settings import from_plain, to_plain
from skinjax.models.pretrained.files import weights_at
from skinjax.recipe.recipe import Recipe

CONFIG_FILE = "config.json"
START_FILES = ("split.csv", "split.json", "weights.json")  # what a run writes before it trains, and keeps to
SCHEMA = 2


def default_workdir(recipe: Recipe) -> Path:
    """runs/<config>-<variant>-<8 hex digits of what the run is>."""
    beginning, runs = f"{recipe.name}-{recipe.variant}-", Path("runs")
    if not all(path.is_file() for path in named_files(recipe).values()):  # the run that began with one knows its digest
        for folder in sorted(runs.glob(f"{glob.escape(beginning)}*")):
            if folder.name == beginning + short_hash(run_identity(recipe, folder)):
                return folder
    return runs / (beginning + short_hash(run_identity(recipe)))


def run_identity(recipe: Recipe, workdir: Path | None = None) -> dict[str, Any]:
    """The recipe's identity, a file by its sha256 wherever it lies, and one that is gone by what `workdir` knows."""
    identity, kept = recipe.identity(), {}
    if workdir and (workdir / CONFIG_FILE).exists():
        with contextlib.suppress(UserError):
            kept = read_config(workdir)
    for field, path in named_files(recipe).items():
        section, _, name = field.partition(".")
        same = kept and kept["config"].get(section, {}).get(name) == to_plain(recipe)[section][name]
        digest = sha256_of(path) if path.is_file() else kept["identity"]["training"].get(field, "") if same else ""
        identity["training"] |= {field: digest} if digest else {}
    return identity


def named_files(recipe: Recipe) -> dict[str, Path]:
    """The files that a recipe names, by field; weights of the hub are paths at which no file lies."""
    names = {"model.weights": recipe.model.weights, "split.file": recipe.split.file}
    return {field: weights_at(Path(name).expanduser()) for field, name in names.items() if name}


def read_recipe(workdir: Path) -> Recipe:
    """The recipe of the run in `workdir`."""
    return from_plain(Recipe, read_config(workdir)["config"], "config")


def read_config(workdir: Path) -> dict[str, Any]:
    """Read `config.json` of the run in `workdir`: its schema number, `config` and `identity`."""
    path = workdir / CONFIG_FILE
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{workdir} holds no run of skinjax: there is no {CONFIG_FILE} in it") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}): bring it back from a copy") from error
    if not isinstance(found, dict):
        raise UserError(f"{path} holds no config: bring it back from a copy")
    if "phase_order" in found:
        raise UserError(f"{workdir} holds a run of skinjax 0.1.0: open it with that version, or choose another workdir")
    if not found.keys() >= {"schema", "config", "identity"}:
        raise UserError(f"{path} is not a config of skinjax: choose another workdir")
    if found["schema"] != SCHEMA:
        raise UserError(
            f"{workdir} holds a run of schema {found['schema']!r}, and this version reads {SCHEMA}: open it with the "
            "version that made it"
        )
    return found


@contextlib.contextmanager
def claim(workdir: Path, recipe: Recipe) -> Iterator[None]:
    """Make `workdir` this recipe's, or refuse; hold it against other processes for as long as the context lasts."""
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        found = sorted(entry.name for entry in workdir.iterdir() if entry.name != ".lock" and not _unfinished(entry))
        if found and CONFIG_FILE not in found:
            raise UserError(
                f"{workdir} is not empty ({found[0]} is in it) and holds no run of skinjax: use another one"
            )
        taken = f"another process is running in {workdir}: wait for it or use another workdir"
        with exclusive(workdir / ".lock", taken):
            for leftover in filter(_unfinished, list(workdir.iterdir())):
                leftover.unlink(missing_ok=True)
            identity = run_identity(recipe, workdir)
            _refuse_other_run(workdir, identity)
            content = {"schema": SCHEMA, "config": to_plain(recipe), "identity": identity}
            write_atomically(workdir / CONFIG_FILE, json.dumps(content, indent=2))
            yield
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise UserError("the program that read the output is gone; the same command continues") from error
        where = error.filename or workdir
        raise UserError(
            f"cannot read or write {where}: {error.strerror or error}; what was saved is intact, so mend that and "
            "start the same command again"
        ) from error


def _unfinished(path: Path) -> bool:
    """Whether a file was being written (by files.py) when a run was killed."""
    return re.fullmatch(r"\..+\.[0-9a-f]{8}\.tmp", path.name) is not None


def _refuse_other_run(workdir: Path, identity: dict[str, Any]) -> None:
    if not (workdir / CONFIG_FILE).exists():
        return
    if any(workdir.glob("checkpoints/*.json")) or any(workdir.glob("metrics_*.json")):
        check_same_run(workdir, identity)
    elif read_config(workdir)["identity"] != json.loads(json.dumps(identity)):
        for name in START_FILES:  # left by a start that failed before it trained
            (workdir / name).unlink(missing_ok=True)


def check_same_run(workdir: Path, identity: dict[str, Any]) -> None:
    """Refuse the run in `workdir` if it is not of this identity."""
    theirs, ours = read_config(workdir)["identity"], json.loads(json.dumps(identity))
    if theirs == ours:
        return
    their_fields, our_fields = ({**parts["training"], **parts["judging"]} for parts in (theirs, ours))
    names = sorted(their_fields.keys() | our_fields.keys())
    different = [name for name in names if their_fields.get(name) != our_fields.get(name)]
    more = f" and {len(different) - 1} more fields" if len(different) > 1 else ""
    name = different[0]
    was, is_now = (repr(found[name]) if name in found else "the default" for found in (their_fields, our_fields))
    raise UserError(f"{workdir} belongs to another config: its {name} is {was}, not {is_now}{more}; use another one")


def environment(seed: int, devices: list[str]) -> dict[str, Any]:
    """Versions, devices, revision and flags: what one needs to run the same again."""
    packages = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "simplejpeg", "pillow")
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: metadata.version(name) for name in ("skinjax", *packages)},
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
