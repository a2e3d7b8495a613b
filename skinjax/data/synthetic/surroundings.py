"""What a photograph shows whatever its class: skin, hairs, the marks of a ruler, uneven light."""

import numpy as np

from skinjax.data.synthetic.camera import Layers, View
from skinjax.data.synthetic.elements import smooth, spectrum, wander


def draw_skin(layers: Layers, view: View, rng: np.random.Generator) -> None:
    """Skin of one of many tones, mottled, lined, sometimes freckled."""
    tone = rng.choice([0.0, 0.2, 0.5, 1.1], p=[0.45, 0.33, 0.15, 0.07]) + rng.uniform(0, 0.15)
    for layer, amount, gain in (("melanin", tone, 0.09), ("blood", rng.uniform(0.0, 0.35), 0.12)):
        layers[layer] += view.waves(spectrum(rng, 24, 1.0, 14.0, slope=0.7), rng.uniform(0.03, gain))
        layers[layer] += np.float32(amount)
    layers["light"] += view.waves(spectrum(rng, 24, 16.0, 30.0), 0.015)
    freckles = rng.poisson(rng.choice([0, 0, 6]))
    if freckles:
        radii, amounts = rng.uniform(0.008, 0.03, freckles), rng.uniform(0.1, 0.4, freckles)
        layers["melanin"] += view.blobs(rng.uniform(-0.7, 0.7, (freckles, 2)), radii, amounts)


def draw_hairs(layers: Layers, view: View, rng: np.random.Generator) -> None:
    """Dark or pale hairs in some photographs, the marks of a ruler in a few."""
    count = rng.poisson(rng.choice([0, 0, 3, 10]))
    if count:
        lean, lines = rng.uniform(0, 2 * np.pi), []
        for start in rng.uniform(-0.7, 0.7, (count, 2)):
            hair = wander(rng, start, lean + rng.normal(0, 0.4), 16, rng.uniform(0.015, 0.05), bend=0.07)
            lines.append((hair, rng.uniform(0.004, 0.008)))
        hairs = view.strokes(lines)
        if rng.random() < 0.8:
            layers["melanin"] += np.float32(rng.uniform(1.2, 2.5)) * hairs
            layers["light"] -= np.float32(0.4) * hairs
        else:
            layers["white"] += np.float32(0.5) * hairs
    if rng.random() < 0.12:
        layers["light"] -= np.float32(1.6) * view.strokes(_ruler(rng))


def draw_light(layers: Layers, view: View, rng: np.random.Generator) -> None:
    """Uneven light and, in some photographs, the dark corners of a dermatoscope."""
    x, y = view.x - np.float32(rng.normal(0, 0.03)), (view.y - np.float32(rng.normal(0, 0.03)))[:, None]
    radius = np.sqrt(x * x + y * y)
    slope, dusk = rng.normal(0, 0.12, 2).astype(np.float32), np.float32(rng.uniform(0, 0.35))
    layers["light"] += (slope[0] * x - dusk * x * x) + (slope[1] * y - dusk * y * y)
    if rng.random() < 0.3:
        edge, blur = np.float32(rng.uniform(0.56, 0.72)), np.float32(1 / rng.uniform(0.02, 0.06))
        layers["light"] -= 4 * smooth((radius - edge) * blur)


def _ruler(rng: np.random.Generator) -> list[tuple[np.ndarray, float]]:
    """Marks along the upper or the lower edge, every fifth a long one."""
    edge, inwards, marks = rng.uniform(0.42, 0.47), rng.choice([-1, 1]), []
    for i, x in enumerate(np.arange(-0.6, 0.6, rng.uniform(0.04, 0.08))):
        tip = edge - (0.06 if i % 5 == 0 else 0.03)
        marks.append((np.array([(x, inwards * edge), (x, inwards * tip)]), 0.006))
    return marks
