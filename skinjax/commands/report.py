"""Write one HTML file about a run or a table: figures with intervals, curves, mistakes, a model card, a checklist.

    skinjax report runs/cdc-demo-0123abcd --explain
    skinjax report theirs.csv --out=theirs.html --figures=figures/
    skinjax report A=RUN B=RUN
    skinjax report N5=RUN N5=RUN ... N9=RUN N9=RUN --against=method.patch_dropout --metrics=macro_recall

PATH is the folder of a finished run (its test part, else --part), or a CSV `image_id,label,p_CLASS,...`. Several stand
side by side, and are compared with the first; of one name, they are runs of one method. The file needs nothing else: no
network, no script. Photographs are in it where the run's data set is prepared. See docs/report.md.
"""

import argparse
from pathlib import Path

from skinjax.core.arguments import Parser
from skinjax.core.errors import UserError
from skinjax.evaluation import judgement
from skinjax.evaluation.metrics import metric_names
from skinjax.evaluation.sources import named_path


def add_arguments(parser: Parser) -> None:
    parser.add_argument("paths", metavar="[NAME=]PATH", nargs="+", help="finished runs and tables of predictions")
    parser.add_argument("--part", default="", help="which part of a run (default: test, else validation)")
    parser.add_argument("--groups", metavar="FILE", help="CSV image_id,group[,cluster] for tables without groups")
    parser.add_argument("--out", metavar="FILE", help="default: RUN/report.html, TABLE.html, of several ./report.html")
    parser.add_argument("--explain", action="store_true", help="draw Grad-CAMs of each run's hits and losses first")
    parser.add_argument("--figures", metavar="DIR", help="write every figure as PNG and SVG with the CSV behind it")
    parser.add_argument("--metrics", metavar="A,B", default=",".join(judgement.COMPARED), help="what is compared")
    parser.add_argument("--against", metavar="FIELD", help="draw the first metric against a number of the runs' config")
    parser.add_data_dir()


def run(options: argparse.Namespace) -> int:
    metrics = metric_names(options.metrics)
    from skinjax.data.dataset import data_root
    from skinjax.report.drawings import setting_of, sweep
    from skinjax.report.page import write_figures, write_report
    from skinjax.report.subjects import open_subject

    named = [named_path(text) for text in options.paths]
    root = data_root(options.data_dir)
    if options.explain:
        draw_maps([path for _, path in named], options.data_dir)
    subjects = [open_subject(path, options.part, name, root, options.groups) for name, path in named]
    swept = None
    if options.against:
        if len(subjects) < 2:
            raise UserError("--against draws several runs against a number in which they differ: give more than one")
        points = [(of.name, setting_of(of.config, options.against, of.name), of.table) for of in subjects]
        swept = sweep(points, options.against, metrics[0], any(of.synthetic for of in subjects))
    out = Path(options.out).expanduser() if options.out else _default(named)
    content = write_report(out, subjects, metrics, swept)
    print(f"wrote {out}")
    if options.figures:
        for path in write_figures(Path(options.figures).expanduser(), content):
            print(f"wrote {path.with_suffix('')}.png, .svg, .csv")
    return 0


def draw_maps(paths: list[Path], data_dir: str | None) -> None:
    """What `skinjax explain` draws of each run; tables have no network to explain."""
    from skinjax.commands import explain

    parser = Parser()
    explain.add_arguments(parser)
    for path in paths:
        if not path.is_dir():
            raise UserError(f"--explain is of runs, and {path} is a table: leave it out")
        explain.run(parser.parse_args([str(path), *([f"--data_dir={data_dir}"] if data_dir else [])]))


def _default(named: list[tuple[str, Path]]) -> Path:
    """Where the report of these goes."""
    if len(named) > 1:
        return Path("report.html")
    path = named[0][1]
    return path / "report.html" if path.is_dir() else path.with_suffix(".html")
