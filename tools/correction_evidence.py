"""Measure the corrections on synthetic photographs whose truth is known, and draw docs/images/corrections.png.

What docs/correct.md says is printed by `python tools/correction_evidence.py`. The truth is the same photograph drawn
without hairs, or without uneven light.
"""

import argparse
import functools
import time
from pathlib import Path
from unittest import mock

import jax
import numpy as np
from PIL import Image

from skinjax.commands.correct import draw_rows, draw_sheet, operations
from skinjax.data.synthetic import photographs
from skinjax.data.synthetic.photographs import Painter
from skinjax.data.synthetic.settings import Settings, class_names
from skinjax.images import correction
from skinjax.report.figures import SYNTHETIC

SIDE = 224
SHOWN = (43, 78, 62)  # a frame with hairs, hairs over ridges and a ruler, hairs in uneven light
SIGMAS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images/corrections.png"))
    parser.add_argument("--images", type=int, default=210, help="photographs to measure on (default 210)")
    arguments = parser.parse_args()
    draw(arguments.out)
    painter = Painter(Settings(images=arguments.images, height=SIDE, width=SIDE, imbalance=1.0, seed=5))
    as_they_are = np.stack([painter.draw(row) for row in range(arguments.images)])
    measure_hairs(painter, as_they_are)
    measure_light(painter, as_they_are)
    measure_speed(as_they_are[:16])


def draw(out: Path) -> None:
    painter = Painter(Settings(images=84, imbalance=1.0))
    photographs = [
        (f"synthetic {row}", np.asarray(Image.fromarray(painter.draw(row)).resize((150, 112)))) for row in SHOWN
    ]
    sheet = draw_sheet(draw_rows(photographs, operations(list(correction.CORRECTIONS), [])), SYNTHETIC)
    # A palette keeps the file small; dithering, which only a palette that is given gets, keeps the colours.
    sheet.quantize(palette=sheet.quantize(256), dither=Image.Dither.FLOYDSTEINBERG).save(out, optimize=True)
    print(f"{out}: {sheet.width}x{sheet.height}, {out.stat().st_size / 1e3:.0f} kB")


def measure_hairs(painter: Painter, hairy: np.ndarray) -> None:
    """How far pixels are from the hairless photograph before and after, in grey levels (the mean of the channels)."""
    bald, hidden = draw_without(painter, "draw_hairs")
    dark = np.array([bool(np.abs(layers["melanin"]).max()) for layers in hidden])
    clean = functools.partial(in_parts, jax.jit(correction.remove_hair))
    cleaned, cleaned_bald = clean(hairy), clean(bald)
    change = difference(hairy, bald).max(-1)
    hairs, untouched = ((seen & dark[:, None, None]) for seen in (change >= 15, change == 0))
    before, after = (difference(pictures, bald)[hairs].mean() for pictures in (hairy, cleaned))
    print(
        f"\n{dark.sum()} of {len(hairy)} photographs have dark hairs, which cover "
        f"{100 * hairs.sum() / dark.sum() / SIDE**2:.1f} % of them"
    )
    print(
        f"in hairs: {before:.1f} grey levels from the truth before, {after:.1f} after, {before / after:.1f} times less"
    )
    print(f"elsewhere on them: {difference(cleaned, bald)[untouched].mean():.2f} grey levels")
    print("pixels of hairless photographs that are taken for hair, per cent:")
    taken = np.any(cleaned_bald != bald, -1)
    for label, name in enumerate(class_names(7)):
        print(f"  {name:5s} {100 * taken[painter.columns['label'] == label].mean():.2f}")


def measure_light(painter: Painter, lit: np.ndarray) -> None:
    """How uneven the value is against the evenly lit photograph: the standard deviation of log(value / truth)."""
    even, hidden = draw_without(painter, "draw_light")
    whole = np.array([layers["light"].min() > -2 for layers in hidden])  # no frame
    print(
        f"\n{whole.sum()} photographs without a frame, unevenness against evenly lit ones: "
        f"{unevenness(lit, even, whole):.3f}"
    )
    for sigma in SIGMAS:
        corrected = in_parts(jax.jit(functools.partial(correction.even_illumination, sigma=sigma)), lit)
        print(f"  even_illumination, sigma {sigma}: {unevenness(corrected, even, whole):.3f}")
    zoomed = np.any(in_parts(jax.jit(correction.field_of_view_crop), lit) != lit, (1, 2, 3))
    print(
        f"field_of_view_crop changes {zoomed[~whole].sum()} of {(~whole).sum()} with and {zoomed[whole].sum()} without"
    )


def unevenness(pictures: np.ndarray, truth: np.ndarray, chosen: np.ndarray) -> float:
    value, expected = (np.maximum(images[chosen].max(-1).astype(float), 4) for images in (pictures, truth))
    return np.log(value / expected).std((1, 2)).mean()


def measure_speed(pictures: np.ndarray) -> None:
    print(f"\nspeed, {len(pictures)} pictures of {SIDE}x{SIDE}, {jax.devices()[0].device_kind}:")
    for name, correct in correction.CORRECTIONS.items():
        compiled = jax.jit(correct)
        compiled(pictures).block_until_ready()
        taken = []
        for _ in range(10):
            start = time.perf_counter()
            compiled(pictures).block_until_ready()
            taken.append(time.perf_counter() - start)
        print(
            f"  {name:20s} {len(pictures) / min(taken):6.0f} images/s, {1e3 * min(taken) / len(pictures):.2f} ms each"
        )


def draw_without(painter: Painter, step: str) -> tuple[np.ndarray, list[dict[str, np.ndarray]]]:
    """Every photograph as it would be without a step of the drawing, and what the step would have added per layer."""
    hidden = []
    original = getattr(photographs, step)

    def skip(layers, view, rng):
        before = {name: layer.copy() for name, layer in layers.items()}
        original(layers, view, rng)  # draws from the generator what it always draws
        hidden.append({name: layers[name] - before[name] for name in layers})
        layers.update(before)

    with mock.patch.object(photographs, step, skip):
        return np.stack([painter.draw(row) for row in range(painter.settings.images)]), hidden


def in_parts(correct: correction.Correction, pictures: np.ndarray, size: int = 35) -> np.ndarray:
    return np.concatenate([np.asarray(correct(pictures[i : i + size])) for i in range(0, len(pictures), size)])


def difference(pictures: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.abs(pictures.astype(np.float32) - truth)


if __name__ == "__main__":
    main()
