"""What encoded bytes say of themselves before any pixel is decoded: their format, size and EXIF orientation.

Read here and not by Pillow where Pillow would warn, allocate or try other formats first; and it takes microseconds.
"""

import re
import struct
from collections.abc import Iterator
from typing import Literal, NamedTuple

Fault = Literal["empty", "truncated", "unreadable", "unsupported", "huge"]


class FaultError(Exception):
    """Why bytes cannot be decoded: the kind of fault, and a clause that continues "it cannot be decoded:"."""

    def __init__(self, fault: Fault, reason: str):
        super().__init__(reason)
        self.fault: Fault = fault
        self.reason = reason


# How files begin: those of the formats that are read, and those that people mistake for a photograph.
READ = {
    "JPEG": rb"\xff\xd8\xff",
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "WEBP": rb"RIFF.{4}WEBP",
    "BMP": rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0",
    "TIFF": rb"II[*+]\0(?!.{4}CR)|MM\0[*+]",
}
NOT_READ = {
    "a GIF": rb"GIF8",
    "a HEIC picture": rb".{4}ftyp(hei|hev|mif1|msf1)",
    "an AVIF picture": rb".{4}ftypavi",
    "a JPEG 2000": rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51",
    "a JPEG XL": rb"\0\0\0\x0cJXL |\xff\x0a",
    "a camera's raw file": rb"II\*\0.{4}CR|.{4}ftypcrx|FUJIFILMCCD-RAW|II\x55\0|IIR[OS]",
    "a Photoshop document": rb"8BPS",
    "a PDF": rb"%PDF",
    "PostScript": rb"%!PS",
    "a DICOM file": rb".{128}DICM",
    "an SVG drawing": rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*)?(<!--.{0,300}?-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg",
}
NO_PICTURES = {
    "a web page": rb"(\xef\xbb\xbf)?\s*<(!doctype html|html|head|body)",
    "a pointer of Git LFS to the file": rb"version https://git-lfs",
    "an archive": rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!",
    "a video": rb".{4}ftyp",
}


def image_format(data: bytes) -> str:
    """The format, a key of `READ`, by the first bytes.

    >>> image_format(bytes.fromhex("ffd8ffe0"))
    'JPEG'
    """
    if not data:
        raise FaultError("empty", "it is empty")
    for format_, pattern in READ.items():
        if re.match(pattern, data[:32], re.DOTALL):
            return format_
    for kinds, fault in FAULTS_OF_OTHERS:
        for kind, pattern in kinds.items():
            if re.match(pattern, data[:1024], re.DOTALL | re.IGNORECASE):
                raise FaultError(fault, f"it is {kind}")
    raise FaultError("unreadable", f"it is not an image ({', '.join(READ)} are read)")


FAULTS_OF_OTHERS: tuple[tuple[dict[str, bytes], Fault], ...] = ((NOT_READ, "unsupported"), (NO_PICTURES, "unreadable"))


class JpegHeader(NamedTuple):
    """Of a JPEG: its size as stored, its components (1 grey, 3 colour, 4 CMYK) and its EXIF orientation."""

    width: int
    height: int
    components: int
    orientation: int


def jpeg_header(data: bytes) -> JpegHeader:
    """The header of a JPEG; of several pictures in one file (MPO), that of the first."""
    frame, exif, marker = b"", b"", 0
    for marker, start, end in jpeg_segments(data):
        if end > len(data):
            raise FaultError("truncated", "it is truncated within its header")
        if marker in FRAMES:
            frame = data[start:end]
        elif marker == APP1 and not exif and data.startswith(b"Exif\0\0", start):
            exif = data[start:end]
    if marker != START_OF_SCAN:
        raise FaultError("truncated", "it is truncated before its pixels")
    if len(frame) < 6:
        raise FaultError("unreadable", "its size is missing")
    bits, height, width, components = struct.unpack_from(">BHHB", frame)
    if bits != 8 or components not in (1, 3, 4):
        raise FaultError("unsupported", f"it is a JPEG of {components} components of {bits} bits")
    return JpegHeader(width, height, components, exif_orientation(exif))


APP1, APP2, START_OF_SCAN = 0xE1, 0xE2, 0xDA
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of each segment's content up to the first scan, whose own segment comes last."""
    at = 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 4 <= len(data):
        marker = data[at + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD9:  # fill bytes and markers without content
            at += 1
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        yield marker, at + 4, end
        if marker == START_OF_SCAN:
            return
        at = max(end, at + 4)


def exif_orientation(exif: bytes) -> int:
    """The orientation, 1 to 8, of a block of EXIF; 1 where the block is silent, damaged or says nonsense.

    >>> exif_orientation(bytes.fromhex("4d4d002a00000008 0001 0112 0003 00000001 0006 0000"))
    6
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}L", exif, 4)
        (entries,) = struct.unpack_from(f"{order}H", exif, start)
        for entry in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(f"{order}HHL", exif, entry)
            if tag == ORIENTATION and count == 1 and kind in INTEGERS:
                (value,) = struct.unpack_from(order + INTEGERS[kind], exif, entry + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:  # the block ends too early
        pass
    return 1


ORIENTATION = 0x0112
INTEGERS = {3: "H", 4: "L"}


def webp_size(data: bytes) -> tuple[int, int]:
    """(width, height) of a WebP's canvas, which its decoder allocates as soon as it is opened."""
    if len(data) < max(30, 8 + int.from_bytes(data[4:8], "little")):
        raise FaultError("truncated", "it is truncated")
    chunk = data[12:16]
    if chunk == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if chunk == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def refuse_cut_tiff(data: bytes) -> None:
    """Refuse a TIFF that ends before its directory, which tends to stand at its end."""
    first = int.from_bytes(data[4:8], "little" if data[:2] == b"II" else "big")
    if 42 in data[2:4] and first + 2 > len(data):
        raise FaultError("truncated", f"it is truncated: {len(data)} bytes of more than {first}")
