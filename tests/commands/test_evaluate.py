"""`skinjax evaluate`: runs and tables in, figures out, without jax; and what users get wrong."""

import csv
import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from skinjax import cli
from skinjax.evaluation.calibration import fit_temperature
from skinjax.evaluation.metrics import evaluate
from skinjax.evaluation.predictions import in_classes, write_predictions
from tests.evaluation.tables import random_table

PRIOR = {"training_prior": {"stages": [{"mel": 0.3, "nv": 0.6, "df": 0.1}], "approximate": ["focal"]}}
FAST = "--replicates=50"


def known(table):
    """The table with metadata and a protocol."""
    sexes = np.where(np.arange(len(table)) % 3, "female", "male")
    ages = np.where(np.arange(len(table)) % 4, (np.arange(len(table)) % 90).astype(str), "")
    return dataclasses.replace(table, metadata={"sex": sexes, "age": ages}, protocol=PRIOR)


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """test.csv and validation.csv of one classifier, other.csv of another on the same test images."""
    monkeypatch.chdir(tmp_path)
    test, other = random_table(400, 1, 2.0), random_table(400, 5, 1.0)
    write_predictions("test.csv", known(test))
    write_predictions("validation.csv", known(random_table(400, 0, 2.0)))
    write_predictions("other.csv", dataclasses.replace(test, probabilities=other.probabilities))
    return tmp_path


def judged(capsys, *arguments):
    """(status, output, what was said)."""
    status = cli.main(["evaluate", FAST, *map(str, arguments)])
    return status, *capsys.readouterr()


def test_a_table_is_judged_without_jax(tables):
    code = "import sys; from skinjax.cli import main; main(['evaluate', 'test.csv', '--replicates=5']); "
    process = subprocess.run(
        [sys.executable, "-c", code + "print('jax' in sys.modules)"], capture_output=True, text=True, check=True
    )
    assert process.stdout.splitlines()[-1] == "False"
    assert "macro recall" in process.stdout


def test_figures_classes_and_pairs_are_told(tables, capsys):
    status, output, errors = judged(capsys, "test.csv", "--losses=2", "--by=sex,age")
    assert (status, errors) == (0, "")
    table = random_table(400, 1, 2.0)
    for line in (
        "the 1 smallest class (df): recall ",
        "at 0.9 specificity, read off these curves, sensitivity is ",
        "test: 400 images of 200 groups, protocol unknown",
        f"  macro recall     {evaluate(table, 'macro_recall'):.3f}  95 % interval [",
        "class  images  groups  recall",
        "calibration error",
        "errors between two classes, either way:",
        "confident mistakes:",
        "by sex:",
        "(unknown)",
        "skin tone: not assessed",
    ):
        assert line in output


def test_everything_that_is_fitted_is_fitted_on_validation(tables, capsys):
    arguments = ["--validation=validation.csv", "--temperature", "--prior=uniform", "--conformal", "--cases=logits"]
    status, output, _ = judged(
        capsys, "test.csv", *arguments, "--positive=mel,df", "--prevalence=0.02", "--by=sex", "--out=found"
    )
    assert status == 0
    temperature = fit_temperature(random_table(400, 0, 2.0))
    assert f"fitted on validation: temperature {temperature:.3g}, prior uniform, tau" in output
    assert "approximate focal" in output
    assert "fixed on validation" in output
    assert "conformal sets, alpha 0.1" in output
    by_sex = output[output.index("by sex:") :].splitlines()[1]
    assert by_sex.split() == ["value", "images", "groups", "macro", "recall", "sensitivity", "specificity"]
    assert "logits pooled: 200 cases" in output
    (record,) = json.loads((tables / "found" / "figures.json").read_text())
    assert record["fitted"]["temperature"] == pytest.approx(temperature, rel=1e-4)
    assert record["question"]["prevalence"] == 0.02
    rows = list(csv.DictReader((tables / "found" / "0_test_classes.csv").read_text().splitlines()))
    assert [row["class"] for row in rows] == ["mel", "nv", "df"]
    assert float(rows[0]["recall"]) == pytest.approx(record["per_class"]["mel"]["recall"]["value"])
    # Decisions are for the uniform prior, probabilities of the natural one.
    plain = evaluate(random_table(400, 1, 2.0), "macro_recall")
    assert record["macro_recall"]["value"] > plain
    assert record["log_loss"]["value"] < evaluate(random_table(400, 1, 2.0), "log_loss")


def test_tables_are_compared_and_combined(tables, capsys):
    _, output, _ = judged(capsys, "test.csv", "theirs=other.csv")
    assert "minus test, paired by group (two networks, not two methods):" in output
    assert "theirs  macro recall" in output
    _, output, _ = judged(capsys, "test.csv", "other.csv", "--ensemble=mean")
    assert output.startswith("mean of 2\n")


def test_methods_need_five_runs_to_be_decided(tables, capsys):
    for number in range(5):  # runs of five seeds
        write_predictions(f"test{number}.csv", random_table(400, 1, 2.0 + number / 10))
        other = random_table(400, 5 + number, 1.0).probabilities
        write_predictions(f"other{number}.csv", dataclasses.replace(random_table(400, 1), probabilities=other))
    runs = [f"{name}{number}.csv" for name in ("a=test", "b=other") for number in range(5)]
    assert "undecided by design" in judged(capsys, "--methods", *runs[:2], *runs[5:7])[1]
    status, output, _ = judged(capsys, "--methods", *runs)
    assert (status, "p (Holm)" in output, "undecided by design" in output) == (0, True, False)


def test_lesions_come_from_a_file_and_those_of_training_are_counted(tables, capsys):
    ids = random_table(400, 1, 2.0).image_ids
    (tables / "groups.csv").write_text(
        "image_id,group\n" + "".join(f"{name},all{number // 8}\n" for number, name in enumerate(ids))
    )
    (tables / "train.csv").write_text("group,split\n1-g000,train\n1-g001,train\n1-g002,test\n")
    _, output, _ = judged(capsys, "other.csv", "--groups=groups.csv")
    assert "other: 400 images of 50 groups" in output
    _, output, _ = judged(capsys, "test.csv", "--trained_on=train.csv", "--where=sex=male")
    assert "images that are in train.csv, or whose group is:" in output
    assert "test: 134 images" in output


def test_the_share_in_training_goes_by_images_cases_and_groups(tables, capsys):
    test = random_table(400, 1, 2.0)
    bare = "image_id,label,p_mel,p_nv,p_df\n"
    rows = zip(test.image_ids, test.labels, test.probabilities, strict=True)
    for name, label, (a, b, _) in rows:
        bare += f"{name},{test.classes[label]},{a:.6f},{b:.6f},{1 - a - b:.6f}\n"
    (tables / "bare.csv").write_text(bare)
    own = zip(test.image_ids, test.groups, strict=True)
    (tables / "clusters.csv").write_text("image_id,group,cluster\n" + "".join(f"{i},{g},{g[:4]}\n" for i, g in own))
    (tables / "list.csv").write_text(f"image_id,group\n{test.image_ids[0]},{test.groups[0]}\n")
    (tables / "groups_alone.csv").write_text(f"group\n{test.groups[0]}\n")

    def seen(*arguments):
        assert judged(capsys, "bare.csv", "--out=found", *arguments)[0] == 0
        (found,) = json.loads((tables / "found" / "figures.json").read_text())
        return sum(of["seen"] for of in found["trained_on"].values())

    assert seen("--trained_on=list.csv") == 1
    for name in ("list", "groups_alone"):  # the lesion has two photographs
        assert seen(f"--trained_on={name}.csv", "--groups=clusters.csv") == 2
    _, _, errors = judged(capsys, "bare.csv", "--trained_on=groups_alone.csv")
    assert "the table has none to compare them with: bring them by --groups=FILE" in errors


def test_what_is_fitted_goes_by_names_and_is_not_fitted_twice(tables, capsys):
    fitted = ["--validation=validation.csv", "--prior=natural", "--temperature", "--out=found"]
    assert judged(capsys, "test.csv", *fitted)[0] == 0
    (one,) = json.loads((tables / "found" / "figures.json").read_text())
    turned = in_classes(known(random_table(400, 0, 2.0)), ("df", "mel", "nv"))
    write_predictions("validation.csv", turned)
    assert judged(capsys, "test.csv", *fitted)[0] == 0
    (other,) = json.loads((tables / "found" / "figures.json").read_text())
    assert one["macro_recall"] == other["macro_recall"]
    assert one["fitted"]["tau"] == other["fitted"]["tau"]
    for again in ("--prior=uniform", "--temperature"):
        _, _, errors = judged(capsys, "found/0_test.csv", again, "--validation=validation.csv")
        assert "is a table that was corrected before" in errors
    write_predictions("others.csv", dataclasses.replace(turned, classes=("a", "b", "c")))
    _, _, errors = judged(capsys, "test.csv", "--temperature", "--validation=others.csv")
    assert "the tables have different classes" in errors
    near = random_table(400, 0, 2.0)
    write_predictions("near.csv", dataclasses.replace(near, groups=random_table(400, 1).groups))
    _, _, errors = judged(capsys, "test.csv", "--temperature", "--validation=near.csv")
    assert "200 groups of test are in its validation table too" in errors


def test_tables_of_other_priors_are_not_corrected_together(tables, capsys):
    test = known(random_table(400, 1, 2.0))
    uniform = {"training_prior": {"stages": [dict.fromkeys(test.classes, 1 / 3)]}}
    write_predictions("uniform.csv", dataclasses.replace(test, protocol=uniform))
    both = ["test.csv", "uniform.csv", "--ensemble=mean"]
    assert judged(capsys, *both)[0] == 0
    _, _, errors = judged(capsys, *both, "--prior=uniform", "--validation=validation.csv")
    assert "the tables of the ensemble had different training priors: correct each by itself" in errors


def test_tables_of_other_images_are_judged_and_written_and_not_compared(tables, capsys):
    status, output, _ = judged(capsys, "test.csv", "validation.csv", "--out=found")
    assert (status, len(json.loads((tables / "found" / "figures.json").read_text()))) == (0, 2)
    assert "not compared: 800 images are in one of the two tables only" in output


def test_a_name_does_not_steer_the_terminal(tables, capsys):
    long = "x" * 3000
    (tables / "names.csv").write_text(f"image_id,label,p_mel,p_nv\n{long},mel,0.1,0.9\nb\x1b[2J,nv,0.9,0.1\n")
    _, output, _ = judged(capsys, "n\x1b[31m=names.csv", "--losses=2")
    assert "\x1b" not in output
    assert max(map(len, output.splitlines())) < 250


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.csv"], "nothing.csv cannot be read"),
        (["test.csv", "--temperature"], "test has no validation table to fit on"),
        (["other.csv", "--prior=uniform", "--validation=validation.csv"], "no training_prior"),
        (["test.csv", "--positive=mole"], "unknown class in --positive: 'mole'"),
        (["test.csv", "--by=site"], "no column 'site' to judge by; it has sex, age"),
        (["test.csv", "--where=sex"], "give COLUMN=VALUE"),
        (["test.csv", "--where=sex=other"], "no row of the table has 'other' in column sex; there are female, male"),
        (["test.csv", "--prevalence=2"], "--prevalence is 2; it is a share"),
        (["test.csv", "--metrics=mcc"], "unknown metric 'mcc'"),
        (["--methods", "a=test.csv", "a=other.csv"], "compares two methods or more"),
        (["--methods", "a=test.csv", "a=test.csv"], "a=test.csv is named twice, and is one run"),
        (["--methods", "test.csv", "other.csv", "--by=sex"], "--methods compares methods and nothing else: leave --by"),
        (["test.csv", "--prevalence=0.1"], "--prevalence is of the classes that --positive names"),
        (["test.csv", "validation.csv", "--ensemble=mean"], "800 images are in one of the two tables only"),
        (["test.csv", "--validation=test.csv", "--temperature"], "400 images of test are in its validation table too"),
        (["test.csv", "--part=test"], "--part is of a run"),
        (["test.csv", "--config.views.repeats=turned"], "test.csv"),
    ],
)
def test_a_mistake_is_one_sentence(tables, capsys, arguments, message):
    status, _, errors = judged(capsys, *arguments)
    assert status == 1
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert message in errors


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,mole,0.5,0.5", "unknown class 'mole'"),
        ("a,mel,0.5,0.6", "they sum to 1.1, not 1"),
        ("a,mel,nan,0.5", "nan is no probability"),
        ("a,mel,0.5,0.5\na,nv,0.5,0.5", "is there twice"),
    ],
)
def test_a_bad_row_is_named(tmp_path, capsys, row, message):
    path = tmp_path / "bad.csv"
    path.write_text(f"image_id,label,p_mel,p_nv\nok,nv,0.1,0.9\n{row}\n")
    status, _, errors = judged(capsys, path)
    assert (status, errors.count("\n")) == (1, 1)
    assert "bad.csv line" in errors
    assert message in errors


def test_there_is_no_interval_around_nothing(tmp_path, capsys):
    path = tmp_path / "one_class.csv"
    path.write_text("image_id,label,p_mel,p_nv\n" + "".join(f"{n},mel,0.{1 + n},0.{9 - n}\n" for n in range(9)))
    _, output, _ = judged(capsys, path)
    (kappa,) = (line for line in output.splitlines() if line.startswith("cohens kappa"))
    assert kappa.split() == ["cohens", "kappa", "0.000"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a,,0.5,0.5\nb,,0.2,0.8\n", "no image of the table is labelled"),
        ("a,mel,0.9,0.1\nb,mel,0.8,0.2\n", "accuracy         1.000"),
        ("a,mel,0.9,0.1\n", "all labelled images are of one group"),
    ],
)
def test_little_is_judged_as_far_as_it_goes(tmp_path, capsys, rows, said):
    path = tmp_path / "little.csv"
    path.write_text("image_id,label,p_mel,p_nv\n" + rows)
    status, output, errors = judged(capsys, path)
    assert (status, errors) == (0, "")
    assert said in output
