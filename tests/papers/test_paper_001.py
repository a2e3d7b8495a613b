"""Paper 001's golden values that HAM10000's counts and the printed matrix alone decide."""

import numpy as np
import pytest

from skinjax.data.splits.split import image_stratified
from skinjax.evaluation.confusion import accuracy, macro_recall, precision, recall
from skinjax.objectives.class_weights import class_weights
from skinjax.papers import paper_001
from skinjax.training.phases import duration_in_steps

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
COUNTS = np.array([327, 514, 1099, 115, 1113, 6705, 142])
TRAINED = np.array([262, 411, 879, 92, 890, 5364, 114])
MATRIX = np.array(paper_001.CONFUSION)
NV = CLASSES.index("nv")


def test_shares_of_the_classes():
    shares = (COUNTS / COUNTS.sum()).round(6).tolist()
    assert dict(zip(CLASSES, shares, strict=True)) == {
        "akiec": 0.032651,
        "bcc": 0.051323,
        "bkl": 0.109735,
        "df": 0.011483,
        "mel": 0.111133,
        "nv": 0.669496,
        "vasc": 0.014179,
    }


@pytest.mark.parametrize("seed", [0, 1])
def test_a_fifth_by_image_is_2003_photographs_of_these_classes(seed):
    labels = np.repeat(CLASSES, COUNTS).tolist()
    ids = [f"i{number}" for number in range(len(labels))]
    split = image_stratified(ids, ids, labels, seed=seed, test=0.0, validation=0.2, folds=1, fold=0)
    held_out = [int(np.sum(split.labels[split.rows("validation")] == name)) for name in CLASSES]
    assert held_out == [65, 103, 220, 23, 223, 1341, 28] == MATRIX.sum(axis=1).tolist()
    assert [int(np.sum(split.labels[split.rows("train")] == name)) for name in CLASSES] == TRAINED.tolist()
    assert (TRAINED.sum(), TRAINED.sum() - TRAINED[NV], 7 * TRAINED.min()) == (8012, 2648, 644)


@pytest.mark.parametrize(
    ("epochs", "images", "steps"), [(20, 8012, 2504), (20, 2648, 828), (20, 644, 202), (30, 8012, 3756)]
)
def test_steps_of_its_epochs_in_batches_of_64(epochs, images, steps):
    assert duration_in_steps(epochs, "epochs", 64, images) == steps


def test_alpha_is_the_inverse_frequency():
    found = np.asarray(class_weights("inverse", TRAINED, CLASSES))
    printed = {
        "akiec": 30.5802,
        "bcc": 19.4939,
        "bkl": 9.1149,
        "df": 87.0870,
        "mel": 9.0022,
        "nv": 1.4937,
        "vasc": 70.2807,
    }
    assert dict(zip(CLASSES, found.tolist(), strict=True)) == pytest.approx(printed, abs=5e-4)
    assert (found / found.mean()).round(4).tolist() == pytest.approx(
        [0.9428, 0.6010, 0.2810, 2.6849, 0.2775, 0.0460, 2.1667], abs=1e-4
    )


def test_figures_of_the_printed_matrix():
    assert (MATRIX.sum(), np.trace(MATRIX)) == (2003, 1812)
    assert recall(MATRIX).round(5).tolist() == [0.69231, 0.78641, 0.82273, 0.69565, 0.70852, 0.97241, 0.96429]
    assert precision(MATRIX).round(5).tolist() == [0.71429, 0.89011, 0.87019, 0.88889, 0.79798, 0.94836, 0.54]
    assert MATRIX.sum(axis=0).tolist() == [63, 91, 208, 18, 198, 1375, 50]
    into, out_of = MATRIX[:, NV].sum() - MATRIX[NV, NV], MATRIX[NV].sum() - MATRIX[NV, NV]
    assert (into, out_of) == (71, 37)


def test_what_the_matrix_says_of_each_stage():
    rest = np.delete(np.arange(7), NV)
    kept, passed = MATRIX[np.ix_(rest, rest)], MATRIX[NV, rest].sum()
    first = np.array([[MATRIX[NV, NV], passed], [MATRIX[rest, NV].sum(), kept.sum()]])
    assert (accuracy(first).round(6), macro_recall(first).round(6)) == (0.946081, 0.932579)
    assert recall(first).round(6).tolist() == [0.972409, 0.892749]
    assert (np.trace(kept), kept.sum(), macro_recall(kept).round(6)) == (508, 591, 0.846207)


def test_always_nv():
    every = np.zeros((7, 7), int)
    every[:, NV] = COUNTS
    assert (accuracy(every).round(6), macro_recall(every).round(6)) == (0.669496, 0.142857)
    test = {"akiec": 43, "bcc": 93, "bkl": 217, "df": 44, "mel": 171, "nv": 908, "vasc": 35}
    assert (sum(test.values()), round(test["nv"] / 1511, 6), round(1346 / 1511, 3)) == (1511, 0.600927, 0.891)
