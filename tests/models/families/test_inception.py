"""Inception-v3 at the sizes that it meets, and how it begins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.models import make_backbone
from skinjax.models.families.inception import Unit

KEY = jax.random.key(0, impl="rbg")  # compiles faster than threefry
BACKBONE = make_backbone("inception_v3")


def maps(side):
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    return jax.eval_shape(lambda x: BACKBONE.init_with_output(KEY, x, train=False)[0], images)


@pytest.mark.parametrize(
    ("side", "sides"), [(299, (35, 35, 17, 8)), (224, (25, 25, 12, 5)), (75, (7, 7, 3, 1)), (76, (7, 7, 3, 1))]
)
def test_maps_of_any_image_that_is_large_enough(side, sides):
    found = maps(side)
    channels = (192, 288, 768, 2048)
    expected = [(1, side, side, width) for side, width in zip(sides, channels, strict=True)]
    assert [found[stage].shape for stage in BACKBONE.stages] == expected


def test_smaller_images_are_refused():
    with pytest.raises(UserError, match=r"needs 75 pixels, not 74x74: raise views\.size"):
        maps(74)


def test_it_begins_from_an_untruncated_normal():
    kernel = Unit(128, 3).init(KEY, jnp.zeros((1, 3, 3, 64)), False)["params"]["conv"]["kernel"]
    assert np.std(kernel) == pytest.approx(0.1, rel=0.01)
    assert np.abs(kernel).max() > 0.3
