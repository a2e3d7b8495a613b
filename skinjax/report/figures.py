"""Pictures of data and training: class panels, frequencies, views, schedules. Arrays in, a matplotlib `Figure` out.

No pyplot: figures need no display, share no state, and may be drawn in any thread.
"""

import io
import math
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from skinjax.core.files import write_atomically
from skinjax.evaluation.text import visible

if TYPE_CHECKING:  # they import jax
    from skinjax.training.lr_range import Curve
    from skinjax.training.phases import Phase

SYNTHETIC = "synthetic: drawn by a program, a test bench and not medicine"
# Okabe and Ito's, which colour-blind readers tell apart.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
INK, FAINT, GRID = "#222222", "#666666", "#DDDDDD"
GAP = 0.05  # inches, as are all lengths below
CLASSES_PER_COLUMN = 50
# The largest bar over the smallest from which a logarithmic axis shows more than a straight one.
LARGE_IMBALANCE = 20
DOTS_PER_INCH = 120
POINTS = 20_000  # of a curve
NOTE: dict[str, Any] = {"size": 7.5, "color": INK, "annotation_clip": False}
LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 8.5, "borderaxespad": 0, "borderpad": 0, "handlelength": 1.2}


def class_panel(
    images: Sequence[Sequence[np.ndarray]],
    counts: Sequence[int],
    classes: Sequence[str],
    *,
    title: str = "Classes",
    synthetic: bool = False,
) -> Figure:
    """Example photographs of every class under its name and count, in as many columns as keep the page readable.

    images: for each class its examples, uint8 [H, W, 3] of any sizes; counts: [classes], of which they are examples
    """
    height = next(inches for most, inches in ((12, 1.0), (40, 0.75), (math.inf, 0.6)) if len(classes) <= most)
    shapes = [image.shape for examples in images for image in examples]
    width = height * float(np.clip(np.median([shape[1] / shape[0] for shape in shapes]) if shapes else 1, 0.5, 2))
    most = max([1, *map(len, images)])
    block = max(most * (width + GAP), 1.7), height + 0.55
    kinds = len(classes)
    columns = next(n for n in range(1, kinds + 1) if math.ceil(kinds / n) * block[1] <= 1.4 * n * block[0])
    rows = math.ceil(kinds / columns)
    figure, axes = _sheet(columns * (block[0] + 0.2), rows * block[1], title, synthetic)
    total = max(sum(counts), 1)
    for number, (examples, count, name) in enumerate(zip(images, counts, classes, strict=True)):
        # Down the columns, as lists of names are read.
        left, top = number // rows * (block[0] + 0.2), number % rows * block[1]
        text, size = _fitted(name, block[0], 9)
        _text(axes, left, top + 0.16, text, size=size, weight="bold")
        share = f"{count:,} image{'s' * (count != 1)}, {100 * count / total:.1f} %" if count else "no images"
        _text(axes, left, top + 0.31, share, size=7.5, color=FAINT)
        for place, image in enumerate(examples):
            _draw(axes, image, left + place * (width + GAP), top + 0.37, width, height)
    return figure


def class_frequencies(
    counts: Mapping[str, Sequence[int]], classes: Sequence[str], *, title: str = "Frequencies", synthetic: bool = False
) -> Figure:
    """A bar for each class and part, the largest class first, with its count and its per cent of the part.

    counts: {part: [classes]}; the axis is logarithmic when the largest bar is `LARGE_IMBALANCE` times the smallest
    """
    table = np.array([np.asarray(part, int) for part in counts.values()])
    columns = np.array_split(np.argsort(-table.sum(0), kind="stable"), math.ceil(len(classes) / CLASSES_PER_COLUMN))
    names = [_shortened(name, 40) for name in classes]
    label, bars, note = 0.15 + 0.075 * max(map(len, names)), 3.0, 1.3
    legend = 0.35 if len(counts) > 1 else 0.0
    thickness = 0.14 if len(counts) > 1 else 0.19
    row = thickness * len(counts) + 0.08
    width = len(columns) * (label + bars + note)
    figure, header = _figure(width, legend + row * len(columns[0]) + 0.5, title, synthetic)
    for place, column in enumerate(columns):
        left = place * (label + bars + note) + label
        axes = _axes(figure, left, header + legend, bars, row * len(column))
        axes.set_ylim(row * len(column), 0)
        _count_axis(axes, table)
        _frequency_bars(axes, table[:, column], table.sum(1), row, thickness)
        axes.set_yticks(row * (np.arange(len(column)) + 0.5), [names[number] for number in column], parse_math=False)
    if legend:
        totals = [f"{part}: {total:,} images" for part, total in zip(counts, table.sum(1), strict=True)]
        handles = [container[0] for container in figure.axes[0].containers]
        corner = label / width, 1 - (header + 0.05) / figure.get_figheight()
        figure.legend(handles, totals, **LEGEND, loc="upper left", bbox_to_anchor=corner, ncols=len(counts))
    return figure


def view_panel(
    rows: Mapping[str, np.ndarray], captions: Sequence[str], *, title: str = "Views", synthetic: bool = False
) -> Figure:
    """The same photographs after each view: a row for each, a column for each photograph under its caption.

    rows: {view: uint8 [n, H, W, 3]}; captions: [n]
    """
    first = next(iter(rows.values()))
    height, label = 1.0, 1.75
    width = height * float(np.clip(first.shape[2] / first.shape[1], 0.5, 2))
    above = 0.07 + 0.13 * max(len(_halves(caption)) for caption in captions)
    figure, axes = _sheet(label + len(captions) * (width + GAP), above + len(rows) * (height + GAP), title, synthetic)
    for place, caption in enumerate(captions):
        lines = [_fitted(line, width, 8) for line in _halves(caption)]
        text, size = "\n".join(line for line, _ in lines), min(size for _, size in lines)
        _text(axes, label + place * (width + GAP) + width / 2, above - 0.07, text, size=size, ha="center", va="bottom")
    for number, (name, images) in enumerate(rows.items()):
        top = above + number * (height + GAP)
        _text(axes, label - 0.12, top + height / 2, name, size=8, ha="right", va="center")
        for place, image in enumerate(images):
            _draw(axes, image, label + place * (width + GAP), top, width, height)
    return figure


def tiled(patches: np.ndarray, grid: tuple[int, int] | None, gap: int = 2) -> np.ndarray:
    """The patches [n, patches, h, w, 3] of each photograph as one picture of them, uint8, with white between them.

    grid: their rows and columns; None is the four corners and then the centre
    """
    rows, columns = grid or (3, 3)
    places = range(rows * columns) if grid else (0, 2, 6, 8, 4)
    height, width = patches.shape[2:4]
    sheet = np.full((len(patches), rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for number, place in enumerate(places):
        top, left = place // columns * (height + gap), place % columns * (width + gap)
        sheet[:, top : top + height, left : left + width] = patches[:, number]
    return sheet


def schedule(phases: "Sequence[Phase]", *, title: str = "Learning rate", synthetic: bool = False) -> Figure:
    """The learning rate against the step through all phases, a line for each row of multipliers, warm-ups shaded."""
    width, height, above = 7.5, 3.0, 0.2 * len(phases)
    figure, header = _figure(width + 0.8, above + height + 0.5, title, synthetic)
    axes = _axes(figure, 0.8, header + above, width, height)
    total, start = sum(phase.steps for phase in phases), 0
    lines: dict[str, Line2D] = {}
    for number, phase in enumerate(phases):
        steps = np.unique(np.linspace(0, phase.steps - 1, min(phase.steps, POINTS)).round().astype(np.int64))
        for name, factor in phase.learning_rate_multipliers:
            colour = lines[name].get_color() if name in lines else COLOURS[len(lines) % len(COLOURS)]
            drawn = axes.plot(start + steps, factor * phase.rates[steps], color=colour, linewidth=1.8)
            lines.setdefault(name, drawn[0])
        # Labels stand on lines of their own, so that a short phase's cannot run into its neighbour's.
        _mark_phase(axes, phase, start, total, level=1 + (0.06 + 0.19 * (len(phases) - 1 - number)) / height)
        start += phase.steps
    rows = ((factor, phase.rates) for phase in phases for _, factor in phase.learning_rate_multipliers)
    _rate_axes(axes, np.concatenate([factor * rates for factor, rates in rows]), total)
    if list(lines) != [".*"]:
        _legend(axes, lines)
    return figure


def range_curves(
    curves: "Sequence[Curve]",
    answers: Mapping[str, float],
    *,
    title: str = "Learning rate range test",
    synthetic: bool = False,
) -> Figure:
    """The loss against the rate: batches as points, smoothed curves as lines, a dot where each suggests a rate.

    answers: {group: rate}; groups have a colour each, or if there is one, seeds have
    """
    width, height = 7.5, 3.6
    figure, header = _figure(width + 0.8, height + 0.75, title, synthetic)
    axes = _axes(figure, 0.8, header + 0.25, width, height)
    lines: dict[str, Line2D] = {}
    shown = [curve.shown() for curve in curves]
    for curve, rate in zip(shown, (curve.suggestion().steepest for curve in curves), strict=True):
        name = curve.group if len(answers) > 1 else f"seed {curve.seed}"
        colour = lines[name].get_color() if name in lines else COLOURS[len(lines) % len(COLOURS)]
        axes.plot(curve.rates, curve.losses, ".", color=colour, alpha=0.25, markeredgewidth=0)
        lines[name] = axes.plot(curve.rates, curve.smoothed, color=colour, linewidth=2)[0]
        dot = np.interp(rate, curve.rates, curve.smoothed)
        axes.plot(rate, dot, "o", color=colour, markersize=8, markeredgecolor="white", zorder=3)
    for group, rate in answers.items():
        colour = lines[group].get_color() if group in lines else INK
        axes.axvline(rate, color=colour, linewidth=1, linestyle="--", zorder=1)
        _text(axes, rate, 1.02, f"{rate:.2g}", transform=axes.get_xaxis_transform(), ha="center", color=colour, size=9)
    losses, smoothed = (np.concatenate([getattr(curve, name) for curve in shown]) for name in ("losses", "smoothed"))
    low, high = min(losses.min(), smoothed.min()), max(np.percentile(losses, 90), smoothed.max())
    axes.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    axes.set_xscale("log")
    axes.set_xlabel("learning rate", size=8.5)
    axes.set_ylabel("loss", size=8.5)
    axes.grid(color=GRID, linewidth=0.7)
    _legend(axes, lines)
    return figure


def save(figure: Figure, path: str | os.PathLike) -> None:
    """Write a figure as SVG or PNG, as the suffix says, whole or not at all."""
    kind = "svg" if os.fspath(path).lower().endswith(".svg") else "png"
    write_atomically(path, rendered(figure, kind))


def rendered(figure: Figure, kind: str, transparent: bool = False) -> bytes:
    """The file of a figure, `png` or `svg`; the same figure always gives the same bytes."""
    file = io.BytesIO()
    options: dict[str, Any] = {"metadata": {"Date": None}} if kind == "svg" else {"dpi": DOTS_PER_INCH}
    # Text stays text, which can be searched, read aloud, and set in the reader's fonts.
    with warnings.catch_warnings(), rc_context({"svg.hashsalt": "skinjax", "svg.fonttype": "none"}):
        # Class names in scripts that the font lacks are drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(file, format=kind, bbox_inches="tight", pad_inches=0.15, transparent=transparent, **options)
    return file.getvalue()


def _figure(width: float, height: float, title: str, synthetic: bool) -> tuple[Figure, float]:
    """A figure of this width with `height` inches below its title, and the height of the title."""
    header = 0.6 if synthetic else 0.4
    figure = Figure(figsize=(width, header + height))
    figure.text(0, 1 - 0.2 / (header + height), title, size=12, weight="bold", color=INK, parse_math=False)
    if synthetic:
        figure.text(0, 1 - 0.4 / (header + height), SYNTHETIC, size=9, color="#B22222")
    return figure, header


def _axes(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes placed in inches from the top left."""
    across, down = figure.get_size_inches()
    axes = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", labelsize=8.5, length=0)
    return axes


def _legend(axes: Axes, lines: Mapping[str, Line2D]) -> None:
    """The names of lines beside the axes."""
    names = [name if name != ".*" else "all others" for name in lines]
    legend = axes.legend(list(lines.values()), names, **LEGEND, loc="upper left", bbox_to_anchor=(1.02, 1))
    for text in legend.get_texts():
        text.set_parse_math(False)


def _sheet(width: float, height: float, title: str, synthetic: bool) -> tuple[Figure, Axes]:
    """A figure, and axes over all that is below its title, whose unit is an inch from the top left."""
    figure, header = _figure(width, height, title, synthetic)
    axes = _axes(figure, 0, header, width, height)
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.axis("off")
    return figure, axes


def _draw(axes: Axes, image: np.ndarray, left: float, top: float, width: float, height: float) -> None:
    """An image in the middle of a box of a sheet, with its own aspect ratio."""
    scale = min(width / image.shape[1], height / image.shape[0])
    across, down = scale * image.shape[1], scale * image.shape[0]
    left, top = left + (width - across) / 2, top + (height - down) / 2
    axes.imshow(image, extent=(left, left + across, top + down, top), aspect="auto")


def _text(axes: Axes, x: float, y: float, text: str, **style: Any) -> None:
    axes.text(x, y, text, parse_math=False, **{"color": INK, **style})


def _frequency_bars(axes: Axes, table: np.ndarray, totals: np.ndarray, row: float, thickness: float) -> None:
    """The bars of the classes of one column; table: [parts, classes]."""
    for part, (counts, total) in enumerate(zip(table, totals, strict=True)):
        middles = row * np.arange(len(counts)) + 0.04 + thickness * (part + 0.5)
        axes.barh(middles, counts, 0.9 * thickness, color=COLOURS[part % len(COLOURS)])
        for count, middle in zip(counts.tolist(), middles, strict=True):
            text = f"{count:,}   {100 * count / max(total, 1):.1f} %"
            # A logarithmic axis has no place for nothing.
            end = max(count, axes.get_xlim()[0]), middle
            axes.annotate(text, end, (4, 0), textcoords="offset points", va="center_baseline", **NOTE)


def _count_axis(axes: Axes, table: np.ndarray) -> None:
    """The same axis for every column: straight, or logarithmic when the imbalance is large."""
    present = table[table > 0]
    most = max(table.max(), 1)
    if len(present) and most >= LARGE_IMBALANCE * present.min():
        axes.set_xscale("log")
        axes.set_xlim(0.5, most)
        axes.set_xlabel("images (logarithmic)", size=8.5)
    else:
        axes.set_xlim(0, most)
        axes.set_xlabel("images", size=8.5)
        axes.locator_params(axis="x", integer=True, nbins=5)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="x", color=GRID, linewidth=0.7)


def _mark_phase(axes: Axes, phase: "Phase", start: int, total: int, level: float) -> None:
    """The beginning of a phase, its name at `level` (in heights of the axes), and its warm-up."""
    height = axes.get_xaxis_transform()
    peak = int(np.argmax(phase.rates))
    if phase.rates[0] < phase.rates[peak]:
        end = start + peak
        axes.axvspan(start, end, color="#EEEEEE", linewidth=0)
        _text(axes, end + 0.006 * total, 0.03, "warm-up", transform=height, color=FAINT, size=8)
    axes.axvline(start, 0, level + 0.03, color=FAINT, linewidth=0.8, linestyle=":", clip_on=False)
    side, shift = ("right", -0.006) if start > 0.6 * total else ("left", 0.006)
    frozen = f", frozen: {', '.join(phase.objective.frozen)}" if phase.objective.frozen else ""
    label = f"{phase.name}: {phase.steps:,} steps{frozen}"
    _text(axes, start + shift * total, level, label, transform=height, ha=side, size=8.5)


def _rate_axes(axes: Axes, rates: np.ndarray, total: int) -> None:
    """Axes for these rates: straight, or logarithmic when a tenth of them would lie on the ground."""
    top = rates.max() or 1.0
    # Of a cosine, only the end does.
    if np.mean(rates < 0.02 * top) > 0.1:
        axes.set_yscale("log")
        axes.set_ylim(0.7 * np.percentile(rates[rates > 0], 1), 1.5 * top)
    else:
        axes.set_ylim(0, 1.08 * top)
        axes.locator_params(axis="y", nbins=5)
    axes.set_xlim(0, total)
    axes.set_xlabel("step", size=8.5)
    axes.set_ylabel("learning rate", size=8.5)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(axis="y", color=GRID, linewidth=0.7)


def _fitted(text: str, width: float, size: float) -> tuple[str, float]:
    """The text and its size in points so that it is at most `width` inches wide: smaller first, then shortened."""
    text = " ".join(text.split())
    # Widths of bold letters, in ems; other scripts than Latin are wide.
    ems = sum(1.2 if ord(letter) > 0x24F else 0.8 if letter.isupper() else 0.66 for letter in text) or 1.0
    size = max(5.5, min(size, 72 * width / ems))
    return _shortened(text, int(len(text) * min(1.0, 72 * width / (size * ems)) + 0.01)), size


def _halves(text: str) -> list[str]:
    """A text in the lines that it has, and a long name in two, parted where its words are."""
    if "\n" in text:
        return text.split("\n")
    places = [found.end() for found in re.finditer(r"[\s_-]+", text.strip())]
    if len(text) <= 14 or not places:
        return [text]
    middle = min(places, key=lambda place: abs(2 * place - len(text)))
    return [text[:middle], text[middle:]]


def _shortened(text: str, most: int) -> str:
    text = visible(" ".join(text.split()))
    return text if len(text) <= most else text[: max(most - 1, 1)] + "…"
