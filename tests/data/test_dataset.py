"""Data sets on disk: built once and whole, opened in the order of their columns, refused when damaged."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.data.acquire.catalogue import CATALOGUE, USER_DATA
from skinjax.data.dataset import (
    Dataset,
    build_whole,
    class_counts,
    data_root,
    open_dataset,
    read_dataset,
)
from skinjax.data.dataset import prepared as prepared_sets
from skinjax.data.synthetic.photographs import Painter, encode
from skinjax.data.synthetic.settings import Settings

ARGUMENTS = {"images": 60, "height": 32, "width": 40}


def record_file(folder: Path) -> Path:
    return next(folder.rglob("*.array_record-*"))


@pytest.fixture
def copy(prepared, tmp_path) -> Path:
    """A copy of the prepared folder to do harm to."""
    return Path(shutil.copytree(prepared, tmp_path / "copy"))


# Where data sets lie


def test_the_root_is_the_argument_else_the_variable_else_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    monkeypatch.setenv("SKINJAX_DATA", "/variable")
    assert data_root("/argument") == Path("/argument")
    assert data_root(Path("/argument")) == Path("/argument")
    assert data_root("~/mine") == tmp_path / "mine"
    assert data_root("here") == Path.cwd() / "here"
    assert data_root(None) == data_root("") == Path("/variable")
    monkeypatch.setenv("SKINJAX_DATA", "~/yours")
    assert data_root() == tmp_path / "yours"
    monkeypatch.setenv("SKINJAX_DATA", "")
    assert data_root() == Path("/caches/skinjax")
    monkeypatch.delenv("SKINJAX_DATA")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert data_root() == tmp_path / ".cache" / "skinjax"


# What is in them


def test_records_are_the_drawn_photographs_in_the_order_of_the_columns(photographs):
    painter = Painter(Settings(**ARGUMENTS))
    assert len(photographs) == len(photographs.records) == 60
    assert photographs.columns.keys() == painter.columns.keys()
    for name, column in painter.columns.items():
        np.testing.assert_array_equal(photographs.columns[name], column)
    assert photographs.columns["label"].dtype == np.int32
    for row in (0, 1, 31, 59):
        assert photographs.records[row] == encode(painter.draw(row))
    assert photographs.records[np.int32(7)] == photographs.records[7]
    assert photographs.synthetic
    assert photographs.classes == ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def test_tfds_reads_the_folder_on_its_own(prepared, photographs):
    import tensorflow_datasets as tfds

    manifest = json.loads((prepared / "manifest.json").read_text())
    builder = tfds.builder_from_directory(str(prepared / manifest["records_folder"]))
    assert builder.info.features["label"].names == list(photographs.classes)
    painter = Painter(Settings(**ARGUMENTS))
    for row, example in enumerate(builder.as_data_source(split="images")):
        assert example["image_id"].decode() == photographs.columns["image_id"][row]
        assert example["group"].decode() == photographs.columns["group"][row]
        assert example["label"] == photographs.columns["label"][row]
        assert example["image"].shape == (32, 40, 3)
        if row % 20 == 0:
            assert np.abs(example["image"].astype(int) - painter.draw(row)).mean() < 5


def test_label_names_and_counts():
    labels = np.array([2, -1, 0, 2], np.int32)
    ids = np.array(["i", "j", "k", "l"])
    columns = {"image_id": ids, "group": ids, "label": labels}
    assert Dataset("x", ("a", "b", "c"), columns, [], "").label_names().tolist() == ["c", "", "a", "c"]
    assert class_counts(labels, ("a", "b", "c")).tolist() == [1, 0, 2]


# Building


def test_a_set_is_built_once_and_then_reopened(root, photographs):
    said = []
    again = open_dataset("synthetic", ARGUMENTS, root, say=said.append)
    assert said == []
    assert again.fingerprint == photographs.fingerprint
    assert len(list(root.glob("synthetic-*"))) == 1


def test_a_set_is_named_and_fingerprinted_by_its_arguments(root, tmp_path, photographs):
    said = []
    same = open_dataset("synthetic", ARGUMENTS | {"seed": 0}, tmp_path, say=said.append)
    assert said == ["drawing the synthetic set once: 60 images of 40x32 pixels"]
    assert [path.name for path in tmp_path.glob("synthetic-*")] == [path.name for path in root.glob("synthetic-*")]
    assert same.fingerprint == photographs.fingerprint
    other = open_dataset("synthetic", ARGUMENTS | {"images": 14}, tmp_path, say=said.append)
    assert len(other) == 14
    assert len(list(tmp_path.glob("synthetic-*"))) == 2
    assert other.fingerprint != photographs.fingerprint


def test_unknown_names_list_the_known_ones(tmp_path):
    with pytest.raises(UserError, match=r"unknown data set 'syntetic' \(did you mean 'synthetic'\?\); known: cifar10"):
        open_dataset("syntetic", {}, tmp_path)
    with pytest.raises(UserError, match=f"one of your own is looked for under {tmp_path}, where `skinjax prepare"):
        open_dataset("mine", {}, tmp_path)
    with pytest.raises(UserError, match=r"unknown field of dataset.arguments 'image' .*'images'.*known: classes"):
        open_dataset("synthetic", {"image": 70}, tmp_path)
    with pytest.raises(UserError, match="give at least one for each of 7 classes"):
        open_dataset("synthetic", {"images": 3}, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", sorted(set(CATALOGUE) - set(USER_DATA)))
def test_a_set_that_must_be_prepared_says_how(name, tmp_path):
    with pytest.raises(
        UserError, match=f"the data set {name} is not prepared under {tmp_path}: .*`skinjax prepare {name} --source="
    ):
        open_dataset(name, {}, tmp_path)


@pytest.mark.parametrize("place", ["file/root", "file", "/proc/root"])
def test_a_root_that_cannot_be_written_is_one_sentence(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write data sets to .*(file|/proc/root).*: .*; use another --data_dir"):
        open_dataset("synthetic", ARGUMENTS, tmp_path / place, say=lambda text: None)


def test_a_build_that_fails_leaves_nothing_and_can_be_repeated(tmp_path):
    def fail(folder):
        (folder / "half").write_text("x")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        build_whole(tmp_path / "set", fail)
    assert [path.name for path in tmp_path.iterdir()] == [".set.lock"]
    build_whole(tmp_path / "set", lambda folder: (folder / "whole").write_text("x"))
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["whole"]


def test_a_full_disk_while_building_is_one_sentence(tmp_path):
    def fail(folder):
        raise OSError(28, os.strerror(28))

    with pytest.raises(UserError, match=f"cannot write data sets to {tmp_path}: No space left on device"):
        build_whole(tmp_path / "set", fail)


def test_what_a_killed_build_left_is_swept_away(root, prepared, tmp_path):
    unfinished = tmp_path / f".{prepared.name}.unfinished"
    (unfinished / "records").mkdir(parents=True)
    (unfinished / "records" / "half").write_text("x")
    (unfinished / "manifest.json").write_text("{")
    open_dataset("synthetic", ARGUMENTS, tmp_path, say=lambda text: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".{prepared.name}.lock", prepared.name]
    assert not list((tmp_path / prepared.name).rglob("half"))


BUILD = """
    import sys
    from pathlib import Path
    from absl import flags
    from skinjax.data.dataset import open_dataset

    flags.FLAGS.mark_as_parsed()
    print("ready", flush=True)
    sys.stdin.readline()
    dataset = open_dataset("synthetic", {"images": 60, "height": 32, "width": 40}, Path(sys.argv[1]))
    print(dataset.fingerprint, len(dataset.records[59]))
"""


def test_processes_that_build_at_the_same_time_end_with_one_good_set(tmp_path, prepared, photographs):
    command = [sys.executable, "-c", textwrap.dedent(BUILD), str(tmp_path)]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate()[0].splitlines() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sorted(map(len, said)) == [1, 2]  # one of them says that it draws
    assert {lines[-1] for lines in said} == {f"{photographs.fingerprint} {len(photographs.records[59])}"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".{prepared.name}.lock", prepared.name]


# Damage


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def forget(path: Path, fact: str) -> None:
    manifest = json.loads(path.read_text())
    del manifest[fact]
    path.write_text(json.dumps(manifest))


DAMAGE = {
    "columns changed": lambda folder: flip(folder / "columns.npz"),
    "columns emptied": lambda folder: (folder / "columns.npz").write_bytes(b""),
    "columns missing": lambda folder: (folder / "columns.npz").unlink(),
    "manifest cut": lambda folder: truncate(folder / "manifest.json"),
    "manifest null": lambda folder: (folder / "manifest.json").write_text("null"),
    "manifest []": lambda folder: (folder / "manifest.json").write_text("[]"),
    "manifest {}": lambda folder: (folder / "manifest.json").write_text("{}"),
    "manifest without counts": lambda folder: forget(folder / "manifest.json", "images_per_class"),
    "manifest missing": lambda folder: (folder / "manifest.json").unlink(),
    "records cut": lambda folder: truncate(record_file(folder)),
    "records emptied": lambda folder: record_file(folder).write_bytes(b""),
    "records missing": lambda folder: record_file(folder).unlink(),
    "records folder missing": lambda folder: shutil.rmtree(folder / "records"),
    "tfds info cut": lambda folder: truncate(next(folder.rglob("dataset_info.json"))),
    "tfds info missing": lambda folder: next(folder.rglob("dataset_info.json")).unlink(),
    "tfds features missing": lambda folder: next(folder.rglob("features.json")).unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_set_is_refused_in_one_sentence(copy, damage):
    DAMAGE[damage](copy)
    with pytest.raises(
        UserError, match=r"the data set in .*/copy is damaged \(.*\); delete that folder and make it again"
    ):
        read_dataset(copy, "synthetic")


def test_what_is_no_data_set_is_not_listed_as_one(copy):
    for name in ("extension", "pipe"):
        (copy.parent / name).mkdir()
    (copy.parent / "extension" / "manifest.json").write_text('{"name": "of a program"}')
    os.mkfifo(copy.parent / "pipe" / "manifest.json")
    assert list(prepared_sets(copy.parent)) == ["copy"]


def test_an_undamaged_copy_is_the_same_set(copy, photographs):
    assert read_dataset(copy, "synthetic").fingerprint == photographs.fingerprint
