"""What a split by image is worth in points: one small network on HAM10000 under both protocols (docs/leak_effect.md).

    python tools/leak_effect.py --folder=runs/leak_effect [--seeds=3] [--data_dir=DIR]

Needs `skinjax prepare ham10000`. Settings are those of the synthetic demo; nothing was tuned on HAM10000. Resumable:
finished runs are read back. A minute and a half a run on 2 cores.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np

from skinjax.evaluation.intervals import bootstrap
from skinjax.evaluation.metrics import evaluate
from skinjax.evaluation.predictions import read_predictions

SETTINGS = {
    "model.backbone": "resnet_narrow",
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
    "phases.train.milestones": "()",
    "cache": "host",
    "logging.every": 500,
}
PROTOCOLS = ("lesion_grouped", "image_stratified")
METRICS = ("macro_recall", "macro_f1", "accuracy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data_dir")
    options = parser.parse_args()
    print(f"| split | {' | '.join(METRICS)} | macro recall of each seed [95 % interval] | leak |")
    print(f"|---|{'---|' * (len(METRICS) + 2)}")
    for protocol in PROTOCOLS:
        tables = []
        for seed in range(options.seeds):
            changes = SETTINGS | {"split.protocol": protocol, "seed": seed}
            workdir = options.folder / f"{protocol}-{seed}"
            command = [sys.executable, "-m", "skinjax.main", "--config=configs/baselines.py:skin7"]
            command += [f"--config.{field}={value}" for field, value in changes.items()] + [f"--workdir={workdir}"]
            command += [f"--data_dir={options.data_dir}"] if options.data_dir else []
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            tables.append(read_predictions(workdir / "predictions_test.csv"))
        cells = []
        for metric in METRICS:
            values = 100 * np.array([evaluate(table, metric) for table in tables])
            cells.append(f"{values.mean():.1f} ({values.std():.1f})")
        intervals = [bootstrap(table, "macro_recall") for table in tables]
        cells.append("; ".join(f"{100 * i.value:.1f} [{100 * i.low:.1f}, {100 * i.high:.1f}]" for i in intervals))
        leak = tables[0].protocol["split"].get("leak_percent", {}).get("test", 0.0)
        print(f"| {protocol} | {' | '.join(cells)} | {leak:.1f} % of the test images |")


if __name__ == "__main__":
    main()
