import io

import numpy as np
import pytest
from PIL import Image

from skinjax.data.acquire.near_duplicates import near_duplicates, signature
from skinjax.data.synthetic.photographs import Painter
from skinjax.data.synthetic.settings import Settings

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
    "unevenly cropped": lambda pixels: pixels[3:-1, 2:-5],
    "darker": lambda pixels: pixels // 2,
    "much at once": lambda pixels: encoded_anew(resized(pixels[:, 6:], 100, 80)[:, ::-1]),
}


@pytest.mark.parametrize("kind", COPIES)
def test_copies_are_found_and_nothing_else(photographs, kind):
    copies = [np.ascontiguousarray(COPIES[kind](pixels)) for pixels in photographs]
    pairs = near_duplicates(np.stack([signature(pixels) for pixels in photographs + copies]))
    assert [(pair.first, pair.second) for pair in pairs] == [(n, n + PHOTOGRAPHS) for n in range(PHOTOGRAPHS)]
    assert all(0.75 <= pair.similarity < 1.0001 for pair in pairs)


def test_a_copy_of_the_same_bytes_has_similarity_one(photographs):
    signed = signature(photographs[0])
    (pair,) = near_duplicates(np.stack([signed, signed]))
    assert pair == (0, 1, pytest.approx(1, abs=1e-3))


def test_all_pairs_of_three_copies_are_found(photographs):
    mirrored, half = COPIES["left is right"](photographs[3]), COPIES["half"](photographs[3])
    signatures = np.stack([signature(np.ascontiguousarray(some)) for some in (half, photographs[4], mirrored)])
    assert [pair[:2] for pair in near_duplicates(signatures)] == [(0, 2)]
    signatures = np.concatenate([signatures, [signature(photographs[3])]])
    assert [pair[:2] for pair in near_duplicates(signatures)] == [(0, 2), (0, 3), (2, 3)]


def test_a_signature_is_small_and_of_one_size_for_every_picture():
    for height, width in ((1, 1), (1, 500), (300, 2), (450, 600)):
        signed = signature(np.full((height, width, 3), 77, np.uint8))
        assert (signed.shape, signed.dtype) == ((1024,), np.uint8)
        assert (signed == 77).all()


def test_pictures_without_detail_are_copies_of_nothing():
    ramp = np.linspace(60, 200, 100).astype(np.uint8)
    noise = np.random.default_rng(0).integers(99, 102, (2, 100, 100, 3), np.uint8)
    pictures = [np.full((100, 100, 3), brightness, np.uint8) for brightness in (0, 0, 128, 128, 255)]
    pictures += [np.broadcast_to(ramp[:, None, None], (100, 100, 3)), np.broadcast_to(ramp[::-1, None], (100, 100, 3))]
    assert near_duplicates(np.stack([signature(np.ascontiguousarray(pixels)) for pixels in [*pictures, *noise]])) == []


def test_photographs_through_one_dermoscope_are_not_copies_of_one_another(photographs):
    rows, columns = np.indices((96, 128))
    field = np.hypot(rows - 47.5, columns - 63.5)[..., None] < 40
    pictures = [np.where(field, pixels, 0).astype(np.uint8) for pixels in photographs]
    copies = [np.ascontiguousarray(pixels[::-1]) for pixels in pictures]
    pairs = near_duplicates(np.stack([signature(pixels) for pixels in pictures + copies]))
    assert [pair[:2] for pair in pairs] == [(n, n + PHOTOGRAPHS) for n in range(PHOTOGRAPHS)]


@pytest.mark.parametrize("signatures", [np.array([]), np.empty((0, 1024), np.uint8), np.zeros((1, 1024), np.uint8)])
def test_fewer_than_two_pictures_make_no_pair(signatures):
    assert near_duplicates(signatures) == []


def test_pairs_are_the_same_each_time_and_in_small_portions(photographs, monkeypatch):
    pictures = [*photographs, *(np.ascontiguousarray(pixels[::-1, 6:]) for pixels in photographs)]
    signatures = np.stack([signature(pixels) for pixels in pictures])
    pairs = near_duplicates(signatures)
    assert len(pairs) == PHOTOGRAPHS
    assert near_duplicates(signatures) == pairs
    for name in ("COMPARED_AT_ONCE", "PROPOSED_AT_ONCE", "VERIFIED_AT_ONCE"):
        monkeypatch.setattr(f"skinjax.data.acquire.near_duplicates.{name}", 3)
    in_portions = near_duplicates(signatures)
    assert [pair[:2] for pair in in_portions] == [pair[:2] for pair in pairs]
    assert [pair.similarity for pair in in_portions] == pytest.approx([pair.similarity for pair in pairs], abs=1e-3)


def test_a_stricter_threshold_leaves_the_more_similar(photographs):
    copies = [np.ascontiguousarray(COPIES["much at once"](pixels)) for pixels in photographs]
    signatures = np.stack([signature(pixels) for pixels in photographs + copies])
    pairs = near_duplicates(signatures)
    fourth = sorted(pair.similarity for pair in pairs)[3]
    assert near_duplicates(signatures, least_similarity=fourth) == [pair for pair in pairs if pair.similarity >= fourth]


def test_a_crop_is_aligned_before_it_is_compared(photographs):
    crops = [np.ascontiguousarray(pixels[:, 4:-1]) for pixels in photographs]
    pairs = near_duplicates(np.stack([signature(pixels) for pixels in photographs + crops]))
    assert len(pairs) == PHOTOGRAPHS
    assert min(pair.similarity for pair in pairs) > 0.93  # 0.84 if compared as they lie
