"""Sources: folders and archives read in place; whatever is hostile or damaged is one sentence that names the file."""

import concurrent.futures
import gzip
import io
import os
import socket
import stat
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from skinjax.core.errors import UserError
from skinjax.data.acquire import sources
from skinjax.data.acquire.sources import ARCHIVE, open_source

FILES = {"images/b.jpg": b"bb", "images/a.jpg": b"", "\u00e9/labels.csv": b"image,label\n" * 90}
JUNK_NAMES = ("__MACOSX/images/._a.jpg", ".DS_Store", "images/Thumbs.db", ".git/config", "Desktop.ini", "x/Icon\r")
JUNK = dict.fromkeys(JUNK_NAMES, b"junk")


def zip_of(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, mode: int = 0o600) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            member = zipfile.ZipInfo(name)
            member.compress_type, member.external_attr = method, mode << 16
            archive.writestr(member, data)
    return packed.getvalue()


def tar_of(files: dict[str, bytes], kind: bytes = tarfile.REGTYPE, pax: dict[str, str] | None = None) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", errors="surrogateescape") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.type, member.pax_headers = len(data), kind, pax or {}
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def patched(archive: bytes, at: int, value: bytes) -> bytes:
    """An archive with other bytes at a place, counted from its first central directory entry if it is a zip."""
    at += max(archive.find(b"PK\1\2"), 0)
    return archive[:at] + value + archive[at + len(value) :]


def tar_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A header with any size, and the checksum that goes with it."""
    header = bytearray(tarfile.TarInfo(name).tobuf(tarfile.GNU_FORMAT))
    header[124:136] = (size % 2**96).to_bytes(12, "big") if size < 0 else b"%011o\0" % size
    header[148:157] = b" " * 8 + kind
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def pax_header(records: list[tuple[str, str]], kind: bytes = tarfile.XHDTYPE) -> bytes:
    lines = [f" {key}={value}\n" for key, value in records]
    data = "".join(f"{len(line) + 3:03}{line}" for line in lines).encode()
    return tar_header("pax", len(data), kind) + data.ljust(-(-len(data) // 512) * 512, b"\0")


def contents(path: Path) -> dict[str, bytes]:
    with open_source(path) as source:
        return {name: file.read() for name, file in source.files.items()}


def contents_or_refusal(path: Path) -> dict[str, bytes] | str:
    try:
        return contents(path)
    except UserError as error:
        return str(error)


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        action()
    sentence = str(caught.value)
    assert len(sentence.splitlines()) == 1
    return sentence


def refused(folder: Path, name: str, data: bytes) -> str:
    (folder / name).write_bytes(data)
    return refusal(lambda: contents(folder / name))


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


ARCHIVES = {
    "deflated.zip": zip_of(FILES),
    "Stored.ZIP": zip_of(FILES, zipfile.ZIP_STORED),
    "self-extracting.zip": b"#!/bin/sh\n" + zip_of(FILES),
    "files.tar": tar_of(FILES),
    "files.tgz": gzip.compress(tar_of(FILES)),
    "two.streams.TAR.GZ": gzip.compress(tar_of(FILES)[:700]) + gzip.compress(tar_of(FILES)[700:]),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_is_read_in_place_alone_and_in_a_folder(tmp_path: Path, name: str):
    expected = {f"{name}/{path}": FILES[path] for path in sorted(FILES)}
    written(tmp_path, {name: ARCHIVES[name]})
    assert contents(tmp_path / name) == expected
    assert contents(tmp_path) == expected
    assert os.listdir(tmp_path) == [name]


def test_a_folder_and_the_archives_in_it_are_one_sorted_list(tmp_path: Path):
    written(tmp_path, FILES | {"parts/one.zip": zip_of({"c.jpg": b"c"}), "z.tar": tar_of({"./d/e.jpg": b"e"})})
    with open_source(tmp_path) as source:
        assert source.root == tmp_path
        assert list(source.files) == [
            "images/a.jpg",
            "images/b.jpg",
            "parts/one.zip/c.jpg",
            "z.tar/d/e.jpg",
            "\u00e9/labels.csv",
        ]
        file = source.files["parts/one.zip/c.jpg"]
        assert (file.name, file.stem, file.size, file.origin) == ("c.jpg", "c", 1, tmp_path / "parts" / "one.zip")
        assert [file.path for file in source.named(r"[AC]\.JPG")] == ["images/a.jpg", "parts/one.zip/c.jpg"]


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_what_operating_systems_leave_behind_is_left_out(tmp_path: Path, pack):
    written(tmp_path, FILES | JUNK | {"all.zip" if pack is zip_of else "all.tar": pack(FILES | JUNK)})
    assert {name.rpartition("/")[2] for name in contents(tmp_path)} == {"a.jpg", "b.jpg", "labels.csv"}
    assert len(contents(tmp_path)) == 6


def test_empty_folders_and_empty_archives_hold_no_files(tmp_path: Path):
    written(tmp_path, {"a/none.zip": zip_of({}), "b/none.tar": tar_of({}), "none.tgz": gzip.compress(tar_of({}))})
    (tmp_path / "empty").mkdir()
    assert contents(tmp_path) == {}


def test_an_archive_in_an_archive_stays_closed(tmp_path: Path):
    bomb = zip_of({"bomb.zip": zip_of({"more.zip": b"PK"})})
    written(tmp_path, {"outer.zip": bomb, "gz.tgz": gzip.compress(tar_of({"inner.tar.gz": b"x", "a.jpg": b"a"}))})
    with open_source(tmp_path) as source:
        assert {file.path: bool(ARCHIVE.fullmatch(file.name)) for file in source.files.values()} == {
            "gz.tgz/a.jpg": False,
            "gz.tgz/inner.tar.gz": True,
            "outer.zip/bomb.zip": True,
        }


def test_folders_may_be_nested_deeper_than_functions(tmp_path: Path):
    deepest = tmp_path / "root"
    for _ in range(1200):
        deepest.mkdir()
        deepest /= "d"
    deepest.write_bytes(b"a")
    assert contents(tmp_path / "root") == {"d/" * 1199 + "d": b"a"}
    deepest.unlink()
    os.removedirs(deepest.parent)


@pytest.mark.parametrize("name", ["deflated.zip", "Stored.ZIP", "files.tar", "files.tgz"])
def test_many_threads_read_one_archive_at_once(tmp_path: Path, name: str):
    files = {f"{number}.jpg": bytes([number]) * 9000 * (number % 7) for number in range(200)}
    pack = {"zip": zip_of, "ZIP": lambda files: zip_of(files, zipfile.ZIP_STORED), "tar": tar_of}.get(name[-3:])
    written(tmp_path, {name: pack(files) if pack else gzip.compress(tar_of(files), 1)})
    with open_source(tmp_path / name) as source, concurrent.futures.ThreadPoolExecutor(16) as pool:
        listed = list(source.files.values()) * 3
        for file, data in zip(listed, pool.map(lambda file: file.read(), listed), strict=True):
            assert data == files[file.name]


HOSTILE_NAMES = [
    ("../a.jpg", "holds the path '../a.jpg', which leads elsewhere: refused; rename it"),
    ("x/../../a.jpg", "holds the path 'x/../../a.jpg', which leads elsewhere: refused; rename it"),
    ("/etc/passwd", "holds the path '/etc/passwd', which leads elsewhere: refused; rename it"),
    ("//host/a.jpg", "holds the path '//host/a.jpg', which leads elsewhere: refused; rename it"),
    ("C:a.jpg", "holds the path 'C:a.jpg', which leads elsewhere: refused; rename it"),
    ("c:/a.jpg", "holds the path 'c:/a.jpg', which leads elsewhere: refused; rename it"),
    ("x\\a.jpg", r"holds the path 'x\\a.jpg', which leads elsewhere: refused; rename it"),
    ("..\\a.jpg", r"holds the path '..\\a.jpg', which leads elsewhere: refused; rename it"),
    ("../.hidden", "holds the path '../.hidden', which leads elsewhere: refused; rename it"),
    ("a\nb.jpg", r"holds 'a\nb.jpg', whose name is not UTF-8 or has control characters: rename it"),
    ("\x1b[2Ja.jpg", r"holds '\x1b[2Ja.jpg', whose name is not UTF-8 or has control characters: rename it"),
    ("a\u2028b.jpg", r"holds 'a\u2028b.jpg', whose name is not UTF-8 or has control characters: rename it"),
]


@pytest.mark.parametrize(("name", "sentence"), HOSTILE_NAMES)
def test_a_member_that_leads_elsewhere_or_has_an_unprintable_name_is_refused(tmp_path: Path, name: str, sentence: str):
    assert refused(tmp_path, "x.zip", zip_of({"a.jpg": b"a", name: b"b"})) == f"x.zip {sentence}"
    assert refused(tmp_path, "x.tar", tar_of({"a.jpg": b"a", name: b"b"})) == f"x.tar {sentence}"


@pytest.mark.parametrize("name", ["./a.jpg", ".//./a.jpg", "a.jpg"])
def test_a_path_is_cleaned_of_what_leads_nowhere(tmp_path: Path, name: str):
    written(tmp_path, {"x.tar": tar_of({name: b"a"}), "x.zip": zip_of({name: b"a"})})
    assert contents(tmp_path) == {"x.tar/a.jpg": b"a", "x.zip/a.jpg": b"a"}


LINK = "a link or device: refused; make the archive anew without it"
NO_FILE = "a link, device or sparse file: make the archive anew without it"
ANNOUNCED = "were announced; get it again"
ZIPS = {
    "NUL": (zip_of({"a.jpg|.txt": b""}).replace(b"|", b"\0"), r"x.zip holds the path 'a.jpg\x00.txt', which leads"),
    "symbolic link": (zip_of({"a.jpg": b"/etc/passwd"}, mode=stat.S_IFLNK), f"x.zip holds 'a.jpg', {LINK}"),
    "hidden link": (zip_of({".a": b"/etc/passwd"}, mode=stat.S_IFLNK), f"x.zip holds '.a', {LINK}"),
    "character device": (zip_of({"a.jpg": b""}, mode=stat.S_IFCHR), f"x.zip holds 'a.jpg', {LINK}"),
    "block device": (zip_of({"a.jpg": b""}, mode=stat.S_IFBLK), f"x.zip holds 'a.jpg', {LINK}"),
    "pipe": (zip_of({"a.jpg": b""}, mode=stat.S_IFIFO), f"x.zip holds 'a.jpg', {LINK}"),
    "socket": (zip_of({"a.jpg": b""}, mode=stat.S_IFSOCK), f"x.zip holds 'a.jpg', {LINK}"),
    "twice": (
        zip_of({"x/a.jpg": b"a", "x/b.jpg": b"b"}).replace(b"x/b.jpg", b"x/a.jpg"),
        "x.zip holds 'x/a.jpg' twice: make the archive anew",
    ),
    "twice, written differently": (
        zip_of({"x/a.jpg": b"a", "./x//a.jpg": b"b"}),
        "x.zip holds 'x/a.jpg' twice: make the archive anew",
    ),
    "encrypted": (
        patched(zip_of({"a.jpg": b"a"}), 8, b"\1"),
        "x.zip holds 'a.jpg' encrypted: unpack it with its password first",
    ),
    "bzip2": (
        zip_of({"a.jpg": b"a"}, zipfile.ZIP_BZIP2),
        "x.zip holds 'a.jpg' in compression method 12: use deflate",
    ),
    "deflate64": (
        patched(zip_of({"a.jpg": b"a"}), 10, b"\x09"),
        "x.zip holds 'a.jpg' in compression method 9: use deflate",
    ),
    "unknown version": (patched(zip_of({"a.jpg": b"a"}), 6, b"\xff"), "x.zip cannot be read as an archive: zip file v"),
    "name not UTF-8": (
        zip_of({"\u00e9.jpg": b"a"}).replace(b"\xc3\xa9", b"\xc3("),
        "x.zip cannot be read as an archive: 'utf-8' codec can't decode",
    ),
    "longer than announced": (
        patched(zip_of({"a.jpg": b"abcdef"}), 24, b"\5"),
        "x.zip/a.jpg cannot be read: Bad CRC-32 for file 'a.jpg'; download or copy it again",
    ),
    "shorter than announced": (
        patched(zip_of({"a.jpg": b"abcdef"}), 24, b"\7"),
        f"x.zip/a.jpg has 6 bytes where 7 {ANNOUNCED}",
    ),
    "checksum": (patched(zip_of({"a.jpg": b"abcdef"}), 16, b"\0"), "x.zip/a.jpg cannot be read: Bad CRC-32 for file"),
    "no deflate stream": (
        patched(zip_of({"a.jpg": b"\xff" * 9}, zipfile.ZIP_STORED), 10, b"\x08"),
        "x.zip/a.jpg cannot be read: Error -3 while decompressing data",
    ),
    "data beyond the end": (
        patched(zip_of({"a.jpg": b"abcdef"}, 0), 20, b"\xff\xff\xff\x00\xff\xff\xff\x00"),
        "x.zip/a.jpg cannot be read: ",
    ),
    "header elsewhere": (
        patched(zip_of({"a.jpg": b"a"}), 42, b"\x01"),
        "x.zip/a.jpg cannot be read: Bad magic number for file header; download or copy it again",
    ),
    "another name in the header": (
        zip_of({"a.jpg": b"a"}).replace(b"a.jpg", b"b.jpg", 1),
        "x.zip/a.jpg cannot be read: File name in directory 'a.jpg' and header b'b.jpg' differ.",
    ),
    "directory elsewhere": (
        patched(zip_of({"a.jpg": b"a"}), 51 + 16, b"\xff\xff"),
        "x.zip/a.jpg cannot be read: [Errno 22] Invalid argument; download or copy it again",
    ),
    "one header for two": (
        patched(zip_of({"a.jpg": b"a", "b.jpg": b"b"}), 51 + 42, bytes(4)),
        "x.zip/",
    ),
    "comment over the next": (
        patched(zip_of({"a.jpg": b"a", "b.jpg": b"b"}), 32, b"\x33"),
        "x.zip cannot be read as an archive: a member's comment swallows the next member; download or copy it again",
    ),
    "empty": (b"", "x.zip cannot be read as an archive: File is not a zip file; download or copy it again"),
    "web page": (b"<html>", "x.zip cannot be read as an archive: File is not a zip file; download or copy it again"),
}


@pytest.mark.parametrize("case", ZIPS)
def test_a_hostile_or_damaged_zip_is_refused(tmp_path: Path, case: str):
    data, sentence = ZIPS[case]
    assert refused(tmp_path, "x.zip", data)[: len(sentence)] == sentence


END = bytes(1024)
A = tar_header("a.jpg", 0)
ABSURD = "x.tar cannot be read as an archive: a header of absurd length; download or copy it again"
TARS = {
    "symbolic link": (tar_of({"a": b""}, tarfile.SYMTYPE), f"x.tar holds 'a', {NO_FILE}"),
    "hard link": (tar_of({"a": b""}, tarfile.LNKTYPE), f"x.tar holds 'a', {NO_FILE}"),
    "hidden link": (tar_of({".a": b""}, tarfile.SYMTYPE), f"x.tar holds '.a', {NO_FILE}"),
    "character device": (tar_of({"a": b""}, tarfile.CHRTYPE), f"x.tar holds 'a', {NO_FILE}"),
    "block device": (tar_of({"a": b""}, tarfile.BLKTYPE), f"x.tar holds 'a', {NO_FILE}"),
    "pipe": (tar_of({"a": b""}, tarfile.FIFOTYPE), f"x.tar holds 'a', {NO_FILE}"),
    "unknown kind": (tar_of({"a": b""}, b"Z"), f"x.tar holds 'a', {NO_FILE}"),
    "sparse": (tar_header("a", 0, tarfile.GNUTYPE_SPARSE) + END, f"x.tar holds 'a', {NO_FILE}"),
    "sparse as POSIX writes it": (
        pax_header([("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "a")])
        + tar_header("b", 512)
        + b"1\n0\n5\n".ljust(512, b"\0")
        + END,
        f"x.tar holds 'a', {NO_FILE}",
    ),
    "endless sparse map": (
        pax_header([("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "a")])
        + tar_header("b", 2**20)
        + b"9999999\n"
        + b"0\n" * 2**19,
        ABSURD,
    ),
    "negative size": (A + tar_header("b", -512) + END, "x.tar "),
    "negative size of attributes": (A + tar_header("b", -512, tarfile.XHDTYPE) + A + END, "x.tar "),
    "negative size of a long name": (A + tar_header("b", -512, tarfile.GNUTYPE_LONGNAME) + A + END, "x.tar "),
    "negative size in attributes": (pax_header([("size", "-99")]) + A + END, "x.tar "),
    "huge attributes": (tar_header("pax", 2**33 - 1, tarfile.XHDTYPE) + A + END, ABSURD),
    "endless global attributes": (
        b"".join(pax_header([(f"{n}", "x") for n in range(start, start + 99)], b"g") + A for start in (0, 200)) + END,
        ABSURD,
    ),
    "endless long names": (
        (tar_header("././@LongLink", 5, tarfile.GNUTYPE_LONGNAME) + b"name\0".ljust(512, b"\0")) * 400 + A + END,
        ABSURD,
    ),
    "NUL": (pax_header([("path", "a\0b")]) + A + END, r"x.tar holds the path 'a\x00b', which leads elsewhere"),
    "name not UTF-8": (
        tar_of({"\udce9.jpg": b""}),
        r"x.tar holds '\udce9.jpg', whose name is not UTF-8 or has control characters: rename it",
    ),
    "twice": (A + A + END, "x.tar holds 'a.jpg' twice: make the archive anew"),
    "longer than the archive": (tar_header("a.jpg", 9000) + b"x" * 512, "x.tar cannot be read as an archive: unexpect"),
    "cut between members": (
        tar_of({"a": b"x"})[:1024],
        "x.tar cannot be read as an archive: no header and no end at b",
    ),
    "cut in a header": (
        tar_of({"a": b"x", "b": b"x"})[:1100],
        "x.tar cannot be read as an archive: no header and no e",
    ),
    "damaged header": (
        patched(tar_of({"a": b"x", "b": b"x"}), 1024, b"c"),
        "x.tar cannot be read as an archive: no header and no end at byte 1024; download or copy it again",
    ),
    "zeros where a member was": (
        patched(tar_of({"a": b"x", "b": b"x", "c": b"x"}), 1024, bytes(1024)),
        "x.tar cannot be read as an archive: no header and no end at byte 1024; download or copy it again",
    ),
    "empty": (b"", "x.tar cannot be read as an archive: empty file; download or copy it again"),
    "web page": (b"<html>" * 200, "x.tar cannot be read as an archive: "),
    "gzip under another name": (gzip.compress(tar_of(FILES)), "x.tar cannot be read as an archive: "),
}


@pytest.mark.parametrize("case", TARS)
def test_a_hostile_or_damaged_tar_is_refused(tmp_path: Path, case: str):
    data, sentence = TARS[case]
    assert refused(tmp_path, "x.tar", data)[: len(sentence)] == sentence


TGZ = gzip.compress(tar_of(FILES))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (TGZ[:-9], "Compressed file ended before the end-of-stream marker was reached; download or copy it again"),
        (TGZ[:-2], "Compressed file ended before the end-of-stream marker was reached; download or copy it again"),
        (TGZ[:-8] + b"\0\0\0\0" + TGZ[-4:], "CRC check failed"),
        (TGZ[:-4] + b"\0\0\0\0", "Incorrect length of data produced"),
        (TGZ[:40] + b"\xff\xff\xff\xff" + TGZ[44:], ""),
        (TGZ + b"more", "Not a gzipped file (b'mo'); download or copy it again"),
        (tar_of(FILES), "Not a gzipped file (b'im'); download or copy it again"),
        (gzip.compress(TGZ), ""),
    ],
)
def test_a_damaged_gzip_is_refused(tmp_path: Path, data: bytes, reason: str):
    sentence = f"x.tgz cannot be read as an archive: {reason}"
    assert refused(tmp_path, "x.tgz", data)[: len(sentence)] == sentence


@pytest.mark.parametrize("name", ["x.zip", "x.tgz"])
def test_an_archive_cut_anywhere_or_with_a_wrong_byte_anywhere_is_refused_or_read_right(tmp_path: Path, name: str):
    files = {"a.jpg": b"hello " * 9, "b.jpg": b"world"}
    data = zip_of(files) if name == "x.zip" else gzip.compress(tar_of(files))
    expected = {f"{name}/{path}": content for path, content in files.items()}
    for position in range(len(data)):
        assert refused(tmp_path, name, data[:position]).startswith(name)
        for mask in (1, 128, 255):
            (tmp_path / name).write_bytes(data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :])
            found = contents_or_refusal(tmp_path / name)
            assert found == expected or found.startswith(name)


def test_a_tar_with_a_wrong_byte_in_a_header_is_refused_or_whole(tmp_path: Path):
    data = tar_of({"a.jpg": b"hello", "b.jpg": b"world"})
    for position in [*range(512), *range(1024, 1536)]:
        (tmp_path / "x.tar").write_bytes(data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :])
        found = contents_or_refusal(tmp_path / "x.tar")
        assert found == {"x.tar/a.jpg": b"hello", "x.tar/b.jpg": b"world"} or found.startswith("x.tar")


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("x.zip", zip_of({"a": bytes(5000), "b": bytes(6000)}), "to more than 10.2 kB or 3 files: refused as an arch"),
        ("x.tar", tar_of({"a": bytes(5000), "b": bytes(6000)}), "from 20.5 kB to more than 10.2 kB or 3 files: refus"),
        ("x.zip", zip_of({f"{n}": b"" for n in range(4)}), "to more than 10.2 kB or 3 files: refused as an archive b"),
        ("x.tgz", gzip.compress(tar_of({f"{n}": b"" for n in range(4)})), "to more than 10.2 kB or 3 files: refused"),
        ("x.tgz", gzip.compress(tar_of({"a": bytes(11000)})), "unpacks to more than 10.2 kB: refused as an archive bo"),
    ],
    ids=["large in zip", "large in tar", "many in zip", "many in tgz", "large in tgz"],  # gzip tells the time
)
def test_an_archive_bomb_is_refused(tmp_path: Path, monkeypatch, name: str, data: bytes, sentence: str):
    monkeypatch.setattr(sources, "MOST_UNPACKED_BYTES", 10_240)
    monkeypatch.setattr(sources, "MOST_UNPACKED_RATIO", 0)
    monkeypatch.setattr(sources, "MOST_FILES", 3)
    assert sentence in refused(tmp_path, name, data)


def test_an_archive_that_grows_no_more_than_its_kind_does_is_none(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(sources, "MOST_UNPACKED_BYTES", 0)
    written(tmp_path, {"x.zip": zip_of({"a": bytes(5000)})})
    assert contents(tmp_path) == {"x.zip/a": bytes(5000)}


def test_a_zip_member_that_announces_less_than_it_holds_is_not_inflated(tmp_path: Path):
    lying = patched(zip_of({"a.jpg": bytes(2**24)}), 24, (1000).to_bytes(4, "little"))
    written(tmp_path, {"x.zip": lying})
    with open_source(tmp_path) as source:
        tracemalloc.start()
        try:
            assert "Bad CRC-32" in refusal(source.files["x.zip/a.jpg"].read)
            assert tracemalloc.get_traced_memory()[1] < 2**20
        finally:
            tracemalloc.stop()


def test_a_file_too_large_to_be_an_image_or_a_table_is_listed_but_not_read(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(sources, "MOST_FILE_BYTES", 1000)
    written(
        tmp_path, {"a.jpg": bytes(1001), "x.zip": zip_of({"a.jpg": bytes(1001)}), "x.tar": tar_of({"a": bytes(1001)})}
    )
    with open_source(tmp_path) as source:
        assert [refusal(file.read) for file in source.files.values()] == [
            "a.jpg has more than 1 kB: no image or table is so large",
            "x.tar/a has more than 1 kB: no image or table is so large",
            "x.zip/a.jpg has more than 1 kB: no image or table is so large",
        ]


def test_no_room_for_an_unpacked_tar_is_said(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(sources.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sources.shutil, "disk_usage", lambda path: sources.shutil._ntuple_diskusage(2**30, 2**30, 0))
    sentence = refused(tmp_path, "x.tgz", TGZ)
    assert sentence == f"no room to unpack x.tgz in {tmp_path}: make room or set TMPDIR"


@pytest.mark.parametrize(
    ("target", "outcome"),
    [
        ("inside.jpg", None),
        ("x/../inside.jpg", None),
        ("missing.jpg", "refused"),
        ("link.jpg", "refused"),
        ("x", "refused"),
        (".", "refused"),
        ("../outside.jpg", "refused"),
        ("/etc/hostname", "refused"),
        ("/dev/zero", "refused"),
    ],
)
def test_a_link_may_only_lead_to_a_file_of_the_folder(tmp_path: Path, target: str, outcome: str | None):
    root = written(tmp_path, {"outside.jpg": b"", "root/inside.jpg": b"i", "root/x/a.jpg": b"a"}) / "root"
    (root / "link.jpg").symlink_to(target)
    if outcome is None:
        assert contents(root)["link.jpg"] == b"i"
    else:
        assert refusal(lambda: contents(root)) == (
            f"{root}/link.jpg is a link that is broken, leads to a folder or out of {root}: copy there what it points "
            "to, or remove it"
        )


def test_a_chain_of_links_is_refused(tmp_path: Path):
    for number in range(1500):
        (tmp_path / f"{number}").symlink_to(f"{number + 1}")
    (tmp_path / "1500").write_bytes(b"")
    assert "is a link that is broken" in refusal(lambda: contents(tmp_path))


def test_the_folder_itself_may_be_reached_by_a_link(tmp_path: Path):
    written(tmp_path, {"real/a.jpg": b"a"})
    (tmp_path / "link").symlink_to("real")
    assert contents(tmp_path / "link") == {"a.jpg": b"a"}


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path, monkeypatch, kind: str):
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    if kind == "pipe":
        os.mkfifo("a.jpg")
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind("a.jpg")
    assert refusal(lambda: contents(tmp_path)) == (
        f"{tmp_path}/a.jpg is a device, pipe or socket and no file: remove it"
    )


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (b"a\\b.jpg", r"holds the path 'a\\b.jpg', which leads elsewhere: refused; rename it"),
        (b"C:a.jpg", "holds the path 'C:a.jpg', which leads elsewhere: refused; rename it"),
        (b"a\nb.jpg", r"holds 'a\nb.jpg', whose name is not UTF-8 or has control characters: rename it"),
        (b"\xe9.jpg", r"holds '\udce9.jpg', whose name is not UTF-8 or has control characters: rename it"),
    ],
)
def test_a_name_on_disk_that_would_not_travel_is_refused(tmp_path: Path, name: bytes, sentence: str):
    with open(os.path.join(os.fsencode(tmp_path), name), "wb"):
        pass
    assert refusal(lambda: contents(tmp_path)) == f"{tmp_path} {sentence}"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing", "there is no folder or archive '{path}': No such file or directory"),
        ("a.jpg", "{path} is neither a folder nor a zip or tar archive: name one, or unpack it first"),
        ("pipe.zip", "{path} is neither a folder nor a zip or tar archive: name one, or unpack it first"),
        ("x" * 300, "there is no folder or archive '{path}': File name too long"),
    ],
)
def test_a_source_must_be_a_folder_or_an_archive(tmp_path: Path, name: str, sentence: str):
    written(tmp_path, {"a.jpg": b""})
    os.mkfifo(tmp_path / "pipe.zip")
    assert refusal(lambda: contents(tmp_path / name)) == sentence.format(path=tmp_path / name)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (Path.unlink, "a.jpg cannot be read: No such file or directory"),
        (lambda path: path.write_bytes(b"abcdef"), f"a.jpg has 4 bytes where 3 {ANNOUNCED}"),
        (lambda path: path.write_bytes(b"a"), f"a.jpg has 1 bytes where 3 {ANNOUNCED}"),
    ],
)
def test_a_file_that_changes_after_it_was_listed_is_noticed(tmp_path: Path, change, sentence: str):
    written(tmp_path, {"a.jpg": b"abc"})
    with open_source(tmp_path) as source:
        change(tmp_path / "a.jpg")
        assert refusal(source.files["a.jpg"].read) == sentence


def test_a_file_that_vanishes_while_the_folder_is_listed_is_said(tmp_path: Path, monkeypatch):
    written(tmp_path, {"a.jpg": b"abc"})
    scan = os.scandir

    def scan_and_remove(folder):
        entries = list(scan(folder))
        (tmp_path / "a.jpg").unlink()
        return entries

    monkeypatch.setattr(sources.os, "scandir", scan_and_remove)
    assert refusal(lambda: contents(tmp_path)) == f"{tmp_path}/a.jpg cannot be read: No such file or directory"


@pytest.mark.parametrize("name", ARCHIVES)
def test_a_file_is_not_read_after_its_source_was_closed(tmp_path: Path, name: str):
    written(tmp_path, {name: ARCHIVES[name]})
    with open_source(tmp_path) as source:
        pass
    assert refusal(source.files[f"{name}/images/b.jpg"].read).startswith(f"{name}/images/b.jpg cannot be read: ")
