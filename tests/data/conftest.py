"""The prepared synthetic set that the tests of data sets and pipelines read."""

from pathlib import Path

import pytest

from skinjax.data.dataset import Dataset, open_dataset

ARGUMENTS = {"images": 60, "height": 32, "width": 40}


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with 60 photographs of 40x32 pixels."""
    root = tmp_path_factory.mktemp("root")
    open_dataset("synthetic", ARGUMENTS, root, say=lambda text: None)
    return root


@pytest.fixture(scope="session")
def photographs(root: Path) -> Dataset:
    return open_dataset("synthetic", ARGUMENTS, root, say=lambda text: None)


@pytest.fixture(scope="session")
def prepared(root: Path) -> Path:
    """The folder of the set."""
    return next(root.glob("synthetic-*"))
