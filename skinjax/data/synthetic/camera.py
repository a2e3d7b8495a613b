"""The camera: where a photograph looks, what its pixels see of the skin's layers, and how they become colours."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from skinjax.data.synthetic.elements import Waves


@dataclass(frozen=True)
class View:
    """Where a photograph looks. Drawn from lesion coordinates (fields of view), exactly, at any size and angle."""

    x: np.ndarray  # [width], fields of view from the middle of the photograph
    y: np.ndarray  # [height]
    turn: np.ndarray  # [2, 2], from lesion vectors to photograph vectors
    shift: np.ndarray  # [2], where the lesion's origin appears

    @classmethod
    def random(cls, height: int, width: int, rng: np.random.Generator) -> "View":
        """A photograph of [height, width] pixels, turned, zoomed and shifted at random."""
        y, x = ((np.arange(n, dtype=np.float32) + 0.5 - n / 2) / min(height, width) for n in (height, width))
        angle, zoom = rng.uniform(0, 2 * np.pi), rng.uniform(0.88, 1.18)
        turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return cls(x, y, turn, rng.uniform(-0.1, 0.1, 2))

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.y), len(self.x)

    @property
    def zoom(self) -> float:
        return float(np.hypot(*self.turn[0]))

    def place(self, points: np.ndarray) -> np.ndarray:
        """Photograph coordinates of lesion coordinates: both [points, 2]."""
        return points @ self.turn.T + self.shift

    def ellipse(self, a: float, b: float) -> np.ndarray:
        """Distance from the lesion's origin, 1 on the ellipse with half axes a and b: [height, width]."""
        back = (np.linalg.inv(self.turn) / ((a,), (b,))).astype(np.float32)
        x, y = self.x - np.float32(self.shift[0]), (self.y - np.float32(self.shift[1]))[:, None]
        squares = np.square(back[0, 0] * x + back[0, 1] * y)
        squares += np.square(back[1, 0] * x + back[1, 1] * y)
        return np.sqrt(squares, out=squares)

    def waves(self, waves: Waves, gain: float = 1.0) -> np.ndarray:
        """The sum of `gain * weights * cos(vectors . position + phases)`: [height, width].

        A plane wave is separable at any angle, so the sum is one matrix product.
        """
        vectors, phases, weights = waves
        vectors = vectors @ np.linalg.inv(self.turn)
        phases = (phases - vectors @ self.shift).astype(np.float32)
        vectors = vectors.astype(np.float32)
        across = vectors[:, :1] * self.x
        down = vectors[:, 1:] * self.y + phases[:, None]
        weights = (gain * np.tile(weights, 2)).astype(np.float32)
        rows = np.concatenate([np.cos(down), -np.sin(down)]) * weights[:, None]
        return rows.T @ np.concatenate([np.cos(across), np.sin(across)])

    def blobs(self, centres: np.ndarray, radii: np.ndarray, heights: np.ndarray) -> np.ndarray:
        """The sum of round Gaussian spots: [height, width]; separable, like `waves`."""
        centres = self.place(centres)
        scale = -0.5 / (radii * self.zoom)[:, None] ** 2
        rows = heights[:, None] * np.exp(scale * (self.y - centres[:, 1:]) ** 2)
        columns = np.exp(scale * (self.x - centres[:, :1]) ** 2)
        return rows.astype(np.float32).T @ columns.astype(np.float32)

    def strokes(self, lines: list[tuple[np.ndarray, float]]) -> np.ndarray:
        """How far polylines (photograph coordinates [points, 2], thickness) cover a pixel, 0 to 1: [height, width]."""
        height, width = self.shape
        side, finer = min(height, width), 2
        canvas = Image.new("L", (width * finer, height * finer))
        pen = ImageDraw.Draw(canvas)
        for points, thickness in lines:
            corners = (points * side + (width / 2, height / 2)) * finer
            pen.line([tuple(p) for p in corners.tolist()], fill=255, width=max(1, round(thickness * side * finer)))
        return np.asarray(canvas.reduce(finer), np.float32) / 255


LAYERS = ("melanin", "blood", "blue", "white", "light")
"""What lies in and on the skin, an amount per pixel, and the logarithm of the light that falls on it."""

Layers = dict[str, np.ndarray]

SKIN = (0.92, 0.79, 0.74)
KERATIN = (0.95, 0.90, 0.87)
ABSORBED = {"melanin": (0.43, 0.70, 0.95), "blood": (0.07, 0.50, 0.36), "blue": (0.80, 0.52, 0.28)}
"""Red, green and blue: reflectance of bare skin and of the white layer; absorbance of one unit of each pigment."""

GRAIN = 4.0  # the camera's noise, at most, in grey levels


def develop(layers: Layers, rng: np.random.Generator) -> np.ndarray:
    """The photograph, by Beer and Lambert's law: uint8 [height, width, 3]."""
    shape = layers["light"].shape
    exposure = 255 * np.exp(rng.normal(0, 0.08) + rng.normal(0, 0.04, 3))
    noise = np.frombuffer(rng.bytes(3 * shape[0] * shape[1]), np.int8).reshape(3, *shape)
    light, white = np.exp(layers["light"]), layers["white"].clip(0, 0.9)
    pixels = np.empty((*shape, 3), np.uint8)
    value, other = np.empty((2, *shape), np.float32)
    # In place: at this size the allocation of temporaries costs as much as the arithmetic.
    for channel in range(3):
        value[:] = 0
        for pigment, absorbed in ABSORBED.items():
            value -= np.multiply(layers[pigment], np.float32(absorbed[channel]), out=other)
        np.exp(value, out=value)
        value *= np.float32(SKIN[channel])
        np.subtract(np.float32(KERATIN[channel]), value, out=other)
        value += np.multiply(other, white, out=other)
        value *= light
        value *= np.float32(exposure[channel])
        value += np.multiply(noise[channel], np.float32(GRAIN / 128), out=other)
        pixels[..., channel] = np.clip(value, 0, 255, out=value)
    return pixels
