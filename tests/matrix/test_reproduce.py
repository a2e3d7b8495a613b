"""`skinjax reproduce`: what the tables ask for, the demo scale, and a table of finished runs beside the printed one."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from skinjax import cli
from skinjax.evaluation.predictions import read_predictions
from skinjax.matrix import reproduce
from skinjax.matrix.demo import at_demo_scale
from skinjax.matrix.sources import open_source
from skinjax.papers import FIGURES, PAPERS
from skinjax.papers.printed import claims, place_of
from skinjax.recipe.config_files import load_config, with_changes
from skinjax.runs.building import check

TABLES = Path(__file__).parents[2] / "tables"


def test_every_claim_holds_in_print_where_both_numbers_are_there():
    compared = 0
    for tables in PAPERS.values():
        for name, table in tables.items():
            for claim in table.claims:
                places = [place_of(row, name) for row in (claim.higher, claim.lower)]
                pair = [tables[of].rows[row].cells.get(claim.column) for of, row in places]
                assert claim.column in table.metrics
                if all(pair):
                    assert pair[0].mean > pair[1].mean, claim
                    compared += 1
    assert compared == 152
    assert [(of.higher, of.lower) for of in claims("AP", "a > b > c")] == [("a", "b"), ("b", "c")]


@pytest.mark.parametrize("paper", PAPERS)
def test_every_run_of_every_table_could_train_at_demo_scale(paper):
    entries = reproduce.entries_of(open_source(paper), "demo")
    assert {entry.table for entry in entries} == set(PAPERS[paper])
    for recipe in {repr(entry.job.recipe): entry.job.recipe for entry in entries}.values():
        check(recipe)
        assert recipe.dataset.name == "synthetic"
        assert recipe.model.weights == ""
        assert sum(phase.duration for phase in recipe.in_order().values()) <= 60
        assert {phase.unit for phase in recipe.in_order().values()} == {"steps"}
    assert all(config for figure in FIGURES[paper].values() for config in map(load_config, figure.configs))


@pytest.mark.parametrize("path", sorted(TABLES.glob("*.py")), ids=lambda path: path.stem)
def test_every_run_of_our_own_tables_could_train(path):
    source = open_source(str(path))
    entries = reproduce.entries_of(source, "full")
    assert {entry.table for entry in entries} == set(source.tables)
    for recipe in {repr(entry.job.recipe): entry.job.recipe for entry in entries}.values():
        check(dataclasses.replace(recipe, model=recipe.model.replace(weights="")))
    for table in source.tables.values():
        assert {row for of in table.claims for row in (of.higher, of.lower)} <= table.rows.keys()


def test_a_row_that_only_judges_has_the_network_of_another_row():
    entries = reproduce.entries_of(open_source(str(TABLES / "drawn.py")), "full", needed=("Corrections",))
    assert len({repr(entry.job.recipe) for entry in entries}) == 1
    assert [entry.changes for entry in entries][:2] == [(), ("views.evaluation=centre_crop", "views.window=(65, 65)")]


def test_at_demo_scale_the_test_photographs_of_another_set_are_others():
    (test,) = (of for of in reproduce.entries_of(open_source("001"), "demo") if of.table == "Table Test")
    judged = with_changes(test.job.recipe, test.changes)
    assert (test.job.recipe.dataset.arguments["seed"], judged.dataset.arguments["seed"]) == (0, 1)


def test_at_demo_scale_a_row_stays_what_it_is():
    recipe = at_demo_scale(load_config("configs/cdc.py:skin198_fl"))
    assert (recipe.method.name, recipe.loss.name, recipe.method.beta) == ("decoder_classifier", "focal", 0.2)
    (phase,) = recipe.in_order().values()
    assert (phase.schedule.name, phase.schedule.milestones, phase.duration) == ("step", (24.0,), 48.0)
    assert recipe.stored_size.height == 43  # 300 for a crop of 224
    assert recipe.evaluations.small == (4, 1)
    staged = at_demo_scale(load_config("configs/two_stage.py:ham10000"))
    assert staged.phase_order == ("dominant", "rest")
    assert staged.phases["rest"].classes == ("akiec", "bcc", "bkl", "df", "mel", "vasc")
    assert staged.loss.class_factors == (("nv", 0.5),)
    restored = at_demo_scale(load_config("configs/restoration.py:ham10000_patch_16"))
    assert (restored.views.size, restored.method.patch) == ((32, 32), 4)


def test_what_differs_in_judging_alone_is_one_training():
    entries = reproduce.entries_of(open_source("003"), "full")
    of = {(entry.table, entry.row): entry for entry in entries if entry.job.fold == 0}
    nine, five = (of["Table III", f"Dense121, Multi-Crop {crops}"] for crops in (9, 5))
    assert nine.job.recipe == five.job.recipe == of["Table V", "Dense121, Loss Weighting"].job.recipe
    assert (nine.changes, five.changes) == ((), ("views.crops=5",))
    attention = [of["Table III", f"Dense121, Attention {crops}"].job.recipe for crops in (9, 5)]
    assert attention[0] != attention[1]
    assert len({repr(entry.job.recipe) for entry in entries if entry.table == "Table V"}) == 3 * 15
    (test,) = (entry for entry in reproduce.entries_of(open_source("001"), "full") if entry.table == "Table Test")
    assert test.changes[:2] == ("dataset.name=isic2018", "split.protocol=official")
    assert test.job.recipe.dataset.name == "ham10000"


def test_what_steers_training_is_no_judging():
    recipe = load_config("configs/focal.py:demo")
    other = dataclasses.replace(recipe, views=recipe.views.replace(repeats="mirrored"))
    assert reproduce.as_trained(recipe) == reproduce.as_trained(other)
    best, other_best = (dataclasses.replace(of, evaluate="best") for of in (recipe, other))
    assert reproduce.as_trained(best) != reproduce.as_trained(other_best)


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    """The folder of two rows of a table and of one that is judged elsewhere, at demo scale, and the data folder."""
    folder, data = (tmp_path_factory.mktemp(name) for name in ("reproduced", "data"))
    arguments = [f"--workdir={folder}", f"--data_dir={data}"]
    assert cli.main(["reproduce", "003", "--table=III", "--only=Dense121, Multi-Crop", *arguments]) == 0
    return folder, arguments


def test_a_table_has_the_printed_number_ours_and_the_claims(reproduced):
    folder, _ = reproduced
    assert len(list((folder / "runs").iterdir())) == 1  # judged three times
    with (folder / "003" / "Table_III.csv").open(newline="") as file:
        rows = {(row["row"], row["column"]): row for row in csv.DictReader(file)}
    row = rows["Dense121, Multi-Crop 9", "MC-Sensitivity"]
    (run,) = (folder / "runs").iterdir()
    table = read_predictions(run / "predictions_test.csv")
    recalls = [np.mean(table.predicted[table.labels == number] == number) for number in range(7)]
    assert float(row["printed"]) == 71.1
    assert float(row["ours"]) == pytest.approx(100 * np.mean(recalls))
    assert float(row["difference"]) == pytest.approx(float(row["ours"]) - 71.1)
    assert float(row["low"]) <= float(row["ours"]) <= float(row["high"])
    assert rows["InceptV3, Attention 5", "MC-Sensitivity"]["ours"] == ""
    text = (folder / "003" / "Table_III.md").read_text()
    assert sum(line.count("demo scale, synthetic") for line in text.splitlines() if "printed" in line) == 9
    assert "| Dense121, Multi-Crop 16 above Dense121, Multi-Crop 9 | MC-Sensitivity | " in text
    assert "not every row was trained" in text
    assert "Table III" in (folder / "003" / "Table_III.html").read_text()


def test_the_same_command_trains_nothing_and_tells_the_same(reproduced, capsys):
    folder, arguments = reproduced
    before = (folder / "003" / "Table_III.csv").read_bytes()
    assert cli.main(["reproduce", "003", "--table=III", "--only=Dense121, Multi-Crop", "--status", *arguments]) == 0
    assert {line.split()[0] for line in capsys.readouterr().out.splitlines()} == {"done"}
    assert cli.main(["reproduce", "003", "--table=III", "--only=Dense121, Multi-Crop", *arguments]) == 0
    assert (folder / "003" / "Table_III.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["005"], "unknown paper '005'"),
        (["003", "--table=VII"], "unknown table 'VII'"),
        (["003", "--scale=large"], "unknown scale 'large'"),
        (["003", "--table=V", "--only=ResNet"], "no row of Table V has 'ResNet' in its name"),
        (["003", "--config.split.fold=1"], "the table says which folds it is of: leave --config.split.fold out"),
        (["004", "--table=Figure 4", "--config.split.validation=0.0"], "has figures of the validation part"),
        (["nowhere.py"], "there is no file 'nowhere.py': give a paper (000, "),
        (["empty.py"], "empty.py declares no TABLES"),
        (["broken.py"], "the file of tables cannot be read: broken.py, line 1: ZeroDivisionError"),
        (["leaderboard", "--groups=nowhere.csv"], "nowhere.csv"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, expected, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.py").write_text("TABLES = {}")
    (tmp_path / "broken.py").write_text("TABLES = 1 / 0")
    assert cli.main(["reproduce", *arguments, f"--workdir={tmp_path / 'w'}"]) == 1
    errors = capsys.readouterr().err
    assert expected in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "w").exists()
