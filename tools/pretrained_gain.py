"""What ImageNet weights are worth on HAM10000: one MobileNet-v2 from them and from scratch (docs/pretrained_gain.md).

    python tools/pretrained_gain.py --weights=FILE --folder=runs/pretrained_gain [--seeds=3] [--data_dir=DIR]

Needs `skinjax prepare ham10000` and a safetensors file for `mobilenetv2_100_same`. Both starts take the learning rate,
of the same three, that has the higher macro recall on the validation part with seed 0; only then is the test part
looked at. Resumable: finished runs are read back.
"""

from pathlib import Path

from demo_table import figures_of_seeds, parser_of_seeds, run

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
    "phases.train.milestones": "()",
    "evaluations.every": 0.0,
    "cache": "host",
    "logging.every": 200,
}
STARTS = ("scratch", "ImageNet")
LEARNING_RATES = (3e-4, 1e-3, 3e-3)
METRICS = ("macro_recall", "macro_f1", "accuracy")


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    options = parser.parse_args()

    def train(start: str, rate: float, seed: int):
        changes = SETTINGS | {
            "optimizer.learning_rate": rate,
            "model.weights": options.weights if start == "ImageNet" else "",
        }
        arguments = [f"--config.{name}={value}" for name, value in changes.items()]
        folder = options.folder / f"{start}-{rate:g}-{seed}"
        return folder, run(["--config=configs/baselines.py:skin7", *arguments], folder, seed, options.data_dir)

    chosen = {}
    print(f"| start | {' | '.join(f'{rate:g}' for rate in LEARNING_RATES)} |")
    print(f"|---|{'---|' * len(LEARNING_RATES)}")
    for start in STARTS:
        recalls = {}
        for rate in LEARNING_RATES:
            folder, _ = train(start, rate, seed=0)
            recalls[rate] = evaluate(read_predictions(folder / "predictions_validation.csv"), "macro_recall")
        chosen[start] = max(recalls, key=recalls.__getitem__)
        print(f"| {start} | {' | '.join(f'{100 * recalls[rate]:.1f}' for rate in LEARNING_RATES)} |", flush=True)
    tables = {start: [train(start, rate, seed)[1] for seed in range(options.seeds)] for start, rate in chosen.items()}
    print(f"\n| start | learning rate | {' | '.join(METRICS)} | macro recall of each seed [95 % interval] | gain |")
    print(f"|---|{'---|' * (len(METRICS) + 3)}")
    for start, runs in tables.items():
        gains = [
            paired_difference(base, table, "macro_recall") for base, table in zip(tables["scratch"], runs, strict=True)
        ]
        shown = "; ".join(f"{100 * d.value:+.1f} [{100 * d.low:+.1f}, {100 * d.high:+.1f}]" for d in gains)
        cells = [start, f"{chosen[start]:g}", *figures_of_seeds(runs, METRICS), "" if start == "scratch" else shown]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
