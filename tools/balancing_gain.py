"""No balancing, loss weighting and balanced batches on HAM10000, from ImageNet weights (docs/patch_attention.md).

    python tools/balancing_gain.py --weights=FILE --split=FILE --folder=runs/balancing_gain [--seeds=3] [--data_dir=DIR]

Needs `skinjax prepare ham10000`, a safetensors file for `mobilenetv2_100_same` and paper 003's published split. Trained
and compared as tools/pretrained_gain.py has it: the learning rate, of the same three, is each chosen on the
validation part with seed 0; only then the test part is looked at. Resumable: finished runs are read back.
"""

from pathlib import Path

from demo_table import parser_of_seeds
from pretrained_gain import compare

STRATEGIES = {
    "no balancing": {"sampler": "natural"},
    "loss weighting": {"sampler": "natural", "loss.class_weights": "inverse"},
    "balanced batches": {"sampler": "balanced_batches"},
}


def main() -> None:
    parser = parser_of_seeds(__doc__)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    options = parser.parse_args()
    same = {
        "split.protocol": "file",
        "split.file": options.split,
        "model.weights": options.weights,
        "batch": 35,  # a multiple of the seven classes
    }
    compare(options, "strategy", {name: same | changes for name, changes in STRATEGIES.items()})


if __name__ == "__main__":
    main()
