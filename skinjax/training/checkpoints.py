"""Checkpoints: orbax, written in the background, each sealed by a digest of our own, with fall-back past damaged ones.

A checkpoint is `checkpoints/<step>/` and its seal `checkpoints/<step>.json`, which holds the phase, the history, the
digest of every file and one of itself. The seal is written last: a checkpoint without one never finished.
"""

import contextlib
import dataclasses
import errno
import json
import logging
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from skinjax.core.errors import UserError
from skinjax.core.files import write_atomically
from skinjax.core.hashes import sha256_of, short_hash
from skinjax.processes import leads, several, told, told_arrays

# orbax logs every step of its work, and a failed write as pages of tracebacks; we report that, in one sentence.
logging.getLogger("absl").addFilter(lambda record: "orbax" not in record.pathname)

# What a killed save leaves behind: a folder without a seal, orbax's temporary one, the seal's temporary file.
UNFINISHED = re.compile(r"[0-9]{8,}(\.orbax-checkpoint-tmp.*)?|\.[0-9]{8,}\.json\.[0-9a-f]+\.tmp")
SEALED = re.compile(r"[0-9]{8}|[1-9][0-9]{8,}")

SMALL_FILES = 2**18
"""Bytes that orbax writes beside the arrays, generously."""


@dataclasses.dataclass(frozen=True)
class Seal:
    """What is known of a checkpoint without opening it: which phase it belongs to and what had happened until then."""

    step: int
    phase: str
    history: dict[str, Any]


class Checkpoints:
    """The checkpoints of a run: the newest `keep`, the best one and the snapshots.

    They are the first process's, which tells the others what it reads; without `write` they are read only.
    """

    def __init__(self, folder: Path, keep: int = 2, write: bool = True, say: Callable[[str], None] = print):
        if keep < 1:
            raise UserError(f"a run that keeps {keep} checkpoints cannot be continued; keep at least 1")
        self._folder = folder
        self._keep = keep
        self._write = write and leads()
        self._say = say
        self._pending: Seal | None = None
        if self._write:
            folder.mkdir(parents=True, exist_ok=True)
        if leads():
            alone = ocp.options.MultiprocessingOptions(primary_host=0, active_processes={0} if several() else None)
            handler = ocp.PyTreeCheckpointHandler(multiprocessing_options=alone)
            self._saver = ocp.AsyncCheckpointer(handler, multiprocessing_options=alone)

    def steps(self) -> list[int]:
        """The steps of the sealed checkpoints, ascending; their files may still be damaged."""
        return sorted(int(path.stem) for path in self._folder.glob("*.json") if SEALED.fullmatch(path.stem))

    def save(self, state: Any, seal: Seal) -> None:
        """Start saving `state` (a tree of arrays); waits only for the save before it."""
        self.wait()
        if self._write:
            with _writing(self._folder):
                self._remove(seal.step)
                self._check_room(state)
                state = jax.tree.map(np.asarray, state) if several() else state  # orbax would wait for the others
                self._saver.save(self._path(seal.step), args=ocp.args.PyTreeSave(state))
            self._pending = seal

    def wait(self) -> None:
        """Finish the save under way, seal it and remove what is no longer kept."""
        # Forgotten before the wait: what could not be written must never be sealed.
        seal, self._pending = self._pending, None
        if seal is not None:
            with _writing(self._folder):
                self._saver.wait_until_finished()
                self._write_seal(seal, _digests(self._path(seal.step)))
                self._prune()

    def reseal(self, seal: Seal) -> None:
        """Replace the history of the checkpoint of `seal.step`, whose state is unchanged."""
        self.wait()
        if self._write:
            with _writing(self._folder):
                self._write_seal(seal, self._read(seal.step)[1])

    def latest(self) -> Seal | None:
        """The newest undamaged checkpoint; a damaged one is reported and removed, so that it can be written again."""
        found = told(lambda: (seal := self._newest()) and dataclasses.asdict(seal))
        return Seal(**found) if found else None

    def _newest(self) -> Seal | None:
        self._sweep()
        steps = self.steps()
        for place in reversed(range(len(steps))):
            try:
                return self._verified(steps[place])
            except ValueError as error:
                instead = f"falling back to checkpoint {steps[place - 1]}" if place else "training starts afresh"
                self._say(f"checkpoint {steps[place]} is damaged ({error}): {instead}")
                if self._write:
                    self._remove(steps[place])
        return None

    def sealed(self, step: int) -> Seal:
        """The seal of the checkpoint of `step`, after a check of every byte."""

        def checked() -> dict[str, Any]:
            try:
                return dataclasses.asdict(self._verified(step))
            except ValueError as error:
                raise UserError(
                    f"checkpoint {step} in {self._folder} is damaged ({error}): bring it back from a copy or train "
                    "again in another workdir"
                ) from error

        return Seal(**told(checked))

    def restore(self, step: int, like: Any) -> Any:
        """The state of a sealed checkpoint, with the shapes, types and shardings of the tree `like`."""
        if not several():
            arguments = ocp.checkpoint_utils.construct_restore_args(like)
            return self._saver.restore(self._path(step), args=ocp.args.PyTreeRestore(like, restore_args=arguments))
        leaves, shape = jax.tree.flatten(like)

        def read() -> dict[tuple[str, ...], np.ndarray]:
            arguments = jax.tree.map(lambda leaf: ocp.RestoreArgs(restore_type=np.ndarray, dtype=leaf.dtype), like)
            asked = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), like)
            found = self._saver.restore(self._path(step), args=ocp.args.PyTreeRestore(asked, restore_args=arguments))
            return {(str(number),): np.asarray(leaf) for number, leaf in enumerate(jax.tree.leaves(found))}

        found = told_arrays(read).values()
        placed = [
            jax.make_array_from_callback(leaf.shape, leaf.sharding, array.__getitem__)
            for leaf, array in zip(leaves, found, strict=True)
        ]
        return jax.tree.unflatten(shape, placed)

    def close(self) -> None:
        """Wait for what is being written."""
        self.wait()
        if leads():
            self._saver.close()

    def remove_after(self, step: int) -> None:
        """Forget what was saved after a step, where training goes on from there."""
        for later in self.steps():
            if later > step:
                self._remove(later)

    def _path(self, step: int) -> Path:
        return self._folder.absolute() / f"{step:08d}"

    def _seal_path(self, step: int) -> Path:
        return self._folder / f"{step:08d}.json"

    def _verified(self, step: int) -> Seal:
        """The seal of `step`; a ValueError says what is wrong with the checkpoint."""
        seal, expected = self._read(step)
        found = _digests(self._path(step))
        for name in sorted(expected.keys() | found.keys()):
            if expected.get(name) != found.get(name):
                what = "is missing" if name not in found else "has changed" if name in expected else "is not part of it"
                raise ValueError(f"{name} {what}")
        return seal

    def _read(self, step: int) -> tuple[Seal, dict[str, str]]:
        """The seal of `step` and the digests in it."""
        path = self._seal_path(step)
        try:
            content = json.loads(path.read_text())
            if content.pop("seal_sha256", None) != _digest_of(content) or content["step"] != step:
                raise ValueError("it has changed")
            return Seal(content["step"], content["phase"], content["history"]), content["sha256"]
        except (FileNotFoundError, ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"its seal {path.name} cannot be read: {error}") from error

    def _write_seal(self, seal: Seal, sha256: dict[str, str]) -> None:
        content = {**dataclasses.asdict(seal), "sha256": sha256}
        content["seal_sha256"] = _digest_of(content)
        write_atomically(self._seal_path(seal.step), json.dumps(content, indent=1))

    def _check_room(self, state: Any) -> None:
        """Refuse a full disk before the write: tensorstore's threads would print a traceback for every array."""
        needed = sum(x.nbytes for x in jax.tree.leaves(state)) + SMALL_FILES
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            raise OSError(errno.ENOSPC, f"it takes {needed / 2**20:.1f} MiB and {free / 2**20:.1f} MiB are free")

    def _prune(self) -> None:
        """Remove all but the newest and what these name: a phase may have to begin from a best state once more."""
        steps, spared = self.steps(), set[int | None]()
        for step in steps[-self._keep :]:
            with contextlib.suppress(ValueError):  # a damaged one names none
                history = self._read(step)[0].history
                spared |= {history.get("best_step"), *history.get("snapshots", ())}
        for step in steps[: -self._keep]:
            if step not in spared:
                self._remove(step)

    def _sweep(self) -> None:
        """Remove what a killed run left behind."""
        whole = {self._path(step).name for step in self.steps()}
        for path in self._folder.iterdir() if self._write else ():
            if UNFINISHED.fullmatch(path.name) and path.name not in whole:
                if SEALED.fullmatch(path.name):
                    self._say(f"checkpoint {int(path.name)} has no seal, so it never finished: removing it")
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    def _remove(self, step: int) -> None:
        """The seal goes first, so that no half-removed checkpoint is ever taken for whole."""
        self._seal_path(step).unlink(missing_ok=True)
        shutil.rmtree(self._path(step), ignore_errors=True)


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below `folder`, by relative path."""
    return {str(path.relative_to(folder)): sha256_of(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def _digest_of(content: dict[str, Any]) -> str:
    return short_hash(content, length=64)


@contextlib.contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn whatever a failed write raises (tensorstore has errors of its own) into a `UserError`."""
    try:
        yield
    except UserError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        free = shutil.disk_usage(folder).free
        full = free < 2**20 or "No space left" in str(error) or getattr(error, "errno", 0) == errno.ENOSPC
        detail = getattr(error, "strerror", "") or str(error).partition("\n")[0]
        reason = f"the disk is full: {detail}" if full else detail
        raise UserError(
            f"cannot write a checkpoint to {folder}: {reason}; the earlier ones are intact, make room and start the "
            "same command again"
        ) from error


def abstract(state: Any, sharding: jax.sharding.Sharding) -> Any:
    """The shapes and types of `state` placed by `sharding`: what `restore` fills."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), state)
