"""Read CSV in the encodings and dialects that spreadsheets write, with the line of each row, and write one of them."""

import collections
import csv
import io
import itertools
import re
import types
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from skinjax.core.errors import UserError, os_errors_as_user_errors
from skinjax.core.files import human_bytes, write_atomically

TABLE_SUFFIXES = (".csv", ".tsv")
DELIMITERS = (",", "\t", ";")
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of one
MOST_BYTES, MOST_LINES = 2**27, 10**6
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
    data: bytes,
    name: str,
    required: Sequence[str] = (),
    header: Sequence[str] | None = None,
    fix: str = "",
    optional: Sequence[str] = (),
) -> Table:
    """The rows of a CSV: UTF-8, or UTF-16 with its byte order mark; commas, tabs or semicolons; LF, CRLF or CR.

    Empty rows are no rows, and empty cells behind the last column are no cells: spreadsheets write both. The line of a
    row is the one on which it starts, counted as a text editor counts, line breaks inside quotes included.

    Args:
      data: the file's bytes; name: what errors call it.
      required: columns that must be there, in any order among others; matched without regard to case.
      header: the columns of a file that has no header line (a first line that names them is skipped all the same).
      fix: added to the error about a missing column.
      optional: columns that mean something if they are there; matched without regard to case, too.

    >>> read_table(b"image,label\\na.jpg,nv\\n", "labels.csv").rows[0]
    Row(where='labels.csv line 2', cells={'image': 'a.jpg', 'label': 'nv'})
    """
    text = _text(data, name)
    reader = _reader(text, _delimiter(text))
    rows: list[Row] = []
    columns = None if header is None else tuple(header)
    line = 1
    try:
        for fields in reader:
            where, line = f"{name} line {line}", reader.line_num + 1
            if line > MOST_LINES:
                raise UserError(f"{name} has more than the {MOST_LINES:,} lines that a table may have")
            cells = [_without_mark(field.strip()) for field in fields]
            while len(cells) > len(columns or ()) and not cells[-1]:
                cells.pop()
            if not any(cells):
                continue
            if columns is None:
                columns = _columns(cells, required, optional, where, fix)
            elif header is None or rows or [*map(str.lower, cells)] != [*map(str.lower, columns)]:
                if len(cells) != len(columns):
                    raise UserError(
                        f"{where} has {len(cells)} cell{'s' * (len(cells) != 1)} for {len(columns)} columns: write "
                        "all, those with commas in quotes"
                    )
                rows.append(Row(where, dict(zip(columns, cells, strict=True))))
    except csv.Error as error:
        raise UserError(f"{name} line {line} is not CSV: {error}; mend its quotes") from error
    if columns is None or not rows:
        raise UserError(f"{name} holds no rows")
    return Table(name, columns, rows)


def read_table_file(path: Path, required: Sequence[str] = (), fix: str = "") -> Table:
    """`read_table` of a file that the user names."""
    return read_table(read_file(path), str(path), required, fix=fix)


def read_file(path: Path, most: int = MOST_BYTES) -> bytes:
    """The bytes of a file that the user names; of a longer one, one byte more than the `most` that it may have."""
    with os_errors_as_user_errors(f"{path} cannot be read", "check its path and permissions"):
        if path.exists() and not path.is_file():
            raise UserError(f"{path} is a folder, a pipe or a device: name a file")
        with path.open("rb") as file:
            return file.read(most + 1)


def check_folder(path: Path, flag: str) -> None:
    """Raise a `UserError` if the file that `flag` names has no folder."""
    if not path.parent.is_dir():
        raise UserError(f"there is no folder {path.parent}: make it, or give another {flag}")


def refuse_to_overwrite(path: Path, columns: Sequence[str], flag: str) -> None:
    """Raise a `UserError` if the file that `flag` names has no folder, or exists and is no table with these columns."""
    check_folder(path, flag)
    if path.exists() and not (path.is_file() and path.read_bytes().startswith(",".join(columns).encode())):
        raise UserError(f"{path} is there and does not begin with {','.join(columns)}: give another {flag}")


def write_table(path: Path, text: str) -> None:
    """Write a CSV to where the user wants it; what UTF-8 cannot encode, as some paths, is written as escapes."""
    with os_errors_as_user_errors(f"{path} cannot be written", "make room or name another file"):
        write_atomically(path, text.encode(errors="backslashreplace"))


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A CSV of these rows, with LF at the end of each line.

    >>> csv_text(["image_id", "label"], [("a, b", "nv")])
    'image_id,label\n"a, b",nv\n'
    """
    return "".join(f"{line}\n" for line in csv_lines([header, *rows]))


def csv_lines(rows: Iterable[Sequence[Any]]) -> list[str]:
    """Each row as CSV without its line end; a cell with a line break in it is in quotes, and breaks its line.

    A text that a spreadsheet would take for a formula gets an apostrophe before it, which `read_table` takes off.
    """
    lines: list[str] = []
    safe = ([_marked(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    # The end of a line decides which breaks are put into quotes.
    csv.writer(types.SimpleNamespace(write=lines.append), lineterminator="\r\n").writerows(safe)
    return [line.removesuffix("\r\n") for line in lines]


def _marked(cell: str) -> str:
    """The cell, with an apostrophe before what a spreadsheet would calculate."""
    if not cell.lstrip("'").startswith(FORMULAS):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def _without_mark(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(FORMULAS) else cell


def _text(data: bytes, name: str) -> str:
    if len(data) > MOST_BYTES:
        raise UserError(f"{name} has more than the {human_bytes(MOST_BYTES)} that a table may have")
    encoding = BYTE_ORDER_MARKS.get(data[:2], "utf-8-sig")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = _line(error.object[: error.start].decode(error.encoding))
        raise UserError(
            f"{name} line {line} is not {error.encoding.upper()} ({error.reason}): save the file as UTF-8"
        ) from error
    if "\0" in text:
        raise UserError(f"{name} line {_line(text[: text.index(chr(0))])} holds a NUL: save the file as text in UTF-8")
    return text


def _line(before: str) -> int:
    """The number of the line that follows a text."""
    return 1 + sum(1 for _ in re.finditer(r"\r\n|\r|\n", before))


def _reader(text: str, delimiter: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)


def _delimiter(text: str) -> str:
    """The delimiter that splits the first row into the most cells, those in quotes kept whole."""

    def cells_of_first_row(delimiter: str) -> int:
        rows = itertools.islice(_reader(text, delimiter), MOST_LINES)
        try:
            return next(len(fields) for fields in rows if any(map(str.strip, fields)))
        except (csv.Error, StopIteration):
            return 1

    return max(DELIMITERS, key=cells_of_first_row)


def _columns(
    cells: list[str], required: Sequence[str], optional: Sequence[str], where: str, fix: str
) -> tuple[str, ...]:
    """The header, with the required and the optional columns spelled as they are asked for."""
    spelled = {column.lower(): column for column in (*required, *optional)}
    names = [" ".join(cell.split()) for cell in cells]
    columns = tuple(spelled.get(name.lower(), name) for name in names)
    for column, count in collections.Counter(columns).items():
        if count > 1:
            raise UserError(f"{where} names the column {column!r} twice: rename one")
    missing = [column for column in required if column not in columns]
    if missing:
        raise UserError(
            f"{where} lacks the column{'s' * (len(missing) > 1)} {', '.join(missing)}; it has {', '.join(columns)}"
            + (f": {fix}" if fix else "")
        )
    return columns
