"""Flags of photographs."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from skinjax.data.synthetic.photographs import Painter
from skinjax.data.synthetic.settings import Settings
from skinjax.deploy.quality import flags


@pytest.fixture(scope="module")
def photograph():
    return Painter(Settings(images=7, height=150, width=200)).draw(0)


def test_a_sharp_photograph_has_no_flag(photograph):
    assert flags(photograph, *photograph.shape[:2]) == ()


def test_each_flag_is_raised(photograph):
    blurred = np.asarray(Image.fromarray(photograph).filter(ImageFilter.GaussianBlur(4)))
    assert flags(blurred, 150, 200) == ("blurred",)
    assert "dark" in flags(photograph // 4, 150, 200)
    assert flags(photograph, 99, 200) == ("tiny",)
