"""What a user downloaded, as files by path: a folder and the archives in it, read in place, hostile until checked.

Nothing is extracted, so no member can land outside a folder; members that would (absolute or `..` paths, links,
devices) and archives that unpack to absurd sizes are refused all the same, because an honest data set holds none.
"""

import contextlib
import dataclasses
import errno
import functools
import gzip
import io
import os
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from skinjax.core.errors import UserError
from skinjax.core.files import human_bytes

MOST_FILE_BYTES = 2**29
# An archive may unpack to this many bytes, or to this many times its own size, whichever is more.
MOST_UNPACKED_BYTES, MOST_UNPACKED_RATIO = 2**30, 200
MOST_FILES = 10**6
# What may stand before a member of a tar (long names, attributes, sparse maps), and what is copied to each.
MOST_HEADER_BYTES, MOST_GLOBAL_HEADERS = 2**18, 100
ARCHIVE = re.compile(r".+\.(zip|tar|tgz|tar\.gz)", re.IGNORECASE)
JUNK = ("__macosx", "thumbs.db", "desktop.ini", "icon\r")


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
            raise UserError(f"{self.path} has more than {human_bytes(MOST_FILE_BYTES)}: no image or table is so large")
        try:
            data = self.load()
        except Exception as error:  # what reads hostile bytes raises anything
            raise UserError(f"{self.path} cannot be read: {_reason(error)}") from error
        if len(data) != self.size:
            raise UserError(f"{self.path} has {len(data):,} bytes where {self.size:,} were announced; get it again")
        return data


@dataclasses.dataclass(frozen=True)
class Source:
    """A folder, or one archive: `files` by path in sorted order, those inside archives included.

    table: the path of a table in it, if the user named that and not the folder.
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
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise UserError(f"there is no folder or archive {str(path)!r}: {_reason(error)}") from error
    with contextlib.ExitStack() as opened:
        files: list[File] = []
        if stat.S_ISDIR(mode):
            for file in _folder_files(path.resolve()):
                files += _archive_files(file.origin, file.path, opened) if ARCHIVE.fullmatch(file.name) else [file]
        elif stat.S_ISREG(mode) and ARCHIVE.fullmatch(path.name):
            files = _archive_files(path.resolve(), path.name, opened)
        else:
            raise UserError(f"{path} is neither a folder nor a zip or tar archive: name one, or unpack it first")
        yield Source(path.absolute(), {file.path: file for file in sorted(files, key=lambda file: file.path)})


def open_photographs(path: Path, opened: contextlib.ExitStack) -> list[File]:
    """The photographs at `path`, with whole paths: those of a source, or a file that is no archive."""
    if os.path.isfile(path) and not ARCHIVE.fullmatch(path.name):
        return [_on_disk(path, str(path), path.stat().st_size)]
    source = opened.enter_context(open_source(path))
    above = path.parent if path.is_file() else path
    found = [dataclasses.replace(file, path=str(above / file.path)) for file in pictures(source)]
    if not found:
        archives = [file.path for file in source.files.values() if ARCHIVE.fullmatch(file.name)]
        closed = f", but {archives[0]}: unpack that" if archives else ": name a photograph, a folder or an archive"
        raise UserError(f"there are no photographs in {path}{closed}")
    return found


def images(source: Source) -> list[File]:
    """The files whose names are those of photographs (their bytes are judged when they are decoded)."""
    return [file for file in source.files.values() if is_image(file)]


def is_image(file: File) -> bool:
    """Whether a file's name is that of a photograph."""
    return file.name.lower().endswith(tuple(FORMAT_OF_SUFFIX))


def pictures(source: Source) -> list[File]:
    """`images`, and those in formats that are not read: in one's own data none is to be passed over in silence."""
    return [file for file in source.files.values() if is_image(file) or OTHER_PICTURES.fullmatch(file.name)]


OTHER_PICTURES = re.compile(r".+\.(gif|hei[cf]|avif|jp2|j2k|jxl|psd|dcm|dng|cr[23]|nef|arw|orf|rw2|raf)", re.IGNORECASE)
FORMAT_OF_SUFFIX = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    ".png": "PNG",
    ".webp": "WEBP",
    **dict.fromkeys((".bmp", ".dib"), "BMP"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
}


def _folder_files(root: Path) -> list[File]:
    files, folders = [], [""]
    try:
        for folder in folders:  # grows while it is walked: no depth is too deep
            for entry in sorted(os.scandir(root / folder), key=lambda entry: entry.name):
                shown = _kept_path(folder + entry.name, str(root))
                if shown is None:
                    continue
                path = Path(entry.path)
                if entry.is_symlink() and not (path.is_file() and path.resolve().is_relative_to(root)):
                    raise UserError(
                        f"{path} is a link that is broken, leads to a folder or out of {root}: copy there what it "
                        "points to, or remove it"
                    )
                status = entry.stat()
                if stat.S_ISDIR(status.st_mode):
                    folders.append(f"{shown}/")
                elif stat.S_ISREG(status.st_mode):
                    files.append(_on_disk(path, shown, status.st_size))
                else:
                    raise UserError(f"{path} is a device, pipe or socket and no file: remove it")
    except OSError as error:
        raise UserError(f"{error.filename or root} cannot be read: {_reason(error)}") from error
    return files


def _on_disk(path: Path, shown: str, size: int) -> File:
    def read() -> bytes:
        with path.open("rb") as file:
            return file.read(size + 1)  # a file that grew is noticed, not read whole

    return File(shown, size, path, read)


def _archive_files(path: Path, shown: str, opened: contextlib.ExitStack) -> list[File]:
    """The files of an archive on disk, each checked; `shown` is what errors and paths call it."""
    members = _zip_files if shown.lower().endswith(".zip") else _tar_files
    files: dict[str, File] = {}
    unpacked, most = 0, _most_unpacked(path)
    try:
        for file in members(path, shown, opened):
            if file.path in files:
                raise UserError(f"{shown} holds {file.path.removeprefix(f'{shown}/')!r} twice: make the archive anew")
            files[file.path] = file
            unpacked += file.size
            if unpacked > most or len(files) > MOST_FILES:
                raise UserError(
                    f"{shown} would unpack from {human_bytes(path.stat().st_size)} to more than {human_bytes(most)} or "
                    f"{MOST_FILES:,} files: refused as an archive bomb"
                )
    except UserError:
        raise
    except Exception as error:  # what reads hostile bytes raises anything
        raise UserError(f"{shown} cannot be read as an archive: {_reason(error)}") from error
    return list(files.values())


def _zip_files(path: Path, shown: str, opened: contextlib.ExitStack) -> Iterator[File]:
    archive = opened.enter_context(zipfile.ZipFile(path))
    for member in archive.infolist():
        if member.comment.startswith(b"PK\1\2"):  # a damaged length would hide the members behind it
            raise zipfile.BadZipFile("a member's comment swallows the next member")
        name = member.orig_filename
        inside = _kept_path(name, shown)
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UserError(f"{shown} holds {name!r}, a link or device: refused; make the archive anew without it")
        if not inside or name.endswith("/"):
            continue
        if member.flag_bits & 1:
            raise UserError(f"{shown} holds {name!r} encrypted: unpack it with its password first")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UserError(f"{shown} holds {name!r} in compression method {member.compress_type}: use deflate")
        yield File(f"{shown}/{inside}", member.file_size, path, functools.partial(_read_from_zip, archive, member))


def _read_from_zip(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as file:
        return file.read(member.file_size + 1)  # without a limit zipfile inflates all there is, whatever was announced


def _tar_files(path: Path, shown: str, opened: contextlib.ExitStack) -> Iterator[File]:
    plain = opened.enter_context(_plain_tar(path, shown))
    headers = _TarHeaders(io.FileIO(plain.fileno(), closefd=False))
    with tarfile.open(fileobj=headers, mode="r:") as archive:
        while (member := archive.next()) is not None:
            if len(archive.pax_headers) > MOST_GLOBAL_HEADERS:
                raise tarfile.ReadError("a header of absurd length")
            headers.left = MOST_HEADER_BYTES
            archive.members.clear()  # type: ignore[attr-defined]  # each keeps a copy of all global headers
            inside = _kept_path(member.name, shown)
            if not member.isdir() and (not member.isreg() or member.sparse is not None or member.size < 0):
                raise UserError(
                    f"{shown} holds {member.name!r}, a link, device or sparse file: make the archive anew without it"
                )
            if inside and member.isreg():
                read = functools.partial(os.pread, plain.fileno(), member.size, member.offset_data)
                yield File(f"{shown}/{inside}", member.size, path, read)
        # tarfile takes a damaged header for the end.
        if not _only_zeros(plain, archive.offset):
            raise tarfile.ReadError(f"no header and no end at byte {archive.offset}")


class _TarHeaders(io.BufferedReader):
    """A tar as `tarfile` reads it, which believes any length a header announces: few bytes at a time."""

    left = MOST_HEADER_BYTES

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= self.left:
            raise tarfile.ReadError("a header of absurd length")
        self.left -= size
        return super().read(size)


def _only_zeros(file: IO[bytes], offset: int) -> bool:
    """Whether nothing but zeros, and at least a block of them, follows: the end of a tar."""
    position = offset
    while chunk := os.pread(file.fileno(), 2**20, position):
        if chunk.strip(b"\0"):
            return False
        position += len(chunk)
    return position >= offset + tarfile.BLOCKSIZE


@contextlib.contextmanager
def _plain_tar(path: Path, shown: str) -> Iterator[IO[bytes]]:
    """An uncompressed tar to read from anywhere: the file itself, or an unnamed temporary copy."""
    if shown.lower().endswith(".tar"):
        with path.open("rb") as plain:
            yield plain
        return
    most = _most_unpacked(path)
    with tempfile.TemporaryFile() as plain:
        with gzip.open(path) as packed:
            while chunk := packed.read(2**20):
                if plain.tell() + len(chunk) > most:
                    raise UserError(f"{shown} unpacks to more than {human_bytes(most)}: refused as an archive bomb")
                if shutil.disk_usage(tempfile.gettempdir()).free < 2**26:
                    raise UserError(f"no room to unpack {shown} in {tempfile.gettempdir()}: make room or set TMPDIR")
                plain.write(chunk)
        plain.seek(0)
        yield plain


def _most_unpacked(path: Path) -> int:
    return max(MOST_UNPACKED_BYTES, MOST_UNPACKED_RATIO * path.stat().st_size)


def _kept_path(name: str, where: str) -> str | None:
    """A member's path, which must stay below `where`; None for what operating systems leave behind."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if re.match(r"/|[A-Za-z]:", name) or ".." in parts or "\\" in name or "\0" in name:
        raise UserError(f"{where} holds the path {name!r}, which leads elsewhere: refused; rename it")
    if any(part.startswith(".") or part.lower() in JUNK for part in parts):
        return None
    if re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", name):
        raise UserError(f"{where} holds {name!r}, whose name is not UTF-8 or has control characters: rename it")
    return "/".join(parts)


def _reason(error: Exception) -> str:
    """Why something cannot be read, and what to do if it is damaged."""
    if isinstance(error, OSError) and error.strerror and error.errno != errno.EINVAL:  # which means a damaged offset
        return error.strerror
    return f"{str(error) or type(error).__name__}; download or copy it again"
