"""How well a bundle tells photographs of other things, and how often its flags are raised in vain: prints both tables.

    python tools/unlike_table.py BUNDLE RUN --others=FOLDER [--data_dir=DIR]

RUN is the run of the bundle, whose test part is what is like the training photographs; OTHERS are photographs of
anything else, of which 2,000 are drawn. Two minutes on 2 cores.
"""

import argparse
import contextlib
from collections import Counter
from pathlib import Path

import numpy as np

from skinjax.core.threads import map_in_order
from skinjax.data.acquire.sources import open_photographs
from skinjax.data.dataset import data_root
from skinjax.deploy.predictor import open_predictor
from skinjax.deploy.quality import FLAGS
from skinjax.evaluation.binary import auc
from skinjax.runs.experiment import open_run

OTHERS = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("run", type=Path)
    parser.add_argument("--others", type=Path, required=True)
    parser.add_argument("--data_dir")
    options = parser.parse_args()
    predictor = open_predictor(options.bundle)
    _, data, _ = open_run(options.run, data_root(options.data_dir))

    def look(record: int):
        return predictor.look(data.dataset.encoded(record), str(record))

    seen = list(map_in_order(look, range(len(data.dataset))))
    test = np.stack([seen[record][0] for record in data.records["test"]])
    with contextlib.ExitStack() as opened:
        files = open_photographs(options.others, opened)
        drawn = np.random.default_rng(0).permutation(len(files))[:OTHERS]
        others = [predictor.look(files[place].read(), files[place].path) for place in sorted(drawn)]
    answers = {"test part": predictor.ask(test), "others": predictor.ask(np.stack([pixels for pixels, _ in others]))}
    distances = [of.distance for of in answers.values()]
    truth = np.repeat([False, True], list(map(len, distances)))
    print(f"AUROC {auc(truth, np.concatenate(distances)):.3f}")
    for name, of in answers.items():
        print(f"| {name} | {len(of.distance):,} | {100 * of.is_unlike.mean():.1f} % |")
    for name, several in ((data.dataset.name, seen), ("others", others)):
        raised = Counter(flag for _, flags in several for flag in flags)
        shares = " | ".join(f"{100 * raised[flag] / len(several):.2f} %" for flag in FLAGS)
        print(f"| {name} | {len(several):,} | {shares} |")


if __name__ == "__main__":
    main()
