"""How often 95 % intervals hold the truth: simulates test parts and writes docs/intervals.md.

    python tools/interval_coverage.py [--tables=2000] [--replicates=500] [--doc=FILE]

Tables as the official test part of HAM10000 has them (1,511 photographs), with its lesions of one to six photographs.
Each has seven classes, told apart by drawn evidence of which a part is shared by the photographs of a lesion; the truth
is that of 300 times as many. Half an hour on 2 idle cores. What the document says below its line "## What it says"
stays.
"""

import argparse
import concurrent.futures
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from measuring import markdown_table, write_document

from skinjax.evaluation.confusion import confusion_matrix, macro_recall, recall, specificity
from skinjax.evaluation.intervals import auc_bounds, class_groups, replicate_values
from skinjax.evaluation.predictions import Predictions
from skinjax.evaluation.proportions import class_shares, macro_recall_interval
from skinjax.evaluation.scores import one_vs_rest_auc

IMAGES = {"akiec": 43, "bcc": 93, "bkl": 217, "df": 44, "mel": 171, "nv": 908, "vasc": 35}
CLASSES = tuple(IMAGES)
SHARPNESS = np.array([1.3, 1.8, 1.6, 1.4, 1.2, 1.5, 2.6])  # how much evidence an image of each class bears
SIZES = (0.759, 0.158, 0.062, 0.017, 0.003, 0.001)  # of HAM10000's lesions, those with 1, 2, ... photographs
SHARED = (0.2, 0.5, 0.8)  # of the variance of the evidence, what the photographs of a lesion share


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=2000)
    parser.add_argument("--replicates", type=int, default=500)
    parser.add_argument("--doc", type=Path, default=Path("docs/intervals.md"))
    options = parser.parse_args()
    rows = []
    for shared in SHARED:
        truth = true_figures(shared)
        jobs = [(shared, truth, seed, options.replicates) for seed in range(options.tables)]
        with concurrent.futures.ProcessPoolExecutor(2) as pool:
            held = np.array(list(pool.map(covered, jobs, chunksize=20)))
        rows += list(told(shared, held))
    text = document(options.tables, options.replicates, rows)
    print(text)
    write_document(options.doc, text)


def draw(rng: np.random.Generator, shared: float, times: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(labels [N], groups [N], probabilities [N, classes]) of so many times a test part's photographs."""
    labels, groups = [], []
    for number, images in enumerate(IMAGES.values()):
        sizes = rng.choice(len(SIZES), images * times, p=SIZES) + 1
        lesions = np.repeat(np.arange(len(sizes)), sizes)[: images * times]
        groups.append(lesions + sum(map(len, labels)))
        labels.append(np.full(images * times, number))
    label, group = np.concatenate(labels), np.concatenate(groups)
    whose = np.unique(group, return_inverse=True)[1]
    common = rng.normal(size=(whose.max() + 1, len(CLASSES)))[whose]
    evidence = np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.normal(size=common.shape)
    evidence += SHARPNESS[label][:, None] * np.eye(len(CLASSES))[label]
    logits = SHARPNESS * evidence + 0.5 * np.log(list(IMAGES.values()))
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return label, group, shares / shares.sum(axis=1, keepdims=True)


def true_figures(shared: float) -> dict[str, np.ndarray]:
    """Each figure of 300 test parts, [classes] or a number."""
    labels, _, probabilities = draw(np.random.default_rng(2**32 - 1), shared, 300)
    confusion = confusion_matrix(labels, probabilities.argmax(axis=1), len(CLASSES))
    auc = one_vs_rest_auc(labels, probabilities)
    return {
        "macro_recall": macro_recall(confusion),
        "recall": recall(confusion),
        "specificity": specificity(confusion),
        "auc": auc,
    }


def covered(job: tuple[float, dict[str, np.ndarray], int, int]) -> list[float]:
    """Whether the intervals of a table hold the truth, of macro recall in two ways and of the figures of each class.

    After these come the widths of the two intervals of macro recall.
    """
    shared, truth, seed, replicates = job
    labels, groups, probabilities = draw(np.random.default_rng(seed), shared)
    ids = np.arange(len(labels)).astype(str)
    table = Predictions(ids, groups.astype(str), labels, np.full(len(ids), "test"), probabilities, CLASSES)
    drawn = replicate_values(table, ["macro_recall", "auc"], replicates, seed)
    closed, bootstrapped = macro_recall_interval(table), np.quantile(drawn["macro_recall"], [0.025, 0.975])
    bounds = [(truth["macro_recall"], closed.low, closed.high), (truth["macro_recall"], *bootstrapped)]
    shares = [class_shares(table, number) for number in range(len(CLASSES))]
    for figure in ("recall", "specificity"):
        bounds += [(of, part[figure].low, part[figure].high) for of, part in zip(truth[figure], shares, strict=True)]
    positive, auc = class_groups(table), one_vs_rest_auc(labels, probabilities)
    negative = len(np.unique(groups)) - positive
    for number, of in enumerate(truth["auc"]):
        parted = (int(positive[number]), int(negative[number]))
        bounds.append((of, *auc_bounds(auc[number], *parted, drawn["auc"][:, number])))
    widths = [high - low for _, low, high in bounds[:2]]
    return [*(float(low <= of <= high) for of, low, high in bounds), *widths]


def told(shared: float, held: np.ndarray) -> Iterator[list[str]]:
    """Rows of the table: coverage of each figure, of classes the lowest and the mean."""
    whole, widths = held.mean(axis=0), held[:, -2:].mean(axis=0)
    yield [f"{shared:g}", "macro recall (MOVER)", f"{whole[0]:.3f}", "", f"width {widths[0]:.3f}"]
    yield [f"{shared:g}", "macro recall (bootstrap)", f"{whole[1]:.3f}", "", f"width {widths[1]:.3f}"]
    for number, figure in enumerate(("recall", "specificity", "AUC")):
        of = whole[2 + number * len(CLASSES) : 2 + (number + 1) * len(CLASSES)]
        worst = int(of.argmin())
        yield [f"{shared:g}", f"{figure} of a class", f"{of.mean():.3f}", f"{of[worst]:.3f}", CLASSES[worst]]


def document(tables: int, replicates: int, rows: list[list[str]]) -> str:
    return f"""# How far intervals can be trusted

Written by `tools/interval_coverage.py`: {tables:,} simulated test parts for each row, of {sum(IMAGES.values()):,}
photographs with HAM10000's official test counts ({min(IMAGES.values())} of the smallest class), in lesions of one to
six, {replicates} replicates where something is bootstrapped. The share is what the photographs of a lesion
have in common of the variance of their evidence. Coverage of 95 % intervals; of the seven classes the mean, and the
lowest:

{markdown_table(("share", "figure", "coverage", "lowest", ""), rows)}"""


if __name__ == "__main__":
    main()
