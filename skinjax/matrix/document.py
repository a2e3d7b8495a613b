"""Tables as they were found, as Markdown, CSV and a page of HTML."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from skinjax.core.files import write_atomically
from skinjax.core.tables import csv_text
from skinjax.evaluation.text import markdown_table
from skinjax.matrix.demo import SCALE
from skinjax.matrix.reproduce import Cell, Found
from skinjax.papers.printed import Figure, Table, series_of
from skinjax.report import charts
from skinjax.report.blocks import Block, Grid, Section, Words
from skinjax.report.blocks import Figure as Chart
from skinjax.report.charts import Line
from skinjax.report.drawings import Drawing
from skinjax.report.figures import save
from skinjax.report.page import page

DIGITS = {"seconds": 0, "seconds_saved": 2, "seconds_times": 2}
EXPLAINED = (
    "In round brackets the standard deviation over runs (ddof 0), in square ones the 95 % interval over the lesions of "
    "the test part (or its images, where it says so), of these networks."
)
CSV_HEADER = ("table", "row", "column", "printed", "printed_sd", "ours", "sd", "low", "high", "difference", "runs")


def stem_of(table: str) -> str:
    """The stem of the files of a table of this name."""
    return table.replace(" ", "_").replace("-", "_")


def write(
    folder: Path, paper: str, scale: str, found: Sequence[Found], figures: Mapping[str, str], told: str
) -> list[Path]:
    """Write each table as Markdown, CSV and a page, the points of figures as PNG; the paths of the first.

    told: what every run has that the configs do not say
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    title = f"Paper {paper}" if paper.isdecimal() else paper.capitalize()
    for of in found:
        stem = stem_of(of.name)
        write_atomically(folder / f"{stem}.md", markdown(of, scale, told) + "\n")
        write_atomically(folder / f"{stem}.csv", csv_text(CSV_HEADER, csv_rows(of)))
        paths.append(folder / f"{stem}.md")
        drawings = drawn(of, stem, scale == "demo") if of.table.axis else []
        for drawing in drawings:
            save(drawing.figure, folder / f"{drawing.stem}.png")
        blocks = [*grids(of, scale, told), *map(Chart, drawings)]
        sections = [Section("table", of.name, [blocks], joint=True)]
        if figures:
            rows = [[name, command] for name, command in figures.items()]
            sections.append(Section("figures", "Figures", [[Grid("", [], rows)]], joint=True))
        write_atomically(folder / f"{stem}.html", page(sections, [f"{title}, {scale} scale"], scale == "demo"))
    return paths


def figure_lines(figures: Mapping[str, Figure], folders: Mapping[str, Path]) -> dict[str, str]:
    """What each figure shows, and the command that draws it of the runs that are there."""
    told = {}
    for name, figure in figures.items():
        runs = " ".join(str(folders.get(config, f"(no run of {config})")) for config in figure.configs)
        command = figure.command.replace("RUN", runs)
        told[name] = f"{figure.shows}: {command}" if command else figure.shows
    return told


def rows_of(found: Found, scale: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of the table in words."""
    table = found.table
    shown = [column for column in table.metrics if any(column in cells for cells in found.cells.values())]
    header = ["", "network", *shown, "runs"]
    rows = []
    for name, cells in found.cells.items():
        told = [cell_text(table, column, cells[column], scale) for column in shown]
        rows.append([name, found.networks.get(name, "-"), *told, str(found.runs[name] or "-")])
    return header, rows


def cell_text(table: Table, column: str, cell: Cell, scale: str) -> str:
    """A cell in words: as it is printed, ours with its interval, the difference."""
    digits = DIGITS.get(table.metrics[column], 1 if table.scale > 1 else 3)
    parts = []
    if cell.printed:
        spread = "" if cell.printed.sd is None else f" ({cell.printed.sd})"
        parts.append(f"printed {cell.printed.mean}{spread}")
    if not np.isnan(cell.mean):
        spread = f" ({cell.sd:.{digits}f})" if len(cell.values) > 1 else ""
        bounds = "" if np.isnan(cell.low) else f" [{cell.low:.{digits}f}, {cell.high:.{digits}f}]"
        parts.append(f"{'ours ' if cell.printed else ''}{cell.mean:.{digits}f}{spread}{bounds}")
        if cell.printed:
            parts.append(f"difference {cell.difference:+.{digits}f}")
        if scale == "demo":
            parts.append(SCALE)
    return "; ".join(parts) or "-"


def claim_rows(found: Found, scale: str) -> Iterator[list[str]]:
    """A row for each claim."""
    demo = f"; {SCALE}" * (scale == "demo")
    for of in found.verdicts:
        yield [f"{of.claim.higher} above {of.claim.lower}", of.claim.column, of.state, of.told + demo]


def markdown(found: Found, scale: str, told: str = "") -> str:
    """The table, its protocols and its claims as Markdown."""
    header, rows = rows_of(found, scale)
    lines = [f"## {found.name}", "", *markdown_table(header, rows), "", EXPLAINED + told, ""]
    lines += [f"- {told}" for told in protocol_lines(found)]
    claims = list(claim_rows(found, scale))
    if claims:
        lines += ["", *markdown_table(["what is claimed", "column", "here", "difference"], claims)]
    return "\n".join(lines)


def protocol_lines(found: Found) -> Iterator[str]:
    """Each protocol once, with the rows that have it."""
    rows: dict[str, list[str]] = {}
    for row, protocol in found.protocols.items():
        rows.setdefault(protocol, []).append(row)
    for protocol, names in rows.items():
        yield protocol if len(rows) == 1 else f"{'; '.join(names)}: {protocol}"


def grids(found: Found, scale: str, told: str) -> list[Block]:
    """The same as blocks of a page."""
    header, rows = rows_of(found, scale)
    blocks: list[Block] = [Words(EXPLAINED + told), Grid("", header, rows, wordy=True)]
    blocks += map(Words, protocol_lines(found))
    claims = list(claim_rows(found, scale))
    if claims:
        blocks.append(Grid("What is claimed", ["claim", "column", "here", "difference"], claims, wordy=True))
    return blocks


def csv_rows(found: Found) -> Iterator[list[object]]:
    """A line for each cell."""
    for row, cells in found.cells.items():
        for column, cell in cells.items():
            printed = cell.printed or (None, None)
            numbers = [*printed, cell.mean, cell.sd, cell.low, cell.high, cell.difference]
            known = ["" if x is None or np.isnan(x) else x for x in numbers]
            yield [found.name, row, column, *known, found.runs[row]]


def drawn(found: Found, stem: str, synthetic: bool) -> list[Drawing]:
    """The figures whose points are runs: each column over the axis, a line for each series."""
    return [_drawn(found, column, f"{stem}_{number}", synthetic) for number, column in enumerate(found.table.metrics)]


def _drawn(found: Found, column: str, stem: str, synthetic: bool) -> Drawing:
    series: dict[str, list[tuple[float, Cell]]] = {}
    for row, cells in found.cells.items():
        name, x = series_of(row)
        series.setdefault(name or column, []).append((x, cells[column]))
    lines = {}
    for name, points in series.items():
        x, y, low, high = np.array([(x, cell.mean, cell.low, cell.high) for x, cell in points]).T
        lines[name] = Line(x, y, low, high, dots=True)
    figure = charts.chart(lines, found.table.axis, column, title=found.name, synthetic=synthetic)
    says = f"{column} over {found.table.axis}, with 95 % intervals of the networks"
    rows = [[name, x, cell.mean, cell.low, cell.high] for name, points in series.items() for x, cell in points]
    return Drawing(stem, figure, says, ["series", found.table.axis, column, "low", "high"], rows)
