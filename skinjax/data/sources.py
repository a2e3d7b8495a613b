"""What a user downloaded, as files by path: a folder and the archives in it, read in place, hostile until checked.

Nothing is extracted, so no member can land outside a folder; members that would (absolute or `..` paths, links,
devices) and archives that unpack to absurd sizes are refused all the same, because an honest data set holds none.
"""

import bz2
import contextlib
import dataclasses
import gzip
import lzma
import os
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from skinjax.errors import UserError
from skinjax.files import human_bytes

MOST_FILE_BYTES = 2**29
# An archive may unpack to this many bytes, or to this many times its own size, whichever is more.
MOST_UNPACKED_BYTES, MOST_UNPACKED_RATIO = 2**30, 200
DECOMPRESSORS: dict[str, Callable[..., Any]] = {"gz": gzip.open, "tgz": gzip.open, "bz2": bz2.open, "xz": lzma.open}
ARCHIVE = re.compile(r".+\.(zip|tar|tgz|tar\.gz|tar\.bz2|tar\.xz)", re.IGNORECASE)
DAMAGE = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError, ValueError, RuntimeError)


@dataclasses.dataclass(frozen=True)
class File:
    """A file of a source: its path below the source (through archives), its size, the file on disk that holds it."""

    path: str
    size: int
    origin: Path
    load: Callable[[], bytes] = dataclasses.field(repr=False)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return PurePosixPath(self.path).name

    @property
    def stem(self) -> str:
        """The name without its extension."""
        return PurePosixPath(self.path).stem

    def read(self) -> bytes:
        """The bytes; any number of threads may read."""
        if self.size > MOST_FILE_BYTES:
            raise UserError(f"{self.path} has {human_bytes(self.size)}, more than {human_bytes(MOST_FILE_BYTES)}")
        try:
            data = self.load()
        except DAMAGE as error:
            raise UserError(f"{self.path} cannot be read: {_reason(error)}; download or copy it again") from error
        if len(data) != self.size:
            raise UserError(f"{self.path} has {len(data)} bytes where {self.size} are announced; download it again")
        return data


@dataclasses.dataclass(frozen=True)
class Source:
    """A folder, or one archive: `files` by path in sorted order, those inside archives included.

    table: the path of the one table in it that the user named, if it was not the folder that was named.
    """

    root: Path
    files: Mapping[str, File]
    table: str = ""

    def named(self, pattern: str) -> list[File]:
        """The files whose whole name (not path) matches a regular expression, without regard to case."""
        return [file for file in self.files.values() if re.fullmatch(pattern, file.name, re.IGNORECASE)]


@contextlib.contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """The files of a folder and of the archives in it, or of one archive; open for as long as the context lasts.

    Hidden files and what operating systems leave behind (`__MACOSX`, `Thumbs.db`) are no files here. Archives inside
    archives stay closed.
    """
    with contextlib.ExitStack() as opened:
        files: list[File] = []
        if path.is_dir():
            for file in _folder_files(path.resolve(), path.resolve()):
                inside = _is_archive(file.name)
                files += _archive_files(file.origin, file.path, opened) if inside else [file]
        elif path.is_file() and _is_archive(path.name):
            files = _archive_files(path, path.name, opened)
        elif path.exists():
            raise UserError(f"{path} is neither a folder nor a zip or tar archive")
        else:
            raise UserError(f"there is no folder or archive {str(path)!r}")
        yield Source(path, {file.path: file for file in sorted(files, key=lambda file: file.path)})


def is_closed_archive(file: File) -> bool:
    """Whether a file is an archive inside an archive, which `open_source` leaves closed."""
    return _is_archive(file.name)


def _folder_files(folder: Path, root: Path) -> Iterator[File]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror or error}") from error
    for entry in entries:
        path = Path(entry.path)
        if _is_junk(entry.name):
            continue
        if entry.is_symlink() and not _link_stays_inside(path, root):
            raise UserError(
                f"{path} is a link to a folder or out of {root}: copy there what it points to, or remove it"
            )
        if entry.is_dir():
            yield from _folder_files(path, root)
        elif entry.is_file():
            shown = path.relative_to(root).as_posix()
            yield File(_checked_name(shown, str(folder)), entry.stat().st_size, path, path.read_bytes)
        else:
            raise UserError(f"{path} is a device, pipe or socket and no file: remove it")


def _link_stays_inside(link: Path, root: Path) -> bool:
    target = Path(os.path.realpath(link))
    return target.is_file() and target.is_relative_to(root)


def _archive_files(path: Path, shown: str, opened: contextlib.ExitStack) -> list[File]:
    """The files of an archive on disk, each checked; `shown` is what errors and paths call it."""
    list_files = _zip_files if shown.lower().endswith(".zip") else _tar_files
    try:
        files = list_files(path, shown, opened)
    except DAMAGE as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{shown} is damaged or no archive: {_reason(error)}; download it again") from error
    unpacked, most = sum(file.size for file in files), _most_unpacked(path)
    if unpacked > most:
        raise UserError(
            f"{shown} would unpack from {human_bytes(path.stat().st_size)} to {human_bytes(unpacked)}: refused as an "
            "archive bomb"
        )
    seen: set[str] = set()
    for file in files:
        if file.path in seen:
            raise UserError(f"{shown} holds {file.path!r} twice: make the archive anew")
        seen.add(file.path)
    return files


def _zip_files(path: Path, shown: str, opened: contextlib.ExitStack) -> list[File]:
    archive = opened.enter_context(zipfile.ZipFile(path))
    files = []
    for member in archive.infolist():
        name = _checked_name(member.orig_filename, shown)
        kind = stat.S_IFMT(member.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UserError(f"{shown} holds {name!r}, a link or device: refused; make the archive anew without it")
        if member.flag_bits & 1:
            raise UserError(f"{shown} holds {name!r} encrypted: unpack it with its password first")
        if not member.is_dir() and not any(map(_is_junk, name.split("/"))):
            read = _ZipMember(archive, member)
            files.append(File(f"{shown}/{name}", member.file_size, path, read))
    return files


@dataclasses.dataclass(frozen=True)
class _ZipMember:
    archive: zipfile.ZipFile
    member: zipfile.ZipInfo

    def __call__(self) -> bytes:
        return self.archive.read(self.member)


def _tar_files(path: Path, shown: str, opened: contextlib.ExitStack) -> list[File]:
    plain = _plain_tar(path, shown, opened)
    files = []
    with tarfile.open(fileobj=plain, mode="r:") as archive:
        for member in archive:
            name = _checked_name(member.name.removeprefix("./"), shown)
            if not member.isdir() and (not member.isreg() or member.sparse is not None):
                raise UserError(f"{shown} holds {name!r}, a link or device: refused; make the archive anew without it")
            if member.isreg() and not any(map(_is_junk, name.split("/"))):
                read = _TarMember(plain.fileno(), member.offset_data, member.size)
                files.append(File(f"{shown}/{name}", member.size, path, read))
    return files


@dataclasses.dataclass(frozen=True)
class _TarMember:
    descriptor: int
    offset: int
    size: int

    def __call__(self) -> bytes:
        return os.pread(self.descriptor, self.size, self.offset)


def _plain_tar(path: Path, shown: str, opened: contextlib.ExitStack) -> IO[bytes]:
    """An uncompressed tar to read from anywhere: the file itself, or an unnamed temporary copy."""
    decompress = DECOMPRESSORS.get(shown.lower().rpartition(".")[2])
    if decompress is None:
        return opened.enter_context(path.open("rb"))
    plain = opened.enter_context(contextlib.closing(tempfile.TemporaryFile()))
    most = _most_unpacked(path)
    with decompress(path) as packed:
        while chunk := packed.read(2**20):
            if plain.tell() + len(chunk) > most:
                raise UserError(f"{shown} unpacks to more than {human_bytes(most)}: refused as an archive bomb")
            if shutil.disk_usage(tempfile.gettempdir()).free < 2**26:
                raise UserError(f"no room to unpack {shown} in {tempfile.gettempdir()}: make room or set TMPDIR")
            plain.write(chunk)
    plain.flush()
    plain.seek(0)
    return plain


def _most_unpacked(path: Path) -> int:
    return max(MOST_UNPACKED_BYTES, MOST_UNPACKED_RATIO * path.stat().st_size)


def _checked_name(name: str, where: str) -> str:
    """A member's path, which must stay below where it is."""
    parts = name.rstrip("/").split("/")
    if "\\" in name or "\0" in name or re.match(r"[A-Za-z]:", name) or any(part in ("", "..") for part in parts):
        raise UserError(f"{where} holds the path {name!r}, which leads elsewhere: refused; make the archive anew")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UserError(f"{where} holds {name!r}, whose name is not UTF-8: rename it") from None
    return "/".join(part for part in parts if part != ".")


def _is_archive(name: str) -> bool:
    return ARCHIVE.fullmatch(name) is not None


def _is_junk(name: str) -> bool:
    return (name.startswith(".") and name != ".") or name in ("__MACOSX", "Thumbs.db", "desktop.ini")


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
