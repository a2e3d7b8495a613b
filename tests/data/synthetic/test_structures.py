import numpy as np
import pytest
from PIL import Image

from skinjax.data.synthetic.camera import View
from skinjax.data.synthetic.structures import STRUCTURES


@pytest.mark.parametrize("name", ["network", "fine_network", "red_network", "labyrinth", "ridges", "globules"])
def test_fine_structures_vanish_at_a_quarter_of_the_size(name):
    rng = np.random.default_rng(0)
    view = View.random(168, 224, rng)
    pattern = STRUCTURES[name].pattern(view, 0.3, rng)
    quarter = np.asarray(Image.fromarray(pattern).resize((56, 42), Image.Resampling.BILINEAR))
    assert pattern.std() > 0.3
    assert quarter.std() < 0.45 * pattern.std()
