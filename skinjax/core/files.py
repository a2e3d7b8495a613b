"""Writing a file whole or not at all, so that a run killed at any instant leaves no half-written artefact."""

import contextlib
import os
import pathlib
import shutil
import uuid

from skinjax.core.errors import UserError


def write_atomically(path: str | os.PathLike, data: bytes | str) -> None:
    """Write `data` (text as UTF-8) to `path`; readers see the old content or the new, even across a crash.

    The bytes go to a hidden temporary file in the same directory, are synced to disk and then renamed over `path`.
    Any failure (a full disk, a missing directory) is raised as the `OSError` it is and removes the temporary file.

    >>> write_atomically("runs/demo/config.json", "{}")  # doctest: +SKIP
    """
    path = pathlib.Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    content = data.encode() if isinstance(data, str) else data
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    # The rename itself made durable; some file systems refuse to sync a directory, and then there is nothing to do.
    descriptor = os.open(path.parent, os.O_RDONLY)
    with contextlib.suppress(OSError):
        os.fsync(descriptor)
    os.close(descriptor)


def check_room(folder: pathlib.Path, needed: int, what: str) -> None:
    """Raise a `UserError` when the disk of `folder`, which need not exist, has less room than `needed` bytes."""
    free = shutil.disk_usage(next(parent for parent in (folder, *folder.parents) if parent.exists())).free
    if needed > free:
        raise UserError(
            f"{what} need {human_bytes(needed)} in {folder} and {human_bytes(free)} are free: make room or use another "
            "--data_dir"
        )


def human_bytes(count: float) -> str:
    """A number of bytes for people.

    >>> human_bytes(2_700_000_000)
    '2.7 GB'
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if round(count) < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
