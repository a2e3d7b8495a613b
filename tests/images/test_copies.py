"""Fixed copies: originals untouched, a copy that is always the same, and changes that leave the lesion recognisable."""

import jax
import jax.numpy as jnp
import numpy as np

from skinjax.images.copies import fixed_copies

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 24, 32, 3), np.uint8)
RECORDS = jnp.array([4, 9, 9, 9, 70000, 2], jnp.int32)
COPIES = jnp.array([0, 1, 2, 0, 1, 2**31 - 1], jnp.int32)
jitted = jax.jit(fixed_copies)


def test_copy_zero_is_the_picture_bit_for_bit_and_any_other_is_not():
    shown = np.asarray(jitted(IMAGES, RECORDS, COPIES))
    assert shown.dtype == np.uint8
    assert [np.array_equal(one, image) for one, image in zip(shown, IMAGES, strict=True)] == [
        copy == 0 for copy in COPIES
    ]


def test_a_copy_is_the_same_in_any_batch():
    together = np.asarray(jitted(IMAGES, RECORDS, COPIES))
    order = np.array([5, 1, 4])
    np.testing.assert_array_equal(jitted(IMAGES[order], RECORDS[order], COPIES[order]), together[order])


def test_each_copy_of_each_record_is_another():
    same = np.repeat(IMAGES[:1], 6, axis=0)
    shown = jitted(same, jnp.array([3, 3, 3, 5, 5, 5]), jnp.array([1, 2, 3, 1, 2, 3]))
    assert len({picture.tobytes() for picture in np.asarray(shown)}) == 6


def test_a_lesion_stays_in_the_middle_at_about_its_size_and_colour():
    y, x = np.mgrid[:64, :64] - 31.5
    skin, lesion = np.array([220, 180, 160], np.uint8), np.array([90, 50, 40], np.uint8)
    picture = np.where((x**2 + y**2 < 16**2)[..., None], lesion, skin)
    shown = np.asarray(jitted(np.stack([picture] * 16), jnp.arange(16), jnp.ones(16, jnp.int32))).astype(float)
    np.testing.assert_allclose(shown[:, 28:36, 28:36].mean((1, 2)), np.tile(lesion, (16, 1)), atol=25)
    np.testing.assert_allclose(shown[:, 30:34, 5:9].mean((1, 2)), np.tile(skin, (16, 1)), atol=50)
    red = shown[..., 0] / shown[:, 31, 31, 0, None, None]
    area = (red[:, 8:-8, 8:-8] < 1.6).mean((1, 2)) * 48**2
    assert (np.abs(np.sqrt(area / (np.pi * 16**2)) - 1) < 0.15).all()
    assert len(np.unique(area)) > 4
