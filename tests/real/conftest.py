"""Real data and weights, where they are at hand: $SKINJAX_SHARED, else `shared` beside the checkout."""

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder, or a skipped test that says where it was looked for."""
    folder = Path(os.environ.get("SKINJAX_SHARED") or CHECKOUT.parent / "shared")
    if not folder.is_dir():
        pytest.skip(f"no real data: {folder} is not there ($SKINJAX_SHARED says where it is)")
    return folder
