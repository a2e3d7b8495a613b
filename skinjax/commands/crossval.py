"""Train a config on every fold, and tell the figures of each, their mean, and those of all test parts together.

    skinjax crossval --config=configs/own.py:photos --folds=5
    skinjax crossval --config=configs/cdc.py:skin7 --folds=5 --seeds=3 --dry_run

The folds of a drawn split are its test parts; a published split (split.protocol=file) has folds of its own. What is
done is not done again: the same command goes on after a stop, and a run that failed is tried once more, then told.
"""

import argparse
from pathlib import Path

from skinjax.core.arguments import Parser
from skinjax.core.files import write_atomically


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--config", metavar="FILE[:VARIANT]", required=True, help="as in configs/cdc.py:demo")
    parser.add_number("--folds", 5, 2, 1000, "how many folds (default 5)")
    parser.add_argument("--side_by_side", action="store_true", help="train as many at once as there are devices")
    parser.add_matrix("default: runs/crossval-CONFIG-VARIANT-FOLDSxSEEDS")


def run(options: argparse.Namespace) -> int:
    from skinjax.data.dataset import data_root
    from skinjax.matrix import crossval, jobs
    from skinjax.recipe.config_files import load_config

    jobs.refuse_changes(options.changes, ("split.folds", "split.fold"), "--folds says which folds there are")
    recipe = load_config(options.config, options.changes)
    from skinjax.matrix.cost import tell
    from skinjax.training.signals import Interrupted

    name = f"crossval-{recipe.name}-{recipe.variant}-{options.folds}x{options.seeds}"
    root = Path(options.workdir).expanduser() if options.workdir else Path("runs") / name
    changes = jobs.changes_of_parents(options.changes)
    asked = crossval.jobs_of(recipe, options.folds, options.seeds, lambda name: load_config(name, changes))
    crossval.check_folds(asked, data_root(options.data_dir))
    if options.side_by_side:
        asked = jobs.of_equal_steps(asked, options.data_dir)
    if options.status or options.dry_run:
        tell(asked, root, options.data_dir, options.dry_run, print)
        return 0
    try:
        outcomes = jobs.do(asked, root, options.data_dir, abreast=options.side_by_side, gpus=options.gpus)
    except Interrupted as stop:
        print(stop)
        return 0
    jobs.refuse_missing(outcomes, "the same command")
    found = crossval.read(asked, root)
    records = crossval.rows(found)
    text = crossval.markdown(found, records)
    write_atomically(root / "table.md", text + "\n")
    write_atomically(root / "table.csv", crossval.table_csv(records))
    print(text)
    print(f"wrote {root / 'table.md'} and table.csv")
    return 0
