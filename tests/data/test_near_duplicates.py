import io

import numpy as np
import pytest
from PIL import Image

from skinjax.data.near_duplicates import near_duplicates, signature
from skinjax.data.synthetic import Painter, Settings

PHOTOGRAPHS = 12


@pytest.fixture(scope="module")
def photographs():
    painter = Painter(Settings(images=PHOTOGRAPHS, height=96, width=128, seed=5))
    return [painter.draw(row) for row in range(PHOTOGRAPHS)]


def resized(pixels, width, height):
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC))


def encoded_anew(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=40)
    return np.asarray(Image.open(file))


COPIES = {
    "same": lambda pixels: pixels,
    "encoded anew": encoded_anew,
    "half": lambda pixels: resized(pixels, 64, 48),
    "double": lambda pixels: resized(pixels, 256, 192),
    "squashed": lambda pixels: resized(pixels, 96, 96),
    "left is right": lambda pixels: pixels[:, ::-1],
    "top is bottom": lambda pixels: pixels[::-1],
    "half turn": lambda pixels: pixels[::-1, ::-1],
    "quarter turn": lambda pixels: np.rot90(pixels),
    "quarter turn back": lambda pixels: np.rot90(pixels, -1),
    "transposed": lambda pixels: pixels.transpose(1, 0, 2),
    "left cropped": lambda pixels: pixels[:, 6:],
    "right cropped": lambda pixels: pixels[:, :-6],
    "top cropped": lambda pixels: pixels[5:],
    "bottom cropped": lambda pixels: pixels[:-5],
    "all sides cropped": lambda pixels: pixels[5:-5, 6:-6],
    "darker": lambda pixels: pixels // 2,
    "much at once": lambda pixels: encoded_anew(resized(pixels[:, 6:], 100, 80)[:, ::-1]),
}


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found_and_nothing_else(photographs, kind):
    copies = [np.ascontiguousarray(COPIES[kind](pixels)) for pixels in photographs]
    pairs = near_duplicates(np.stack([signature(pixels) for pixels in photographs + copies]))
    assert [(pair.first, pair.second) for pair in pairs] == [(n, n + PHOTOGRAPHS) for n in range(PHOTOGRAPHS)]
    assert all(0.75 <= pair.similarity < 1.0001 for pair in pairs)
