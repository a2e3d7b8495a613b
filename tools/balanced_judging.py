"""Paper 002 balances training and test at once: balanced or not, judged both ways; writes docs/balanced_judging.md.

    python tools/balanced_judging.py --folder=runs/balanced_judging [--seeds=3] [--data_dir=DIR] [--doc=FILE]

The three demos of configs/schedules.py that differ in balancing alone, on the synthetic set with 10 classes: more of
it, for the test part, and as many images for each, since copies make an epoch longer. The rebalanced test part has as
many photographs of each class as the rarest has, drawn once; the natural one has all. Resumable; 20 minutes on 2 idle
cores. What the document says below its line "## What it says" stays.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from demo_table import budget, facts, markdown_table, parser_of_seeds, run, write_document

from skinjax.evaluation.intervals import bootstrap
from skinjax.evaluation.metrics import evaluate
from skinjax.evaluation.predictions import Predictions

BALANCING = {"none": "demo_unbalanced", "static copies": "demo_static", "balanced batches": "demo_dynamic"}
METRICS = ("accuracy", "macro_recall")
IMAGES = 4000
CHANGES = (
    f"--config.dataset.arguments.images={4 * IMAGES}",
    "--config.split.test=0.7",
    "--config.split.validation=0.05",
    "--config.phases.train.unit=examples",
    f"--config.phases.train.duration={7.0 * IMAGES}",
    f"--config.phases.train.schedule.cycle={1.0 * IMAGES}",
    "--config.evaluations.every=0.0",
)


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.add_argument("--doc", type=Path, default=Path("docs/balanced_judging.md"))
    options = parser.parse_args()
    folders = {
        name: [options.folder / f"{of}-{seed}" for seed in range(options.seeds)] for name, of in BALANCING.items()
    }
    tables = {
        name: [
            run([f"--config=configs/schedules.py:{of}", *CHANGES], folders[name][seed], seed, options.data_dir)
            for seed in range(options.seeds)
        ]
        for name, of in BALANCING.items()
    }
    rows = [
        [name, part, str(len(runs[0].labels)), *_figures(runs)]
        for name, natural in tables.items()
        for part, runs in (("natural", natural), ("rebalanced", [rebalanced(table) for table in natural]))
    ]
    text = f"""# Balancing training, and balancing the test part

Written by `tools/balanced_judging.py`; synthetic photographs, a test bench and not medicine. {facts(folders)}

{budget(folders)}

In %, mean (standard deviation, ddof 0) over the seeds, and the first seed's 95 % interval over lesions:

{markdown_table(("training balanced by", "test part", "photographs", *METRICS), rows)}"""
    print(text)
    write_document(options.doc, text)


def rebalanced(table: Predictions) -> Predictions:
    """The rows of a table with as many of each class as the rarest has, the same for every table of these labels."""
    labels, rng = np.asarray(table.labels), np.random.default_rng(0)
    fewest = np.bincount(labels).min()
    of_class = [rng.permutation(np.flatnonzero(labels == label))[:fewest] for label in range(len(table.classes))]
    kept = np.sort(np.concatenate(of_class))
    fields = ("image_ids", "groups", "labels", "splits", "probabilities", "scores")
    columns = {field: getattr(table, field) for field in fields}
    return dataclasses.replace(
        table, **{field: None if column is None else np.asarray(column)[kept] for field, column in columns.items()}
    )


def _figures(runs: Sequence[Predictions]) -> list[str]:
    cells = []
    for metric in METRICS:
        values = 100 * np.array([evaluate(table, metric) for table in runs])
        first = bootstrap(runs[0], metric)
        cells.append(f"{values.mean():.1f} ({values.std():.1f}) [{100 * first.low:.1f}, {100 * first.high:.1f}]")
    return cells


if __name__ == "__main__":
    main()
