import jax
import jax.numpy as jnp
import numpy as np
import pytest

from skinjax.images import mixing

mixup = jax.jit(mixing.mixup)
KEY = jax.random.key(0)
IMAGES = jax.random.normal(jax.random.key(1), (8, 4, 4, 3))
TARGETS = jax.nn.one_hot(jnp.array([0, 1, 2, 3, 0, 1, 2, 3]), 4)
ALL = jnp.ones(8, bool)


def test_mixes_pictures_and_targets_alike():
    mixed = mixup(KEY, IMAGES, TARGETS, ALL, 0.7)
    partner = np.asarray(mixed.partner)
    assert sorted(partner) == list(range(8))
    moved = partner != np.arange(8)
    assert moved.any()
    for before, after in ((IMAGES, mixed.images), (TARGETS, mixed.targets)):
        before = np.asarray(before)
        expected = 0.7 * before + 0.3 * before[partner]
        np.testing.assert_allclose(after[moved], expected[moved], atol=1e-6)
        np.testing.assert_array_equal(after[~moved], before[~moved])


def test_share_one_changes_nothing():
    mixed = mixup(KEY, IMAGES, TARGETS, ALL, 1.0)
    np.testing.assert_array_equal(mixed.images, IMAGES)
    np.testing.assert_array_equal(mixed.targets, TARGETS)


def test_padding_and_unlabelled_rows_stay_apart():
    mask = ALL.at[jnp.array([2, 7])].set(False)
    targets = TARGETS.at[4].set(0)
    images = IMAGES.at[jnp.array([2, 4, 7])].set(jnp.nan)
    for seed in range(8):
        mixed = mixup(jax.random.key(seed), images, targets, mask, 0.7)
        assert mixed.partner[jnp.array([2, 4, 7])].tolist() == [2, 4, 7]
        assert mixed.share[jnp.array([2, 4, 7])].tolist() == [1, 1, 1]
        usable = np.array([0, 1, 3, 5, 6])
        assert sorted(mixed.partner[usable].tolist()) == usable.tolist()
        assert np.isfinite(mixed.images[usable]).all()
        np.testing.assert_allclose(mixed.targets[usable].sum(-1), 1, rtol=1e-6)


def test_every_label_keeps_the_weight_of_its_picture():
    """A nevus that counts four times and a melanoma that counts once, blended with each other; then one masked out."""
    targets = jnp.eye(2)[jnp.array([0, 1, 0])]
    partner, share = jnp.array([1, 0, 2]), jnp.array([0.7, 0.7, 1.0])
    mixed = mixing.Mixed(jnp.zeros((3, 1)), mixing.mix(targets, partner, share), partner, share)
    found, weights = mixing.mix_weights(mixed, targets, jnp.array([4.0, 1.0, 0.0]))
    np.testing.assert_allclose(weights, [3.1, 1.9, 0], rtol=1e-6)
    np.testing.assert_allclose(weights[:, None] * found, [[2.8, 0.3], [1.2, 0.7], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-6)


def test_every_partner_is_equally_likely():
    usable = jnp.array([True, False, True, True])
    partners = jax.vmap(mixing.usable_partners, (0, None))(jax.random.split(KEY, 3000), usable)
    for row in (0, 2, 3):
        shares = np.bincount(np.asarray(partners[:, row]), minlength=4) / 3000
        np.testing.assert_allclose(shares, [1 / 3, 0, 1 / 3, 1 / 3], atol=0.04)


def test_a_batch_without_usable_rows_is_unchanged():
    mixed = mixup(KEY, IMAGES, jnp.zeros_like(TARGETS), ALL, 0.7)
    np.testing.assert_array_equal(mixed.images, IMAGES)


def test_beta_shares_favour_the_row_itself():
    shares = np.asarray(mixing.beta_shares(KEY, 0.4, 4000))
    assert shares.shape == (4000,)
    assert shares.min() >= 0.5
    assert shares.max() <= 1
    assert abs(shares.mean() - 0.8398) < 0.01  # E max(s, 1 - s) for s ~ Beta(0.4, 0.4)
    mixed = mixup(KEY, IMAGES, TARGETS, ALL, jnp.asarray(shares[:8]))
    np.testing.assert_allclose(mixed.targets.sum(-1), 1, rtol=1e-6)


def test_cutmix_takes_a_window_of_the_partner_and_mixes_targets_by_its_area():
    images = jax.random.normal(jax.random.key(1), (8, 24, 32, 3))
    mixed = jax.jit(mixing.cutmix)(KEY, images, TARGETS, ALL, 1.0)
    partner, found = np.asarray(mixed.partner), np.asarray(mixed.images)
    assert sorted(partner) == list(range(8))
    for row in range(8):
        inside = (found[row] != np.asarray(images)[row]).any(axis=-1)
        np.testing.assert_array_equal(found[row][inside], np.asarray(images)[partner[row]][inside])
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if len(rows):
            window = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            assert window.all()
        assert float(mixed.share[row]) == pytest.approx(1 - inside.mean(), abs=1e-6)
    shares = np.asarray(mixed.share)[:, None]
    np.testing.assert_allclose(mixed.targets, shares * TARGETS + (1 - shares) * TARGETS[partner], atol=1e-6)


def test_windows_of_cutmix_have_the_shares_of_its_beta():
    """Of Beta(1, 1) a half, and more of the picture's own, as what lies beyond the border is lost; padding has none."""
    images = jnp.zeros((8, 24, 32, 1))
    keys = jax.random.split(KEY, 500)
    mask = ALL.at[2].set(False)
    shares = jax.jit(jax.vmap(lambda key: mixing.cutmix(key, images, TARGETS, mask, 1.0).share))(keys)
    assert (shares[:, 2] == 1).all()
    assert 0.6 < float(shares[:, [0, 1, 3, 4, 5, 6, 7]].mean()) < 0.75
