"""Pairs and tuples: the share of same-class pairs in every batch, who is drawn beside whom, and what is refused."""

import itertools

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.core.settings import Named
from skinjax.data.sampling import make_sampler
from skinjax.data.sampling.samplers import Images, natural
from skinjax.data.sampling.tuples import PAIRS, TuplesSettings, tuples

ISIC_2016 = (727, 173)
HAM10000 = (327, 514, 1099, 115, 1113, 6705, 142)
PARTNER = TuplesSettings(pairs="partner")


def labelled(counts: tuple[int, ...]) -> np.ndarray:
    """The label of each of the records 0, 1, ..., in random order."""
    return np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))


def made(counts: tuple[int, ...], batch: int, n: int = 2, seed: int = 0, classes=None, **settings):
    labels = labelled(counts)
    images = Images(np.arange(len(labels)), labels, batch, seed, classes, places=n)
    return tuples(images, TuplesSettings(**settings)), labels


@pytest.mark.parametrize("pairs", PAIRS)
@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize("counts", [ISIC_2016, HAM10000])
def test_any_two_places_of_every_batch_agree_in_45_to_55_percent_and_no_image_comes_twice_in_a_row(counts, n, pairs):
    sampler, labels = made(counts, batch=32, n=n, pairs=pairs)
    shares = set()
    for step in range(100):
        rows = sampler(step)
        assert rows.shape == (32, n)
        assert rows.dtype == np.int32
        assert all(len(set(row)) == n for row in rows.tolist())
        of = labels[rows]
        shares |= {float((of[:, a] == of[:, b]).mean()) for a, b in itertools.combinations(range(n), 2)}
        assert all(len(set(row)) <= (2 if pairs == "partner" else n) for row in of.tolist())
    assert shares == {15 / 32, 16 / 32, 17 / 32}


@pytest.mark.parametrize(
    ("pairs", "n", "malignant"),
    [
        ("conditioned", 2, 0.2768),
        ("conditioned", 3, 0.301),
        ("conditioned", 4, 0.320),
        ("partner", 2, 0.3461),
        ("partner", 3, 0.3974),
        ("partner", 4, 0.4231),
    ],
)
def test_class_shares_are_those_of_what_is_drawn(pairs, n, malignant):
    """Paper 004's: of 900 images 173 are malignant, and of the rows' images more."""
    sampler, labels = made(ISIC_2016, 32, n, pairs=pairs)
    np.testing.assert_allclose(sampler.class_shares(2), [1 - malignant, malignant], atol=5e-4)
    rows = np.concatenate([sampler(step) for step in range(300)])
    np.testing.assert_allclose(sampler.class_shares(2)[1], labels[rows].mean(), atol=7e-3)
    numbers = np.repeat([1, 3, 4], [4, 6, 10])
    of_four = tuples(Images(np.arange(20), numbers, 8, 0, places=n), TuplesSettings(pairs=pairs))
    drawn = np.concatenate([of_four(step) for step in range(300)])
    counted = np.bincount(numbers[drawn].ravel()) / drawn.size
    np.testing.assert_allclose(of_four.class_shares(6), [*counted, 0], atol=0.02)


def test_pairs_of_random_images_agree_more_often_than_controlled_ones():
    """Of ISIC 2016's 900 in 68.9 %, with replacement or without, of 810 alike, and of HAM10000's in 47.7 %."""
    for counts, replaced, distinct in (
        (ISIC_2016, 0.689454, 0.689109),
        ((654, 156), 0.688999, 0.688614),
        (HAM10000, 0.476650, 0.476598),
    ):
        sizes = np.array(counts)
        assert np.sum(sizes**2) / sizes.sum() ** 2 == pytest.approx(replaced, abs=1e-6)
        pairs = sizes @ (sizes - 1) / (sizes.sum() * (sizes.sum() - 1))
        assert pairs == pytest.approx(distinct, abs=1e-6)


@pytest.mark.parametrize("pairs", PAIRS)
@pytest.mark.parametrize(
    ("batch", "n", "agreeing"), [(2, 2, {1}), (4, 3, {2}), (11, 2, {5, 6}), (200, 3, range(90, 111))]
)
def test_shares_of_small_and_large_batches(batch, n, agreeing, pairs):
    sampler, labels = made(ISIC_2016, batch, n, pairs=pairs)
    of = [labels[sampler(step)] for step in range(50)]
    places = itertools.combinations(range(n), 2)
    found = {int((rows[:, a] == rows[:, b]).sum()) for a, b in places for rows in of}
    assert found <= set(agreeing)
    assert len(found) > 1 or len(agreeing) == 1


@pytest.mark.parametrize("pairs", PAIRS)
def test_another_share(pairs):
    sampler, labels = made(HAM10000, 40, n=3, pairs=pairs, least=0.6, most=0.7)
    for step in range(50):
        of = labels[sampler(step)]
        assert all(24 <= (of[:, a] == of[:, b]).sum() <= 28 for a, b in itertools.combinations(range(3), 2))


def test_conditioned_rows_are_random_ones_but_for_the_share():
    """Two of one class are of class c as p_c squared; of two others, as the product of their shares."""
    labels = np.repeat([0, 1, 2], [3, 6, 3])
    sampler = tuples(Images(np.arange(12), labels, 12, 0, places=2), TuplesSettings())
    met = np.zeros((12, 12))
    for step in range(4000):
        np.add.at(met, tuple(sampler(step).T), 1)
    same, parts = labels[:, None] == labels, np.bincount(labels) / 12
    of_images = parts[labels] / np.bincount(labels)[labels]
    expected = np.where(same, 0, of_images[:, None] * of_images)
    expected /= 2 * expected.sum()
    among = np.bincount(labels)[labels]
    expected += np.where(same, (parts**2 / (parts @ parts))[labels] / (2 * among * (among - 1)), 0)
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(expected.sum(), 1)
    np.testing.assert_allclose(met / met.sum(), expected, atol=1.5e-3)


@pytest.mark.parametrize("n", [2, 3])
def test_the_places_take_turns_at_being_the_batch_of_natural(n):
    sampler, labels = made(ISIC_2016, 32, n, seed=4, pairs="partner")
    plain = natural(Images(np.arange(900), labels, 32, seed=4))
    assert sampler.epoch_length == plain.epoch_length == 900
    for step in range(30):
        np.testing.assert_array_equal(sampler(step)[:, step % n], plain(step))


@pytest.mark.parametrize(("pairs", "malignant"), [("conditioned", 0.2768), ("partner", (173 / 900 + 0.5) / 2)])
def test_no_place_has_more_of_a_class_than_another(pairs, malignant):
    sampler, labels = made(ISIC_2016, 32, n=2, pairs=pairs)
    found = np.mean([labels[sampler(step)].mean(axis=0) for step in range(2000)], axis=0)
    np.testing.assert_allclose(found, [malignant] * 2, atol=0.01)


@pytest.mark.parametrize("n", [2, 3])
def test_partners_are_uniform_over_the_rest_of_their_class_and_over_all_images_of_other_classes(n):
    labels = np.array([0] * 3 + [1] * 6 + [2] * 3)
    sampler = tuples(Images(np.arange(12), labels, 12, 0, places=n), PARTNER)
    met = np.zeros((12, 12))
    for step in range(3000):
        own, *partners = np.roll(sampler(step), -step, axis=1).T
        for partner in partners:
            np.add.at(met, (own, partner), 1)
    same = labels[:, None] == labels
    expected = np.where(same, 0.5 / (same.sum(axis=1) - 1)[:, None], 0.5 / (~same).sum(axis=1)[:, None])
    np.fill_diagonal(expected, 0)
    np.testing.assert_allclose(met / met.sum(axis=1, keepdims=True), expected, atol=0.02)


@pytest.mark.parametrize("pairs", PAIRS)
def test_the_same_class_falls_on_every_row_alike(pairs):
    sampler, labels = made(HAM10000, 32, pairs=pairs)
    same = np.mean([labels[rows[:, 0]] == labels[rows[:, 1]] for rows in map(sampler, range(1000))], axis=0)
    np.testing.assert_allclose(same, 0.5, atol=0.08)


@pytest.mark.parametrize("counts", [ISIC_2016, HAM10000])
@pytest.mark.parametrize("settings", [TuplesSettings(), PARTNER, Named(name="natural")])
def test_a_batch_depends_on_seed_and_step_only_and_slices_make_it_up(settings, counts):
    labels = labelled(counts)
    sampler, again, other = (
        make_sampler(Images(np.arange(len(labels)), labels, 32, seed, places=3), settings) for seed in (1, 1, 2)
    )
    in_order = [sampler(step) for step in range(20)]
    for step in reversed(range(20)):
        parts = [again(step)[8 * process : 8 * process + 8] for process in range(4)]
        np.testing.assert_array_equal(np.concatenate(parts), in_order[step])
        of = labels[np.concatenate(parts)]
        assert settings.name == "natural" or 0.45 <= (of[:, 0] == of[:, 1]).mean() <= 0.55
    assert all((other(step) != in_order[step]).any() for step in range(20))


@pytest.mark.parametrize(("counts", "n"), [(ISIC_2016, 4), ((654, 156), 3)])
def test_as_few_pairs_as_two_classes_can_have(counts, n):
    """Of three or four images of two classes some pair agrees, however seldom pairs should."""
    with pytest.raises(UserError, match=r"agree in 0% to 10% of 32 rows: .* or a share nearer to a half"):
        made(counts, 32, n, least=0.0, most=0.1)
    with pytest.raises(UserError, match=r"sampler.least is 0.6 and sampler.most 0.55: lower the least"):
        TuplesSettings(least=0.6)


def test_another_sampler_gives_every_place_a_stream_of_its_own():
    labels = labelled(ISIC_2016)
    images = Images(np.arange(900), labels, 30, 7, places=2)
    sampler = make_sampler(images, Named(name="natural"))
    rows = np.concatenate([sampler(step) for step in range(30)])
    assert rows.shape == (900, 2)
    assert all(sorted(column) == list(range(900)) for column in rows.T.tolist())
    np.testing.assert_array_equal(rows[:30, 0], natural(Images(np.arange(900), labels, 30, 7))(0))
    assert np.mean(labels[rows[:, 0]] == labels[rows[:, 1]]) == pytest.approx(0.689, abs=0.05)
    np.testing.assert_allclose(sampler.class_shares(2), [727 / 900, 173 / 900])
    copied = make_sampler(images, Named(name="statically_balanced"))
    assert copied.copies(3).shape == copied(3).shape == (30, 2)


def test_one_place_is_natural():
    labels = labelled(ISIC_2016)
    images = Images(np.arange(900), labels, 32, 0)
    np.testing.assert_array_equal(make_sampler(images, TuplesSettings())(5), natural(images)(5))


@pytest.mark.parametrize("pairs", PAIRS)
def test_records_are_those_given(pairs):
    labels = np.array([5, 5, 2, 2])
    images = Images(np.array([70, 80, 10, 20]), labels, 2, 0, places=2)
    rows = tuples(images, TuplesSettings(pairs=pairs))(0)
    assert {tuple(sorted(row)) for row in rows.tolist()} & {(10, 20), (70, 80)}
    assert set(rows.ravel().tolist()) <= {10, 20, 70, 80}


@pytest.mark.parametrize(
    ("counts", "batch", "n", "message"),
    [
        ((9, 9), 3, 2, "no whole number of pairs is 45% to 55% of 3 rows"),
        ((9, 9), 2, 3, "no tuples of 3 were found of which any two places agree in 45% to 55% of 2 rows"),
        ((9, 9), 6, 3, "no tuples of 3 were found"),
        ((9,), 4, 2, "all images are of the class 'nv': pairs of different classes need a second one"),
        ((9, 3, 2), 4, 4, r"fewer of 'mel' \(3\), 'df' \(2\)"),
    ],
)
def test_what_cannot_be_is_one_sentence(counts, batch, n, message):
    with pytest.raises(UserError, match=message) as error:
        made(counts, batch, n, classes=["nv", "mel", "df"])
    assert "\n" not in str(error.value)


def test_unlabelled_images_are_refused():
    with pytest.raises(UserError, match="1 images have no label"):
        tuples(Images(np.arange(5), np.array([0, 0, 1, 1, -1]), 2, 0, places=2), TuplesSettings())
