"""Dermoscopy-like photographs drawn from a seed, at any size: for tests, demonstrations and benchmarks, not medicine.

The classes differ partly in shape and colour and partly in fine structures (network, globules, dots, vessels, cysts)
that vanish when the photograph is made small. A photograph depends on version, seed, class and number only.
"""

import numpy as np
import simplejpeg
from PIL import Image

from skinjax.data.synthetic.camera import LAYERS, View, develop
from skinjax.data.synthetic.lesions import RECIPES, draw_lesion, invent
from skinjax.data.synthetic.plan import LESION, PHOTO, plan, stream
from skinjax.data.synthetic.settings import Settings
from skinjax.data.synthetic.surroundings import draw_hairs, draw_light, draw_skin

LEAST_SIDE = 160
"""Pixels, about: a photograph with a shorter side is drawn some whole number of times larger, then averaged."""

CLARITY = {"histo": 0.75, "consensus": 1.0, "confocal": 0.9, "follow_up": 1.0}
"""How strong the fine structures are, by dx_type: what was excised had been hard to tell."""


class Painter:
    """Draws the photographs of one plan (its `columns`); threads may share it.

    >>> Painter(Settings(images=7, height=32, width=40)).draw(3).shape
    (32, 40, 3)
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self.columns, self._keys = plan(settings)
        named = settings.classes == len(RECIPES)
        self._recipes = tuple(RECIPES.values()) if named else tuple(map(invent, range(settings.classes)))

    def draw(self, row: int) -> np.ndarray:
        """The photograph of a row of the plan: uint8 [height, width, 3]."""
        seed, height, width = self.settings.seed, self.settings.height, self.settings.width
        label, lesion, photo = (int(part) for part in self._keys[row])
        clarity = CLARITY[str(self.columns["dx_type"][row])]
        lesion_rng, photo_rng = stream(seed, LESION, label, lesion), stream(seed, PHOTO, label, lesion, photo)
        # A small photograph is a large one made small: thin structures fade instead of aliasing.
        finer = max(1, round(LEAST_SIDE / min(height, width)))
        view = View.random(height * finer, width * finer, photo_rng)
        layers = dict(zip(LAYERS, np.zeros((len(LAYERS), *view.shape), np.float32), strict=True))
        draw_skin(layers, view, lesion_rng)
        draw_lesion(layers, view, self._recipes[label], clarity, lesion_rng)
        draw_hairs(layers, view, photo_rng)
        draw_light(layers, view, photo_rng)
        pixels = develop(layers, photo_rng)
        return pixels if finer == 1 else np.asarray(Image.fromarray(pixels).reduce(finer))


def encode(image: np.ndarray) -> bytes:
    """A JPEG of uint8 [height, width, 3], at a quality and a colour resolution that keep the fine structures."""
    return simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=92, colorspace="RGB", colorsubsampling="444")
