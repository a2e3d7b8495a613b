"""Encoded bytes to uint8 pixels of the stored size: decode, orient, resize, and nothing else.

JPEGs are decoded by simplejpeg, PNG, WebP, BMP and TIFF by Pillow's readers of just these formats; where both can, they
give the same bits. Decoding and resizing release the GIL and share nothing, so any number of threads may call `decode`.

Colours as RGB: what is transparent lies on white, because pictures are cut out to be shown on white pages; 16 bits keep
their high byte; CMYK is taken without a profile. Of several frames or pictures in a file the first counts.
"""

import io
import re
import warnings
from collections.abc import Callable

import numpy as np
import PIL
import simplejpeg
from PIL import BmpImagePlugin, Image, ImageOps, JpegImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin

from skinjax.core.errors import UserError, lookup
from skinjax.data.acquire import image_headers
from skinjax.data.acquire.image_headers import Fault, FaultError, exif_orientation, image_format

# Part of the key of every cache of decoded pixels: another decoder may give other bits.
DECODER_VERSION = f"2, simplejpeg {simplejpeg.__version__}, pillow {PIL.__version__}"

# An image may have this many pixels (a little less than where Pillow begins to warn) and this many bytes.
MOST_PIXELS, MOST_BYTES = 80_000_000, 2**28

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

# Tags that Pillow finds odd have no bearing on the pixels. A filter for good, as `catch_warnings` is not for threads.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.(Png|Tiff)ImagePlugin")


class DecodingError(UserError):
    """Bytes that cannot be decoded; `fault` is the kind of problem and `reason` a clause that says more."""

    def __init__(self, name: str, fault: Fault, reason: str):
        super().__init__(f"image {name!r} cannot be decoded: {reason}; {REMEDIES[fault]}")
        self.fault: Fault = fault
        self.reason = reason


REMEDIES: dict[Fault, str] = {
    "empty": "download it again or remove it",
    "truncated": "download it again or remove it",
    "unreadable": "repair, replace or remove it",
    "unsupported": "convert it to JPEG or PNG, or remove it",
    "huge": "make it smaller or remove it",
}


def decode(data: bytes, size: tuple[int, int] | None, *, fit: str, filter: str, name: str) -> np.ndarray:
    """The upright pixels of an encoded image as RGB: uint8 [H, W, 3].

    Args:
      data: the file's bytes: JPEG, PNG, WebP, BMP or TIFF of at most `MOST_BYTES` bytes and `MOST_PIXELS` pixels.
      size: (height, width) of the result; None keeps the image's own.
      fit: 'squash' (without regard to the aspect ratio), 'cover' (scale to cover, then crop the centre) or 'pad' (scale
        to fit, centred on black).
      filter: 'bilinear' or 'bicubic', antialiased as Pillow's `resize` is.
      name: what the error calls the image: its id or its file.

    Raises:
      DecodingError: the bytes are not a whole, undamaged image of such a format and size.
    """
    lookup("fit", fit, FITS)
    lookup("filter", filter, FILTERS)
    try:
        pixels = _decode_upright(data)
        return pixels if size is None else fitted(pixels, size, fit, filter)
    except FaultError as found:
        raise DecodingError(name, found.fault, found.reason) from found
    except Exception as error:  # damaged files make decoders raise anything: SyntaxError, struct.error, zlib.error, ...
        reason = str(error) or type(error).__name__
        faults = [fault for fault, words in DECODERS_WORDS.items() if re.search(words, reason)]
        raise DecodingError(name, [*faults, "unreadable"][0], reason) from error


def fitted(pixels: np.ndarray, size: tuple[int, int], fit: str, filter: str) -> np.ndarray:
    """Upright pixels at a size (height, width), as `decode` gives them."""
    if pixels.shape[:2] == tuple(size):
        return pixels
    return np.array(FITS[fit](Image.fromarray(pixels), (size[1], size[0]), FILTERS[filter]))


def thumbnail(data: bytes, side: int, name: str) -> np.ndarray:
    """The whole picture, of at most `side` pixels on its longer side: uint8 [H, W, 3]."""
    image = Image.fromarray(decode(data, None, fit="squash", filter="bilinear", name=name))
    image.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=None)
    return np.array(image)


def has_several_frames(data: bytes) -> bool:
    """Whether an image that can be decoded is an animation or has several pages."""
    format_ = image_format(data)
    if format_ == "JPEG":  # its further pictures are thumbnails and depth maps of the first
        return False
    with _open(data, format_) as image:
        return getattr(image, "is_animated", False)


DECODERS_WORDS: dict[Fault, str] = {
    "truncated": "[Tt]runcated|Premature end of (JPEG|input) file|EOF",
    "unsupported": "unknown pixel mode|[Uu]nsupported|not (yet )?supported",
}


def _decode_upright(data: bytes) -> np.ndarray:
    """uint8 [H, W, 3] of the image's own size, after its EXIF orientation."""
    if len(data) > MOST_BYTES:
        raise FaultError("huge", f"it has {len(data)} bytes, more than the limit of {MOST_BYTES}")
    format_ = image_format(data)
    if format_ == "JPEG":
        pixels, orientation = _decode_jpeg(data)
    else:
        with _open(data, format_) as image:
            image.load()
            pixels, orientation = np.array(_rgb(image)), _orientation(image)
    return pixels if orientation == 1 else np.array(Image.fromarray(pixels).transpose(TURNS[orientation]))


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _refuse_huge(width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise FaultError("huge", f"its {width}x{height} pixels are more than the limit of {MOST_PIXELS}")


def _decode_jpeg(data: bytes) -> tuple[np.ndarray, int]:
    """The pixels of a JPEG as they are stored, and its EXIF orientation."""
    header = image_headers.jpeg_header(data)
    _refuse_huge(header.width, header.height)
    try:
        if header.components < 4:
            return simplejpeg.decode_jpeg(data), header.orientation
        ink = simplejpeg.decode_jpeg(data, colorspace="CMYK")
    except ValueError as error:
        if not any(harmless in str(error) for harmless in HARMLESS_TO_PILLOW):
            raise
        # Pillow would complain of tags that do not concern the pixels.
        segments = list(image_headers.jpeg_segments(data))
        tags = (image_headers.APP1, image_headers.APP2)
        kept = [data[start - 4 : end] for marker, start, end in segments if marker not in tags]
        scan = next(end for marker, _, end in segments if marker == image_headers.START_OF_SCAN)
        with JpegImagePlugin.JpegImageFile(io.BytesIO(b"".join([data[:2], *kept, data[scan:]]))) as opened:
            return np.array(opened.convert("RGB")), header.orientation
    # Adobe's programs, and all that follow them, store the ink that is left out.
    image = Image.frombuffer("CMYK", (header.width, header.height), ink, "raw", "CMYK;I", 0, 1)
    return np.array(image.convert("RGB")), header.orientation


# What simplejpeg refuses in whole files: unusual sampling factors, and bytes after the last pixel. All else that it
# refuses is damage, some of which Pillow would paint over in silence.
HARMLESS_TO_PILLOW = ("Could not determine subsampling", "extraneous bytes before marker 0xd9")


def _open(data: bytes, format_: str) -> Image.Image:
    """An image whose pixels are not decoded yet, by the one reader of its format; other readers never run."""
    if format_ == "WEBP":
        _refuse_huge(*image_headers.webp_size(data))
    if format_ == "TIFF":
        image_headers.refuse_cut_tiff(data)
    image = READERS[format_](io.BytesIO(data))
    _refuse_huge(*image.size)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        _refuse_odd_tiff(image, len(data))
    # A transparent grey or colour counts in the bits of the file, and Pillow would look for it in pixels of 8 bits.
    if format_ == "PNG" and data[24] != 8 and image.mode in ("L", "I;16", "RGB") and "transparency" in image.info:
        raise FaultError("unsupported", f"it is a PNG with a transparent colour of {data[24]} bits")
    return image


READERS: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    "PNG": PngImagePlugin.PngImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
    "TIFF": TiffImagePlugin.TiffImageFile,
}


def _refuse_odd_tiff(image: TiffImagePlugin.TiffImageFile, length: int) -> None:
    """Cameras' raw files show their thumbnail first; what was cut short would make libtiff write to the terminal."""
    if image.tag_v2.get(NEW_SUBFILE_TYPE, 0) & 1:
        raise FaultError("unsupported", "its first picture is a thumbnail: it is a camera's raw file")
    for offsets, counts in STRIPS_AND_TILES:
        for start, count in zip(image.tag_v2.get(offsets, ()), image.tag_v2.get(counts, ()), strict=False):
            if start + count > length and image.info["compression"] != "raw":
                raise FaultError("truncated", f"it is truncated: {length} bytes of at least {start + count}")


NEW_SUBFILE_TYPE, BITS_PER_SAMPLE, PHOTOMETRIC = 254, 258, 262
STRIPS_AND_TILES = ((273, 279), (324, 325))


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation of a loaded image; a TIFF was turned by Pillow when it was loaded."""
    if "exif" in image.info:
        return exif_orientation(image.info["exif"])
    try:  # where ImageMagick puts it: a line with the name, a line with the length, lines of hex digits
        return exif_orientation(bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[3:])))
    except (KeyError, ValueError):
        return 1


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _high_bytes(image).convert("RGB")
    if image.mode in NO_COLOURS:
        raise FaultError("unsupported", NO_COLOURS[image.mode])
    if image.has_transparency_data:
        image = image.convert("LA") if image.mode == "La" else image
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() not in OPAQUE:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


# Nobody hides a whole picture: an alpha of zeros alone was never filled.
OPAQUE = ((255, 255), (0, 0))
NO_COLOURS = {
    "I": "its pixels are of 32 bits or signed, of which none is agreed to be white",
    "F": "its pixels are fractions, of which none is agreed to be white",
    "LAB": "its colours are LAB",
}


def _high_bytes(image: Image.Image) -> Image.Image:
    """Grey of 12 or 16 bits as grey of 8."""
    values, bits = np.asarray(image), 16
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = image.tag_v2[BITS_PER_SAMPLE][0]
        if image.tag_v2.get(PHOTOMETRIC, 0) == 0:  # zero is white, which Pillow leaves to us here
            values = 2**bits - 1 - values
    return Image.fromarray((values >> (bits - 8)).astype(np.uint8))


def _cover(image: Image.Image, size: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
    scale = max(size[0] / image.width, size[1] / image.height)
    if scale**2 * image.width * image.height > MOST_OVERHANG * size[0] * size[1]:
        return ImageOps.fit(image, size, resampling)  # resizes only what stays in sight
    scaled = ImageOps.cover(image, size, resampling)
    left, top = (scaled.width - size[0]) // 2, (scaled.height - size[1]) // 2
    return scaled.crop((left, top, left + size[0], top + size[1]))


# A strip of 1x5000 pixels that covers a square would be a picture of 5,000 such squares before it is cropped.
MOST_OVERHANG = 16


def _pad(image: Image.Image, size: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
    scale = min(size[0] / image.width, size[1] / image.height)
    if scale * min(image.size) < 1:  # a strip stays a line of one pixel
        image = image.resize([max(1, round(scale * side)) for side in image.size], resampling)
    return ImageOps.pad(image, size, resampling)


FITS: dict[str, Callable[[Image.Image, tuple[int, int], Image.Resampling], Image.Image]] = {
    "squash": Image.Image.resize,
    "cover": _cover,
    "pad": _pad,
}
