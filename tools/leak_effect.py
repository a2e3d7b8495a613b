"""What a split by image is worth in points: one small network on HAM10000 under both protocols (docs/leak_effect.md).

    python tools/leak_effect.py --folder=runs/leak_effect [--seeds=3] [--data_dir=DIR]

Needs `skinjax prepare ham10000`. Settings are those of the synthetic demo; nothing was tuned on HAM10000. Resumable:
finished runs are read back. A minute and a half a run on 2 cores.
"""

from demo_table import figures_of_seeds, parser_of_seeds, run

SETTINGS = {
    "model.backbone": "resnet_narrow",
    "model.weights": "",
    "split.folds": 1,
    "split.test": 0.2,
    "split.validation": 0.1,
    "stored_size.height": 112,
    "stored_size.width": 112,
    "views.size": "(96,96)",
    "views.train": "plain",
    "sampler": "balanced_batches",
    "batch": 32,
    "optimizer.name": "adam",
    "optimizer.learning_rate": 2e-3,
    "phases.train.duration": 3000,
    "phases.train.unit": "steps",
    "phases.train.schedule": "cosine",
    "cache": "host",
    "logging.every": 500,
}
PROTOCOLS = ("lesion_grouped", "image_stratified")
METRICS = ("macro_recall", "macro_f1", "accuracy")


def main() -> None:
    options = parser_of_seeds(__doc__).parse_args()
    print(f"| split | {' | '.join(METRICS)} | macro recall of each seed [95 % interval] | leak |")
    print(f"|---|{'---|' * (len(METRICS) + 2)}")
    for protocol in PROTOCOLS:
        changes = SETTINGS | {"split.protocol": protocol}
        arguments = ["--config=configs/baselines.py:skin7", *(f"--config.{name}={changes[name]}" for name in changes)]
        tables = [
            run(arguments, options.folder / f"{protocol}-{seed}", seed, options.data_dir)
            for seed in range(options.seeds)
        ]
        cells = figures_of_seeds(tables, METRICS)
        leak = tables[0].protocol["split"].get("leak_percent", {}).get("test", 0.0)
        print(f"| {protocol} | {' | '.join(cells)} | {leak:.1f} % of the test images |")


if __name__ == "__main__":
    main()
