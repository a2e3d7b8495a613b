"""SHA-256 of files, of bytes and text, and of plain data."""

import hashlib
import json
from pathlib import Path
from typing import Any


def sha256_of(path: Path) -> str:
    """The digest of the bytes of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_of(content: bytes | str) -> str:
    """The digest of bytes, or of text as UTF-8, in hex."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def short_hash(value: Any, length: int = 8) -> str:
    """Hex digits that stand for a JSON-able value, whatever the order of its keys.

    >>> short_hash({"a": 1, "b": [2]}) == short_hash({"b": [2], "a": 1})
    True
    """
    return digest_of(json.dumps(value, sort_keys=True))[:length]
