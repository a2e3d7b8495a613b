"""Charts of figures with their intervals: lines, bars, a matrix; narrow enough for a phone. No chart knows a paper."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from skinjax.report.figures import COLOURS, FAINT, GRID, INK, LEGEND, _axes, _figure, _fitted, _shortened, _text

Array = np.ndarray

STYLES = ("-", "--", "-.", ":")
TOTAL, LEFT = 3.95, 0.6  # inches: all charts are as wide, so that letters are as large in all
WIDTH = TOTAL - LEFT
SIZE = 8.5  # points
MOST_NUMBERS, MOST_NAMES = 12, 40  # classes up to which a matrix has its counts, and its names
ON_CELL = ("#111111", "#FFFFFF")  # ink on light and on dark cells, whatever the page is


class Line(NamedTuple):
    """A line through points [n]; `low` and `high` [n] are their intervals, nan where there is none."""

    x: Array
    y: Array
    low: Array | None = None
    high: Array | None = None
    dots: bool = False
    steps: bool = False


def chart(
    lines: Mapping[str, Line],
    x: str,
    y: str,
    *,
    title: str,
    synthetic: bool = False,
    diagonal: bool = False,
    marks: Mapping[str, float] | None = None,
    shares: bool = False,
) -> Figure:
    """Lines over each other, their names below. `diagonal`: a dotted one; marks: {name: x} of upright lines.

    shares: both axes are shares, from 0 to 1
    """
    height, columns = (3.0 if shares else 2.4), 1 if max(map(len, lines)) > 20 else 2
    names = [_shortened(name, 48 if columns == 1 else 24) for name in lines]
    marks = marks or {}
    above = 0.16 * len(marks)
    below = 0.5 + 0.19 * -(-len(lines) // columns)
    figure, header = _headed(TOTAL, above + height + below, title, synthetic)
    axes = _axes(figure, LEFT, header + above, WIDTH, height)
    if diagonal:
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=0.8, linestyle=":")
    handles = [_draw_line(axes, line, number) for number, line in enumerate(lines.values())]
    if shares:
        axes.set_xlim(-0.01, 1.01)
        axes.set_ylim(-0.01, 1.01)
    for level, (name, place) in enumerate(marks.items()):
        axes.axvline(place, color=FAINT, linewidth=0.8, linestyle=":", clip_on=False)
        text, size = _fitted(name, WIDTH / 2, 8)
        side = "right" if place > np.mean(axes.get_xlim()) else "left"
        height_of_text = 1 + (0.05 + 0.16 * (len(marks) - 1 - level)) / height
        _text(axes, place, height_of_text, text, transform=axes.get_xaxis_transform(), size=size, ha=side)
    _label(axes, x, y)
    corner = 0.0, (below - 0.45) / figure.get_figheight()
    legend = figure.legend(handles, names, **LEGEND, loc="upper left", bbox_to_anchor=corner, ncols=columns)
    for written in legend.get_texts():
        written.set_parse_math(False)
        written.set_color(INK)
    return figure


def bars(
    values: Mapping[str, tuple[float, float | None, float | None]], x: str, *, title: str, synthetic: bool = False
) -> Figure:
    """A bar for each name with its interval, (value, low, high), and its value beside it."""
    label = 0.15 + 0.075 * max(len(_shortened(name, 22)) for name in values)
    row = 0.24
    figure, header = _headed(TOTAL, row * len(values) + 0.5, title, synthetic)
    axes = _axes(figure, label, header, TOTAL - label - 0.5, row * len(values))
    places = np.arange(len(values)) + 0.5
    heights = [0.0 if np.isnan(value) else value for value, _, _ in values.values()]
    axes.barh(places, heights, 0.7, color=COLOURS[4])
    most = max([*heights, *(high for *_, high in values.values() if high is not None), 1e-9])
    for place, (value, low, high) in zip(places, values.values(), strict=True):
        if low is not None and high is not None:
            axes.plot([low, high], [place, place], color=INK, linewidth=1.4)
        _text(axes, 1.04 * most, place, "-" if np.isnan(value) else f"{value:.3g}", size=8, va="center")
    axes.set_ylim(len(values), 0)
    axes.set_xlim(0, most)
    axes.set_yticks(places, [_shortened(name, 22) for name in values], parse_math=False)
    _label(axes, x, "", grid="x")
    return figure


def matrix(counts: Array, classes: Sequence[str], *, title: str, synthetic: bool = False) -> Figure:
    """Counts [truth, predicted], shaded by their share of the row; of many classes without numbers, or names."""
    kinds = len(classes)
    names = [_shortened(name, 14) for name in classes]
    left = 0.45 + 0.07 * max(map(len, names))
    side = TOTAL - left
    figure, header = _headed(TOTAL, side + left, title, synthetic)
    axes = _axes(figure, left, header, side, side)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    # From nearly white to the first colour.
    colour = np.array([int(COLOURS[0][place : place + 2], 16) for place in (1, 3, 5)])
    cells = (246 + shares[..., None] * (colour - 246)).round().astype(np.uint8)
    axes.imshow(cells, extent=(0, kinds, kinds, 0), interpolation="nearest", aspect="auto")
    for row, column in np.ndindex(*counts.shape) if kinds <= MOST_NUMBERS else ():
        ink = ON_CELL[int(shares[row, column] > 0.5)]
        letters = 8 if kinds <= 8 else 6
        _text(
            axes, column + 0.5, row + 0.5, f"{counts[row, column]:,}", size=letters, ha="center", va="center", color=ink
        )
    named = kinds <= MOST_NAMES
    ticks = np.arange(kinds if named else 0) + 0.5
    size = SIZE if kinds <= MOST_NUMBERS else 6
    axes.set_xticks(ticks, names if named else [], rotation=90, size=size, parse_math=False)
    axes.set_yticks(ticks, names if named else [], size=size, parse_math=False)
    _label(axes, "taken for", "truth", grid="")
    return figure


def _headed(width: float, height: float, title: str, synthetic: bool) -> tuple[Figure, float]:
    """As `_figure`, with a title that fits, and short words for what is synthetic."""
    figure, header = _figure(width, height, _fitted(title, width, 11)[0], False)
    figure.texts[0].set_fontsize(_fitted(title, width, 11)[1])
    if synthetic:
        figure.texts[0].set_y(1 - 0.14 / figure.get_figheight())
        place = 1 - 0.31 / figure.get_figheight()
        figure.text(0, place, "synthetic photographs: not medicine", size=8, color=FAINT)
    return figure, header


def _draw_line(axes: Axes, line: Line, number: int) -> Line2D:
    """A line in the colour and style of its number, and its handle for a legend."""
    colour, style = COLOURS[number % len(COLOURS)], STYLES[number // len(COLOURS) % len(STYLES)]
    if line.low is not None and line.high is not None:
        known = ~np.isnan(line.low)
        reach = np.abs(np.stack([line.y - line.low, line.high - line.y]))[:, known]
        axes.errorbar(line.x[known], line.y[known], reach, fmt="none", ecolor=colour, elinewidth=1, capsize=2.5)
    marker = "osD^v"[number % 5] if line.dots or len(line.x) == 1 else ""
    drawn = "steps-pre" if line.steps else "default"
    return axes.plot(line.x, line.y, marker + style, color=colour, linewidth=1.5, markersize=4, drawstyle=drawn)[0]


def _label(axes: Axes, x: str, y: str, grid: Literal["both", "x", ""] = "both") -> None:
    """The names of the axes, a grid, and ink for all that is written there."""
    axes.set_xlabel(_shortened(x, 60), size=SIZE, color=INK, parse_math=False)
    axes.set_ylabel(_shortened(y, 40), size=SIZE, color=INK, parse_math=False)
    axes.tick_params(labelcolor=INK)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    if grid:
        axes.grid(axis=grid, color=GRID, linewidth=0.7)
    if axes.get_xlim()[1] >= 1000:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.locator_params(axis="x", nbins=6)
