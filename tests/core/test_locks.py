"""Locks: one holder at a time."""

from pathlib import Path

import pytest

from skinjax.core.errors import UserError
from skinjax.core.locks import exclusive


def test_a_lock_that_is_held_is_refused_and_then_free(tmp_path: Path):
    lock, refusal = tmp_path / ".lock", "somebody is here"
    with exclusive(lock), pytest.raises(UserError, match=r"^somebody is here$"), exclusive(lock, refusal):
        pass
    with exclusive(lock, refusal):
        pass
