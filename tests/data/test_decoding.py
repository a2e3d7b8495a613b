"""Decoding: the same pixels as Pillow, upright and RGB, at the stored size; and a sentence for every damaged file."""

import io
import threading

import numpy as np
import pytest
from PIL import Image, ImageOps

from skinjax.data.decoding import FILTERS, decode
from skinjax.errors import UserError

HEIGHT, WIDTH = 45, 60


def photograph(height: int = HEIGHT, width: int = WIDTH) -> Image.Image:
    """Smooth random colours."""
    coarse = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, format_: str = "JPEG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def by_pillow(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def plain(data: bytes) -> np.ndarray:
    return decode(data, None, fit="squash", filter="bilinear", name="x")


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "options", [{}, {"quality": 30}, {"subsampling": "4:4:4"}, {"subsampling": "4:2:2"}, {"progressive": True}]
)
def test_jpegs_have_pillows_pixels(mode, options):
    data = encoded(photograph().convert(mode), **options)
    pixels = plain(data)
    assert (pixels.shape, pixels.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    np.testing.assert_array_equal(pixels, by_pillow(data))
    pixels[0, 0] = 0  # a caller may write


def test_a_jpeg_of_adobes_rgb_is_not_taken_for_ycbcr():
    data = encoded(photograph(), keep_rgb=True, quality=95)
    assert np.abs(plain(data).astype(int) - np.asarray(photograph())).mean() < 5


@pytest.mark.parametrize("format_", ["PNG", "BMP", "TIFF", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_other_formats_come_back_as_rgb(format_, mode):
    data = encoded(photograph().convert(mode), format_, **({"lossless": True} if format_ == "WEBP" else {}))
    expected = photograph().convert(mode).convert("RGB")
    np.testing.assert_array_equal(plain(data), expected)


@pytest.mark.parametrize("format_", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(format_, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(photograph(), format_, exif=exif)
    pixels = plain(data)
    np.testing.assert_array_equal(pixels, ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert pixels.shape[:2] == ((WIDTH, HEIGHT) if orientation > 4 else (HEIGHT, WIDTH))


@pytest.mark.parametrize("filter_", FILTERS)
@pytest.mark.parametrize("size", [(16, 16), (20, 50), (90, 70), (45, 10)])
def test_squash_is_pillows_antialiased_resize(filter_, size):
    data = encoded(photograph())
    expected = by_pillow(data).resize((size[1], size[0]), FILTERS[filter_])
    pixels = decode(data, size, fit="squash", filter=filter_, name="x")
    np.testing.assert_array_equal(pixels, expected)
    pixels[0, 0] = 0


@pytest.mark.parametrize(
    ("size", "scaled", "box"),
    [
        (
            (15, 15),
            (20, 15),
            (2, 0, 17, 15),
        ),  # (left, top, right, bottom) of what is kept of the scaled (width, height)
        ((30, 20), (40, 30), (10, 0, 30, 30)),
        ((15, 40), (40, 30), (0, 7, 40, 22)),
        ((90, 120), (120, 90), (0, 0, 120, 90)),
    ],
)
def test_cover_scales_and_keeps_the_centre(size, scaled, box):
    data = encoded(photograph())
    expected = by_pillow(data).resize(scaled, Image.Resampling.BICUBIC).crop(box)
    np.testing.assert_array_equal(decode(data, size, fit="cover", filter="bicubic", name="x"), expected)


@pytest.mark.parametrize(
    ("size", "scaled", "corner"),
    [((24, 24), (24, 18), (0, 3)), ((15, 40), (20, 15), (10, 0)), ((90, 120), (120, 90), (0, 0))],
)
def test_pad_scales_and_centres_on_black(size, scaled, corner):
    data = encoded(photograph())
    expected = Image.new("RGB", (size[1], size[0]))
    expected.paste(by_pillow(data).resize(scaled, Image.Resampling.BILINEAR), corner)
    np.testing.assert_array_equal(decode(data, size, fit="pad", filter="bilinear", name="x"), expected)


@pytest.mark.parametrize("fit", ["squash", "cover", "pad"])
def test_an_image_of_the_stored_size_is_left_alone(fit):
    data = encoded(photograph())
    np.testing.assert_array_equal(decode(data, (HEIGHT, WIDTH), fit=fit, filter="bicubic", name="x"), by_pillow(data))


JPEG, PNG = encoded(photograph(200, 300)), encoded(photograph(200, 300), "PNG")
TURNED = Image.Exif()
TURNED[0x0112] = 6


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"<html>not found</html>", "not an image"),
        (bytes(100), "not an image"),
        (JPEG[:20], "Truncated|not an image"),
        (JPEG[: len(JPEG) // 2], "Premature end"),
        (JPEG[:-2], "Premature end"),
        (JPEG[:700] + JPEG[1100:], "Corrupt JPEG data"),  # Pillow alone would paint over the gap
        (encoded(photograph(200, 300), exif=TURNED)[:-900], "truncated"),
        (PNG[: len(PNG) // 2], "truncated"),
        (PNG[:200] + bytes(50) + PNG[250:], "broken|unrecognized data|truncated"),
    ],
)
def test_damaged_files_are_named_with_the_reason(data, reason):
    with pytest.raises(UserError, match=rf"image 'ISIC_1' cannot be decoded: .*({reason})"):
        decode(data, (16, 16), fit="squash", filter="bilinear", name="ISIC_1")


def test_bytes_after_the_last_pixel_do_no_harm():
    expected = plain(JPEG)
    np.testing.assert_array_equal(plain(JPEG + b"trailing"), expected)
    np.testing.assert_array_equal(plain(JPEG[:-2] + b"before the end" + JPEG[-2:]), expected)


def test_unusual_sampling_factors_decode():
    data = bytearray(encoded(Image.new("RGB", (32, 16), (128, 128, 128)), subsampling="4:4:4", optimize=True))
    frame = data.index(b"\xff\xc0")
    data[frame + 11] = 0x42  # luma four times as wide and twice as high as chroma, which is 4:1:0
    np.testing.assert_array_equal(plain(bytes(data)), np.full((16, 32, 3), 128))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("limit", [HEIGHT * WIDTH - 1, 100])
@pytest.mark.parametrize("format_", ["JPEG", "PNG"])
def test_more_pixels_than_pillows_limit_are_refused(monkeypatch, format_, limit):
    data = encoded(photograph(), format_)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(UserError, match=r"image 'x' cannot be decoded: .*2700|60x45.* pixels"):
        plain(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH)
    assert plain(data).shape == (HEIGHT, WIDTH, 3)


def test_unknown_words_list_the_known():
    with pytest.raises(UserError, match=r"unknown fit 'stretch'.*cover, pad, squash"):
        decode(JPEG, None, fit="stretch", filter="bilinear", name="x")
    with pytest.raises(UserError, match=r"unknown filter 'lanczos'.*bicubic, bilinear"):
        decode(JPEG, None, fit="pad", filter="lanczos", name="x")


def test_threads_do_not_disturb_each_other():
    images = [encoded(photograph(40 + n, 60), "PNG" if n % 2 else "JPEG") for n in range(16)]
    expected = [decode(data, (24, 24), fit="cover", filter="bicubic", name="x") for data in images]
    results: dict[int, np.ndarray] = {}

    def work(number: int) -> None:
        results[number] = decode(images[number % 16], (24, 24), fit="cover", filter="bicubic", name="x")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in range(64):
        np.testing.assert_array_equal(results[number], expected[number % 16])
