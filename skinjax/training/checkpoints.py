"""Checkpoints: orbax, written in the background, each sealed by a digest of our own, with fall-back past damaged ones.

A checkpoint is `checkpoints/<step>/` and its seal `checkpoints/<step>.json`, which holds the digest of every file, the
phase and the history. The seal is written last: a checkpoint without one never finished.
"""

import dataclasses
import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp

from skinjax.errors import UserError
from skinjax.files import write_atomically

# orbax tells of every step of its work; a failed write is reported by us, in one sentence.
logging.getLogger("absl").addFilter(lambda record: record.levelno >= logging.ERROR or "orbax" not in record.pathname)


@dataclasses.dataclass(frozen=True)
class Seal:
    """What is known of a checkpoint without opening it: which phase it belongs to and what had happened until then."""

    step: int
    phase: str
    history: dict[str, Any]


class Checkpoints:
    """The checkpoints of a run: the newest `keep` and the best one.

    `write` is true on one process; the others take part in saving and restoring, as orbax needs, and seal nothing.
    """

    def __init__(self, folder: Path, keep: int = 2, write: bool = True, say: Callable[[str], None] = print):
        self._folder = folder
        self._keep = keep
        self._write = write
        self._say = say
        self._pending: Seal | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._saver = ocp.AsyncCheckpointer(ocp.PyTreeCheckpointHandler())

    def steps(self) -> list[int]:
        """The steps of the sealed checkpoints, ascending; their files may still be damaged."""
        return sorted(int(path.stem) for path in self._folder.glob("*.json") if path.stem.isdecimal())

    def save(self, state: Any, seal: Seal) -> None:
        """Start saving `state` (a tree of arrays); waits only for the save before it."""
        self.wait()
        with _Writing(self._folder):
            if self._write:
                self._remove(seal.step)
            self._saver.save(self._path(seal.step), args=ocp.args.PyTreeSave(state))
        self._pending = seal

    def wait(self) -> None:
        """Finish the save under way, seal it and remove what is no longer kept."""
        with _Writing(self._folder):
            self._saver.wait_until_finished()
            if self._pending is None:
                return
            seal, self._pending = self._pending, None
            if self._write:
                content = {**dataclasses.asdict(seal), "sha256": _digests(self._path(seal.step))}
                write_atomically(self._seal_path(seal.step), json.dumps(content, indent=1))
                self._prune(seal.history.get("best_step"))

    def latest(self) -> Seal | None:
        """The newest undamaged checkpoint; a damaged one is reported and removed, so that it can be written again."""
        for step in reversed(self.steps()):
            problem = self._problem(step)
            if problem is None:
                return self._seal(step)
            self._say(f"checkpoint {step} is damaged ({problem}): falling back to the one before it")
            if self._write:
                self._remove(step)
        return None

    def sealed(self, step: int) -> Seal:
        """The seal of the checkpoint of `step`, once every byte was found as it was written."""
        problem = self._problem(step)
        if problem is not None:
            raise UserError(f"checkpoint {step} in {self._folder} is damaged ({problem}) and cannot be evaluated")
        return self._seal(step)

    def restore(self, step: int, like: Any) -> Any:
        """The state of a sealed checkpoint, with the shapes, types and shardings of the tree `like`."""
        arguments = ocp.checkpoint_utils.construct_restore_args(like)
        return self._saver.restore(self._path(step), args=ocp.args.PyTreeRestore(like, restore_args=arguments))

    def close(self) -> None:
        """Wait for what is being written."""
        self.wait()
        self._saver.close()

    def _path(self, step: int) -> Path:
        return self._folder.absolute() / f"{step:08d}"

    def _seal_path(self, step: int) -> Path:
        return self._folder / f"{step:08d}.json"

    def _seal(self, step: int) -> Seal:
        content = json.loads(self._seal_path(step).read_text())
        return Seal(content["step"], content["phase"], content["history"])

    def _problem(self, step: int) -> str | None:
        try:
            sealed = json.loads(self._seal_path(step).read_text())
            expected = sealed["sha256"]
            if sealed["step"] != step or not {"phase", "history"} <= sealed.keys():
                return "its seal is incomplete"
            found = _digests(self._path(step))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return f"its seal cannot be read: {error}"
        for name in sorted(expected.keys() | found.keys()):
            if name not in found:
                return f"{name} is missing"
            if name not in expected:
                return f"{name} does not belong to it"
            if expected[name] != found[name]:
                return f"{name} has changed"
        return None

    def _prune(self, best_step: int | None) -> None:
        for step in self.steps()[: -self._keep]:
            if step != best_step:
                self._remove(step)
        # What a killed run left behind: folders without a seal, orbax's temporary ones among them.
        for path in self._folder.iterdir():
            if path.is_dir() and not path.with_suffix(".json").exists():
                shutil.rmtree(path, ignore_errors=True)

    def _remove(self, step: int) -> None:
        """The seal goes first, so that no half-removed checkpoint is ever taken for whole."""
        self._seal_path(step).unlink(missing_ok=True)
        shutil.rmtree(self._path(step), ignore_errors=True)


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below `folder`, by relative path."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with open(path, "rb") as file:
                digests[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


class _Writing:
    """Turns whatever a failed write raises (tensorstore has its own errors) into one sentence."""

    def __init__(self, folder: Path):
        self._folder = folder

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind, error, traceback) -> None:
        if isinstance(error, Exception) and not isinstance(error, UserError):
            free = shutil.disk_usage(self._folder).free
            reason = "the disk is full" if free < 2**20 or "No space left" in str(error) else str(error).split("\n")[0]
            raise UserError(
                f"cannot write a checkpoint to {self._folder}: {reason}; the earlier ones are intact, make room and "
                "start the same command again"
            ) from error


def abstract(state: Any, sharding: jax.sharding.Sharding) -> Any:
    """The shapes and types of `state` placed by `sharding`: what `restore` fills."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), state)
