"""Give hostile bytes to what reads images, bundles and requests, for so many seconds: none may make it fail.

    python tools/fuzz.py --seconds=600 [--targets=images,bundles,http] [--seed=0] [--folder=runs/fuzz]

Each target takes its share of the time. What was tried and what came is added up in FOLDER/counts.json, so that several
runs (with other seeds) make one figure; an input after which anything else came is kept in FOLDER, by its digest.
"""

import argparse
import contextlib
import copy
import io
import json
import os
import socket
import sys
import time
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from skinjax.core.errors import UserError
from skinjax.core.files import write_atomically
from skinjax.core.hashes import digest_of
from skinjax.data.acquire.decoding import decode
from skinjax.deploy.bundle import MANIFEST, open_bundle

Rng = np.random.Generator
Attempt = Callable[[bytes], None]
Source = Callable[[Rng], bytes]
# From a folder to work in, and what is closed at the end.
Target = Callable[[Path, contextlib.ExitStack], tuple[Source, Attempt]]
# What stands for anything in JSON.
ODD: list[Any] = [None, True, -1, 0, 1e308, 2**63, "", "\x00", "../x", "<b>", "\ud800", [], {}, [[]], "nv" * 99]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--targets", default=",".join(TARGETS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("runs/fuzz"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    names = options.targets.split(",")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff tells the terminal what it thinks of each picture
    for name in names:
        found = fuzzed(TARGETS[name], options.seconds / len(names), options.seed, options.folder / name)
        add(options.folder / "counts.json", name, found)
        print(f"{name}: {sum(found.values()):,} inputs: {dict(found.most_common())}", flush=True)


def fuzzed(target: Target, seconds: float, seed: int, folder: Path) -> Counter[str]:
    """What came of the inputs of so many seconds: read, refused, or the name of an error that must not be."""
    folder.mkdir(exist_ok=True)
    rng, found = np.random.default_rng(seed), Counter[str]()
    with contextlib.ExitStack() as held:
        make, attempt = target(folder, held)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            data = make(rng)
            try:
                attempt(data)
                found["read"] += 1
            except UserError as error:
                found["refused" if "\n" not in str(error) else "refused in several lines"] += 1
            except Exception as error:
                found[type(error).__name__] += 1
                stem = digest_of(data)[:12]
                (folder / f"{stem}.bin").write_bytes(data)
                (folder / f"{stem}.txt").write_text(traceback.format_exc())
    return found


def add(path: Path, name: str, found: Counter[str]) -> None:
    """Add what came to the figures of a file."""
    counts = json.loads(path.read_text()) if path.exists() else {}
    counts[name] = Counter(counts.get(name, {})) + found
    write_atomically(path, json.dumps(counts, indent=1))


def mutated(data: bytes, rng: Rng) -> bytes:
    """Bytes with some changed, cut, doubled or set to extremes, more often near the beginning, where headers are."""
    out = bytearray(data)
    for _ in range(rng.integers(1, 6)):
        place = int(len(out) * rng.random() ** 2)
        length = int(rng.integers(1, 9))
        match rng.integers(6):
            case 0:
                out[place : place + length] = rng.bytes(len(out[place : place + length]))
            case 1:
                out[place : place + length] = bytes([rng.choice([0, 255, 127, 128])]) * len(out[place : place + length])
            case 2:
                del out[place : place + int(rng.integers(1, 64))]
            case 3:
                out[place:place] = out[place : place + int(rng.integers(1, 64))]
            case 4:
                out[place:place] = rng.bytes(length)
            case _:
                del out[place : None if rng.random() < 0.3 else place + 1]
    return bytes(out)


def images(folder: Path, held: contextlib.ExitStack) -> tuple[Source, Attempt]:
    """Small pictures of every format that is read, changed."""
    corpus = list(pictures())

    def attempt(data: bytes) -> None:
        pixels = decode(data, (20, 24), fit="squash", filter="bilinear", name="fuzzed")
        assert pixels.shape == (20, 24, 3)

    return lambda rng: mutated(corpus[rng.integers(len(corpus))], rng), attempt


def pictures() -> Iterator[bytes]:
    """Whole pictures: modes, compressions, orientations."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (24, 16, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = [
        *((mode, "JPEG", {"quality": 80}) for mode in ("RGB", "L", "CMYK")),
        ("RGB", "JPEG", {"progressive": True, "exif": exif}),
        *((mode, "PNG", {}) for mode in ("RGB", "RGBA", "L", "LA", "P", "1")),
        *((mode, "WEBP", {"lossless": lossless}) for mode in ("RGB", "RGBA") for lossless in (False, True)),
        *((mode, "BMP", {}) for mode in ("RGB", "L", "P")),
        *(("RGB", "TIFF", {"compression": kind}) for kind in ("raw", "tiff_lzw", "jpeg", "tiff_adobe_deflate")),
        ("CMYK", "TIFF", {}),
    ]
    for mode, format_, options in kinds:
        file = io.BytesIO()
        colour.convert(mode).save(file, format_, **options)
        yield file.getvalue()


def bundles(folder: Path, held: contextlib.ExitStack) -> tuple[Source, Attempt]:
    """A bundle of a tiny network: its bytes changed, or its manifest or tensors with their digests made to fit."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from skinjax.deploy.bundle import write_bundle
    from skinjax.deploy.making import drawn_examples
    from tests.deploy.conftest import DECISIONS
    from tests.test_model import drawn

    path = folder / "model.skinjax"
    write_bundle(path, drawn(), decisions=DECISIONS, unlike_from=None, card="# Card\n", examples=drawn_examples()[:1])
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}

    def make(rng: Rng) -> bytes:
        if rng.random() < 0.4:
            return mutated(whole, rng)
        changed = dict(files)
        manifest = json.loads(changed[MANIFEST])
        if rng.random() < 0.5:
            name = str(rng.choice([name for name in changed if name != MANIFEST]))
            changed[name] = mutated(changed[name], rng)
            manifest["files"][name] = digest_of(changed[name])
        for _ in range(rng.integers(0, 3)):
            put_odd(manifest, rng)
        changed[MANIFEST] = json.dumps(manifest).encode()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name, data in changed.items():
                archive.writestr(name, data)
        return packed.getvalue()

    def attempt(data: bytes) -> None:
        path.write_bytes(data)
        open_bundle(path)

    return make, attempt


def http(folder: Path, held: contextlib.ExitStack) -> tuple[Source, Attempt]:
    """Requests to a server on a port of its own, changed: each is answered or its connection closed, and none fails."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.deploy.serving import serving, write_tiny

    url, _ = held.enter_context(serving(write_tiny(folder / "model.skinjax")))
    host, port = url.removeprefix("http://").split(":")
    corpus = list(pictures())

    def make(rng: Rng) -> bytes:
        path = rng.choice(["/api/predict", "/api/table", "/api/explain", "/", "/api/model", "/openapi.json"])
        parts = [corpus[rng.integers(len(corpus))] for _ in range(rng.integers(0, 3))]
        body = b"".join(
            b'--B\r\nContent-Disposition: form-data; name="photographs"; filename="a.png"\r\n\r\n%s\r\n' % part
            for part in parts
        )
        body += b"--B--\r\n"
        head = f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: multipart/form-data; boundary=B\r\n"
        if rng.random() < 0.5:
            body = mutated(body, rng)
        whole = f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
        return mutated(whole, rng) if rng.random() < 0.6 else whole

    def attempt(data: bytes) -> None:
        answer = b""
        with contextlib.suppress(ConnectionError), socket.create_connection((host, int(port)), timeout=0.5) as at:
            at.sendall(data)
            with contextlib.suppress(TimeoutError):  # what waits for more is told that there is no more
                answer = everything(at)
            if not answer:
                at.settimeout(30)
                at.shutdown(socket.SHUT_WR)
                answer = everything(at)
        if not answer:
            raise UserError("closed")
        status = int(answer.split(b" ", 2)[1])
        if status != 200:
            assert status in (400, 403, 404, 405, 408, 411, 413, 415, 421, 422, 431, 503), answer[:500]
            raise UserError(str(status))

    return make, attempt


def everything(at: socket.socket) -> bytes:
    """What comes until the connection is closed."""
    answer = b""
    while chunk := at.recv(2**16):
        answer += chunk
    return answer


def put_odd(tree: Any, rng: Rng) -> None:
    """Put something odd in one place of a tree of JSON."""
    while True:
        keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        if not keys:
            return
        key = keys[rng.integers(len(keys))]
        if isinstance(tree[key], dict | list) and tree[key] and rng.random() < 0.85:
            tree = tree[key]
            continue
        tree[key] = copy.deepcopy(ODD[rng.integers(len(ODD))])
        return


TARGETS = {"images": images, "bundles": bundles, "http": http}


if __name__ == "__main__":
    main()
