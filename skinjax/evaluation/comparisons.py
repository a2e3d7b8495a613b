"""Compare two tables, or two methods of which there are several runs.

Two tables of the same images are two networks: their paired bootstrap says nothing of the method that made them. A
method is compared over seeds or folds, whose spread counts beside that of the test images.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import stdtr, stdtrit

from skinjax.core.errors import UserError
from skinjax.evaluation.intervals import percentiles, replicate_values
from skinjax.evaluation.metrics import evaluate
from skinjax.evaluation.predictions import Predictions, align
from skinjax.evaluation.priors import DIFFERENT
from skinjax.evaluation.proportions import macro_recall_interval

Array = np.ndarray

FEWEST_RUNS = 5
COMBINATIONS = {"mean": "the mean of their probabilities", "vote": "the share of their votes"}


@dataclasses.dataclass(frozen=True)
class MethodDifference:
    """The mean over `runs` of metric(b) - metric(a), with its interval; without one where there are too few runs."""

    value: float
    deviation: float
    low: float
    high: float
    p_value: float
    runs: int

    @property
    def verdict(self) -> str:
        if self.runs < FEWEST_RUNS:
            return "undecided by design"
        return "higher" if self.low > 0 else "lower" if self.high < 0 else "undecided"


class RunsMean(NamedTuple):
    """The metric of each run, and the interval of their mean over the test images: what these networks are sure of."""

    values: tuple[float, ...]
    low: float
    high: float


def runs_mean(tables: Sequence[Predictions], metric: str, replicates: int = 2000, seed: int = 0) -> RunsMean:
    """The mean over runs, its interval by drawing groups anew, together where runs share images.

    Of a single run it is the run's own interval. The spread over runs is not in it: see `method_difference`.
    """
    values = tuple(evaluate(table, metric) for table in tables)
    if len(tables) == 1 and metric == "macro_recall":
        found = macro_recall_interval(tables[0])
        return RunsMean(values, found.low, found.high)
    everywhere = np.unique(np.concatenate([table.groups[table.labelled] for table in tables]))
    if len(everywhere) < 2:
        return RunsMean(values, np.nan, np.nan)
    drawn = [replicate_values(table, [metric], replicates, seed, everywhere)[metric] for table in tables]
    return RunsMean(values, *percentiles(np.mean(drawn, axis=0)))


def method_difference(
    a: Sequence[Predictions],
    b: Sequence[Predictions],
    metric: str,
    *,
    replicates: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> MethodDifference:
    """Runs of method b against those of method a, paired in their order (the same seed, or fold, in both).

    mean +- t(S - 1) sqrt(s^2 / S + v): s is the deviation over the S runs (ddof 1), v the variance of the mean when the
    groups of all test parts are drawn anew, together where runs share images.
    """
    if len(a) != len(b):
        raise UserError(f"one method has {len(a)} runs and the other {len(b)}: give as many of both, by seed or fold")
    pairs = [(first, align(second, like=first)) for first, second in zip(a, b, strict=True)]
    values = np.array([evaluate(second, metric) - evaluate(first, metric) for first, second in pairs])
    runs, mean = len(values), float(values.mean())
    deviation = float(values.std(ddof=1)) if runs > 1 else np.nan
    if runs < FEWEST_RUNS:
        return MethodDifference(mean, deviation, np.nan, np.nan, np.nan, runs)
    everywhere = np.unique(np.concatenate([first.groups for first, _ in pairs]))
    drawn = np.zeros(replicates)
    for first, second in pairs:
        groups = dataclasses.replace(first, groups=second.groups)
        before, after = (
            replicate_values(of, [metric], replicates, seed, everywhere)[metric] for of in (groups, second)
        )
        drawn += (after - before) / runs
    error = float(np.sqrt(deviation**2 / runs + np.nanvar(drawn, ddof=1)))
    reach = float(stdtrit(runs - 1, (1 + level) / 2)) * error
    p_value = float(2 * stdtr(runs - 1, -abs(mean) / error)) if error > 0 else float(mean == 0)
    return MethodDifference(mean, deviation, mean - reach, mean + reach, p_value, runs)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values of a table of comparisons; nan stays nan and is no comparison.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    found = np.asarray(p_values, dtype=float)
    known = np.flatnonzero(~np.isnan(found))
    order = known[np.argsort(found[known], kind="stable")]
    steps = found[order] * np.arange(len(order), 0, -1)
    found[order] = np.minimum(1, np.maximum.accumulate(steps))
    return found.tolist()


def combined(tables: Sequence[Predictions], how: str = "mean") -> Predictions:
    """One table of several of the same images: the mean of their probabilities, or the share of their votes."""
    first, *others = tables
    aligned = [first, *(align(table, like=first) for table in others)]
    if how == "vote":
        shares = [np.eye(len(first.classes))[table.predicted] for table in aligned]
    else:
        shares = [table.probabilities for table in aligned]
    protocol = {**first.protocol, "ensemble": how, "tables": len(tables)}
    if any(table.protocol.get("training_prior") != first.protocol.get("training_prior") for table in others):
        protocol["training_prior"] = DIFFERENT  # then nobody can take it off their mean
    return dataclasses.replace(first, probabilities=np.mean(shares, axis=0), scores=None, protocol=protocol)
