"""CIFAR-10 (paper 002's baseline) from its binary files, or from a folder of pictures per class."""

import dataclasses
import io

import numpy as np
from PIL import Image

from skinjax.core.errors import UserError
from skinjax.data.acquire.builders.base import Listing, make_listing, one_table, remedy
from skinjax.data.acquire.builders.folder import read_folder
from skinjax.data.acquire.catalogue import CATALOGUE
from skinjax.data.acquire.sources import File, Source, images

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAINING = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST = "test_batch.bin"
ROW_BYTES = 1 + 3 * 32 * 32


@dataclasses.dataclass(frozen=True)
class Picture:
    """A row of a binary file, read as a PNG."""

    path: str
    row: np.ndarray
    size: int = ROW_BYTES

    def read(self) -> bytes:
        pixels = self.row[1:].reshape(3, 32, 32).transpose(1, 2, 0)
        png = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(pixels)).save(png, "PNG")
        return png.getvalue()


def read_cifar10(source: Source) -> Listing:
    """Ids count the pictures of each part in the order of the files."""
    names = {file.name for file in source.files.values()}
    if {*TRAINING, TEST} & names:
        return read_binary(source)
    if "data_batch_1" in names or "cifar-10-python" in " ".join(source.files):
        raise UserError(
            f"{source.root} holds the Python version of CIFAR-10, pickles, which can run code when they are read: "
            f"{CATALOGUE['cifar10'].download}"
        )
    if not images(source):
        raise UserError(f"{source.root} holds no CIFAR-10: {remedy(source, CATALOGUE['cifar10'].download)}")
    listing = read_folder(source)
    if listing.classes != CLASSES:
        shown = ", ".join(listing.classes[:3]) + ", ..." * (len(listing.classes) > 3)
        raise UserError(
            f"{source.root} has the class folders {shown} and CIFAR-10 has {', '.join(CLASSES)}: read it with "
            "`skinjax prepare folder`"
        )
    return listing


def read_binary(source: Source) -> Listing:
    """The six files of the binary version."""
    pictures, tables, rows = [], [], {}
    for part, names in (("train", TRAINING), ("test", (TEST,))):
        count = 0
        for name in names:
            file = one_table(source, name, name, CATALOGUE["cifar10"].download)
            tables.append(file)
            for number, row in enumerate(read_rows(file)):
                rows[f"{part}_{count:05d}"] = {"class": CLASSES[row[0]], "split": part}
                pictures.append(Picture(f"{file.path}#{number}", row))
                count += 1
    return make_listing(CLASSES, rows, pictures, tables)


def read_rows(file: File) -> np.ndarray:
    """uint8 [rows, 3073]: the label, then 32x32 red, green and blue values."""
    data = file.read()
    if not data or len(data) % ROW_BYTES:
        raise UserError(f"{file.path} has {len(data)} bytes, no multiple of {ROW_BYTES}: download it again")
    table = np.frombuffer(data, np.uint8).reshape(-1, ROW_BYTES)
    worst = int(table[:, 0].argmax())
    if table[worst, 0] >= len(CLASSES):
        raise UserError(f"{file.path} has the label {table[worst, 0]} in row {worst}: download it again")
    return table
