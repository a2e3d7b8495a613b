"""Open a safetensors file with suspicion: report what is wrong in one sentence, and read a tensor only when asked.

The safetensors package checks lengths, offsets and coverage; here are what it leaves open and what people mistake for
such a file.
"""

import json
import os
import shlex
import stat
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load, save

from skinjax.core.errors import UserError, os_errors_as_user_errors
from skinjax.core.hashes import sha256_of

WEIGHTS_FILE = "model.safetensors"  # on the hub, and of a run, which leaves the other beside it
MODEL_FILE = "model.json"
PYTORCH_ENDINGS = (".pth", ".pt", ".bin", ".ckpt", ".pkl", ".tar")
READABLE = ("F16", "BF16", "F32", "F64", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "BOOL")
WEB_PAGE = "is a web page: download the file behind the page (on the hub, `resolve` in the place of `blob`)"
POINTER = "is the pointer of a large file and not the file: run `git lfs pull`, or download the file itself"
# How files that are something else begin.
MISTAKEN = {
    b"version https://git-lfs": POINTER,
    b"<!doctype": WEB_PAGE,
    b"<html": WEB_PAGE,
    b"\x89hdf": "is a Keras file: skinjax reads the safetensors files of timm",
    b"\x1f\x8b": "is compressed with gzip: unpack it first",
    b"gguf": "is a GGUF file: skinjax reads the safetensors files of timm",
}
PYTORCH_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04")


class WeightFile(Mapping[str, np.ndarray]):
    """The tensors of a file by name, each read when it is asked for."""

    def __init__(self, path: Path):
        self.path = path
        self._file = _opened(path)
        self.metadata: dict[str, str] = self._file.metadata() or {}
        tensors = {name: self._file.get_slice(name) for name in self._file.offset_keys()}
        self.shapes = {name: tuple(tensor.get_shape()) for name, tensor in tensors.items()}
        self.dtypes = {name: tensor.get_dtype() for name, tensor in tensors.items()}
        _check_names(self.shapes, str(path))
        for name, dtype in self.dtypes.items():
            if dtype not in READABLE:
                raise UserError(f"{path} holds numbers of type {dtype} ({name}); timm's files hold F32, F16 or BF16")

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.shapes:
            raise KeyError(name)
        return self._file.get_tensor(name)

    def __contains__(self, name: object) -> bool:
        return name in self.shapes

    def __iter__(self) -> Iterator[str]:
        return iter(self.shapes)

    def __len__(self) -> int:
        return len(self.shapes)


def open_weights(path: str | os.PathLike) -> WeightFile:
    """The file at `path`, whole and of the right kind, or a `UserError`.

    >>> open_weights("resnet50.a1_in1k.safetensors")["fc.weight"].shape  # doctest: +SKIP
    (1000, 2048)
    """
    path = Path(path).expanduser()
    check_is_file(path)
    with os_errors_as_user_errors(f"{path} cannot be read"):
        return WeightFile(path)


def tensors_of(data: bytes, where: str) -> dict[str, np.ndarray]:
    """The tensors of a file that was read, by name; `where` is what errors call it."""
    try:
        found = load(data)
    except (SafetensorError, KeyError, ValueError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        raise UserError(f"{where} holds no tensors that can be read ({str(error)[:200]}): get it again") from error
    _check_names(found, where)
    return found


def _check_names(names: Iterable[str], where: str) -> None:
    for name in names:
        if not name.isprintable() or len(name) > 200:
            raise UserError(f"{where} holds a tensor of the name {name[:200]!r}, as no network has: get it again")


def weights_at(path: Path) -> Path:
    """The file of weights at a path, which may be the folder of a finished run."""
    return path / WEIGHTS_FILE if (path / MODEL_FILE).is_file() else path


def as_safetensors(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file; the same tensors and metadata always give the same bytes."""
    data = save(dict(tensors), metadata=dict(metadata))
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8:end]), sort_keys=True, separators=(",", ":")).encode()  # theirs is shuffled
    header += b" " * (-len(header) % 8)
    return b"".join([len(header).to_bytes(8, "little"), header, memoryview(data)[end:]])


def check_is_file(path: Path) -> None:
    """Refuse a path that is missing, is no file, or ends as PyTorch's files do."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        seen_from = "" if path.is_absolute() else f" (seen from {Path.cwd()})"
        raise UserError(f"there is no file of weights {str(path)!r}{seen_from}: {reason}") from error
    if stat.S_ISDIR(mode):
        inside = " (model.safetensors is in it)" if (path / "model.safetensors").is_file() else ""
        raise UserError(f"{path} is a folder{inside} and no finished run: name the file of weights itself")
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is a device, pipe or socket and no file of weights")
    if path.name.lower().endswith(PYTORCH_ENDINGS):
        raise UserError(_convert(path))


def check_sha256(path: Path, claims: Mapping[str, str], remedy: str = "delete it and get it again") -> str:
    """The sha256 of a file, checked against `claims`: {who states it: sha256, or '' if unknown}."""
    with os_errors_as_user_errors(f"{path} cannot be read"):
        found = sha256_of(path)
    for says, expected in claims.items():
        if expected and found != expected:
            raise UserError(
                f"{path} has the sha256 {found} and {says} says {expected}: it is another or a damaged file; {remedy}"
            )
    return found


def _opened(path: Path) -> Any:
    with path.open("rb") as file:
        start = file.read(64)
    if start[8:9] != b"{":
        raise UserError(_mistaken(path, start))
    try:
        return safe_open(path, "numpy").__enter__()
    except SafetensorError as error:
        reason = str(error).rpartition("header: ")[2]
        if "not fully covered" in reason:
            reason = "it is cut short, or longer than its tensors"
        raise UserError(f"{path} is no intact safetensors file ({reason}); download it again") from error


def _mistaken(path: Path, start: bytes) -> str:
    """Explain what a file is that does not begin as a safetensors file, and what to do with it."""
    if not start:
        return f"{path} is empty; download or copy it again"
    for beginning, what in MISTAKEN.items():
        if start.lstrip().lower().startswith(beginning):
            return f"{path} {what}"
    if zipfile.is_zipfile(path) and not _holds_a_pickle(path):
        return f"{path} is a zip archive: unpack it first"
    if start.startswith(PYTORCH_STARTS):
        return _convert(path)
    return f"{path} is no safetensors file (it does not begin with a header); download or copy it again"


def _holds_a_pickle(path: Path) -> bool:
    """Whether a zip archive is one of PyTorch's."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return True


def _convert(path: Path) -> str:
    target = path.with_suffix(".safetensors")
    if target == path:
        target = path.with_name(f"{path.stem}_converted.safetensors")
    return (
        f"{path} is PyTorch's, and opening such a file can run any program that is in it: convert it once, where torch "
        f"is installed, with `python tools/convert_weights.py {shlex.quote(str(path))} {shlex.quote(str(target))}`"
    )
