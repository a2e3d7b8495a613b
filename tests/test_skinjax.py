"""The public names, and what judging a table does not need."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import skinjax


@pytest.mark.parametrize("name", skinjax.__all__)
def test_public_names_exist(name):
    assert callable(getattr(skinjax, name))


def test_type_checkers_see_the_same_names():
    found = {
        alias.asname: node.module
        for node in ast.walk(ast.parse(Path(skinjax.__file__).read_text()))
        if isinstance(node, ast.ImportFrom) and node.module.startswith("skinjax.")
        for alias in node.names
        if alias.name == alias.asname
    }
    assert found == {name: f"skinjax.{home}" for name, home in skinjax._HOME.items()}
    assert Path(skinjax.__file__).with_name("py.typed").exists()


def test_unknown_name_lists_the_known():
    with pytest.raises(AttributeError, match="read_predictions"):
        _ = skinjax.red_predictions


def test_judging_needs_no_jax():
    program = "import sys, skinjax; skinjax.read_predictions, skinjax.bootstrap; print('jax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
