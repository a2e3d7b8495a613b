"""CIFAR-10 from its binary files and from folders of pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from skinjax.core.errors import UserError
from skinjax.data.acquire.builders.cifar10 import CLASSES, read_cifar10

from .fabricated import cifar10, jpeg, unpacked

FOLDER = "cifar-10-binary.tar.gz/cifar-10-batches-bin"


@pytest.mark.parametrize("form", [cifar10, lambda: unpacked(cifar10())], ids=["archive", "folder"])
def test_the_binary_files(form, read):
    listing = read(read_cifar10, form())
    assert listing.classes == CLASSES
    assert listing.columns["image_id"].tolist() == [*(f"train_{number:05d}" for number in range(10)), "test_00000"]
    assert listing.columns["label"].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9]
    assert listing.columns["split"].tolist() == ["train"] * 10 + ["test"]
    assert listing.columns["group"].tolist() == listing.columns["image_id"].tolist()
    second = Image.open(io.BytesIO(listing.photographs[1].read()))
    assert second.format == "PNG"
    np.testing.assert_array_equal(np.asarray(second), np.broadcast_to(np.uint8([15, 16, 17]), (32, 32, 3)))


def test_the_place_of_a_pixel(read):
    files = cifar10()
    planes = np.arange(3 * 32 * 32).astype(np.uint8)  # red 0 ... 255, four times, then green, then blue
    files[f"{FOLDER}/test_batch.bin"] = bytes([3]) + planes.tobytes()
    pixels = np.asarray(Image.open(io.BytesIO(read(read_cifar10, files).photographs[-1].read())))
    np.testing.assert_array_equal(pixels, planes.reshape(3, 32, 32).transpose(1, 2, 0))
    assert pixels[1, 2].tolist() == [34, 34, 34]


def test_a_folder_of_pictures(read):
    files = {f"cifar.tar.gz/{part}/{name}/0000.jpg": jpeg(1) for part in ("train", "test") for name in CLASSES}
    listing = read(read_cifar10, files)
    assert listing.classes == CLASSES
    assert listing.columns["image_id"].tolist()[:2] == ["test/airplane/0000", "test/automobile/0000"]
    assert listing.columns["label"].tolist() == [*range(10), *range(10)]
    assert listing.columns["split"].tolist() == ["test"] * 10 + ["train"] * 10


PICKLED = {"cifar-10-python.tar.gz/cifar-10-batches-py/data_batch_1": b"\x80\x02}q"}


def test_the_pickled_version_beside_the_binary_one_is_left_alone(read):
    assert len(read(read_cifar10, cifar10() | PICKLED).photographs) == 11


MISTAKES = {
    "pickled": (
        PICKLED,
        "holds the Python version of CIFAR-10, pickles, which can run code when they are read: download "
        "cifar-10-binary.tar.gz, the binary version, from https://www.cs.toronto.edu",
    ),
    "pickled, unpacked": (unpacked(PICKLED), "holds the Python version of CIFAR-10"),
    "incomplete": (
        {path: data for path, data in cifar10().items() if "batch_3" not in path},
        "holds no data_batch_3.bin: download cifar-10-binary.tar.gz",
    ),
    "cut": (
        {**cifar10(), f"{FOLDER}/test_batch.bin": bytes(3000)},
        f"{FOLDER}/test_batch.bin has 3000 bytes, no multiple of 3073: download it again",
    ),
    "empty": ({**cifar10(), f"{FOLDER}/test_batch.bin": b""}, "test_batch.bin has 0 bytes, no multiple of 3073"),
    "label": (
        {**cifar10(), f"{FOLDER}/test_batch.bin": bytes(3073) + bytes([10]) + bytes(3072)},
        f"{FOLDER}/test_batch.bin has the label 10 in row 1: download it again",
    ),
    "two versions": (
        {**cifar10(), "test_batch.bin": bytes(3073)},
        f"{FOLDER}/test_batch.bin and test_batch.bin differ, and both are test_batch.bin: remove one of them",
    ),
    "other classes": (
        {"nv/a.jpg": jpeg(1), "mel/a.jpg": jpeg(2)},
        "has the class folders mel, nv and CIFAR-10 has airplane, automobile, bird",
    ),
    "nothing": ({"readme.html": b""}, "holds no CIFAR-10: download cifar-10-binary.tar.gz, the binary version"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told(mistake, read):
    files, sentence = MISTAKES[mistake]
    with pytest.raises(UserError) as raised:
        read(read_cifar10, files)
    assert sentence in str(raised.value)
