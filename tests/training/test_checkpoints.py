"""Checkpoints: what is restored is what was saved, and no damage, kill or full disk takes an earlier one along."""

import json
import os
import re
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.parallel import make_mesh, replicated
from skinjax.training.checkpoints import Checkpoints, Seal, abstract
from skinjax.training.signals import Interrupted
from tests.disks import small_disk


def state(value: int) -> dict:
    return {
        "step": jnp.int32(value),
        "params": {"head/kernel": jnp.full((3, 5), value, jnp.float32)},
        "ema": None,
        "half": jnp.full((2,), value, jnp.bfloat16),
    }


def restore(checkpoints: Checkpoints, step: int) -> dict:
    return jax.tree.map(np.asarray, checkpoints.restore(step, abstract(state(0), replicated(make_mesh()))))


def save(folder: Path, *steps: int, history: dict | None = None, **settings) -> Checkpoints:
    checkpoints = Checkpoints(folder, **settings)
    for step in steps:
        checkpoints.save(state(step), Seal(step, "all", history or {}))
    checkpoints.wait()
    return checkpoints


def opened(folder: Path, **settings) -> tuple[Checkpoints, list[str]]:
    """The checkpoints of a folder and what they say."""
    said: list[str] = []
    return Checkpoints(folder, say=said.append, **settings), said


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    """A folder with the checkpoints 1 and 2."""
    folder = tmp_path_factory.mktemp("two") / "checkpoints"
    save(folder, 1, 2).close()
    return folder


@pytest.fixture
def copy(two, tmp_path) -> Path:
    """A copy of `two` to do harm to."""
    return Path(shutil.copytree(two, tmp_path / "checkpoints"))


def test_what_is_restored_is_what_was_saved(two, assert_identical):
    checkpoints, said = opened(two)
    assert checkpoints.steps() == [1, 2]
    assert checkpoints.latest() == checkpoints.sealed(2) == Seal(2, "all", {})
    for step in (1, 2):
        assert_identical(restore(checkpoints, step), jax.tree.map(np.asarray, state(step)))
    assert said == []


def test_an_empty_folder_has_no_checkpoint(tmp_path):
    checkpoints, said = opened(tmp_path / "checkpoints")
    assert (checkpoints.latest(), checkpoints.steps(), said) == (None, [], [])


def test_a_state_that_is_donated_right_after_is_saved_as_it_was(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=9)
    step = jax.jit(lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0)
    values = {str(i): jnp.zeros(200_000) for i in range(5)}
    like = abstract(values, replicated(make_mesh()))
    for number in (1, 3, 5):
        values = step(values)
        checkpoints.save(values, Seal(number, "all", {}))
        values = step(values)
    jax.block_until_ready(values)
    checkpoints.wait()
    for number in (1, 3, 5):
        assert {float(x) for array in checkpoints.restore(number, like).values() for x in jnp.unique(array)} == {number}


# Which are kept


def test_the_newest_and_the_best_are_kept(tmp_path):
    assert save(tmp_path / "none", 1, 2, 3, 4).steps() == [3, 4]
    assert save(tmp_path / "one", 1, 2, 3, keep=1).steps() == [3]
    checkpoints = save(tmp_path / "best", 1, 2, 3, 4, history={"best_step": 1})
    assert checkpoints.steps() == [1, 3, 4]
    checkpoints.save(state(5), Seal(5, "all", {"best_step": 5}))
    checkpoints.wait()
    assert checkpoints.steps() == [1, 4, 5]  # 4 may be fallen back to, and name its best
    checkpoints.save(state(6), Seal(6, "all", {"best_step": 5}))
    checkpoints.wait()
    assert checkpoints.steps() == [5, 6]
    assert sorted(path.name for path in (tmp_path / "best").iterdir()) == [
        *("00000005", "00000005.json"),
        *("00000006", "00000006.json"),
    ]
    with pytest.raises(UserError, match="keeps 0 checkpoints cannot be continued; keep at least 1"):
        Checkpoints(tmp_path, keep=0)


def test_a_step_can_be_saved_again(copy):
    checkpoints = Checkpoints(copy)
    checkpoints.save(state(7) | {"step": jnp.int32(2)}, Seal(2, "all", {"best_step": 1}))
    checkpoints.wait()
    assert checkpoints.latest() == Seal(2, "all", {"best_step": 1})
    assert restore(checkpoints, 2)["params"]["head/kernel"][0, 0] == 7


def test_another_history_can_be_sealed_without_writing_the_state(copy):
    checkpoints = Checkpoints(copy)
    before = {path: path.stat().st_mtime_ns for path in (copy / "00000002").rglob("*")}
    checkpoints.reseal(Seal(2, "all", {"best_step": 2}))
    assert checkpoints.latest() == Seal(2, "all", {"best_step": 2})
    assert {path: path.stat().st_mtime_ns for path in (copy / "00000002").rglob("*")} == before


# Damage


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def largest(folder: Path) -> Path:
    return max((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


DAMAGE = {
    "truncated file": (lambda folder, seal: truncate(largest(folder)), "has changed"),
    "emptied file": (lambda folder, seal: largest(folder).write_bytes(b""), "has changed"),
    "missing file": (lambda folder, seal: largest(folder).unlink(), "is missing"),
    "extra file": (lambda folder, seal: (folder / "d" / "extra").write_bytes(b"x"), "d/extra is not part of it"),
    "missing folder": (lambda folder, seal: shutil.rmtree(folder), "is missing"),
    "missing item folder": (lambda folder, seal: shutil.rmtree(folder / "ocdbt.process_0"), "is missing"),
    "emptied seal": (lambda folder, seal: seal.write_text(""), "its seal 00000002.json cannot be read"),
    "truncated seal": (lambda folder, seal: truncate(seal), "its seal 00000002.json cannot be read"),
    "seal is null": (lambda folder, seal: seal.write_text("null"), "its seal 00000002.json cannot be read"),
    "seal is []": (lambda folder, seal: seal.write_text("[]"), "its seal 00000002.json cannot be read"),
    "seal is {}": (lambda folder, seal: seal.write_text("{}"), "it has changed"),
    "seal is no text": (lambda folder, seal: seal.write_bytes(b"\xff\xfe\x00"), "cannot be read"),
    "seal of another": (lambda folder, seal: shutil.copy(seal.with_name("00000001.json"), seal), "it has changed"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_told_removed_and_replaced_by_the_one_before_it(copy, damage, assert_identical):
    harm, reason = DAMAGE[damage]
    harm(copy / "00000002", copy / "00000002.json")
    checkpoints, said = opened(copy)
    assert checkpoints.latest() == Seal(1, "all", {})
    assert len(said) == 1
    assert said[0].startswith("checkpoint 2 is damaged (")
    assert reason in said[0]
    assert said[0].endswith("): falling back to checkpoint 1")
    assert sorted(path.name for path in copy.iterdir()) == ["00000001", "00000001.json"]
    checkpoints.save(state(2), Seal(2, "all", {}))
    checkpoints.wait()
    assert checkpoints.latest() == Seal(2, "all", {})
    assert_identical(restore(checkpoints, 2), jax.tree.map(np.asarray, state(2)))


def test_one_flipped_bit_in_any_file_is_noticed(two, tmp_path):
    names = [path.relative_to(two) for path in sorted(two.rglob("*")) if path.is_file() and "00000002" in str(path)]
    assert len(names) > 8
    rng = np.random.default_rng(0)
    for number, name in enumerate(names):
        folder = shutil.copytree(two, tmp_path / str(number))
        content = bytearray((folder / name).read_bytes())
        if content:  # commit_success.txt may be empty
            content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))
        else:
            content = bytearray(b"\x00")
        (folder / name).write_bytes(content)
        checkpoints, said = opened(folder)
        found = checkpoints.latest()
        assert found == Seal(1, "all", {}), name
        assert len(said) == 1, name


@pytest.mark.parametrize("place", range(0, 400, 7))
def test_a_seal_with_a_flipped_bit_says_what_it_said_or_nothing(copy, place):
    seal = copy / "00000002.json"
    content = bytearray(seal.read_bytes())
    content[place] ^= 4
    seal.write_bytes(content)
    assert opened(copy)[0].latest() in (Seal(1, "all", {}), Seal(2, "all", {}))


def test_when_all_are_damaged_training_starts_afresh_and_says_so(copy):
    for step in (1, 2):
        (copy / f"0000000{step}.json").write_text("{")
    checkpoints, said = opened(copy)
    assert checkpoints.latest() is None
    assert [text.split("):")[1] for text in said] == [" falling back to checkpoint 1", " training starts afresh"]
    assert list(copy.iterdir()) == []


def test_a_damaged_best_checkpoint_cannot_be_evaluated(copy):
    truncate(largest(copy / "00000001"))
    checkpoints, _ = opened(copy)
    with pytest.raises(UserError, match=r"checkpoint 1 in .*/checkpoints is damaged \(.* has changed\): bring it back"):
        checkpoints.sealed(1)
    with pytest.raises(UserError, match=r"checkpoint 5 in .* is damaged \(its seal 00000005.json cannot be read"):
        checkpoints.sealed(5)
    assert checkpoints.steps() == [1, 2]


def test_a_process_that_does_not_write_removes_nothing(copy):
    truncate(largest(copy / "00000002"))
    (copy / "00000003").mkdir()
    checkpoints, _ = opened(copy, write=False)
    assert checkpoints.latest() == Seal(1, "all", {})
    assert (copy / "00000002").exists()
    assert (copy / "00000003").exists()


def test_foreign_files_do_no_harm_and_come_to_none(copy):
    foreign = ["notes.txt", "notes.json", "2.json", "0000000003.json", "00000001_copy/state", "backup/00000001/state"]
    for name in foreign:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("mine")
    checkpoints, said = opened(copy, keep=1)
    assert checkpoints.latest() == Seal(2, "all", {})
    assert said == []
    checkpoints.save(state(3), Seal(3, "all", {}))
    checkpoints.wait()
    assert checkpoints.steps() == [3]
    assert all((copy / name).read_text() == "mine" for name in foreign)


def test_leftovers_of_killed_saves_are_swept(copy):
    for name in ("00000001.orbax-checkpoint-tmp", "00000003.orbax-checkpoint-tmp-17", "00000004"):
        (copy / name / "d").mkdir(parents=True)
        (copy / name / "d" / "part").write_text("half")
    (copy / ".00000004.json.0123abcd.tmp").write_text("{")
    checkpoints, said = opened(copy)
    assert checkpoints.latest() == Seal(2, "all", {})
    assert said == ["checkpoint 4 has no seal, so it never finished: removing it"]
    assert sorted(path.name for path in copy.iterdir()) == ["00000001", "00000001.json", "00000002", "00000002.json"]


# A full disk


@pytest.fixture
def disk(tmp_path):
    """A file system of 3 MB."""
    with small_disk(tmp_path, "3m"):
        yield tmp_path


TOO_MUCH = 2_000_000  # numbers, 8 MB that cannot be compressed


def test_a_full_disk_is_told_before_anything_is_written(disk):
    folder = disk / "checkpoints"
    checkpoints = save(folder, 1, 2)
    with pytest.raises(UserError) as caught:
        checkpoints.save({"a": jnp.zeros(TOO_MUCH)}, Seal(3, "all", {}))
    assert re.fullmatch(
        rf"cannot write a checkpoint to {folder}: the disk is full: it takes 7.9 MiB and 2.\d MiB are free; "
        "the earlier ones are intact, make room and start the same command again",
        str(caught.value),
    )
    checkpoints.close()
    assert sorted(path.name for path in folder.iterdir()) == ["00000001", "00000001.json", "00000002", "00000002.json"]


def test_a_disk_that_fills_up_is_one_sentence_and_takes_no_checkpoint_along(
    disk, monkeypatch, caplog, capfd, assert_identical
):
    folder = disk / "checkpoints"
    checkpoints = save(folder, 1, 2)
    # There was room when the save began.
    monkeypatch.setattr(checkpoints, "_check_room", lambda state: None)
    checkpoints.save({"a": jax.random.normal(jax.random.key(0), (TOO_MUCH,))}, Seal(3, "all", {}))
    with pytest.raises(
        UserError, match=rf"cannot write a checkpoint to {folder}: the disk is full.*; the earlier ones"
    ):
        checkpoints.wait()
    assert caplog.text == ""
    assert "Traceback" not in capfd.readouterr().err
    checkpoints.close()  # seals nothing
    assert checkpoints.steps() == [1, 2]

    again, said = opened(folder)
    assert again.latest() == Seal(2, "all", {})
    assert said == []
    assert_identical(restore(again, 2), jax.tree.map(np.asarray, state(2)))
    again.save(state(3), Seal(3, "all", {}))
    again.wait()
    assert again.latest() == Seal(3, "all", {})


def test_a_disk_too_full_for_a_seal_leaves_the_checkpoint_unfinished(copy, monkeypatch):
    def disk_full(path, data):
        raise OSError(28, os.strerror(28), str(path))

    checkpoints = Checkpoints(copy)
    monkeypatch.setattr("skinjax.training.checkpoints.write_atomically", disk_full)
    checkpoints.save(state(3), Seal(3, "all", {}))
    with pytest.raises(UserError, match=r"cannot write a checkpoint to .*: the disk is full"):
        checkpoints.wait()
    assert checkpoints.steps() == [1, 2]


def test_what_is_wrong_with_the_program_is_not_called_a_full_disk(tmp_path):
    checkpoints = Checkpoints(tmp_path)

    def interrupt():
        raise Interrupted

    checkpoints.save(state(1), Seal(1, "all", {}))
    checkpoints._saver.wait_until_finished = interrupt  # as a signal's handler may, at any moment
    with pytest.raises(Interrupted):
        checkpoints.wait()


def test_the_seal_is_plain_json(two):
    content = json.loads((two / "00000002.json").read_text())
    assert (content["step"], content["phase"], content["history"]) == (2, "all", {})
    assert all(len(digest) == 64 for digest in content["sha256"].values())
