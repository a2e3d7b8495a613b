"""Intervals: known values, whole groups as the unit of evidence, and paired differences."""

import dataclasses
import json
import math
import subprocess
import sys

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.evaluation import intervals, metrics
from skinjax.evaluation.confusion import METRICS
from skinjax.evaluation.intervals import auc_bounds, bootstrap, paired_difference, summary_with_intervals
from skinjax.evaluation.metrics import SENSITIVITY
from skinjax.evaluation.predictions import Predictions
from skinjax.evaluation.proportions import (
    auc_interval,
    macro_recall_interval,
    share_of_few,
    wilson,
)
from skinjax.evaluation.scores import SCORE_METRICS

CLASSES = ("mel", "nv", "df")
EVERY_METRIC = [*METRICS, *SCORE_METRICS]


def random_table(seed: int = 0, images: int = 120, images_per_group: int = 2, accuracy: float = 0.7) -> Predictions:
    rng = np.random.default_rng(seed)
    group = np.arange(images) // images_per_group
    labels = rng.choice(3, group.max() + 1, p=[0.3, 0.6, 0.1])[group]
    logits = rng.normal(size=(images, 3))
    logits[np.arange(images), labels] += 3 * accuracy
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return Predictions(
        [f"i{i:03d}" for i in range(images)],
        [f"g{g:03d}" for g in group],
        labels,
        ["test"] * images,
        probabilities,
        CLASSES,
    )


def repeated(table: Predictions, times: int, keep_groups: bool) -> Predictions:
    rows = np.tile(np.arange(len(table)), times)
    copy = np.repeat(np.arange(times), len(table))
    groups = table.groups[rows] if keep_groups else [f"{g}-{c}" for g, c in zip(table.groups[rows], copy, strict=True)]
    return Predictions(
        [f"{i}-{c}" for i, c in zip(table.image_ids[rows], copy, strict=True)],
        groups,
        table.labels[rows],
        table.splits[rows],
        table.probabilities[rows],
        table.classes,
    )


def two_class_table(correct: list[bool], groups: list[str] | None = None) -> Predictions:
    """Half of each class, right where `correct` says so."""
    ids = [f"i{i}" for i in range(len(correct))]
    labels = np.arange(len(correct)) % 2
    predicted = np.where(correct, labels, 1 - labels)
    return Predictions(ids, groups or ids, labels, ["test"] * len(ids), np.eye(2)[predicted], ("a", "b"))


def test_judging_needs_no_jax_and_of_the_other_rooms_only_the_core():
    code = "import sys, skinjax.evaluation.intervals; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert "jax" not in loaded
    assert {name.split(".")[1] for name in loaded if name.startswith("skinjax.")} == {"core", "evaluation"}


@pytest.mark.parametrize("metric", EVERY_METRIC)
def test_the_seed_decides_the_interval(metric):
    table = random_table()
    first, again = (bootstrap(table, metric, replicates=200, seed=3) for _ in range(2))
    assert first == again
    assert first.low < first.value < first.high
    assert first.value == metrics.evaluate(table, metric)
    assert (first.images, first.groups, first.level) == (120, 60, 0.95)
    assert first.method == "percentile bootstrap of 60 groups, 200 replicates"


def test_another_seed_gives_another_interval():
    lows = {bootstrap(random_table(), "macro_auc", replicates=200, seed=seed).low for seed in range(3)}
    assert len(lows) == 3


@pytest.mark.parametrize("metric", ["macro_f1", "macro_auc"])
def test_neither_chunks_nor_the_order_of_rows_matter(monkeypatch, metric):
    table = random_table()
    rows = np.random.default_rng(1).permutation(len(table))
    columns = ("image_ids", "groups", "labels", "splits", "probabilities")
    shuffled = dataclasses.replace(table, **{name: getattr(table, name)[rows] for name in columns})
    expected = bootstrap(table, metric, replicates=50)
    assert bootstrap(shuffled, metric, replicates=50) == expected
    monkeypatch.setattr(intervals, "CHUNK_ELEMENTS", 7 * len(table))
    assert bootstrap(table, metric, replicates=50) == expected


def test_independent_images_give_the_textbook_width():
    table = two_class_table([i % 5 != 0 for i in range(400)])
    interval = bootstrap(table, "accuracy", replicates=4000)
    assert interval.value == 0.8
    assert (interval.high - interval.low) / 2 == pytest.approx(1.96 * math.sqrt(0.8 * 0.2 / 400), rel=0.05)
    wider = bootstrap(table, "accuracy", replicates=4000, level=0.99)
    assert wider.low < interval.low < interval.high < wider.high


@pytest.mark.parametrize("metric", EVERY_METRIC)
def test_copies_of_every_image_within_its_group_are_no_new_evidence(metric):
    table = random_table()
    original = bootstrap(table, metric, replicates=200)
    copied = bootstrap(repeated(table, 3, keep_groups=True), metric, replicates=200)
    independent = bootstrap(repeated(table, 3, keep_groups=False), metric, replicates=200)
    assert (copied.low, copied.high) == pytest.approx((original.low, original.high), abs=1e-12)
    assert independent.high - independent.low < 0.8 * (original.high - original.low)


def test_a_class_lost_in_a_replicate_is_left_out_of_its_macro_average():
    # Class b is one group, all right; class a is right in half of its images. A lost b counted as 0 would give .25.
    labels = np.array([0] * 40 + [1])
    predicted = np.array([0, 1] * 20 + [1])
    ids = [f"i{i:02d}" for i in range(41)]
    table = Predictions(ids, ids, labels, ["test"] * 41, np.eye(2)[predicted], ("a", "b"))
    interval = bootstrap(table, "macro_recall", replicates=500)
    assert interval.value == 0.75
    assert 0.3 < interval.low < 0.5


def test_unlabelled_images_enter_no_interval():
    table = random_table()
    labels = table.labels.copy()
    labels[60:] = -1
    columns = ("image_ids", "groups", "labels", "splits", "probabilities")
    half = dataclasses.replace(table, **{name: getattr(table, name)[:60] for name in columns})
    assert bootstrap(dataclasses.replace(table, labels=labels), "macro_f1", replicates=50) == bootstrap(
        half, "macro_f1", replicates=50
    )


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({"groups": ["g"] * 120}, {}, "all labelled images are of one group .'g'.; a bootstrap needs at least two"),
        ({"labels": [-1] * 120}, {}, "no image of the table is labelled"),
        ({}, {"metric": "f1"}, "unknown metric 'f1'.*known: accuracy"),
        ({}, {"replicates": 0}, "replicates is 0"),
        ({}, {"level": 95}, "level is 95"),
    ],
)
def test_what_cannot_be_bootstrapped_is_refused(changes, arguments, message):
    table = dataclasses.replace(random_table(), **changes)
    with pytest.raises(UserError, match=message):
        bootstrap(table, **({"metric": "accuracy"} | arguments))


def test_an_undefined_metric_has_an_undefined_interval():
    table = dataclasses.replace(random_table(), labels=np.zeros(120, dtype=int))
    interval = bootstrap(table, "macro_auc", replicates=20)
    assert interval.as_dict() == {"value": None, "low": None, "high": None}
    assert math.isnan(paired_difference(table, table, "macro_auc", replicates=20).p_value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"groups": ["g"] * 120}, "all labelled images are of one group ('g'); a bootstrap needs at least two"),
        ({"labels": [-1] * 120}, "no image of the table is labelled; an interval needs labelled images"),
    ],
)
def test_where_groups_cannot_be_drawn_the_summary_has_values_alone_and_says_why(changes, reason):
    table = dataclasses.replace(random_table(), **changes)
    plain = metrics.summary(table, training_counts=[30, 60, 10])
    found = json.loads(json.dumps(summary_with_intervals(table, training_counts=[30, 60, 10]), allow_nan=False))
    for name in EVERY_METRIC:
        assert found[name] == {"value": plain[name], "low": None, "high": None}
    assert found["intervals"]["headline"] == f"no bootstrap: {reason}"


def test_one_labelled_image_is_judged():
    table = Predictions(["a", "b"], ["a", "b"], [0, -1], ["test"] * 2, [[0.9, 0.1], [0.2, 0.8]], ("mel", "nv"))
    found = summary_with_intervals(table)
    assert found["accuracy"] == {"value": 1, "low": None, "high": None}
    assert found["macro_auc"] == {"value": None, "low": None, "high": None}
    assert found["per_class"]["nv"]["precision"] == {"value": None, "low": None, "high": None}


def test_paired_difference_of_a_table_with_itself_is_exactly_nothing():
    for metric in EVERY_METRIC:
        found = paired_difference(random_table(), random_table(), metric, replicates=50)
        assert (found.value, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_paired_difference_is_tighter_than_its_parts_and_antisymmetric():
    table = random_table(images=400, accuracy=0.5)
    better = table.probabilities.copy()
    wrong = np.flatnonzero(table.predicted != table.labels)[::4]
    better[wrong] = np.eye(3)[table.labels[wrong]]
    improved = dataclasses.replace(table, probabilities=better)
    found = paired_difference(table, improved, "accuracy")
    assert found.value == pytest.approx(len(wrong) / 400)
    assert 0 < found.low < found.value < found.high
    assert found.p_value == pytest.approx(2 / 2001)
    alone = bootstrap(table, "accuracy")
    assert found.high - found.low < 0.8 * (alone.high - alone.low)
    back = paired_difference(improved, table, "accuracy")
    assert (back.value, back.low, back.high) == pytest.approx((-found.value, -found.high, -found.low))


def test_paired_difference_joins_rows_by_image_and_classes_by_name():
    table = random_table()
    rows, order = np.random.default_rng(1).permutation(len(table)), [2, 0, 1]
    other = Predictions(
        table.image_ids[rows],
        table.image_ids[rows],  # a table from elsewhere that knows no groups
        np.argsort(order)[table.labels[rows]],
        table.splits[rows],
        table.probabilities[rows][:, order],
        tuple(CLASSES[k] for k in order),
    )
    for pair in ((table, other), (other, table)):
        found = paired_difference(*pair, "macro_recall", replicates=20)
        assert (found.value, found.low, found.high, found.groups) == (0, 0, 0, 60)


def test_paired_difference_refuses_other_images_or_labels():
    table = random_table()
    ids, labels = table.image_ids.copy(), table.labels.copy()
    ids[5], labels[7] = "x", (labels[7] + 1) % 3
    with pytest.raises(UserError, match=r"2 images are in one of the two tables only .*'i005'"):
        paired_difference(table, dataclasses.replace(table, image_ids=ids), "accuracy")
    with pytest.raises(UserError, match=r"1 images have another label .*'i007'"):
        paired_difference(table, dataclasses.replace(table, labels=labels), "accuracy")


def test_summary_with_intervals_is_the_summary_with_low_and_high():
    table = random_table()
    plain = metrics.summary(table)
    found = json.loads(json.dumps(summary_with_intervals(table, replicates=100), allow_nan=False))
    for name in EVERY_METRIC:
        drawn = bootstrap(table, name, replicates=100)
        assert found[name] == (macro_recall_interval(table) if name == "macro_recall" else drawn).as_dict()
        assert found[name]["value"] == plain[name]
    for name in CLASSES:
        for figure in ("recall", "precision", "specificity", "npv", "f1", "auc"):
            share = found["per_class"][name][figure]
            assert share["value"] == plain["per_class"][name][figure]
            assert share["low"] < share["value"] <= share["high"]
    assert found["confusion"] == plain["confusion"]
    assert found["intervals"] == {
        "level": 0.95,
        "replicates": 100,
        "seed": 0,
        "headline": "percentile bootstrap of 60 groups, 100 replicates",
        "macro_recall": "MOVER of the recalls' Wilson intervals",
        "per_class": "Wilson, effective images; AUC by its logit, of fewer than 30 groups Newcombe's",
    }
    df = found["per_class"]["df"]
    assert (df["groups"], df["few"]) == (len(np.unique(table.groups[table.labels == 2])), False)
    assert (df["auc"]["low"], df["auc"]["high"]) == auc_interval(df["auc"]["value"], df["groups"], 60 - df["groups"])


def test_per_class_intervals_of_all_correct_absent_and_never_predicted_classes():
    labels, predicted = np.array([0] * 9 + [1] * 4), np.array([0] * 9 + [0, 0, 0, 2])
    ids = [f"i{i}" for i in range(13)]
    table = Predictions(ids, ids, labels, ["test"] * 13, np.eye(3)[predicted], CLASSES)
    found = summary_with_intervals(table, replicates=10)["per_class"]
    nine, four = 9 * share_of_few(9, 0.95), 4 * share_of_few(4, 0.95)
    assert found["mel"]["recall"] == pytest.approx({"value": 1, "low": wilson(nine, nine)[0], "high": 1})
    assert found["nv"]["recall"] == pytest.approx({"value": 0, "low": 0, "high": wilson(0, four)[1]})
    assert [found[name]["few"] for name in CLASSES] == [False, True, False]
    assert found["nv"]["precision"] == {"value": 0, "low": None, "high": None}
    # An image was given to the absent class: its precision is undefined all the same.
    assert found["df"]["recall"] == found["df"]["precision"] == {"value": None, "low": None, "high": None}


def test_an_auc_of_many_groups_is_bounded_by_the_deviation_of_its_logit():
    drawn = np.array([0.85, 0.9, 0.95, np.nan])
    low, high = auc_bounds(0.9, 41, 100, drawn)
    reach = 2.021075 * np.std(np.log(drawn[:3] / (1 - drawn[:3])), ddof=1)
    assert np.log(np.array([low, high]) / (1 - np.array([low, high]))) == pytest.approx(
        np.log(9) + reach * np.array([-1, 1])
    )
    assert auc_bounds(0.9, 29, 100, drawn) == auc_interval(0.9, 29, 100)
    assert auc_bounds(1.0, 41, 100, np.ones(3)) == auc_interval(1.0, 41, 100)
    assert all(map(math.isnan, auc_bounds(None, 41, 100, drawn)))


def test_an_auc_near_1_is_bounded_no_wider_than_by_newcombe_of_as_many():
    """Replicates without an error count as half an error, or their logits would have no end."""
    rng = np.random.default_rng(0)
    drawn = 1 - rng.exponential(0.0003, 2000)
    drawn[:90] = 1.0
    low, _ = auc_bounds(0.9997, 42, 3000, drawn)
    assert 0.99 < low < 0.9997


def test_the_sensitivity_at_a_specificity_is_bootstrapped():
    figures = summary_with_intervals(random_table(200), replicates=50)["per_class"]["mel"][SENSITIVITY]
    assert figures["low"] < figures["value"] < figures["high"]
