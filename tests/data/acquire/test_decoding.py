"""Decoding: the same pixels as Pillow, upright and RGB, at the stored size; and a sentence for every damaged file."""

import io
import struct
import subprocess
import sys
import threading
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps, TiffImagePlugin, TiffTags
from PIL.PngImagePlugin import PngInfo

from skinjax.core.errors import UserError
from skinjax.data.acquire import decoding
from skinjax.data.acquire.decoding import FILTERS, DecodingError, decode, has_several_frames, thumbnail

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


def one_row_png(width: int, bits: int, colours: int, row: bytes, transparent: bytes = b"") -> bytes:
    """A PNG as Pillow does not write it: of 16 bits, or grey with a transparent colour."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, 1, bits, colours, 0, 0, 0))]
    chunks += [(b"tRNS", transparent)] if transparent else []
    chunks += [(b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


GREYS = [0, 255, 256, 0x7FFF, 0x8000, 0xFF00, 0xFFFF]
HIGH_BYTES = [0, 0, 1, 0x7F, 0x80, 0xFF, 0xFF]
GREY_PNG = one_row_png(7, 16, 0, struct.pack(">7H", *GREYS))


@pytest.mark.parametrize("kind", ["PNG", "II", "MM", "tiff_lzw", "white is zero"])
def test_grey_of_16_bits_keeps_its_high_byte(kind):
    image = Image.fromarray(np.array([GREYS], np.uint16))
    if kind == "PNG":
        data = GREY_PNG
    elif kind == "MM":
        image = Image.frombytes("I;16B", (len(GREYS), 1), np.array(GREYS, ">u2").tobytes())
        data = encoded(image, "TIFF")
        assert data.startswith(b"MM")
    elif kind == "white is zero":
        image = Image.fromarray(0xFFFF - np.array([GREYS], np.uint16))
        data = encoded(image, "TIFF", tiffinfo={262: 0})
    else:
        data = encoded(image, "TIFF", compression=None if kind == "II" else kind)
    assert plain(data)[0].tolist() == [[value] * 3 for value in HIGH_BYTES]


def test_colour_of_16_bits_keeps_its_high_byte():
    data = one_row_png(2, 16, 2, struct.pack(">6H", 0x12FF, 0x8000, 0xFFFF, 0, 255, 256))
    assert plain(data).tolist() == [[[0x12, 0x80, 0xFF], [0, 0, 1]]]


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "BMP"])
def test_black_and_white(format_):
    image = Image.fromarray(np.array([[0, 255, 0, 255]], np.uint8)).convert("1")
    assert plain(encoded(image, format_)).tolist() == [[[0] * 3, [255] * 3, [0] * 3, [255] * 3]]


@pytest.mark.parametrize(
    ("format_", "mode", "options"),
    [
        ("PNG", "RGBA", {}),
        ("WEBP", "RGBA", {"lossless": True, "exact": True}),
        ("TIFF", "RGBA", {}),
        ("PNG", "LA", {}),
        ("TIFF", "LA", {}),
    ],
)
def test_the_transparent_lies_on_white(format_, mode, options):
    colours = np.array([[[200, 100, 40, 255], [200, 100, 40, 0], [0, 0, 0, 128]]], np.uint8)
    image = Image.fromarray(colours).convert(mode)
    opaque = [123] * 3 if mode == "LA" else [200, 100, 40]
    assert plain(encoded(image, format_, **options))[0].tolist() == [opaque, [255] * 3, [127] * 3]


def test_transparent_colours_lie_on_white():
    red_and_blue = Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8))
    expected = [[[255, 0, 0], [255, 255, 255]]]
    assert plain(encoded(red_and_blue, "PNG", transparency=(0, 0, 255))).tolist() == expected
    palette = red_and_blue.quantize(2)
    blue = palette.getpixel((1, 0))
    assert plain(encoded(palette, "PNG", transparency=blue)).tolist() == expected
    alphas = bytes(0 if colour == blue else 255 for colour in range(2))
    assert plain(encoded(palette, "PNG", transparency=alphas)).tolist() == expected
    assert plain(encoded(palette, "PNG")).tolist() == [[[255, 0, 0], [0, 0, 255]]]
    assert plain(one_row_png(2, 8, 0, b"\x0a\x14", transparent=b"\0\x14")).tolist() == [[[10] * 3, [255] * 3]]


def test_an_alpha_of_zeros_alone_was_never_filled():
    image = photograph().convert("RGBA")
    image.putalpha(0)
    np.testing.assert_array_equal(plain(encoded(image, "PNG")), photograph())


RED_INK, RED_YCCK = (0, 255, 255, 0), (179, 171, 1, 255)  # as Adobe has it: YCbCr of cyan, and no black


def test_cmyk_is_red_where_it_says_red():
    red = Image.new("CMYK", (16, 16), RED_INK)
    for data in [encoded(red, quality=100), encoded(red, "TIFF"), encoded(red, "TIFF", compression="tiff_lzw")]:
        assert np.abs(plain(data).astype(int) - [255, 0, 0]).max() <= 4


def test_ycck_is_red_where_it_says_red():
    stored = tuple(255 - value for value in RED_YCCK)  # Pillow turns them over when it writes
    data = bytearray(encoded(Image.new("CMYK", (16, 16), stored), quality=100, subsampling="4:4:4"))
    data[data.index(b"Adobe") + 11] = 2  # the four channels are YCCK
    assert np.abs(plain(bytes(data)).astype(int) - [255, 0, 0]).max() <= 4


@pytest.mark.parametrize("mode", ["I", "F", "LAB"])
def test_pixels_without_an_agreed_meaning_are_refused(mode):
    data = encoded(Image.new(mode, (8, 8)), "TIFF")
    with pytest.raises(DecodingError, match=r"its (pixels|colours) are .*; convert it to JPEG or PNG") as raised:
        plain(data)
    assert raised.value.fault == "unsupported"


def test_a_transparent_colour_of_16_bits_is_refused():
    with pytest.raises(DecodingError, match="transparent colour of 16 bits"):
        plain(one_row_png(1, 16, 0, b"\1\0", transparent=b"\1\0"))


def turned_exif(orientation) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF", "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(format_, orientation):
    options = {"compression": "tiff_lzw"} if format_ == "tiff_lzw" else {}
    data = encoded(photograph(), format_.partition("_")[0].upper(), exif=turned_exif(orientation), **options)
    pixels = plain(data)
    np.testing.assert_array_equal(pixels, ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert pixels.shape[:2] == ((WIDTH, HEIGHT) if orientation > 4 else (HEIGHT, WIDTH))


def test_a_photograph_of_orientation_6_is_turned_clockwise():
    stored = Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8))  # red left, blue right
    pixels = plain(encoded(stored, "PNG", exif=turned_exif(6)))
    assert pixels.tolist() == [[[255, 0, 0]], [[0, 0, 255]]]  # red top, blue bottom


def test_the_orientation_is_found_where_imagemagick_puts_it():
    block = turned_exif(6).tobytes()
    text = PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n")
    assert plain(encoded(photograph(), "PNG", pnginfo=text)).shape == (WIDTH, HEIGHT, 3)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # as skinjax does, but pytest sets its own filters
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", [0, 9, "text"])
def test_a_nonsense_orientation_is_ignored(format_, orientation):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags.tagtype[0x0112] = TiffTags.ASCII if orientation == "text" else TiffTags.SHORT
    tags[0x0112] = orientation
    block = b"Exif\0\0II*\0\x08\0\0\0" + tags.tobytes(8)
    data = encoded(photograph(), format_, **({"tiffinfo": tags} if format_ == "TIFF" else {"exif": block}))
    np.testing.assert_array_equal(plain(data), plain(encoded(photograph(), format_)))


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("damage", [b"", b"II", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x09\x01", bytes(40)])
def test_damaged_exif_leaves_the_image_upright(format_, damage):
    data = encoded(photograph(), format_, exif=b"Exif\0\0" + damage)
    np.testing.assert_array_equal(plain(data), plain(encoded(photograph(), format_)))


@pytest.mark.parametrize(
    ("format_", "options"),
    [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("MPO", {"quality": 95})],
)
def test_of_several_frames_the_first_counts(format_, options):
    others = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "blue")]
    data = encoded(photograph(), format_, save_all=True, append_images=others, **options)
    np.testing.assert_array_equal(plain(data), by_pillow(data))
    assert has_several_frames(data) == (format_ != "MPO")
    assert not has_several_frames(encoded(photograph(), "JPEG" if format_ == "MPO" else format_))


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
@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (3, 4000)])
def test_strips_take_no_more_memory_than_other_images(monkeypatch, fit, shape):
    resize, made = Image.Image.resize, []
    monkeypatch.setattr(Image.Image, "resize", lambda *a, **k: made.append(resize(*a, **k)) or made[-1])
    data = encoded(Image.new("RGB", shape[::-1], (10, 200, 30)), "PNG")
    pixels = decode(data, (224, 224), fit=fit, filter="bicubic", name="x")
    assert sum(image.width * image.height for image in made) < 2 * 224**2
    coloured = (pixels == [10, 200, 30]).all(-1)
    assert coloured.sum() == (224 if fit == "pad" else 224**2)


@pytest.mark.parametrize("size", [(15, 15), (30, 20), (7, 60), (60, 7)])
def test_cover_and_pad_are_pillows(size):
    data = encoded(photograph())
    expected = ImageOps.pad(by_pillow(data), (size[1], size[0]), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(decode(data, size, fit="pad", filter="bicubic", name="x"), expected)


@pytest.mark.parametrize("fit", ["squash", "cover", "pad"])
def test_an_image_of_the_stored_size_is_left_alone(fit):
    data = encoded(photograph())
    np.testing.assert_array_equal(decode(data, (HEIGHT, WIDTH), fit=fit, filter="bicubic", name="x"), by_pillow(data))


JPEG, PNG = encoded(photograph(200, 300)), encoded(photograph(200, 300), "PNG")
WEBP, BMP, TIFF = (encoded(photograph(200, 300), format_) for format_ in ("WEBP", "BMP", "TIFF"))
LZW = encoded(photograph(200, 300), "TIFF", compression="tiff_lzw")
CMYK = encoded(photograph(200, 300).convert("CMYK"))
TURNED = encoded(photograph(200, 300), exif=turned_exif(6))


@pytest.mark.parametrize(
    ("data", "fault", "reason"),
    [
        (b"", "empty", "it is empty; download it again or remove it"),
        (bytes(100), "unreadable", r"it is not an image \(JPEG, PNG, WEBP, BMP, TIFF are read\)"),
        (b"<!DOCTYPE html>\n<html>not found</html>", "unreadable", "it is a web page; repair, replace or remove it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "unreadable", "it is a pointer of Git LFS to the file"),
        (JPEG[:20], "truncated", "truncated"),
        (JPEG[:300], "truncated", "truncated within its header"),
        (JPEG[: len(JPEG) // 2], "truncated", "Premature end"),
        (JPEG[:-2], "truncated", "Premature end"),
        (TURNED[:-900], "truncated", "Premature end"),
        (CMYK[:-900], "truncated", "Premature end"),
        (JPEG[:700] + JPEG[1100:], "unreadable", "Corrupt JPEG data"),  # Pillow alone would paint over the gap
        (CMYK[:2000] + CMYK[2400:], "unreadable", "Corrupt JPEG data"),
        (PNG[: len(PNG) // 2], "truncated", "truncated"),
        (PNG[:20], "truncated", "Truncated"),
        (PNG[:200] + bytes(50) + PNG[250:], "unreadable", "broken|unrecognized data"),
        (WEBP[:40], "truncated", "truncated"),
        (WEBP[:-5], "truncated", "truncated"),
        (WEBP[:40] + bytes(500) + WEBP[540:], "unreadable", "failed to read"),
        (BMP[:-100], "truncated", "truncated"),
        (BMP[:40], "truncated", "Truncated"),
        (TIFF[:-100], "truncated", "truncated"),
        (LZW[:-100], "truncated", "Truncated"),
        (LZW[: len(LZW) // 2], "truncated", "truncated"),
    ],
)
def test_damaged_files_are_named_with_the_reason(data, fault, reason, capfd):
    with pytest.raises(DecodingError, match=rf"image 'ISIC_1' cannot be decoded: .*({reason})") as raised:
        decode(data, (16, 16), fit="squash", filter="bilinear", name="ISIC_1")
    assert raised.value.fault == fault
    assert capfd.readouterr() == ("", "")  # libtiff likes to talk


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (encoded(photograph(), "GIF"), "a GIF"),
        (b"\0\0\0\x18ftypheic" + bytes(20), "a HEIC picture"),
        (b"\0\0\0\x18ftypavif" + bytes(20), "an AVIF picture"),
        (b"8BPS\0\1" + bytes(20), "a Photoshop document"),
        (b"%PDF-1.7\n", "a PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PostScript"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (bytes(128) + b"DICM" + bytes(20), "a DICOM file"),
        (b"II*\0\x10\0\0\0CR\2\0" + bytes(20), "a camera's raw file"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000"),
    ],
)
def test_formats_that_are_not_read_are_named(data, kind):
    with pytest.raises(DecodingError, match=f"it is {kind}; convert it to JPEG or PNG") as raised:
        plain(data)
    assert raised.value.fault == "unsupported"


def test_the_thumbnail_of_a_raw_file_is_not_taken_for_the_photograph():
    data = encoded(photograph(), "TIFF", tiffinfo={254: 1})
    with pytest.raises(DecodingError, match="a camera's raw file"):
        plain(data)


def test_fill_bytes_between_segments_do_no_harm():
    table = JPEG.index(b"\xff\xdb")
    np.testing.assert_array_equal(plain(JPEG[:table] + b"\xff\xff" + JPEG[table:]), plain(JPEG))


def test_bytes_after_the_last_pixel_do_no_harm():
    expected = plain(JPEG)
    np.testing.assert_array_equal(plain(JPEG + b"trailing"), expected)
    np.testing.assert_array_equal(plain(JPEG[:-2] + b"before the end" + JPEG[-2:]), expected)


def test_unusual_sampling_factors_decode():
    data = bytearray(encoded(Image.new("RGB", (32, 16), (128, 128, 128)), subsampling="4:4:4", optimize=True))
    frame = data.index(b"\xff\xc0")
    data[frame + 11] = 0x42  # luma four times as wide and twice as high as chroma, which is 4:1:0
    np.testing.assert_array_equal(plain(bytes(data)), np.full((16, 32, 3), 128))


@pytest.mark.parametrize(
    "data", [JPEG, PNG, WEBP, BMP, TIFF, LZW, CMYK, encoded(photograph(200, 300), "WEBP", exact=True)]
)
def test_more_pixels_or_bytes_than_the_limits_are_refused(monkeypatch, data):
    monkeypatch.setattr(decoding, "MOST_PIXELS", 300 * 200 - 1)
    with pytest.raises(
        DecodingError, match=r"'x' cannot be decoded: its 300x200 pixels are more than .*; make it smaller"
    ):
        plain(data)
    monkeypatch.setattr(decoding, "MOST_PIXELS", 300 * 200)
    assert plain(data).shape == (200, 300, 3)
    monkeypatch.setattr(decoding, "MOST_BYTES", len(data) - 1)
    with pytest.raises(DecodingError, match=f"it has {len(data)} bytes, more than the limit") as raised:
        plain(data)
    assert raised.value.fault == "huge"


def enormous(data: bytes) -> bytes:
    """The same file with a header that announces 16,000 by 16,000 pixels."""
    if data is JPEG:
        at = data.index(b"\xff\xc0") + 5
        return data[:at] + struct.pack(">HH", 16000, 16000) + data[at + 4 :]
    if data is PNG:
        header = data[12:16] + struct.pack(">II", 16000, 16000) + data[24:29]
        return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
    if data is BMP:
        return data[:18] + struct.pack("<ii", 16000, 16000) + data[26:]
    if data is WEBP:
        return data[:26] + struct.pack("<HH", 16000, 16000) + data[30:]
    image = Image.open(io.BytesIO(data))
    image.tag_v2[256] = image.tag_v2[257] = 16000
    return data[: image.tag_v2._offset] + image.tag_v2.tobytes(image.tag_v2._offset)


@pytest.mark.parametrize("data", [JPEG, PNG, WEBP, BMP, TIFF])
def test_announced_pixels_are_refused_before_they_are_decoded(data):
    with pytest.raises(DecodingError, match="its 16000x16000 pixels are more than the limit of 80000000"):
        plain(enormous(data))


ODD_TAG = r"""
import io
from PIL import Image
from skinjax.data.acquire.decoding import decode
file = io.BytesIO()
Image.new("RGB", (20, 10), "red").save(file, "TIFF", tiffinfo={65000: "longer than four bytes"})
data = bytearray(file.getvalue())
entry = data.index(b"\xe8\xfd\x02\0")
data[entry + 8 : entry + 12] = b"\xff\xff\xff\x7f"  # the text is to stand where the file has ended long ago
print(decode(bytes(data), None, fit="pad", filter="bilinear", name="x").shape)
"""


def test_odd_tags_raise_no_warning():
    script = [sys.executable, "-W", "error", "-c", ODD_TAG]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("(10, 20, 3)\n", "")


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


def test_a_thumbnail_shows_the_whole_picture():
    small = thumbnail(encoded(Image.new("RGB", (600, 1200), (1, 2, 3)), "PNG"), 240, "a")
    assert small.shape == (240, 120, 3)
    assert small[0, 0].tolist() == [1, 2, 3]
