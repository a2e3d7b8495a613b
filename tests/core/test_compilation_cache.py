"""Entries that a kill cut short are removed, whole ones and other formats stay."""

import os
import zlib

import jax
import pytest

from skinjax.core.compilation_cache import drop_damaged, use_compilation_cache

WHOLE = zlib.compress(b"program" * 1000)


def test_damaged_entries_are_dropped(tmp_path):
    entries = {
        "whole": WHOLE,
        "cut": WHOLE[:-5],
        "flipped": WHOLE[:-1] + b"?",
        "empty": b"",
        "zstd": b"\x28\xb5\x2f\xfd",
    }
    for name, content in entries.items():
        (tmp_path / f"{name}-cache").write_bytes(content)
    drop_damaged(tmp_path)
    assert {path.name for path in tmp_path.glob("*-cache")} == {"whole-cache", "zstd-cache"}


def test_entries_are_looked_at_once(tmp_path):
    entry = tmp_path / "old-cache"
    drop_damaged(tmp_path)
    entry.write_bytes(WHOLE[:-5])
    os.utime(entry, (1, 1))
    drop_damaged(tmp_path)
    assert entry.exists()


@pytest.fixture
def restored_cache_folder():
    before = jax.config.jax_compilation_cache_dir
    yield before
    jax.config.update("jax_compilation_cache_dir", before)


def test_a_folder_that_cannot_be_written_is_left(tmp_path, monkeypatch, restored_cache_folder):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    (tmp_path / "file").write_text("")
    use_compilation_cache(tmp_path / "file" / "cache")
    assert jax.config.jax_compilation_cache_dir == restored_cache_folder


def test_the_users_choice_stands(tmp_path, monkeypatch, restored_cache_folder):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
    use_compilation_cache(tmp_path / "cache")
    assert jax.config.jax_compilation_cache_dir == restored_cache_folder
    assert not (tmp_path / "cache").exists()
