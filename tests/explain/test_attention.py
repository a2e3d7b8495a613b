"""Borders by weight, and patches laid out as they lie in their photograph."""

import numpy as np

from skinjax.explain.attention import BRIGHT, framed
from skinjax.report.figures import tiled


def test_the_heaviest_patch_is_in_the_brightest_border_and_the_lightest_in_black():
    patches = np.full((2, 3, 32, 40, 3), 100, np.uint8)
    weights = np.array([[0.2, 0.6, 0.4], [0.5, 0.5, 0.5]])
    shown = framed(patches, weights)
    for edge in (np.s_[0, :], np.s_[-1, :], np.s_[:, 0], np.s_[:, -1]):
        assert (shown[0, 0][edge] == 0).all()
        assert (shown[0, 1][edge] == BRIGHT).all()
        assert (np.abs(shown[0, 2][edge] - BRIGHT / 2) <= 1).all()
    assert (shown[:, :, 2:-2, 2:-2] == 100).all()
    assert (patches == 100).all()
    assert (shown[1, :, 0] == 0).all()  # where all weigh the same


def test_patches_lie_as_in_the_photograph():
    patches = np.arange(5, dtype=np.uint8)[None, :, None, None, None] * np.ones((1, 5, 4, 6, 3), np.uint8)
    corners = tiled(patches, None, gap=1)
    assert corners.shape == (1, 14, 20, 3)
    middles = corners[0, 1::5, 1::7, 0]
    assert middles.tolist() == [[0, 255, 1], [255, 4, 255], [2, 255, 3]]
    assert tiled(patches[:, :4], (2, 2), gap=1)[0, 1::5, 1::7, 0].tolist() == [[0, 1], [2, 3]]
