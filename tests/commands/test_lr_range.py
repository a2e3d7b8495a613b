"""`skinjax lr-range` from the beginning of a run and from a run's checkpoint, which it only reads; and its mistakes."""

import csv

import numpy as np
import pytest
from PIL import Image

from skinjax import cli
from skinjax.commands.lr_range import medians, table
from skinjax.main import main
from skinjax.training.lr_range import Curve
from tests.end_to_end.conftest import ROOT, SMALL

CONFIG = [f"--config={ROOT / 'configs' / 'baselines.py'}", *SMALL]
CONFIG += ["--config.phases.train.duration=4.0", "--config.cache=host"]
CONFIG += ["--config.phases.train.learning_rate_multipliers=(('stem',0.1),('.*',1.0))"]
SWEEP = ["--steps=36", "--start=1e-3", "--end=1"]


def test_a_range_test_of_a_run_leaves_a_table_and_a_picture_and_the_run_as_it_was(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = f"--data_dir={tmp_path / 'data'}"
    assert main([*CONFIG, "--workdir=run", data]) == 0, capsys.readouterr().err
    before = {path: path.is_file() and path.read_bytes() for path in (tmp_path / "run").rglob("*")}
    assert cli.main(["lr-range", *CONFIG, *SWEEP, "--workdir=run", "--repeats=2", data]) == 0, capsys.readouterr().err
    output = capsys.readouterr().out
    assert "curves begin from the checkpoint after 4 steps" in output
    assert "synthetic: drawn by a program" in output
    assert "(steepest descent, median of 2 seeds)\n  stem: 0.1 times that, " in output
    assert {path: path.is_file() and path.read_bytes() for path in (tmp_path / "run").rglob("*")} == before
    (out,) = (tmp_path / "runs" / "lr-range").glob("baselines-demo-*")
    rows = list(csv.DictReader((out / "train.csv").read_text().splitlines()))
    assert list(rows[0]) == ["k", "rate", "loss", "smoothed", "seed", "group"]
    assert {(row["seed"], row["group"]) for row in rows} == {("0", "all"), ("1", "all")}
    assert float(rows[1]["rate"]) / float(rows[0]["rate"]) == pytest.approx(1000 ** (1 / 36))
    assert float(rows[0]["loss"]) == pytest.approx(float(rows[0]["smoothed"]), rel=1e-12)
    with Image.open(out / "train.png") as picture:
        assert picture.size[0] > 800
    afresh = [*CONFIG, *SWEEP, f"--out={out}", data]
    assert cli.main(["lr-range", *afresh]) == 0
    assert "checkpoint" not in capsys.readouterr().out
    again = list(csv.DictReader((out / "train.csv").read_text().splitlines()))
    assert again[0]["loss"] != rows[0]["loss"]
    assert cli.main(["lr-range", *CONFIG, "--config.seed=1", "--workdir=run", data]) == 1
    assert "run belongs to another config: its seed is the default, not 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "no config is given: start with --config=configs/cdc.py"),
        ([*CONFIG, "--start=0"], "lr-range.start is 0.0; it must be a number above 0"),
        ([*CONFIG, "--phase=trian"], "unknown phase 'trian' (did you mean 'train'?)"),
        ([*CONFIG, "--workdir=nowhere"], "nowhere holds no run of skinjax"),
    ],
)
def test_mistakes_are_one_sentence(arguments, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["lr-range", *arguments, f"--data_dir={tmp_path / 'data'}"]) == 1
    assert told in capsys.readouterr().err


def test_the_answer_is_the_median_of_a_groups_suggestions_on_the_logarithmic_axis():
    places = [30, 50, 40, 20, 40]
    groups = ["stem", "stem", "stem", "head", "head"]
    curves = [falling(seed, group, place) for seed, (group, place) in enumerate(zip(groups, places, strict=True))]
    assert medians(curves) == pytest.approx({"stem": 1e-1, "head": 1e-2})
    lines = table(curves[3:], {"head": 1e-2})
    assert lines[-1] == "suggested learning rate of head: 1.00e-02 (steepest descent, median of 2 seeds)"
    assert [line.split() for line in lines[1:3]] == [
        ["head", "3", "61", "1.00e-03", "2.51e+00", "2.51e-01"],
        ["head", "4", "61", "1.00e-01", "2.51e+00", "2.51e-01"],
    ]


def test_a_curve_that_only_wavers_is_told():
    wavering = falling(0, "all", 30)
    wavering = wavering._replace(smoothed=np.sin(np.arange(61.0) / 5) + np.arange(61.0) / 30)
    lines = table([wavering], {"all": 1e-2})
    assert lines[-2] == "a curve is lowest before it falls fastest, too noisy to go by: give more --steps, like 300"
    assert not [line for line in table([falling(0, "all", 30)], {"all": 1e-2}) if "noisy" in line]


def falling(seed, group, place):
    """A curve of 61 batches that falls fastest at one of them, and to the end."""
    batches = np.arange(61.0)
    smoothed = -np.arctan((batches - place) / 3)
    return Curve(seed, group, 10 ** (batches / 10 - 5), smoothed, smoothed)
