"""The parts of a run that a recipe names."""

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.core.settings import from_plain
from skinjax.data.dataset import open_dataset
from skinjax.data.splits.protocols import SplitSettings, split_dataset
from skinjax.data.splits.split import write_split
from skinjax.recipe import Recipe
from skinjax.runs.building import make_data

ARGUMENTS = {"images": 70, "height": 32, "width": 32}


def test_a_run_goes_on_without_the_file_of_its_split_and_under_its_other_name(tmp_path):
    file, renamed, run, other = (tmp_path / name for name in ("split.csv", "renamed.csv", "run", "other"))
    dataset = open_dataset("synthetic", ARGUMENTS, tmp_path, lambda line: None)
    write_split(file, split_dataset(dataset, SplitSettings(seed=3, test=0.3, validation=0)))
    recipe, by_its_other_name = (
        from_plain(
            Recipe,
            {"dataset": {"arguments": ARGUMENTS}, "split": {"protocol": "file", "file": str(path), "validation": 0}},
        )
        for path in (file, renamed)
    )
    run.mkdir()
    before = make_data(recipe, run, tmp_path, print)
    file.rename(renamed)
    for same in (recipe, by_its_other_name):
        again = make_data(same, run, tmp_path, print)
        for part, records in before.records.items():
            np.testing.assert_array_equal(again.records[part], records)
    other.mkdir()
    with pytest.raises(UserError, match=r"split\.csv cannot be read: No such file"):
        make_data(recipe, other, tmp_path, print)
