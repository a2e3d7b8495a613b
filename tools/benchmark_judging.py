"""How long judging takes: all figures of a table of 10,015 images of 7 classes, with 2,000 resamples.

    python tools/benchmark_judging.py [--images=10015] [--replicates=2000] [--rounds=3]

Seconds, the median of the rounds: the figures of the confusion matrix alone, every figure, and every figure by
scikit-learn for one resample, times their number.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from sklearn import metrics as sklearn_metrics

from skinjax.evaluation.confusion import METRICS
from skinjax.evaluation.intervals import replicate_values, summary_with_intervals
from skinjax.evaluation.predictions import Predictions

SHARES = (0.033, 0.051, 0.110, 0.011, 0.111, 0.670, 0.014)  # of HAM10000's classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=10015)
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    table = drawn(options.images)
    of_confusion = lambda: replicate_values(table, list(METRICS), options.replicates, 0)  # noqa: E731
    every = lambda: summary_with_intervals(table, replicates=options.replicates)  # noqa: E731
    once = lambda: by_scikit_learn(table)  # noqa: E731
    print(f"{options.images:,} images of {len(SHARES)} classes, {options.replicates:,} resamples")
    print(f"figures of the confusion matrix: {seconds(of_confusion, options.rounds):.1f} s")
    print(f"every figure: {seconds(every, options.rounds):.1f} s")
    print(f"scikit-learn, a resample after the other: {options.replicates * seconds(once, options.rounds):.0f} s")


def drawn(images: int) -> Predictions:
    """A table of lesions of one photograph or two."""
    rng = np.random.default_rng(0)
    groups = np.arange(images) * 3 // 4
    labels = rng.choice(len(SHARES), groups.max() + 1, p=np.array(SHARES) / sum(SHARES))[groups]
    logits = rng.normal(size=(images, len(SHARES))) + 2 * np.eye(len(SHARES))[labels]
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = tuple("abcdefg"[: len(SHARES)])
    return Predictions(np.arange(images).astype(str), groups.astype(str), labels, ["test"] * images, shares, names)


def by_scikit_learn(table: Predictions) -> None:
    """The same figures of one weighted table."""
    weights = np.random.default_rng(1).integers(0, 3, len(table)).astype(float)
    labels, predicted, shares = table.labels, table.predicted, table.probabilities
    counts = {"sample_weight": weights}
    for average in ("macro", "weighted", None):
        sklearn_metrics.precision_recall_fscore_support(labels, predicted, average=average, zero_division=0, **counts)
    for figure in (
        sklearn_metrics.accuracy_score,
        sklearn_metrics.balanced_accuracy_score,
        sklearn_metrics.cohen_kappa_score,
        sklearn_metrics.matthews_corrcoef,
    ):
        figure(labels, predicted, **counts)
    sklearn_metrics.roc_auc_score(labels, shares, multi_class="ovr", **counts)
    sklearn_metrics.average_precision_score(np.eye(shares.shape[1])[labels], shares, **counts)
    sklearn_metrics.log_loss(labels, shares, **counts)


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The median of how long it takes."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


if __name__ == "__main__":
    main()
