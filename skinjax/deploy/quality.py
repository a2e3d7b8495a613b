"""What is wrong with a photograph before anybody looks at the lesion: flags that a person should see.

The limits are fixed: about one in a hundred photographs of HAM10000 is called blurred, next to none dark or tiny
(docs/predict.md).
"""

import numpy as np
from PIL import Image

Array = np.ndarray

SIDE = 112  # at which sharpness is measured
LEAST_SHARPNESS = 17.0  # variance of the Laplacian of the brightness, 0..255
LEAST_BRIGHTNESS = 60.0  # its mean
LEAST_SIDE = 100  # pixels of the photograph's shorter side
FLAGS = ("blurred", "dark", "tiny")
WEIGHTS = np.array([0.299, 0.587, 0.114], np.float32)


def flags(pixels: Array, height: int, width: int) -> tuple[str, ...]:
    """The flags of a photograph of this height and width, from its `pixels` uint8 [h, w, 3] at any size."""
    small = np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    brightness = small.astype(np.float32) @ WEIGHTS
    found = {
        "blurred": sharpness(brightness) < LEAST_SHARPNESS,
        "dark": brightness.mean() < LEAST_BRIGHTNESS,
        "tiny": min(height, width) < LEAST_SIDE,
    }
    return tuple(name for name in FLAGS if found[name])


def sharpness(brightness: Array) -> float:
    """The variance of the Laplacian of a picture [h, w]."""
    middle = brightness[1:-1, 1:-1]
    around = brightness[1:-1, :-2] + brightness[1:-1, 2:] + brightness[:-2, 1:-1] + brightness[2:, 1:-1]
    return float((around - 4 * middle).var())
