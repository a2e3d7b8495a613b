"""Cells that several tables share."""

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.core.tables import Row
from skinjax.data.acquire.builders.cells import in_natural_order, known, number_in, read_age


def test_names_in_the_order_of_people():
    names = {"10", "9", "2", "a10", "a9", "a", "B", "b", "02", "x²"}
    assert in_natural_order(names) == ["02", "2", "9", "10", "B", "a", "a9", "a10", "b", "x²"]


@pytest.mark.parametrize(("text", "age"), [("80", 80), ("80.0", 80), ("0", 0), ("", np.nan), ("Unknown", np.nan)])
def test_ages(text, age):
    np.testing.assert_equal(read_age(Row("t.csv line 2", {"age": text}), "age"), age)


@pytest.mark.parametrize("text", ["-1", "151", "inf", "forty"])
def test_no_ages(text):
    with pytest.raises(UserError, match=f"t.csv line 2: age '{text}' is no number of years"):
        read_age(Row("t.csv line 2", {"age": text}), "age")


def test_what_nobody_knows():
    assert [known(text) for text in ("Male", "unknown", "NaN", "N/A", "")] == ["male", "", "", "", ""]
    np.testing.assert_equal([number_in(text) for text in ("1", "1.5", "", "1-2")], [1, 1.5, np.nan, np.nan])
