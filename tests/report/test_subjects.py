"""What is read from the folder of a run, and what is left when some of it is gone."""

import json

import numpy as np
import pytest

from skinjax.data.dataset import open_dataset
from skinjax.data.splits.split import lesion_grouped, write_split
from skinjax.evaluation.intervals import summary_with_intervals
from skinjax.report.page import write_report
from skinjax.report.sections import thumbnails
from skinjax.report.subjects import kept_figures, open_subject, parts, same_dataset
from tests.report.conftest import table_of


def test_a_run_tells_all_that_its_folder_knows(run):
    subject = open_subject(run)
    assert (subject.name, subject.source.part, subject.synthetic) == ("run", "test", True)
    assert subject.config["method"] == {"name": "classifier"}
    assert [line["step"] for line in subject.log] == [1, 2, 3, 4]
    found = parts(subject)
    assert {name: len(part.labels) for name, part in found.items()} == {"train": 81, "validation": 0, "test": 39}
    assert list(found["test"].metadata) == ["age", "sex"]
    assert found["train"].metadata == {}


def test_a_run_is_reported_without_what_it_lost(run):
    for name in ("split.csv", "split.json", "environment.json", "metrics.jsonl", "metrics_test.json"):
        (run / name).unlink()
    (run / "config.json").write_text("{}")
    subject = open_subject(run)
    assert (subject.log, subject.split, subject.environment, subject.config) == ((), None, {}, {})
    assert list(parts(subject)) == ["test"]
    assert subject.found["intervals"]["replicates"] == 2000


def test_figures_that_a_run_kept_are_taken_if_they_are_of_its_table(run):
    table = open_subject(run).table
    assert open_subject(run).found["intervals"]["replicates"] == 100
    path = run / "metrics_test.json"
    figures = json.loads(path.read_text())
    of_before = figures | {"per_class": {name: {**of, "auc": 0.5} for name, of in figures["per_class"].items()}}
    others = summary_with_intervals(table_of(np.arange(30) % 3), replicates=10)
    for content in (json.dumps(of_before), json.dumps(others), "[]", "not JSON"):
        path.write_text(content)
        assert kept_figures(path, table) is None


def test_a_log_that_was_cut_short_is_read_to_there(run):
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "tra')
    assert len(open_subject(run).log) == 4


def test_the_data_set_gives_people_and_photographs(run, tmp_path):
    arguments = {"images": 120, "height": 32, "width": 40}
    dataset = open_dataset("synthetic", arguments, tmp_path / "data", lambda line: None)
    names = np.array(dataset.classes)[dataset.columns["label"]]
    split = lesion_grouped(dataset.columns["image_id"], dataset.columns["group"], names, seed=0, test=0.4)
    write_split(run / "split.csv", split)
    settings = {"name": "synthetic", "arguments": arguments}
    found = same_dataset(settings, {"fingerprint": dataset.fingerprint}, tmp_path / "data")
    assert found is not None
    assert same_dataset(settings, {"fingerprint": "another"}, tmp_path / "data") is None
    assert same_dataset({"name": "../data", "arguments": {}}, {}, tmp_path / "data") is None
    assert same_dataset(settings, {"fingerprint": dataset.fingerprint}, tmp_path / "elsewhere") is None
    assert not (tmp_path / "elsewhere").exists()

    subject = open_subject(run)
    subject = type(subject)(**{**vars(subject), "dataset": found, "split": split})
    train = parts(subject)["train"]
    assert len(train.metadata["age"]) == len(train.labels) == len(split.rows("train"))
    shown = thumbnails(subject, [str(dataset.columns["image_id"][0]), "elsewhere"])
    assert list(shown) == [str(dataset.columns["image_id"][0])]
    assert next(iter(shown.values())).startswith("data:image/jpeg;base64,")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", '{"config": []}'),
        ("config.json", '{"config": {"dataset": "x", "model": 3}}'),
        ("environment.json", '{"packages": null, "devices": 5}'),
        ("predictions_test.json", '{"split": {"name": "x", "leak_percent": 5}, "training_counts": {"a": "b"}}'),
    ],
)
def test_a_damaged_record_costs_no_report(run, tmp_path, file, content):
    (run / file).write_text(content)
    path = tmp_path / "report.html"
    write_report(path, [open_subject(run)])
    assert path.stat().st_size > 10_000


def test_the_pictures_of_answers_come_before_those_of_sweeps(run):
    folder = run / "explain"
    folder.mkdir()
    (folder / "a.png").mkdir()
    for name in ("correct_gamma", "correct_zoom", "correct_even", "randomised", "explain"):
        (folder / f"{name}.png").write_bytes(b"PNG")
    assert [of.caption[:24] for of in open_subject(run).pictures] == [
        "What the answers rest on",
        "The same maps while weig",
        "The answers while even m",
        "The answers while gamma ",
    ]
