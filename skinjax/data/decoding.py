"""Encoded bytes to uint8 pixels of the stored size: decode, orient, resize, and nothing else.

Upright JPEGs are decoded by simplejpeg, everything else by Pillow; where both can, they give the same bits. Decoding
and resizing release the GIL and share nothing, so any number of threads may call `decode`.
"""

import io
from collections.abc import Callable

import numpy as np
import PIL
import simplejpeg
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from skinjax.errors import UserError, lookup

# Part of the key of every cache of decoded pixels: another decoder may give other bits.
DECODER_VERSION = f"1, simplejpeg {simplejpeg.__version__}, pillow {PIL.__version__}"

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def decode(data: bytes, size: tuple[int, int] | None, *, fit: str, filter: str, name: str) -> np.ndarray:
    """The upright pixels of an encoded image as RGB: uint8 [H, W, 3].

    Args:
      data: the file's bytes, in any format that Pillow reads.
      size: (height, width) of the result; None keeps the image's own.
      fit: 'squash' (without regard to the aspect ratio), 'cover' (scale to cover, then crop the centre) or 'pad' (scale
        to fit, centred on black).
      filter: 'bilinear' or 'bicubic', antialiased as Pillow's `resize` is.
      name: what the error calls the image: its id or its file.

    Raises:
      UserError: the bytes are not a whole, undamaged image of a size that Pillow considers safe.
    """
    fit_image = lookup("fit", fit, FITS)
    resampling = lookup("filter", filter, FILTERS)
    try:
        pixels = _decode_upright(data)
        if size is None or pixels.shape[:2] == tuple(size):
            return pixels
        return np.array(fit_image(Image.fromarray(pixels), (size[1], size[0]), resampling))
    except Exception as error:  # damaged files make decoders raise anything: SyntaxError, struct.error, zlib.error, ...
        raise UserError(
            f"image {name!r} cannot be decoded: {_reason(data, error)}; repair, replace or remove it"
        ) from error


def _decode_upright(data: bytes) -> np.ndarray:
    """uint8 [H, W, 3] of the image's own size, after its EXIF orientation."""
    with Image.open(io.BytesIO(data)) as image:
        limit = Image.MAX_IMAGE_PIXELS
        if limit is not None and image.width * image.height > limit:  # Pillow itself only warns up to twice the limit
            raise ValueError(f"{image.width}x{image.height} pixels are more than Pillow's limit of {limit}")
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
        if image.format == "JPEG" and image.mode in ("RGB", "L") and not turned:
            try:
                return simplejpeg.decode_jpeg(data)
            except ValueError as error:
                if not any(harmless in str(error) for harmless in HARMLESS_TO_PILLOW):
                    raise
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


# What simplejpeg refuses in whole files: unusual sampling factors, and bytes after the last pixel. All else that it
# refuses is damage, some of which Pillow would paint over in silence.
HARMLESS_TO_PILLOW = ("Could not determine subsampling", "extraneous bytes before marker 0xd9")


def _squash(image: Image.Image, size: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
    return image.resize(size, resampling)


def _cover(image: Image.Image, size: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
    scaled = ImageOps.cover(image, size, resampling)
    left, top = (scaled.width - size[0]) // 2, (scaled.height - size[1]) // 2
    return scaled.crop((left, top, left + size[0], top + size[1]))


def _pad(image: Image.Image, size: tuple[int, int], resampling: Image.Resampling) -> Image.Image:
    return ImageOps.pad(image, size, resampling)


FITS: dict[str, Callable[[Image.Image, tuple[int, int], Image.Resampling], Image.Image]] = {
    "squash": _squash,
    "cover": _cover,
    "pad": _pad,
}


def _reason(data: bytes, error: Exception) -> str:
    if not data:
        return "it is empty"
    if isinstance(error, UnidentifiedImageError):  # whose own text shows the address of a buffer
        return "it is not an image that Pillow can read"
    return str(error) or type(error).__name__
