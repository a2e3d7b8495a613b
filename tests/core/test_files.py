"""Atomic writing: whole content, the old content on failure, and no temporary file left behind."""

import errno
import os
import pathlib
import stat

import pytest

from skinjax.core.files import human_bytes, write_atomically


@pytest.mark.parametrize(("data", "expected"), [("naïve\r\n", "naïve\r\n".encode()), (b"\x00\xff", b"\x00\xff")])
def test_writes_text_as_utf8_and_bytes_as_they_are(tmp_path: pathlib.Path, data: bytes | str, expected: bytes):
    write_atomically(tmp_path / "a.txt", data)
    assert (tmp_path / "a.txt").read_bytes() == expected
    assert os.listdir(tmp_path) == ["a.txt"]


def test_replaces_what_was_there(tmp_path: pathlib.Path):
    for text in ("long content", "new"):
        write_atomically(tmp_path / "a.txt", text)
    assert (tmp_path / "a.txt").read_text() == "new"


def test_permissions_follow_the_umask_as_for_any_new_file(tmp_path: pathlib.Path):
    (tmp_path / "plain").write_text("")
    write_atomically(tmp_path / "atomic", "")
    assert stat.S_IMODE((tmp_path / "atomic").stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)


@pytest.mark.parametrize("failing_call", ["fsync", "replace"])
def test_a_full_disk_keeps_the_old_file_and_leaves_no_temporary(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, failing_call: str
):
    (tmp_path / "a.txt").write_text("old")

    def disk_full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, failing_call, disk_full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomically(tmp_path / "a.txt", "new")
    assert caught.value.errno == errno.ENOSPC
    assert (tmp_path / "a.txt").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_missing_directory_is_an_ordinary_file_not_found(tmp_path: pathlib.Path):
    with pytest.raises(FileNotFoundError):
        write_atomically(tmp_path / "missing" / "a.txt", "")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (1234, "1.23 kB"),
        (999_499, "999 kB"),
        (999_999, "1 MB"),
        (2_700_000_000, "2.7 GB"),
        (2**43, "8.8 TB"),
    ],
)
def test_a_number_of_bytes_for_people(count: int, text: str):
    assert human_bytes(count) == text
