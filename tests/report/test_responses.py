"""A panel for each photograph, a line for each class."""

import numpy as np
import pytest

from skinjax.report.figures import COLOURS
from skinjax.report.responses import response_curves


@pytest.mark.parametrize(("photographs", "classes"), [(1, 2), (5, 9)])
def test_of_many_classes_the_likeliest_are_drawn(photographs, classes):
    probabilities = np.random.default_rng(0).dirichlet(np.arange(1, classes + 1), (photographs, 3))
    names = [f"class{number}" for number in range(classes)]
    figure = response_curves(
        [1, 2, 3], probabilities, names, ["x"] * photographs, setting="zoom", unchanged=1, title="Answers"
    )
    assert len(figure.axes) == photographs
    drawn = np.sort(np.argsort(-probabilities.max(axis=(0, 1)))[: len(COLOURS)])
    for axes, curves in zip(figure.axes, probabilities, strict=True):
        lines = [line.get_ydata() for line in axes.lines if len(line.get_xdata()) == 3]
        np.testing.assert_array_equal(lines, curves[:, drawn].T)
    (legend,) = (axes.get_legend() for axes in figure.axes if axes.get_legend())
    assert [text.get_text() for text in legend.get_texts()] == [names[number] for number in drawn]
