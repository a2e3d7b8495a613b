"""Draw docs/images/synthetic_contact_sheet.png: the synthetic classes at full size, and what a quarter of it leaves."""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from skinjax.data.synthetic.photographs import Painter
from skinjax.data.synthetic.settings import Settings, class_names

MARGIN = 60
TITLE = 18
GAP = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images/synthetic_contact_sheet.png"))
    parser.add_argument("--columns", type=int, default=4, help="lesions per class (default 4)")
    parser.add_argument("--classes", type=int, default=7, help="default 7, HAM10000's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--height", type=int, default=168)
    parser.add_argument("--width", type=int, default=224)
    arguments = parser.parse_args()
    painter = Painter(
        Settings(
            images=arguments.classes * arguments.columns * 4,
            height=arguments.height,
            width=arguments.width,
            classes=arguments.classes,
            imbalance=1.0,
            seed=arguments.seed,
        )
    )
    examples = [lesions(painter, label, arguments.columns) for label in range(arguments.classes)]
    quarter = [[shrink_and_enlarge(image) for image in row] for row in examples]
    names = class_names(arguments.classes)
    height, width = arguments.height, arguments.width
    left = block(examples, names, f"synthetic, a test bench and not medicine: {width}x{height}")
    right = block(quarter, names, f"the same at {width // 4}x{height // 4}")
    sheet = Image.fromarray(np.concatenate([left, right], 1))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    # A palette keeps the file small; dithering keeps the colours.
    sheet.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(arguments.out, optimize=True)
    print(f"{arguments.out}: {sheet.width}x{sheet.height}, {arguments.out.stat().st_size / 1e6:.2f} MB")


def lesions(painter: Painter, label: int, count: int) -> list[np.ndarray]:
    """The first photographs of the first `count` lesions of a class."""
    columns = painter.columns
    rows = np.flatnonzero(columns["label"] == label)
    first = np.sort(np.unique(columns["group"][rows], return_index=True)[1])
    return [painter.draw(int(row)) for row in rows[first[:count]]]


def shrink_and_enlarge(image: np.ndarray) -> np.ndarray:
    """The image at a quarter of its side, antialiased, shown at its old size without smoothing."""
    height, width = image.shape[:2]
    small = Image.fromarray(image).resize((width // 4, height // 4), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((width, height), Image.Resampling.NEAREST))


def block(rows: list[list[np.ndarray]], names: tuple[str, ...], title: str) -> np.ndarray:
    """A title and rows of images under each other, each with its class's name: uint8 [H, W, 3]."""
    height, width = rows[0][0].shape[:2]
    sheet = Image.new("RGB", (MARGIN + len(rows[0]) * (width + GAP), TITLE + len(rows) * (height + GAP)), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, 3), title, fill="black")
    for i, (name, row) in enumerate(zip(names, rows, strict=True)):
        top = TITLE + i * (height + GAP)
        pen.text((4, top + height // 2), name, fill="black")
        for j, image in enumerate(row):
            sheet.paste(Image.fromarray(image), (MARGIN + j * (width + GAP), top))
    return np.asarray(sheet)


if __name__ == "__main__":
    main()
