"""Samplers: who is drawn, how often, and that a batch depends on nothing but seed and step."""

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.core.settings import Named
from skinjax.data.sampling import SAMPLERS
from skinjax.data.sampling.samplers import (
    EvaluationBatches,
    Images,
    WeightedSettings,
    balanced_batches,
    downsampled,
    natural,
    oversampled,
    statically_balanced,
    weighted,
    weights_by_class,
)

BY_COLUMN = WeightedSettings(weights="column")
BALANCED = ["oversampled", "downsampled", "balanced_batches", "statically_balanced"]


def imbalanced(*counts: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Records 100, 101, ... in random order with counts[k] of class k."""
    labels = np.repeat(np.arange(len(counts)), counts)
    order = np.random.default_rng(seed).permutation(len(labels))
    return 100 + order, labels[order]


def make(name: str, *images, **named):
    """A sampler by name, with its settings' defaults."""
    kind = SAMPLERS[name]
    return kind.make(Images(*images, **named), kind.settings())


def drawn(sampler, steps: int) -> np.ndarray:
    return np.concatenate([sampler(step) for step in range(steps)])


def class_counts(batch: np.ndarray, records: np.ndarray, labels: np.ndarray) -> np.ndarray:
    label_of = dict(zip(records.tolist(), labels.tolist(), strict=True))
    return np.bincount([label_of[record] for record in batch.tolist()], minlength=labels.max() + 1)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_batch_depends_on_seed_and_step_only(name):
    records, labels = imbalanced(40, 13, 7)
    sampler, again = (make(name, records, labels, 8, 3) for _ in range(2))
    steps = list(range(60))
    in_order = {step: sampler(step) for step in steps}
    for step in np.random.default_rng(0).permutation(steps):
        np.testing.assert_array_equal(again(step), in_order[int(step)])
    other = make(name, records, labels, 8, 4)
    assert any((other(step) != in_order[step]).any() for step in steps)


@pytest.mark.parametrize("name", SAMPLERS)
def test_batches_are_int32_of_the_asked_size_and_writing_to_one_changes_no_other(name):
    records, labels = imbalanced(40, 13, 7)
    sampler = make(name, records, labels, batch=8, seed=0)
    first = sampler(0)
    expected = first.copy()
    assert first.shape == (8,)
    assert first.dtype == np.int32
    assert set(first.tolist()) <= set(records.tolist())
    first[:] = -1
    records[:] = -1
    np.testing.assert_array_equal(sampler(0), expected)


@pytest.mark.parametrize(("count", "batch"), [(10, 4), (12, 4), (7, 7), (1, 1), (23, 22)])
def test_natural_visits_every_record_once_in_an_epoch_and_drops_nothing(count, batch):
    records = np.arange(50, 50 + count)
    sampler = natural(Images(records, np.zeros(count, int), batch, seed=0))
    assert sampler.epoch_length == count
    epochs = drawn(sampler, 5 * count)[: 5 * batch * count].reshape(-1, count)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.tile(records, (len(epochs), 1)))


def test_natural_shuffles_each_epoch_anew():
    epochs = drawn(natural(Images(np.arange(30), np.zeros(30, int), 10, seed=0)), 12).reshape(4, 30)
    assert len(np.unique(epochs, axis=0)) == 4


def test_natural_draws_unlabelled_images_too():
    assert sorted(natural(Images(np.arange(4), np.array([0, -1, -1, 1]), 4, seed=0))(0).tolist()) == [0, 1, 2, 3]


def test_oversampled_epochs_hold_every_class_as_often_as_the_largest_and_its_images_equally_often():
    records, labels = imbalanced(20, 7, 3)
    sampler = oversampled(Images(records, labels, batch=15, seed=0))
    assert sampler.epoch_length == 60
    for epoch in drawn(sampler, 20).reshape(5, 60):
        assert class_counts(epoch, records, labels).tolist() == [20, 20, 20]
        times = {record: np.sum(epoch == record) for record in records}
        assert {times[record] for record in records[labels == 0]} == {1}
        assert {times[record] for record in records[labels == 1]} == {2, 3}
        assert {times[record] for record in records[labels == 2]} == {6, 7}


def test_downsampled_epochs_hold_every_class_as_often_as_the_smallest_by_a_fresh_choice():
    records, labels = imbalanced(30, 7, 3)
    sampler = downsampled(Images(records, labels, batch=9, seed=0))
    assert sampler.epoch_length == 9
    epochs = [sampler(step) for step in range(60)]
    for epoch in epochs:
        assert class_counts(epoch, records, labels).tolist() == [3, 3, 3]
        assert len(set(epoch.tolist())) == 9
    assert set(np.concatenate(epochs).tolist()) == set(records.tolist())


@pytest.mark.parametrize("seed", range(8))
def test_balanced_batches_are_exact_or_within_one_and_equal_in_the_long_run(seed):
    generator = np.random.default_rng(seed)
    classes = int(generator.integers(2, 9))
    records, labels = imbalanced(*generator.integers(1, 60, classes).tolist(), 40, seed=seed)
    classes += 1
    batch = int(generator.integers(1, min(30, len(records))))
    sampler = balanced_batches(Images(records, labels, batch, seed))
    assert sampler.epoch_length == len(records)
    counts = np.array([class_counts(sampler(step), records, labels) for step in range(3 * classes)])
    assert (np.ptp(counts, axis=1) <= (batch % classes > 0)).all()
    assert len(set(counts.sum(axis=0).tolist())) == 1
    start = int(generator.integers(10**6))
    assert np.ptp(class_counts(sampler(start), records, labels)) <= (batch % classes > 0)


def test_each_class_of_balanced_batches_visits_all_its_images_before_it_starts_again():
    records, labels = imbalanced(600, 50, 3)
    sampler = balanced_batches(Images(records, labels, batch=6, seed=0))
    stream = drawn(sampler, 1500)
    for label, count in enumerate((600, 50, 3)):
        # A batch is shuffled, so an image may come up to one batch early or late.
        of_class = stream[np.isin(stream, records[labels == label])]
        rounds = len(of_class) // count
        times = np.unique(of_class[: rounds * count], return_counts=True)[1]
        assert len(times) == count
        assert np.abs(times - rounds).max() <= 1
    exact = balanced_batches(Images(records, labels, batch=9, seed=0))
    assert all(set(exact(step).tolist()) >= set(records[labels == 2].tolist()) for step in range(400))


def test_balanced_batches_do_not_tie_a_class_to_a_place():
    records, labels = imbalanced(20, 20)
    sampler = balanced_batches(Images(records, labels, batch=4, seed=0))
    first_class = np.array([np.isin(sampler(step), records[labels == 0]) for step in range(200)])
    assert (first_class.mean(axis=0) > 0.3).all()
    assert (first_class.mean(axis=0) < 0.7).all()


def test_weighted_draws_in_proportion_and_never_a_weight_of_zero():
    records = np.array([70, 10, 50, 30])
    sampler = weighted(Images(records, np.array([0, 0, 1, -1]), 4, 0, weights=[3e300, 0, 1e300, 6e300]), BY_COLUMN)
    assert sampler.epoch_length == 4
    numbers, counts = np.unique(drawn(sampler, 5000), return_counts=True)
    assert numbers.tolist() == [30, 50, 70]
    np.testing.assert_allclose(counts / 20000, [0.6, 0.1, 0.3], atol=0.015)


def test_weighted_by_inverse_frequency_balances_the_classes_in_the_long_run():
    records, labels = imbalanced(60, 30, 10)
    counts = class_counts(drawn(make("weighted", records, labels, 10, 0), 2000), records, labels)
    np.testing.assert_allclose(counts / 20000, [1 / 3] * 3, atol=0.015)


def test_weights_by_class():
    np.testing.assert_allclose(weights_by_class("inverse", np.array([7, 3, 7, 7])), [4 / 3, 4, 4 / 3, 4 / 3])
    assert weights_by_class("median", np.array([1, 0, 1, 1]), ["mel", "nv"]).tolist() == [2 / 3, 2, 2 / 3, 2 / 3]
    with pytest.raises(UserError, match="no training image of class df"):
        weights_by_class("inverse", np.array([0, 1]), ["mel", "nv", "df"])
    with pytest.raises(UserError, match="2 images have no label to balance"):
        weights_by_class("inverse", np.array([0, -1, -1]))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, -0.5, 2], "the sampling weight of record 11 is -0.5; give numbers from 0 on"),
        ([1, 2, np.nan], "the sampling weight of record 12 is nan"),
        ([np.inf, 1, 1], "the sampling weight of record 10 is inf"),
        ([0, 0, 0], "every sampling weight is 0"),
    ],
)
def test_weights_that_are_none_are_refused(weights, message):
    with pytest.raises(UserError, match=message):
        weighted(Images(np.arange(10, 13), np.zeros(3, int), 1, 0, weights=weights), BY_COLUMN)


def test_weights_of_another_length_are_refused():
    with pytest.raises(ValueError, match="one length"):
        Images(np.arange(3), np.zeros(3, int), 1, 0, weights=[1.0])


def shown(sampler, steps: int) -> list[tuple[int, int]]:
    """The (record, copy) pairs of the first steps."""
    copies = np.concatenate([sampler.copies(step) for step in range(steps)])
    assert copies.dtype == np.int32
    return list(zip(drawn(sampler, steps).tolist(), copies.tolist(), strict=True))


def test_static_balancing_shows_the_same_pictures_in_every_epoch_in_another_order():
    records, labels = imbalanced(20, 7, 3)
    sampler = statically_balanced(Images(records, labels, batch=15, seed=0))
    assert sampler.epoch_length == 60
    pictures = shown(sampler, 12)
    epochs = [pictures[start : start + 60] for start in (0, 60, 120)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(epochs[2])
    assert epochs[0] != epochs[1]
    assert len(set(epochs[0])) == 60  # no picture twice


def test_static_balancing_holds_each_image_once_and_spreads_copies_evenly_over_its_class():
    records, labels = imbalanced(20, 7, 3)
    epoch = shown(statically_balanced(Images(records, labels, batch=15, seed=0)), 4)
    assert sorted(record for record, copy in epoch if copy == 0) == sorted(records.tolist())
    copies = {record: sum(other == record and copy > 0 for other, copy in epoch) for record in records.tolist()}
    assert [sorted(copies[record] for record in records[labels == label].tolist()) for label in range(3)] == [
        [0] * 20,
        [1, 2, 2, 2, 2, 2, 2],
        [5, 6, 6],
    ]


def test_static_copies_belong_to_their_seed_whatever_the_order():
    records, labels = imbalanced(20, 7, 3)
    epoch, again, other = (
        sorted(shown(statically_balanced(Images(records, labels, 15, seed, run_seed=run_seed)), 4))
        for seed, run_seed in ((0, None), (5, 0), (0, 5))
    )
    assert epoch == again
    assert set(epoch) & set(other) == {(record, 0) for record in records.tolist()}


def test_static_copies_of_a_batch_depend_on_seed_and_step_only():
    records, labels = imbalanced(40, 13, 7)
    sampler, again = (statically_balanced(Images(records, labels, 8, 3)) for _ in range(2))
    in_order = [sampler.copies(step).tolist() for step in range(40)]
    assert [again.copies(step).tolist() for step in reversed(range(40))] == in_order[::-1]


@pytest.mark.parametrize("name", SAMPLERS)
def test_processes_that_each_load_their_slice_make_up_the_batch(name):
    records, labels = imbalanced(40, 13, 7)
    whole = make(name, records, labels, 12, 3)
    loaded = []
    for process, first in enumerate((0, 17, 5, 11)):  # each has a sampler of its own, and starts where it likes
        own = make(name, records, labels, 12, 3)
        rows = slice(3 * process, 3 * process + 3)
        loaded.append({step % 20: own(step % 20)[rows] for step in range(first, first + 20)})
    for step in range(20):
        batch = np.concatenate([steps[step] for steps in loaded])
        np.testing.assert_array_equal(batch, whole(step))
        if name == "balanced_batches":
            assert class_counts(batch, records, labels).tolist() == [4, 4, 4]


def test_a_subset_without_some_classes_is_balanced_over_those_it_has():
    records, labels = np.arange(12), np.array([2] * 8 + [5] * 4)
    assert class_counts(balanced_batches(Images(records, labels, 4, 0))(0), records, labels).tolist() == [
        0,
        0,
        2,
        0,
        0,
        2,
    ]


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        ("natural", [0, 0, 2 / 3, 0, 0, 1 / 4, 1 / 12, 0]),
        ("weighted", [0, 0, 0.50867, 0, 0, 0.31149, 0.17984, 0]),  # in proportion to the roots of 16, 6 and 2
        *((name, [0, 0, 1 / 3, 0, 0, 1 / 3, 1 / 3, 0]) for name in BALANCED),
    ],
)
def test_class_shares_are_those_of_what_is_drawn(name, shares):
    """A phase of three classes of eight, of 16, 6 and 2 images."""
    records, labels = np.arange(24), np.repeat([2, 5, 6], [16, 6, 2])
    images = Images(records, labels, 6, 0, weights=weights_by_class("inverse", labels) ** 0.5)
    sampler = SAMPLERS[name].make(images, BY_COLUMN if name == "weighted" else Named(name))
    steps = 20_000 if name == "weighted" else sampler.epoch_length
    counted = class_counts(drawn(sampler, steps), records, labels) / (6 * steps)
    atol = 0.005 if name == "weighted" else 1e-12
    np.testing.assert_allclose(sampler.class_shares(8), shares, atol=1e-4)
    np.testing.assert_allclose(sampler.class_shares(7), counted, atol=atol)


def test_class_shares_are_of_the_labelled_images_and_follow_the_weights_of_single_images():
    labels = np.array([0, 0, 2, -1])
    assert natural(Images(np.arange(4), labels, 2, 0)).class_shares(3).tolist() == [2 / 3, 0, 1 / 3]
    column = weighted(Images(np.arange(4), labels, 2, 0, weights=[0, 3, 1, 50]), BY_COLUMN)
    assert column.class_shares(3).tolist() == [0.75, 0, 0.25]
    assert natural(Images(np.arange(4), np.full(4, -1), 2, 0)).class_shares(3).tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", BALANCED)
def test_a_named_class_without_images_is_an_error(name):
    with pytest.raises(UserError, match="no training images of 'df', 'vasc'"):
        make(name, np.arange(4), np.array([0, 0, 2, 2]), 2, 0, classes=["nv", "df", "mel", "vasc"])


@pytest.mark.parametrize("name", BALANCED)
def test_unlabelled_images_cannot_be_balanced(name):
    with pytest.raises(UserError, match="1 images have no label"):
        make(name, np.arange(4), np.array([0, 0, 1, -1]), 2, 0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_too_few_images_for_a_batch_are_an_error(name):
    records, labels = imbalanced(5, 2)
    with pytest.raises(UserError, match="7 images are fewer than a batch of 8"):
        make(name, records, labels, 8, 0)
    with pytest.raises(UserError, match="no images to sample"):
        make(name, records[:0], labels[:0], 8, 0)


def test_too_few_images_for_a_batch_after_downsampling_are_an_error():
    records, labels = imbalanced(20, 2)
    with pytest.raises(UserError, match="leaves 2 classes of 2 images, fewer than a batch of 8"):
        downsampled(Images(records, labels, 8, 0))


def test_columns_of_different_lengths_and_labels_beyond_the_classes_are_refused():
    with pytest.raises(ValueError, match="one length"):
        Images(np.arange(3), np.zeros(2, int), 1, 0)
    with pytest.raises(ValueError, match="label 2 is beyond the 2 classes"):
        balanced_batches(Images(np.arange(3), np.array([0, 1, 2]), 1, 0, classes=["nv", "mel"]))


@pytest.mark.parametrize(("count", "batch"), [(5, 3), (6, 3), (1, 4), (129, 128)])
def test_evaluation_covers_every_position_once_in_order(count, batch):
    batches = EvaluationBatches(count, batch)
    positions, masks = zip(*(batches(step) for step in range(batches.steps)), strict=True)
    assert {(len(position), len(mask)) for position, mask in zip(positions, masks, strict=True)} == {(batch, batch)}
    np.testing.assert_array_equal(np.concatenate(positions)[np.concatenate(masks)], np.arange(count))
    assert np.concatenate(positions).max() == count - 1
    with pytest.raises(IndexError):
        batches(batches.steps)


def test_evaluation_pads_with_the_last_position():
    positions, mask = EvaluationBatches(count=5, batch=4)(1)
    assert positions.tolist() == [4, 4, 4, 4]
    assert mask.tolist() == [True, False, False, False]


def test_evaluation_of_nothing_is_an_error():
    with pytest.raises(UserError, match="no images to evaluate"):
        EvaluationBatches(0, 4)
