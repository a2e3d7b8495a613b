"""Find photographs that cannot be used, contradict their labels, or are there twice.

    skinjax scan photos
    skinjax scan photos.zip --labels=labels.csv --csv=findings.csv

DIR is a folder (archives in it are read in place) or an archive. Labels are taken from --labels, else from the only
.csv in DIR with the columns image and label, else from class folders. Nothing is changed, and nothing is written but
the table that --csv asks for. The exit status is 1 if there is an error among the findings, 0 otherwise.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from skinjax.core.arguments import Parser
from skinjax.core.tables import csv_text, refuse_to_overwrite, write_table
from skinjax.data.acquire.sources import open_source

if TYPE_CHECKING:  # it imports the readers of data sets, which --help does not wait for
    from skinjax.data.acquire.scan import Finding, Report

MOST_SHOWN = 10  # of each kind


def add_arguments(parser: Parser) -> None:
    parser.add_argument("folder", metavar="DIR", help="the folder or archive with the photographs")
    parser.add_argument("--labels", metavar="FILE", help="a CSV with the columns image and label")
    parser.add_argument("--csv", metavar="FILE", help="write all findings to this CSV")
    parser.add_number("--min_side", 64, 0, 2**31, "a shorter side of fewer pixels is tiny (default: 64)")


def run(options: argparse.Namespace) -> int:
    from skinjax.data.acquire.scan import ERROR, HEADER, scan

    table = Path(options.csv).expanduser() if options.csv else None
    if table:
        refuse_to_overwrite(table, HEADER, "--csv")
    labels = Path(options.labels).expanduser() if options.labels else None
    with open_source(Path(options.folder).expanduser()) as source:
        report = scan(source, labels, options.min_side)
    for line in describe(options.folder, report, table):
        print(line)
    if table:
        write_table(table, csv_text(HEADER, [(finding.severity, *finding) for finding in report.findings]))
    return int(any(finding.severity == ERROR for finding in report.findings))


def describe(folder: str, report: "Report", table: Path | None) -> list[str]:
    """The report in lines for people: counts by kind, then of each kind as many findings as one reads."""
    lines = [
        f"{folder}: {report.images:,} photograph{'s' * (report.images != 1)}, {report.other_files:,} other "
        f"file{'s' * (report.other_files != 1)}",
        f"labels: {report.labels}",
    ]
    if not report.findings:
        return [*lines, "nothing was found"]
    kinds: dict[str, list[Finding]] = {}
    for finding in report.findings:
        kinds.setdefault(finding.kind, []).append(finding)
    width = max(map(len, kinds))
    lines += ["", *(f"{len(found):>6,}  {kind:<{width}}  {found[0].severity}" for kind, found in kinds.items())]
    for kind, found in kinds.items():
        lines += ["", f"{kind}:", *(f"  {_printable(f'{path}: {detail}')}" for _, path, detail in found[:MOST_SHOWN])]
        if len(found) > MOST_SHOWN:
            lines.append(f"  and {len(found) - MOST_SHOWN:,} more: {f'see {table}' if table else 'give --csv=FILE'}")
    return lines


def _printable(text: str) -> str:
    """Cells of tables can hold what steers a terminal."""
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
