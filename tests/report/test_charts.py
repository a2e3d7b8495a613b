"""What is drawn, read back from the charts."""

import numpy as np
import pytest

from skinjax.report import charts
from skinjax.report.charts import Line
from skinjax.report.figures import rendered


def texts(figure):
    return [text.get_text() for text in figure.findobj(lambda of: hasattr(of, "get_text")) if text.get_text()]


def test_lines_have_their_intervals_and_names():
    line = Line(np.array([1.0, 2.0, 3.0]), np.array([0.5, 0.6, 0.7]), np.array([0.4, np.nan, 0.6]), np.full(3, 0.9))
    figure = charts.chart({"N = 5": line, "N = 9": line}, "dropout", "recall", title="Sweep", marks={"all": 2.0})
    axes = figure.axes[0]
    assert [handle.get_text() for handle in figure.legends[0].texts] == ["N = 5", "N = 9"]
    bars = axes.collections[0].get_segments()
    np.testing.assert_allclose(bars, [[[1, 0.4], [1, 0.9]], [[3, 0.6], [3, 0.9]]])
    assert {"Sweep", "dropout", "recall", "all"} <= set(texts(figure))


def test_no_two_of_many_lines_look_alike():
    lines = {f"class {n}": Line(np.arange(2.0), np.arange(2.0)) for n in range(12)}
    drawn = charts.chart(lines, "x", "y", title="").axes[0].lines
    assert len({(line.get_color(), line.get_linestyle()) for line in drawn}) == 12


def test_bars_end_at_their_values_and_a_class_without_images_has_a_dash():
    figure = charts.bars({"mel": (0.25, 0.1, 0.5), "nv": (np.nan, None, None)}, "recall", title="Recall")
    axes = figure.axes[0]
    assert [patch.get_width() for patch in axes.patches] == [0.25, 0]
    assert list(axes.lines[0].get_xdata()) == [0.1, 0.5]
    assert [text.get_text() for text in axes.texts] == ["0.25", "-"]


def test_a_matrix_has_its_counts_and_a_large_one_only_shades():
    figure = charts.matrix(np.array([[9, 1], [0, 1200]]), ["mel", "nv"], title="Confusion")
    assert [text.get_text() for text in figure.axes[0].texts] == ["9", "1", "0", "1,200"]
    large = charts.matrix(np.eye(60, dtype=int), [f"c{n}" for n in range(60)], title="Confusion")
    assert not large.axes[0].texts
    assert not large.axes[0].get_xticklabels()


@pytest.mark.parametrize("width", [3, 30, 5000])
def test_charts_are_as_wide_whatever_their_names(width):
    figures = [
        charts.matrix(np.eye(2, dtype=int), ["a", "b" * width], title="c" * width),
        charts.bars({"a": (1.0, None, None), "b" * width: (0.5, 0.1, 0.9)}, "x" * width, title="c" * width),
        charts.chart({"b" * width: Line(np.arange(2.0), np.arange(2.0))}, "x", "y", title="c" * width),
    ]
    assert {figure.get_figwidth() for figure in figures} == {charts.TOTAL}


def test_the_same_chart_is_the_same_svg():
    made = [charts.matrix(np.eye(3, dtype=int), ["a", "b$", "<c>"], title="Confusion") for _ in range(2)]
    assert rendered(made[0], "svg") == rendered(made[1], "svg")
