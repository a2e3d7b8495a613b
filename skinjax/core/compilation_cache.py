"""Compiled programs kept between runs."""

import contextlib
import os
import zlib
from pathlib import Path

import jax

ZLIB = b"\x78"
CHECKED = ".checked"


def use_compilation_cache(folder: Path) -> None:
    """Keep compiled programs in `folder`, unless the user chose a place for them or it cannot be written."""
    if os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        drop_damaged(folder)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def drop_damaged(folder: Path) -> None:
    """Remove entries that a kill cut short since the last look: jax never replaces one, and warns at every start."""
    marker = folder / CHECKED
    since = marker.stat().st_mtime if marker.exists() else 0.0
    marker.touch()
    for entry in folder.glob("*-cache"):
        if entry.stat().st_mtime >= since and not _is_complete(entry.read_bytes()):
            entry.unlink(missing_ok=True)


def _is_complete(entry: bytes) -> bool:
    """Whether an entry is complete; of entries in another format than zlib's, only empty ones are known not to be."""
    with contextlib.suppress(zlib.error):
        return bool(zlib.decompress(entry) if entry.startswith(ZLIB) else entry)
    return False
