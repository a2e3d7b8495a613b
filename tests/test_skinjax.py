"""The public names, and what judging a table does not need."""

import subprocess
import sys

import pytest

import skinjax


@pytest.mark.parametrize("name", skinjax.__all__)
def test_public_names_exist(name):
    assert callable(getattr(skinjax, name))


def test_unknown_name_lists_the_known():
    with pytest.raises(AttributeError, match="read_predictions"):
        _ = skinjax.red_predictions


def test_judging_needs_no_jax():
    program = "import sys, skinjax; skinjax.read_predictions, skinjax.bootstrap; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
