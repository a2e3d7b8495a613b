"""The docstrings of configs/: their printed numbers are the papers', and none that a config aims at is missing."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

from skinjax.data.splits.split import image_stratified
from skinjax.papers import PAPERS, paper_003
from skinjax.papers.printed import Row
from skinjax.recipe.config_files import load_config

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = sorted(path.stem for path in CONFIGS.glob("*.py"))
HAM10000 = [1113, 6705, 514, 327, 1099, 115, 142]
SD198 = [13] * 80 + [38] * 69 + [42] + [60] * 48  # as many classes and images, about as uneven


class Shown(NamedTuple):
    """A table of a docstring that shows printed numbers."""

    tables: list[str]
    columns: list[str]
    numbers: dict[str, list[float | None]]  # by config


def docstring(file: str) -> str:
    return ast.get_docstring(ast.parse((CONFIGS / f"{file}.py").read_text(encoding="utf-8"))) or ""


def shown(file: str) -> list[Shown]:
    """The tables of printed numbers in a config's docstring.

    At its top left such a table says which it is and what a cell holds, 'Tables V and VI: COLUMN, COLUMN', and beside
    that what stands in a row's variant for the word in capitals: SET or NETWORK.
    """
    found = []
    for lines in re.findall(r"^\|.*(?:\n\|.*)*", docstring(file), re.MULTILINE):
        (head, *words), _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines.splitlines())
        if title := re.fullmatch(r"Tables? (.+): (.+)", head):
            numbers = {
                f"configs/{file}.py:{re.sub('[A-Z]+', word, variant.strip('`:'))}": read(cell)
                for variant, *cells in rows
                for word, cell in zip(words, cells, strict=True)
            }
            found.append(Shown([f"Table {name}" for name in title[1].split(" and ")], title[2].split(", "), numbers))
    return found


def read(cell: str) -> list[float | None]:
    """Means in a cell; '-' is a number that is lost."""
    return [None if number == "-" else float(number) for number in cell.split(", ")]


def printed(file: str) -> dict[str, dict[str, Row]]:
    """The rows at which the variants of a file aim, by table and config.

    Figures and the leaderboard print none; a table of one config with changes shows none, nor Table 2, which rounds
    Table 1's.
    """
    found: dict[str, dict[str, Row]] = {}
    for name, table in (item for tables in PAPERS.values() for item in tables.items()):
        prints = any(row.cells for row in table.rows.values())
        if not prints or table.changes or table is PAPERS["004"]["Table 2"]:
            continue
        rows = {row.config: row for row in table.rows.values() if row.config.startswith(f"configs/{file}.py:")}
        if rows:
            found[name] = rows
    return found


@pytest.mark.parametrize("file", FILES)
def test_every_row_of_a_paper_that_a_config_aims_at_is_shown_and_nothing_else(file):
    rows = printed(file)
    assert sorted(name for one in shown(file) for name in one.tables) == sorted(rows)
    for one in shown(file):
        aims = {config: row.cells for name in one.tables for config, row in rows[name].items()}
        assert one.numbers == {
            config: [cells[column].mean if column in cells else None for column in one.columns]
            for config, cells in aims.items()
        }
        assert set(one.columns) == {column for cells in aims.values() for column in cells}


def test_tables_are_found_in_docstrings():
    assert {file: [one.tables for one in shown(file)] for file in FILES} == {
        "balancing": [["Table V"], ["Table VI"]],
        "baselines": [["Table 1", "Table 2"], ["Table 3"]],
        "cdc": [["Table 1", "Table 2"], ["Table 3"]],
        "cifar10": [["Table CIFAR baseline"], ["Table CIFAR speed-up"]],
        "focal": [["Table Unpretrained"], ["Table Pretrained"]],
        "leaderboard": [],
        "own": [],
        "patch_attention": [["Table II", "Table III"], ["Table IV"]],
        "restoration": [["Table Self-supervised"]],
        "rotation": [["Table Self-supervised"]],
        "schedules": [["Table DermAI"]],
        "synergic": [["Table 1"]],
        "two_stage": [["Table Pretrained"], ["Table Test"]],
    }


@pytest.mark.parametrize("file", FILES)
def test_no_number_of_a_result_stands_outside_of_those_tables(file):
    prose = re.sub(r"^\| Table.*(?:\n\|.*)*", "", docstring(file), flags=re.MULTILINE)
    assert re.findall(r"\b\d\d\.\d", prose) == []


@pytest.mark.parametrize("file", FILES)
def test_every_config_that_a_row_names_is_one(file):
    for config in {config for rows in printed(file).values() for config in rows}:
        path, _, variant = config.partition(":")
        assert load_config(f"{CONFIGS.parent / path}:{variant}").variant == variant


@pytest.mark.parametrize("recipe", ["demo", "skin7", "skin7_vgg16", "skin7_densenet121", "skin198"])
@pytest.mark.parametrize(
    ("ending", "beta", "loss"),
    [("", 0.2, "cross_entropy"), ("_cd", 0.0, "cross_entropy"), ("_fl", 0.2, "focal"), ("_cd_fl", 0.0, "focal")],
)
def test_paper_000s_methods_are_variants(recipe, ending, beta, loss):
    config = load_config(f"{CONFIGS / 'cdc.py'}:{recipe}{ending}")
    assert (config.method.alpha, config.method.beta, config.loss.name) == (10.0, beta, loss)
    assert config.method.decoder.channels == (64 if recipe == "demo" else 256)


@pytest.mark.parametrize(("variant", "counts", "images"), [("skin7", HAM10000, "8,012"), ("skin198", SD198, "5,267")])
def test_a_fold_trains_on_as_many_images_as_is_said(variant, counts, images):
    split = load_config(f"{CONFIGS / 'cdc.py'}:{variant}").split
    assert split.protocol == "image_stratified"
    labels = [f"class {number}" for number, count in enumerate(counts) for _ in range(count)]
    names = [str(number) for number in range(len(labels))]
    shares = {"test": split.test, "validation": split.validation, "folds": split.folds, "fold": split.fold}
    made = image_stratified(names, names, labels, seed=split.seed, **shares)
    assert f"{len(made.rows('train')):,}" == images
    assert f"200 epochs, {images} images" in docstring("cdc")
    assert f"{images} " in docstring("baselines")


def test_derm7pts_printed_sizes_stand_beside_the_shipped_ones():
    sizes = paper_003.SPC_IMAGES
    text = docstring("patch_attention").replace("\n", " ")
    assert f"prints {sizes['train']} training and {sizes['test']} test images, and its code's split has 599 and" in text


@pytest.mark.parametrize("file", FILES)
def test_the_precision_on_accelerators_is_said_where_it_is_not_float32(file):
    config = load_config(str(CONFIGS / f"{file}.py"))
    assert (config.model.dtype == "auto") == ("bfloat16" in docstring(file))
