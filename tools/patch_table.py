"""Paper 003's comparisons on the synthetic set: input strategies, then balancing strategies (docs/patch_attention.md).

    python tools/patch_table.py --folder=runs/patch_table [--seeds=3] [--data_dir=DIR]

Every run sees as many images, whatever it sees of them, and is trained by the settings of
`configs/patch_attention.py:demo` with nine crops. "ordered" is attention's control: the same crops, averaged.
Resumable: finished runs are read back. 55 minutes on two idle cores, most of them for training on nine crops.
"""

import argparse
from collections.abc import Sequence

from demo_table import figures_of_seeds, in_percent, parser_of_seeds, run

from skinjax.evaluation.intervals import paired_difference
from skinjax.evaluation.predictions import Predictions

IMAGES = 12000
SETTINGS = [
    "--config.views.crops=9",
    f"--config.phases.train.duration={IMAGES}",
    "--config.phases.train.unit=examples",
    "--config.phases.train.warmup=1000.0",
    "--config.evaluations.every=0.0",
    "--config.cache=host",
]
STRATEGIES = ("downsampling", "single_crop", "multi_crop", "ordered", "initial", "end", "dual")
BALANCING = (
    "none",
    "oversampling",
    "balanced_batches",
    "loss_weighting",
    "loss_weighting_batch_mean",
    "diagnosis_weighting",
)
METRICS = ("macro_recall", "macro_f1", "accuracy")


def main() -> None:
    options = parser_of_seeds(__doc__).parse_args()
    for file, names in (("patch_attention", STRATEGIES), ("balancing", BALANCING)):
        print_table({name: train(file, name, options) for name in names}, base=names[0])


def train(file: str, name: str, options: argparse.Namespace) -> list[Predictions]:
    """The test predictions of a strategy of a config file, for every seed."""
    variant, changes = ("initial", ["--config.method.attention=()"]) if name == "ordered" else (name, [])
    arguments = [f"--config=configs/{file}.py:demo_{variant}", *SETTINGS, *changes]
    folders = [options.folder / f"{file}-{name}-{seed}" for seed in range(options.seeds)]
    return [run(arguments, folder, seed, options.data_dir) for seed, folder in enumerate(folders)]


def print_table(runs: dict[str, Sequence[Predictions]], base: str) -> None:
    """Figures of every strategy, and how much better than `base` each of its seeds is."""
    print(f"\n| strategy | {' | '.join(METRICS)} | macro recall of each seed [95 % interval] | against {base} |")
    print(f"|---|{'---|' * (len(METRICS) + 2)}")
    for name, tables in runs.items():
        gains = [paired_difference(a, b, "macro_recall") for a, b in zip(runs[base], tables, strict=True)]
        shown = "; ".join(in_percent(d, "+.1f") for d in gains)
        print(
            f"| {' | '.join([name, *figures_of_seeds(tables, METRICS), '' if name == base else shown])} |", flush=True
        )


if __name__ == "__main__":
    main()
