"""Draw photographs before and after corrections of their frame, hairs, light and colour.

    skinjax correct synthetic --images=6
    skinjax correct my_photographs/ --corrections=remove_hair,even_illumination
    skinjax correct mole.jpg --zooms=1.5,2

SOURCE is an image file, a folder or archive of images, or the name of a data set. One sheet, corrections.png, has a row
per photograph: as it is, the illumination map, after each correction by itself, after all of them in the order given.
Corrections: field_of_view_crop, remove_hair, even_illumination, shades_of_grey, gamma (docs/correct.md).
"""

import argparse
import io
import os
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from skinjax.core.arguments import Parser
from skinjax.core.errors import UserError, lookup, os_errors_as_user_errors
from skinjax.core.files import write_atomically
from skinjax.data.acquire.decoding import thumbnail
from skinjax.data.acquire.sources import ARCHIVE, images, open_source
from skinjax.data.dataset import data_root, open_dataset

if TYPE_CHECKING:  # they are imported when needed, which --help does not wait for
    import jax

    from skinjax.images.correction import Correction

SHEET = "corrections.png"
# Written into the sheet, by which a sheet of ours is known that may be replaced.
SOFTWARE = "skinjax correct"
MOST_IMAGES, LARGEST_SIDE, MOST_SHEET_PIXELS = 50, 4096, 300_000_000
GAP, LINE = 6, 18  # pixels between pictures, and of a line of text

Photographs = list[tuple[str, np.ndarray]]
Rows = list[tuple[str, dict[str, np.ndarray]]]


def add_arguments(parser: Parser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="an image, a folder or archive of them, or a data set's name")
    parser.add_argument("--corrections", metavar="A,B", help="which, in which order (default: all)")
    parser.add_argument("--zooms", type=parse_zooms, default=[], metavar="X,Y", help="also the middle, so much larger")
    parser.add_argument("--out", metavar="DIR", help="where the sheet goes (default: correct/SOURCE)")
    parser.add_number("--images", 4, 1, MOST_IMAGES, "photographs of a folder or data set (default 4)")
    parser.add_number("--seed", 0, 0, 2**63, "another one chooses other photographs", "SEED")
    parser.add_number("--max_side", 600, 8, LARGEST_SIDE, "larger ones are shrunk (default 600)", "PIXELS")
    parser.add_data_dir()


def run(options: argparse.Namespace) -> int:
    folder = sheet_folder(options.out, options.source)
    from skinjax.images.correction import CORRECTIONS

    names = list(CORRECTIONS) if options.corrections is None else [*map(str.strip, options.corrections.split(","))]
    for name in names:
        lookup("correction", name, CORRECTIONS)
    photographs, title = read_photographs(options)
    write_sheet(draw_sheet(draw_rows(photographs, operations(names, options.zooms)), title), folder / SHEET)
    print(f"{title}\nwrote {folder / SHEET}" if title else f"wrote {folder / SHEET}")
    return 0


def operations(names: Sequence[str], zooms: Sequence[float]) -> dict[str, "Correction"]:
    """The operations whose results a row shows, by label."""
    import jax.numpy as jnp

    from skinjax.images import correction

    def light(images: "jax.Array") -> "jax.Array":
        return jnp.repeat(jnp.round(correction.illumination_map(images)).astype(jnp.uint8)[..., None], 3, -1)

    shown: dict[str, Correction] = {"original": lambda images: images}
    if "even_illumination" in names:
        shown["illumination map"] = light
    shown |= {name: correction.CORRECTIONS[name] for name in names}
    if len(names) > 1:
        shown["all, in this order"] = correction.corrected(names)
    return shown | {f"zoom {factor:g}": partial(correction.zoom, factor=factor) for factor in zooms}


def draw_rows(photographs: Photographs, shown: Mapping[str, "Correction"]) -> Rows:
    """A row of pictures, uint8 [H, W, 3] by label, for each photograph."""
    import jax

    every = jax.jit(lambda images: [operation(images) for operation in shown.values()])
    return [
        (name, dict(zip(shown, [np.asarray(seen[0]) for seen in every(picture[None])], strict=True)))
        for name, picture in photographs
    ]


def draw_sheet(rows: Rows, title: str) -> Image.Image:
    """The rows under each other, each under its photograph's name; pictures keep their size in pixels."""
    lines = [f"{title} - {name}" if title else name for name, _ in rows]
    heights = [max(picture.shape[0] for picture in row.values()) + 2 * LINE + GAP for _, row in rows]
    widths = [sum(column_width(label, picture) for label, picture in row.items()) for _, row in rows]
    font = ImageFont.load_default(12)
    width, height = max([*widths, *(round(font.getlength(line)) + 2 * GAP for line in lines)]), sum(heights)
    if width * height > MOST_SHEET_PIXELS:
        raise UserError(f"the sheet would have {width}x{height} pixels; give a smaller --max_side or fewer --images")
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    top = 0
    for line, (_, row), down in zip(lines, rows, heights, strict=True):
        pen.text((GAP, top + 2), line, fill="black", font=font)
        left = 0
        for label, picture in row.items():
            pen.text((left + GAP, top + LINE), label, fill="dimgrey", font=font)
            sheet.paste(Image.fromarray(picture), (left + GAP, top + 2 * LINE))
            left += column_width(label, picture)
        top += down
    return sheet


def column_width(label: str, picture: np.ndarray) -> int:
    """Pixels that a picture and its label take."""
    return GAP + max(picture.shape[1], round(ImageFont.load_default(12).getlength(label)))


def read_photographs(options: argparse.Namespace) -> tuple[Photographs, str]:
    """The photographs that are asked for, by name, and what has to be said of them."""
    source = options.source
    if not os.path.exists(source):
        if "/" in source or Path(source).suffix:
            raise UserError(f"there is no file or folder {source!r}")
        return from_dataset(options)
    path = Path(source)
    if path.is_file() and not ARCHIVE.fullmatch(path.name):
        with os_errors_as_user_errors(f"{path} cannot be read", "check its permissions"):
            return [photograph(path.name, path.read_bytes(), options.max_side)], ""
    with open_source(path) as opened:
        files = images(opened)
        if not files:
            raise UserError(f"there are no images in {path}; give an image, a folder of images or a data set's name")
        chosen = [files[i] for i in choose(len(files), options)]
        return [photograph(file.path, file.read(), options.max_side) for file in chosen], ""


def from_dataset(options: argparse.Namespace) -> tuple[Photographs, str]:
    """Photographs of the data set that `options.source` names."""
    from skinjax.report.figures import SYNTHETIC

    dataset = open_dataset(options.source, {}, data_root(options.data_dir))
    ids = dataset.columns["image_id"]
    chosen = choose(len(dataset), options)
    photographs = [photograph(str(ids[record]), dataset.encoded(record), options.max_side) for record in chosen]
    return photographs, SYNTHETIC if dataset.synthetic else ""


def photograph(name: str, data: bytes, max_side: int) -> tuple[str, np.ndarray]:
    """A decoded image, upright, of at most `max_side` pixels on its longer side."""
    return name, thumbnail(data, max_side, name)


def choose(count: int, options: argparse.Namespace) -> list[int]:
    """The numbers of `options.images` photographs of `count`, or of all, in their order."""
    return sorted(np.random.default_rng(options.seed).permutation(count)[: options.images].tolist())


def sheet_folder(out: str | None, source: str) -> Path:
    """Where the sheet goes: not into a file, not over a file that is not ours, not into the source."""
    name = re.sub(r"[^\w.-]+", "-", Path(source).resolve().name).strip(".-")
    folder = Path(out).expanduser() if out else Path("correct") / (name or "source")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file, not a folder for the sheet; give another --out")
    if os.path.isdir(source) and folder.resolve().is_relative_to(Path(source).resolve()):
        raise UserError(f"{folder} lies in {source}, whose images a sheet would join; give an --out elsewhere")
    if os.path.lexists(folder / SHEET) and not is_ours(folder / SHEET):
        raise UserError(f"{folder / SHEET} was not made by `{SOFTWARE}`; give another --out or move it away")
    return folder


def is_ours(path: Path) -> bool:
    """Whether a file is a sheet that this command has written."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return image.info.get("Software") == SOFTWARE
    except (OSError, ValueError, SyntaxError):
        return False


def write_sheet(sheet: Image.Image, path: Path) -> None:
    encoded, info = io.BytesIO(), PngInfo()
    info.add_text("Software", SOFTWARE)
    sheet.save(encoded, "PNG", pnginfo=info)
    with os_errors_as_user_errors(f"cannot write {path}", "make room or give another --out"):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, encoded.getvalue())


def parse_zooms(text: str) -> list[float]:
    """Numbers from 1 to 100 between commas."""
    zooms = [float(part) for part in text.split(",")] if text else []
    if not all(1 <= zoom <= 100 for zoom in zooms):
        raise argparse.ArgumentTypeError(f"{text!r} are not numbers from 1 to 100 with commas between them, like 1.5,2")
    return zooms
