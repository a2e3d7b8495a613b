"""What a section of a report is made of: words, tables, figures, photographs, and lines for the reader to fill in."""

from collections.abc import Sequence
from typing import NamedTuple

from skinjax.report.drawings import Drawing


class Words(NamedTuple):
    """A paragraph; `loud` ones must not be overlooked."""

    text: str
    loud: bool = False
    kind: str = "words"


class Lines(NamedTuple):
    """Lines of a program's own alignment."""

    text: str
    kind: str = "lines"


class Grid(NamedTuple):
    """A table: the first cell of a row names it. `folded` ones are opened by the reader, cells of `wordy` ones wrap."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    folded: bool = False
    wordy: bool = False
    kind: str = "grid"


class Figure(NamedTuple):
    """A drawing."""

    drawing: Drawing
    kind: str = "figure"


class Thumbnail(NamedTuple):
    """A photograph as a data: URI, '' where there is none, what it shows, and lines below it."""

    source: str
    shows: str
    lines: Sequence[str]


class Gallery(NamedTuple):
    """Photographs, or pictures that are `wide`."""

    caption: str
    thumbnails: Sequence[Thumbnail]
    wide: bool = False
    kind: str = "gallery"


class Form(NamedTuple):
    """Topics with what is known of them; '' is left to the reader, with a line to write on."""

    rows: Sequence[tuple[str, str]]
    kind: str = "form"


Block = Words | Lines | Grid | Figure | Gallery | Form


class Section(NamedTuple):
    """A section with its anchor, and for each subject (or for all together, if `joint`) its blocks."""

    anchor: str
    title: str
    columns: Sequence[Sequence[Block]]
    joint: bool = False
