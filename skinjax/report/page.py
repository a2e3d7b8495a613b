"""A report as one HTML file that needs nothing else: no script, no network, no font but the reader's."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from skinjax.core.errors import UserError, os_errors_as_user_errors
from skinjax.core.files import write_atomically
from skinjax.core.tables import csv_text
from skinjax.evaluation.judgement import COMPARED, difference_rows, method_lines
from skinjax.evaluation.text import interval, visible
from skinjax.report import drawings
from skinjax.report.blocks import Block, Figure, Grid, Lines, Section, Words
from skinjax.report.card import card, checklist
from skinjax.report.drawings import Drawing
from skinjax.report.figures import FAINT, GRID, INK, rendered, save
from skinjax.report.sections import METRICS, SECTIONS
from skinjax.report.subjects import Subject

TEMPLATES = Path(__file__).parent / "templates"
BEGINNING = b"<!doctype html>\n<!-- skinjax report"  # by which a report is known again
MOST_LETTERS = 80  # of a word that is shown
REPLICATES = 2000
MOST_LOGS = 6  # runs whose curves are told apart in one figure
SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
VARIABLES = {INK.lower(): "var(--ink)", FAINT.lower(): "var(--faint)", GRID.lower(): "var(--grid)"}


def write_report(
    path: Path, subjects: Sequence[Subject], metrics: Sequence[str] = COMPARED, swept: Drawing | None = None
) -> list[Section]:
    """Write the report, whole or not at all; what is there and is no report is left alone. Returns what is in it."""
    with os_errors_as_user_errors(f"{path} cannot be written", "name another file with --out"):
        if path.exists() and not (path.is_file() and path.read_bytes()[: len(BEGINNING)] == BEGINNING):
            raise UserError(f"{path} is there and is no report of skinjax: name another file with --out")
        content = sections(subjects, metrics, swept)
        names = numbered([of.name for of in subjects])
        write_atomically(path, page(content, names, any(of.synthetic for of in subjects)))
    return content


def sections(
    subjects: Sequence[Subject], metrics: Sequence[str] = COMPARED, swept: Drawing | None = None
) -> list[Section]:
    """All sections that have something to say; `swept` is a figure of all subjects."""
    found = []
    if len(subjects) > 1:
        found.append(Section("comparison", "Side by side", [comparison(subjects, metrics, swept)], joint=True))
    of_each: dict[str, tuple[str, Callable[[Subject], list[Block]]]] = {
        **SECTIONS,
        "card": ("Model card", card),
        "checklist": ("Checklist", checklist),
    }
    for anchor, (title, blocks) in of_each.items():
        columns = [blocks(subject) for subject in subjects]
        if any(columns):
            found.append(Section(anchor, title, columns))
    return found


def comparison(subjects: Sequence[Subject], metrics: Sequence[str], swept: Drawing | None) -> list[Block]:
    """The figures of several subjects beside each other, and their differences from the first."""
    names, sources = numbered([of.name for of in subjects]), [of.source for of in subjects]
    rows = [[metric.replace("_", " "), *(interval(of.found[metric]) for of in subjects)] for metric in METRICS]
    blocks: list[Block] = [Grid("Figures [95 % interval]", ["figure", *names], rows)]
    repeated = 1 < len({of.name for of in subjects}) < len(subjects)
    try:
        if repeated:
            blocks.append(Lines("\n".join(method_lines(sources, metrics, REPLICATES))))
        else:
            different = difference_rows(sources, metrics, REPLICATES)
            title = f"Minus {names[0]}, paired by group: two networks, not two methods"
            blocks.append(Grid(title, ["name", "figure", "difference", "p"], different))
    except UserError as error:
        blocks.append(Words(f"Not compared: {error}.", loud=True))
    synthetic = any(of.synthetic for of in subjects)
    logs = {name: of.log for name, of in zip(names, subjects, strict=True) if of.log}
    tables = {name: (of.table, of.found) for name, of in zip(names, subjects, strict=True)}
    trained = drawings.of_logs(logs, synthetic) if len(logs) <= MOST_LOGS else []
    drawn = [drawings.roc_of_tables(tables, synthetic), *trained, swept]
    return [*blocks, *(Figure(of) for of in [*drawn, drawings.seconds(logs, synthetic)] if of is not None)]


def numbered(names: Sequence[str]) -> list[str]:
    """The names, those that are there before with a number.

    >>> numbered(["a", "b", "a"])
    ['a', 'b', 'a (2)']
    """
    return [
        f"{name} ({names[:place].count(name) + 1})" if name in names[:place] else name
        for place, name in enumerate(names)
    ]


def page(content: Sequence[Section], names: Sequence[str], synthetic: bool) -> str:
    """The HTML of these sections, of subjects with these names, or with one name for all."""
    loader = jinja2.FileSystemLoader(TEMPLATES)
    environment = jinja2.Environment(
        loader=loader, autoescape=True, finalize=legible, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    numbers = iter(range(10**6))
    environment.filters["inline"] = lambda drawing: inline(drawing, f"f{next(numbers)}-")
    return environment.get_template("report.html").render(
        sections=content,
        names=names,
        synthetic=synthetic,
        style=Markup((TEMPLATES / "report.css").read_text()),  # our own
    )


def write_figures(folder: Path, content: Sequence[Section]) -> list[Path]:
    """Every figure of the sections as PNG and SVG, with the CSV behind it."""
    written = []
    with os_errors_as_user_errors(f"{folder} cannot be made or written", "name another with --figures"):
        folder.mkdir(parents=True, exist_ok=True)
        for stem, drawing in _stems(content):
            for suffix in (".png", ".svg"):
                save(drawing.figure, folder / f"{stem}{suffix}")
            write_atomically(folder / f"{stem}.csv", csv_text(drawing.header, drawing.rows))
            written.append(folder / f"{stem}.csv")
    return written


def _stems(content: Sequence[Section]) -> Iterator[tuple[str, Drawing]]:
    """The figures with the stems of their files, which begin with the subject's number where there are several."""
    several = any(section.joint for section in content)
    for section in content:
        for number, blocks in enumerate(section.columns):
            for block in blocks:
                if isinstance(block, Figure):
                    prefix = f"{number}_" if several and not section.joint else ""
                    yield f"{prefix}{block.drawing.stem}", block.drawing


def inline(drawing: Drawing, prefix: str) -> Markup:
    """A figure as SVG for a page: in the page's colours, with ids that are unique there, named for screen readers."""
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    root = ET.fromstring(rendered(drawing.figure, "svg", transparent=True))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    referred = set(re.findall(r"(?:url\(#|href=\"#)([\w-]+)", ET.tostring(root, encoding="unicode")))
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if name == "id":
                del element.attrib[name]
                if value in referred:
                    element.set("id", prefix + value)
            elif name == "style":
                element.set(name, re.sub("#[0-9a-f]{6}", lambda of: VARIABLES.get(of[0], of[0]), value))
            elif name in ("clip-path", f"{{{XLINK}}}href"):
                element.set(name, re.sub(r"^(url\()?#", lambda of: of[0] + prefix, value))
    root.set("role", "img")
    root.set("aria-label", legible(drawing.says))
    # Well-formed XML whose texts are escaped: nothing in it comes from a table as it is.
    return Markup(ET.tostring(root, encoding="unicode"))


def legible(value: Any) -> Any:
    """A text without letters that cannot be seen, its words no longer than anybody reads; markup as it is."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return re.sub(rf"(\S{{{MOST_LETTERS - 1}}})\S{{2,}}", r"\1…", visible(value))
