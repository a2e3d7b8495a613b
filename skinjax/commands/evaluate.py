"""Judge predictions, of this program or of any other: figures with intervals, errors, a clinical question, comparisons.

    skinjax evaluate runs/cdc-demo-0123abcd
    skinjax evaluate theirs.csv --groups=lesions.csv --trained_on=train.csv --by=sex,age
    skinjax evaluate RUN --positive=mel,bcc,akiec --prevalence=0.02 --temperature --prior=uniform --conformal
    skinjax evaluate RUN RUN --ensemble=mean
    skinjax evaluate A=RUN A=RUN ... B=RUN B=RUN ... --methods
    skinjax evaluate RUN --config.views.repeats=turned

PATH is the folder of a finished run (its test part, else --part), or a CSV `image_id,label,p_CLASS,...` with a `group`
where photographs share a lesion, and any columns to judge by. Several are judged side by side and compared with the
first, paired. With --config.FIELD=VALUE a run's network sees the photographs anew, in another view. Nothing is fitted
on the table that it is judged by. See docs/evaluate.md.
"""

import argparse
import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from skinjax.core.arguments import Parser
from skinjax.core.errors import UserError, os_errors_as_user_errors
from skinjax.core.files import write_atomically
from skinjax.core.tables import csv_text
from skinjax.evaluation import judgement
from skinjax.evaluation.cases import POOLS, seen_in_training
from skinjax.evaluation.comparisons import COMBINATIONS
from skinjax.evaluation.errors import where_column
from skinjax.evaluation.metrics import metric_names
from skinjax.evaluation.predictions import write_predictions
from skinjax.evaluation.sources import Source, named_path, open_source, with_groups_of
from skinjax.evaluation.text import PER_CLASS, aligned, in_a_line, visible


def add_arguments(parser: Parser) -> None:
    parser.add_argument("paths", metavar="[NAME=]PATH", nargs="+", help="finished runs and tables of predictions")
    parser.add_argument("--part", default="", help="which part of a run (default: test, else validation)")
    parser.add_argument("--validation", metavar="FILE", help="the table to fit on (of a run: its validation part)")
    parser.add_argument("--groups", metavar="FILE", help="CSV image_id,group[,cluster] for a table without groups")
    parser.add_argument("--trained_on", metavar="FILE", help="CSV with group or image_id: who was trained on")
    parser.add_argument("--where", metavar="COLUMN=VALUE", help="judge these photographs alone, as dx_type=histo")
    parser.add_argument("--by", metavar="A,B", help="figures by the values of columns: age, sex, site, dx_type, ...")
    parser.add_argument("--positive", metavar="A,B", help="ask whether it is one of these classes")
    parser.add_argument("--prevalence", type=float, help="of the positive ones where the question is asked")
    parser.add_argument("--temperature", action="store_true", help="fit a temperature on validation")
    parser.add_argument("--prior", choices=judgement.TARGETS, help="decide for these class frequencies")
    parser.add_argument("--conformal", action="store_true", help="sets that hold the true class nine times in ten")
    parser.add_argument("--cases", choices=POOLS, help="judge lesions too, their photographs pooled")
    parser.add_argument("--ensemble", choices=COMBINATIONS, help="one table of all that are given")
    parser.add_argument("--methods", action="store_true", help="compare methods, of which several runs are given")
    parser.add_argument("--metrics", metavar="A,B", default=",".join(judgement.COMPARED), help="what is compared")
    parser.add_number("--pairs", 5, 1, 10**6, "tell pairs of classes with so many errors (default 5)")
    parser.add_number("--losses", 0, 0, 10**4, "tell so many photographs with the worst answers")
    parser.add_number("--replicates", 2000, 1, 10**5, "of a bootstrap (default 2000)")
    parser.add_argument("--out", metavar="DIR", help="write figures.json, tables as CSV and the judged predictions")
    parser.add_data_dir()
    parser.add_config_changes()


def run(options: argparse.Namespace) -> int:
    metrics = metric_names(options.metrics)
    if options.prevalence is not None and not 0 < options.prevalence < 1:
        raise UserError(f"--prevalence is {options.prevalence:g}; it is a share between 0 and 1, such as 0.02")
    if options.prevalence is not None and not options.positive:
        raise UserError("--prevalence is of the classes that --positive names: name them")
    if options.methods:
        refuse_beside_methods(options)
    sources = [chosen(source, options.where) for source in opened(options)]
    if options.methods:
        show(judgement.method_lines(sources, metrics, options.replicates))
        return 0
    if options.ensemble:
        sources = [judgement.ensemble(sources, options.ensemble)]
    found = [judge(source, options) for source in sources]
    if options.out:
        write(Path(options.out).expanduser(), sources, found)
    if len(sources) > 1:
        try:
            show(list(judgement.difference_lines(sources, metrics, options.replicates)))
        except UserError as error:
            print(f"not compared: {error}")
    return 0


def refuse_beside_methods(options: argparse.Namespace) -> None:
    """Refuse what --methods does not do, and one run as several of a method."""
    for name in ("out", "positive", "by", "conformal", "cases", "ensemble", "temperature", "prior", "trained_on"):
        if getattr(options, name):
            raise UserError(f"--methods compares methods and nothing else: leave --{name} out")
    paths = [(name, path.resolve()) for name, path in map(named_path, options.paths)]
    for number, (name, path) in enumerate(paths):
        if (name, path) in paths[:number]:
            raise UserError(f"{name}={path.name} is named twice, and is one run: name those of other seeds or folds")


def opened(options: argparse.Namespace) -> Iterator[Source]:
    """The sources that are named, those of runs judged anew where fields are changed."""
    kept = Path(options.validation).expanduser() if options.validation else None
    for text in options.paths:
        name, folder = named_path(text)
        if options.changes:
            from skinjax.data.dataset import data_root
            from skinjax.runs.again import judge_again

            name = name or f"{folder.resolve().name} ({', '.join(options.changes)})"
            folder = judge_again(folder, options.changes, data_root(options.data_dir))
        yield with_groups_of(open_source(folder, options.part, kept, name), options.groups)


def chosen(source: Source, where: str | None) -> Source:
    """A source with the rows that are asked for."""
    if not where:
        return source
    column, equals, value = where.partition("=")
    if not equals:
        raise UserError(f"--where is {where!r}: give COLUMN=VALUE, such as dx_type=histo")
    return dataclasses.replace(source, table=where_column(source.table, column, value))


def judge(source: Source, options: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """The judged table of a source and what was found out about it, which is printed."""
    questions = judgement.Questions(
        positive=_names(options.positive),
        prevalence=options.prevalence,
        by=_names(options.by),
        temperature=options.temperature,
        prior=options.prior or "",
        conformal=options.conformal,
        cases=options.cases or "",
        pairs=options.pairs,
        losses=options.losses,
        replicates=options.replicates,
    )
    table, found = judgement.judged(source, questions)
    print(in_a_line(source.name))
    show(judgement.lines(found))
    if options.trained_on:
        seen = seen_in_training(source.table, Path(options.trained_on).expanduser())
        found["trained_on"] = {name: {"seen": of, "images": among} for name, (of, among) in seen.items()}
        print(f"\nimages that are in {options.trained_on}, or whose group is:")
        show(aligned([f"  {name}", f"{of} of {among}", _percent(of, among)] for name, (of, among) in seen.items()))
    print()
    return table, found


def write(folder: Path, sources: Sequence[Source], found: Sequence[tuple[Any, dict[str, Any]]]) -> None:
    """figures.json of all sources, and of each its judged table and the CSV of its classes."""
    with os_errors_as_user_errors(f"{folder} cannot be made or written", "name another with --out"):
        folder.mkdir(parents=True, exist_ok=True)
        for number, (source, (table, record)) in enumerate(zip(sources, found, strict=True)):
            stem = f"{number}_{re.sub(r'[^A-Za-z0-9._-]+', '_', source.name)}"
            write_predictions(folder / f"{stem}.csv", table)
            write_atomically(folder / f"{stem}_classes.csv", class_table(record))
        write_atomically(folder / "figures.json", json.dumps([record for _, record in found], indent=1))
    print(f"wrote {folder}")


def class_table(found: dict[str, Any]) -> str:
    """The figures of each class, with their bounds, as CSV."""
    header = ["class", "images", "groups"]
    header += [f"{figure}{bound}" for figure in PER_CLASS for bound in ("", "_low", "_high")]
    rows = []
    for name, of in found["per_class"].items():
        cells = [of[figure][bound] for figure in PER_CLASS for bound in ("value", "low", "high")]
        rows.append([name, of["support"], of["groups"], *("" if cell is None else cell for cell in cells)])
    return csv_text(header, rows)


def show(lines: Iterable[str]) -> None:
    for line in lines:
        print(visible(line))


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",")) if text else ()


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""
