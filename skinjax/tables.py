"""Tables that people made: CSV in the encodings and dialects that spreadsheets write, with the line of each row."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from skinjax.errors import UserError

DELIMITERS = (",", "\t", ";")
MOST_BYTES = 2**28
BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


class Row(NamedTuple):
    """One row: where it stands, for errors ("labels.csv line 3"), and its cells by column, stripped of blanks."""

    where: str
    cells: dict[str, str]

    def refuse(self, sentence: str) -> NoReturn:
        """Raise a `UserError` about this row."""
        raise UserError(f"{self.where}: {sentence}")


class Table(NamedTuple):
    """A table's name for errors, its columns in the order of the file, and its rows."""

    name: str
    columns: tuple[str, ...]
    rows: list[Row]

    def unique(self, column: str, key: Callable[[str], str] = lambda text: text) -> dict[str, Row]:
        """The rows by the (never empty) content of `column`; a value that stands there twice is an error."""
        found: dict[str, Row] = {}
        for row in self.rows:
            value = key(row.cells[column])
            if not value:
                row.refuse(f"{column} is empty")
            if value in found:
                row.refuse(f"{column} {value!r} is already on {found[value].where.removeprefix(self.name).strip()}")
            found[value] = row
        return found


def read_table(
    data: bytes, name: str, required: Sequence[str] = (), header: Sequence[str] | None = None, fix: str = ""
) -> Table:
    """The rows of a CSV: UTF-8 or UTF-16, with or without byte order mark; commas, tabs or semicolons; LF or CRLF.

    Args:
      data: the file's bytes; name: what errors call it.
      required: columns that must be there, in any order among others; matched without regard to case.
      header: the columns of a file that has no header line (a first line that names them is skipped all the same).
      fix: added to the error about a missing column.

    >>> read_table(b"image,label\\na.jpg,nv\\n", "labels.csv").rows[0]
    Row(where='labels.csv line 2', cells={'image': 'a.jpg', 'label': 'nv'})
    """
    text = _text(data, name)
    first = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(DELIMITERS, key=first.count)
    rows: list[Row] = []
    columns = None if header is None else tuple(header)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for fields in reader:
            cells = [field.strip() for field in fields]
            if not any(cells):
                continue
            where = f"{name} line {reader.line_num}"
            if columns is None:
                columns = _columns(cells, required, where, fix)
            elif not (header is not None and not rows and _is_header(cells, columns)):
                if len(cells) != len(columns):
                    raise UserError(
                        f"{where} has {len(cells)} cells for {len(columns)} columns: quote cells with commas"
                    )
                rows.append(Row(where, dict(zip(columns, cells, strict=True))))
    except csv.Error as error:
        raise UserError(f"{name} line {reader.line_num} is not CSV: {error}; mend its quotes") from error
    if columns is None or not rows:
        raise UserError(f"{name} holds no rows")
    return Table(name, columns, rows)


def read_table_file(path: Path, required: Sequence[str] = (), fix: str = "") -> Table:
    """`read_table` of a file that the user names."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    return read_table(data, str(path), required, fix=fix)


def _text(data: bytes, name: str) -> str:
    if len(data) > MOST_BYTES:
        raise UserError(f"{name} has {len(data)} bytes, more than the {MOST_BYTES} that a table may have")
    encoding = BYTE_ORDER_MARKS.get(data[:2], "utf-8-sig")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(f"{name} line {line} is not UTF-8 ({error.reason}): save the file as UTF-8") from error
    if "\0" in text:
        raise UserError(
            f"{name} line {text[: text.index(chr(0))].count(chr(10)) + 1} holds a NUL: it is no CSV in UTF-8"
        )
    return text


def _columns(cells: list[str], required: Sequence[str], where: str, fix: str) -> tuple[str, ...]:
    """The header, with the required columns spelled as required."""
    spelled = {column.lower(): column for column in required}
    columns = tuple(spelled.get(cell.lower(), cell) for cell in cells)
    for column in columns:
        if columns.count(column) > 1:
            raise UserError(f"{where} names the column {column!r} twice: rename one")
    missing = [column for column in required if column not in columns]
    if missing:
        raise UserError(
            f"{where} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; it has {', '.join(columns)}"
            + (f": {fix}" if fix else "")
        )
    return columns


def _is_header(cells: list[str], columns: Sequence[str]) -> bool:
    return [cell.lower() for cell in cells] == [column.lower() for column in columns]
