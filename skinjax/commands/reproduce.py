"""Train what a paper's tables ask for, and set what it came to beside the printed numbers.

    skinjax reproduce 003 --table=V                   # at demo scale: drawn photographs, tiny networks, seconds a run
    skinjax reproduce 003 --table=V --scale=full --dry_run
    skinjax reproduce 003 --table=V --scale=full --only=Dense121
    skinjax reproduce leaderboard --scale=full --groups=lesions.csv
    skinjax reproduce tables/drawn.py --seeds=5       # a file of one's own tables, at full scale

Every table of the paper or file, or those that are named. Equal runs are one, whichever tables ask for them; rows that
differ only in how a network is judged share its training. What is done is not done again: the same command goes on
after a stop, and a run that failed is tried once more, then told.
"""

import argparse
from pathlib import Path

from skinjax.core.arguments import Parser


def add_arguments(parser: Parser) -> None:
    parser.add_argument("paper", metavar="PAPER", help="000, 001, 002, 003, 004, leaderboard or a FILE.py with TABLES")
    parser.add_argument("--table", metavar="NAME,...", help="these tables alone, such as V or 'Figure 5'")
    parser.add_argument("--scale", help="demo (drawn photographs; a paper's default) or full (a file's default)")
    parser.add_argument("--only", metavar="TEXT", help="train only the rows whose name has this in it")
    parser.add_argument("--groups", metavar="FILE", help="lesions of the test images: a CSV with image_id and group")
    parser.add_matrix("default: runs/reproduce-SCALE, for all papers")


def run(options: argparse.Namespace) -> int:
    from skinjax.core.errors import UserError, lookup
    from skinjax.core.tables import read_file
    from skinjax.data.dataset import data_root
    from skinjax.matrix import document, jobs, reproduce
    from skinjax.matrix.cost import tell
    from skinjax.matrix.sources import open_source
    from skinjax.training.signals import Interrupted

    source = open_source(options.paper)
    scale = options.scale or ("demo" if source.is_ours else "full")
    lookup("scale", scale, reproduce.SCALES)
    jobs.refuse_changes(options.changes, ("split.fold", "split.folds"), "the table says which folds it is of")
    names = [name.strip() for name in options.table.split(",")] if options.table else []
    wanted = reproduce.tables_of(source.tables, names)
    needed = reproduce.needed_by(wanted)
    entries = reproduce.entries_of(source, scale, options.seeds, options.changes, needed)
    asked = [entry.job for entry in entries if (options.only or "") in entry.row]
    if not asked:
        raise UserError(f"no row of {', '.join(wanted)} has {options.only!r} in its name")
    groups = Path(options.groups).expanduser() if options.groups else None
    if groups:
        read_file(groups)
    root = Path(options.workdir or f"runs/reproduce-{scale}").expanduser()
    if options.status or options.dry_run:
        tell(asked, root, options.data_dir, options.dry_run, print)
        return 0
    try:
        jobs.refuse_missing(jobs.do(asked, root, options.data_dir, gpus=options.gpus), "the same command")
        done = reproduce.whole_rows(entries, root)
        found = reproduce.read(wanted, done, root, data_root(options.data_dir), print, groups)
    except Interrupted as stop:
        print(stop)
        return 0
    folders = {of.config: of.job.folder(root) for of in done if not source.tables[of.table].changes}
    figures = document.figure_lines(source.figures, folders)
    told = "".join(f" Every run with --config.{change}." for change in options.changes)
    paths = document.write(root / source.name, source.name, scale, found, figures, told)
    for of in found:
        print(document.markdown(of, scale, told), end="\n\n")
    print(f"wrote {', '.join(map(str, paths))}, with CSV and HTML beside")
    return 0
