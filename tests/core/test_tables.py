"""Tables: each way in which people and spreadsheets write a CSV, and each mistake with its file and line."""

import os
import re
from pathlib import Path

import pytest

from skinjax.core import tables
from skinjax.core.errors import UserError
from skinjax.core.tables import csv_text, read_table, read_table_file

ONE_ROW = [("labels.csv line 2", {"image": "a.jpg", "label": "né"})]


def read(data: bytes, required=(), header=None) -> list[tuple[str, dict[str, str]]]:
    return [(row.where, row.cells) for row in read_table(data, "labels.csv", required, header).rows]


@pytest.mark.parametrize(
    "data",
    [
        "image,label\na.jpg,né\n".encode(),
        "image,label\na.jpg,né".encode(),
        "image,label\r\na.jpg,né\r\n".encode(),
        "image,label\ra.jpg,né\r".encode(),
        "\ufeffimage,label\na.jpg,né\n".encode(),
        "image,label\na.jpg,né\n".encode("utf-16"),
        "\ufeffimage,label\na.jpg,né\n".encode("utf-16-be"),
        "image\tlabel\na.jpg\tné\n".encode(),
        "image;label\na.jpg;né\n".encode(),
        '"image","label"\n"a.jpg","né"\n'.encode(),
        ' image , label\n a.jpg, "né"\n'.encode(),
        "image,label,,\na.jpg,né,,\n".encode(),
        "image,label\na.jpg,né,,,\n".encode(),
        "image,label,,\na.jpg,né\n".encode(),
        "image,label\na.jpg,né\n,\n , \n\n".encode(),
    ],
)
def test_encodings_delimiters_line_ends_quotes_and_spreadsheets_empty_cells_make_no_difference(data: bytes):
    assert read(data) == ONE_ROW


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        (b"image\na\n", ("image",)),
        (b'"image, the file";label\na;b\n', ("image, the file", "label")),
        (b'"a;b;c",label\n1,2\n', ("a;b;c", "label")),
        (b'"les\nion",label\n1,2\n', ("les ion", "label")),
        (b",image,label\n0,a,b\n", ("", "image", "label")),
        (b"image,age,AGE\na,1,2\n", ("image", "age", "AGE")),
        (b"\n\r\n  \n;image;label\n0;a;b\n", ("", "image", "label")),
    ],
)
def test_columns_are_those_of_the_first_row_that_is_not_empty(data: bytes, columns: tuple[str, ...]):
    assert read_table(data, "labels.csv").columns == columns


def test_required_columns_are_found_in_any_order_and_case_and_spelled_as_required():
    assert read(b"Label,AGE,IMAGE\nnv,80,a\n", required=("image", "label")) == [
        ("labels.csv line 2", {"label": "nv", "AGE": "80", "image": "a"})
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"a,b"', "a,b"),
        ('"a ""b"" c"', 'a "b" c'),
        ('"a\r\nb"', "a\r\nb"),
        ('a 5" ruler', 'a 5" ruler'),
        ("=1+1", "=1+1"),
        ("@SUM(A1)", "@SUM(A1)"),
        ("80.0", "80.0"),
        ("\xa0nv\u3000", "nv"),
        ("a\u2028b", "a\u2028b"),
        ("NULL", "NULL"),
    ],
)
def test_a_cell_is_text_without_the_blanks_around_it(text: str, value: str):
    assert read(f"image,label\n1,{text}\n".encode())[0][1]["label"] == value


def test_a_row_is_named_by_the_line_on_which_it_starts():
    data = b'image,label\n\n"a\n\nb",nv\r\nc,"n\rv"\rd,mel\n'
    assert [row.where for row in read_table(data, "labels.csv").rows] == [
        "labels.csv line 3",
        "labels.csv line 6",
        "labels.csv line 8",
    ]


@pytest.mark.parametrize(
    ("data", "first"),
    [
        (b"ISIC_3,0.0\r\nISIC_12,1.0\r\n", "labels.csv line 1"),
        (b"Image,LABEL\r\nISIC_3,0.0\r\n", "labels.csv line 2"),
        (b"ISIC_3;0.0;\r\n", "labels.csv line 1"),
    ],
)
def test_a_table_without_a_header_line_is_read_with_the_columns_given(data: bytes, first: str):
    assert read(data, header=("image", "label"))[0] == (first, {"image": "ISIC_3", "label": "0.0"})


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "labels.csv holds no rows"),
        (b"\xef\xbb\xbf\r\n", "labels.csv holds no rows"),
        (b"image,label\n,\n", "labels.csv holds no rows"),
        (b"image,dx\na,nv\n", "labels.csv line 1 lacks the column label; it has image, dx"),
        (b"\n\na.jpg,nv\nb.jpg,mel\n", "labels.csv line 3 lacks the columns image, label; it has a.jpg, nv"),
        (b"image,label,Image\na,b,c\n", "labels.csv line 1 names the column 'image' twice: rename one"),
        (b"image,,,label\na,b,c,d\n", "labels.csv line 1 names the column '' twice: rename one"),
        (
            b"image,label\na,b\n\nc,d,e\n",
            "labels.csv line 4 has 3 cells for 2 columns: write all, those with commas in quotes",
        ),
        (b"image,label\na\n", "labels.csv line 2 has 1 cell for 2 columns: write all, those with commas in quotes"),
        (
            b'image,label\n"a\n\nb",nv\nc,d,e\n',
            "labels.csv line 5 has 3 cells for 2 columns: write all, those with commas in quotes",
        ),
        (b"image,label\r\na,n\xe9vus\r\n", "labels.csv line 2 is not UTF-8 (invalid continuation byte): save the "),
        (b"image,label\ra,b\rc,\xe9\r", "labels.csv line 3 is not UTF-8 (invalid continuation byte): save the file as"),
        (b"\xef\xbb\xbfa\nb\n\xff", "labels.csv line 3 is not UTF-8 (invalid start byte): save the file as UTF-8"),
        (b"\xff\xd8\xff\xe0 a JPEG", "labels.csv line 1 is not UTF-8 (invalid start byte): save the file as UTF-8"),
        (b"\xff\xfea\0\n\0\0\xd8b\0", "labels.csv line 2 is not UTF-16-LE (illegal UTF-16 surrogate): save the file"),
        (b"\xff\xfea\0\n\0b", "labels.csv line 2 is not UTF-16-LE (truncated data): save the file as UTF-8"),
        ("image,label\n".encode("utf-16-le"), "labels.csv line 1 holds a NUL: save the file as text in UTF-8"),
        (b"image,label\na,b\0\n", "labels.csv line 2 holds a NUL: save the file as text in UTF-8"),
        (b'image,label\n"a,nv\nb,nv\n', "labels.csv line 2 is not CSV: unexpected end of data; mend its quotes"),
        (b'image,label\na,nv\n"b"c,nv\n', "labels.csv line 3 is not CSV: ',' expected after '\"'; mend its quotes"),
        (b'"image" ;label\na;nv\n', "labels.csv line 1 is not CSV: ',' expected after '\"'; mend its quotes"),
        (b"image,label\n" + b"a" * 131073 + b",nv\n", "labels.csv line 2 is not CSV: field larger than field limit"),
    ],
)
def test_a_mistake_is_one_sentence_with_file_and_line(data: bytes, sentence: str):
    with pytest.raises(UserError, match=f"^{re.escape(sentence)}") as caught:
        read(data, required=("image", "label"))
    assert "\n" not in str(caught.value)


def test_the_error_about_a_missing_column_ends_with_the_fix():
    with pytest.raises(UserError, match=r"lacks the column label; it has image: name them so$"):
        read_table(b"image\na\n", "labels.csv", ("label",), fix="name them so")


@pytest.mark.parametrize(
    ("most_bytes", "most_lines", "sentence"),
    [
        (11, 9, "labels.csv has more than the 11 bytes that a table may have"),
        (12, 2, "labels.csv has more than the 2 lines that a table may have"),
    ],
)
def test_a_table_without_end_is_refused(monkeypatch, most_bytes: int, most_lines: int, sentence: str):
    monkeypatch.setattr(tables, "MOST_BYTES", most_bytes)
    monkeypatch.setattr(tables, "MOST_LINES", most_lines)
    with pytest.raises(UserError, match=f"^{sentence}$"):
        read(b"a,b\n1,2\n3,4\n")


def test_rows_by_a_column():
    table = read_table(b"image,label\nB,nv\na,mel\n", "labels.csv")
    assert {key: row.cells["label"] for key, row in table.unique("image", str.lower).items()} == {"b": "nv", "a": "mel"}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"image,label\na,nv\nb,nv\n\nA,mel\n", "labels.csv line 5: image 'a' is already on line 2"),
        (b"image,label\na,nv\n,mel\n", "labels.csv line 3: image is empty"),
    ],
)
def test_an_id_that_is_missing_or_stands_twice_is_refused(data: bytes, sentence: str):
    with pytest.raises(UserError, match=f"^{sentence}$"):
        read_table(data, "labels.csv").unique("image", str.lower)


def test_a_file_is_named_in_its_errors(tmp_path: Path):
    path = tmp_path / "labels.csv"
    path.write_bytes(b"image,label\na,nv\nb,nv,x\n")
    with pytest.raises(UserError, match=f"^{path} line 3 has 3 cells for 2 columns"):
        read_table_file(path)


def test_what_is_written_has_a_line_per_row_and_quotes_where_they_are_needed():
    rows = [("a,b", 1), ('c "d"', ""), ("e\nf", 0.5), ("g\rh", None)]
    text = csv_text(["image", "label"], rows)
    assert text == 'image,label\n"a,b",1\n"c ""d""",\n"e\nf",0.5\n"g\rh",\n'
    assert [cells["image"] for _, cells in read(text.encode())] == ["a,b", 'c "d"', "e\nf", "g\rh"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing.csv", "cannot be read: No such file or directory; check its path and permissions"),
        ("x" * 300, "cannot be read: File name too long; check its path and permissions"),
        ("folder", "is a folder, a pipe or a device: name a file"),
        ("pipe", "is a folder, a pipe or a device: name a file"),
    ],
)
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path, name: str, sentence: str):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match=f"^{tmp_path / name} {sentence}$"):
        read_table_file(tmp_path / name)
