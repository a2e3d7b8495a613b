"""What ImageNet weights are worth on HAM10000: one MobileNet-v2 from them and from scratch (docs/pretrained_gain.md).

    python tools/pretrained_gain.py --weights=FILE --folder=runs/pretrained_gain [--seeds=3] [--data_dir=DIR]

Needs `skinjax prepare ham10000` and a safetensors file for `mobilenetv2_100_same`. Both starts take the learning rate,
of the same three, that has the higher macro recall on the validation part with seed 0; only then is the test part
looked at. Resumable: finished runs are read back.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from demo_table import figures_of_seeds, in_percent, parser_of_seeds, run

from skinjax.evaluation.intervals import paired_difference
from skinjax.evaluation.metrics import evaluate
from skinjax.evaluation.predictions import read_predictions

SETTINGS = {
    "model.backbone": "mobilenetv2_100_same",
    "split.protocol": "lesion_grouped",
    "split.folds": 1,
    "split.test": 0.2,
    "split.validation": 0.1,
    "stored_size.height": 112,
    "stored_size.width": 112,
    "stored_size.filter": "bicubic",
    "views.size": "(96,96)",
    "views.train": "plain",
    "views.normalisation": "half",
    "sampler": "balanced_batches",
    "batch": 32,
    "optimizer.name": "adam",
    "phases.train.duration": 500,
    "phases.train.unit": "steps",
    "phases.train.schedule": "cosine",
    "phases.train.warmup": 50,
    "evaluations.every": 0.0,
    "cache": "host",
    "logging.every": 200,
}
LEARNING_RATES = (3e-4, 1e-3, 3e-3)
METRICS = ("macro_recall", "macro_f1", "accuracy")


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    options = parser.parse_args()
    compare(options, "start", {"scratch": {"model.weights": ""}, "ImageNet": {"model.weights": options.weights}})


def compare(options: argparse.Namespace, kind: str, changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Train with each of the `changes` to the settings and print both tables; the first is what others gain on."""

    def train(name: str, rate: float, seed: int):
        settings = SETTINGS | changes[name] | {"optimizer.learning_rate": rate}
        arguments = [f"--config.{field}={value}" for field, value in settings.items()]
        folder = options.folder / f"{name.replace(' ', '_')}-{rate:g}-{seed}"
        return folder, run(["--config=configs/baselines.py:skin7", *arguments], folder, seed, options.data_dir)

    chosen = {}
    print(f"| {kind} | {' | '.join(f'{rate:g}' for rate in LEARNING_RATES)} |")
    print(f"|---|{'---|' * len(LEARNING_RATES)}")
    for name in changes:
        recalls = {}
        for rate in LEARNING_RATES:
            folder, _ = train(name, rate, seed=0)
            recalls[rate] = evaluate(read_predictions(folder / "predictions_validation.csv"), "macro_recall")
        chosen[name] = max(recalls, key=recalls.__getitem__)
        print(f"| {name} | {' | '.join(f'{100 * recalls[rate]:.1f}' for rate in LEARNING_RATES)} |", flush=True)
    tables = {name: [train(name, rate, seed)[1] for seed in range(options.seeds)] for name, rate in chosen.items()}
    base = next(iter(tables))
    print(f"\n| {kind} | learning rate | {' | '.join(METRICS)} | macro recall of each seed [95 % interval] | gain |")
    print(f"|---|{'---|' * (len(METRICS) + 3)}")
    for name, runs in tables.items():
        gains = [paired_difference(a, b, "macro_recall") for a, b in zip(tables[base], runs, strict=True)]
        shown = "; ".join(in_percent(d, "+.1f") for d in gains)
        cells = [name, f"{chosen[name]:g}", *figures_of_seeds(runs, METRICS), "" if name == base else shown]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
