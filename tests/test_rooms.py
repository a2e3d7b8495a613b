"""The rooms of the house: imports run downwards, every room says what it is, files and functions stay small."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "skinjax"
# From the top down; rooms of one line do not import each other.
FLOORS = (
    ("main", "cli", "commands"),
    ("matrix", "deploy"),
    ("runs", "explain"),
    ("report",),
    ("model",),
    ("recipe",),
    ("training",),
    ("methods",),
    ("models", "images", "data"),
    ("objectives", "evaluation", "parallel", "papers", "processes"),
    ("core",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imported(path: Path) -> set[str]:
    """The rooms that a module imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} if node.module != "skinjax" else {f"skinjax.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("skinjax.")}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def test_every_room_has_its_floor():
    assert {room_of(path) for path in MODULES} == FLOOR.keys()


@pytest.mark.parametrize("room", [room for floor in FLOORS[1:] for room in floor])
def test_imports_run_downwards(room):
    upwards = {
        f"{path.relative_to(PACKAGE)} imports {other}"
        for path in MODULES
        if room_of(path) == room
        for other in imported(path) - {room}
        if FLOOR.get(other, 99) <= FLOOR[room]
    }
    assert upwards == set()


def test_judging_knows_the_core_alone():
    for path in (PACKAGE / "evaluation").glob("*.py"):
        assert imported(path) <= {"core", "evaluation"}


def test_data_knows_no_device_but_where_batches_are_made():
    users = {path.name for path in (PACKAGE / "data").rglob("*.py") if "import jax" in path.read_text()}
    assert users <= {"pipeline.py", "caches.py"}


def test_every_room_says_what_it_is():
    for folder in {path.parent for path in MODULES} - {PACKAGE}:
        assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text())), folder


def test_files_and_functions_stay_small():
    for path in MODULES:
        text = path.read_text()
        assert text.count("\n") <= 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 80, f"{path}: {node.name}"
