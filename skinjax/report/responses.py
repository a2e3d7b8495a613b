"""How answers respond to a setting: probabilities against it, a panel for each photograph."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from skinjax.report.figures import COLOURS, FAINT, GRID, _axes, _figure, _legend, _text

COLUMNS = 4


def response_curves(
    values: Sequence[float],
    probabilities: np.ndarray,
    classes: Sequence[str],
    captions: Sequence[str],
    *,
    setting: str,
    unchanged: float,
    title: str,
    synthetic: bool = False,
) -> Figure:
    """A line for each class, of many only those with the largest values; dotted, where the setting changes nothing.

    values: [settings]; probabilities: [photographs, settings, classes]; captions: [photographs]
    """
    across, panel, step = min(len(captions), COLUMNS), (2.2, 1.4), (2.7, 2.2)
    rows = math.ceil(len(captions) / across)
    figure, header = _figure(across * step[0] + 0.3, rows * step[1], title, synthetic)
    shown = np.sort(np.argsort(-probabilities.max(axis=(0, 1)), kind="stable")[: len(COLOURS)])
    lines = {}
    for number, (caption, curves) in enumerate(zip(captions, probabilities, strict=True)):
        left, top = 0.5 + number % across * step[0], header + number // across * step[1] + 0.3
        axes = _axes(figure, left, top, *panel)
        for place, colour in zip(shown, COLOURS, strict=False):
            lines[classes[place]] = axes.plot(values, curves[:, place], color=colour, linewidth=1.6)[0]
        axes.axvline(unchanged, color=FAINT, linewidth=0.8, linestyle=":")
        axes.set_ylim(-0.02, 1.02)
        axes.grid(color=GRID, linewidth=0.7)
        axes.set_xlabel(setting, size=7.5)
        _text(axes, 0, 1.04, " | ".join(caption.split("\n")), transform=axes.transAxes, size=7.5)
        if number == across - 1:
            _legend(axes, lines)
    return figure
