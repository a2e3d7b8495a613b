"""The predictions table: exact round trips, tolerance towards foreign tables, and errors that name line and column."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.evaluation.predictions import Predictions, align, read_predictions, write_predictions

CLASSES = ("mel", "nv", "bcc")


def table(**changes) -> Predictions:
    columns = {
        "image_ids": ["a", "b", "c"],
        "groups": ["l1", "l1", "l2"],
        "labels": [0, 2, -1],
        "splits": ["test"] * 3,
        "probabilities": np.float32([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7], [0, 1, 0]]),
        "classes": CLASSES,
        "protocol": {"split": "lesion_grouped", "seed": 3},
    }
    return Predictions(**columns | changes)


def write(path: pathlib.Path, text: str, encoding: str = "utf-8") -> pathlib.Path:
    path.write_bytes(text.encode(encoding))
    return path


def assert_same(found: Predictions, expected: Predictions) -> None:
    for name in ("image_ids", "groups", "labels", "splits", "probabilities"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)
    assert (found.classes, found.protocol) == (expected.classes, expected.protocol)


def test_writes_names_nine_digits_and_the_protocol_beside(tmp_path):
    write_predictions(tmp_path / "predictions_test.csv", table())
    assert (tmp_path / "predictions_test.csv").read_bytes().decode() == (
        "image_id,group,label,split,p_mel,p_nv,p_bcc\n"
        "a,l1,mel,test,0.5,0.25,0.25\n"
        "b,l1,bcc,test,0.100000001,0.200000003,0.699999988\n"
        "c,l2,,test,0,1,0\n"
    )
    assert json.loads((tmp_path / "predictions_test.json").read_text()) == {"split": "lesion_grouped", "seed": 3}


def test_float32_comes_back_exactly_and_bytes_are_deterministic(tmp_path):
    rng = np.random.default_rng(0)
    logits = rng.normal(scale=12, size=(500, 3)).astype(np.float32)
    probabilities = np.exp(logits - logits.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    sigmoids = 1 / (1 + np.exp(-logits))
    written = table(
        image_ids=[f'image "{i}", side' for i in range(500)],
        groups=[f"Läsion {i // 2}" for i in range(500)],
        labels=rng.integers(-1, 3, 500),
        splits=["test"] * 500,
        probabilities=probabilities,
        scores=sigmoids,
    )
    write_predictions(tmp_path / "a.csv", written)
    found = read_predictions(tmp_path / "a.csv")
    assert_same(dataclasses.replace(found, probabilities=found.probabilities.astype(np.float32)), written)
    np.testing.assert_array_equal(found.scores.astype(np.float32), sigmoids)
    write_predictions(tmp_path / "b.csv", found)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_reads_a_foreign_table_with_bom_crlf_semicolons_other_order_and_no_group_split_or_protocol(tmp_path, encoding):
    path = write(
        tmp_path / "foreign.csv",
        "p_nv;age; label;p_mel;Image_ID\r\n0.75;61;nv;0.25;x\r\n\r\n0.5;;;0.5;y\r\n",
        encoding,
    )
    found = read_predictions(path)
    assert found.classes == ("nv", "mel")
    assert found.image_ids.tolist() == found.groups.tolist() == ["x", "y"]
    assert found.splits.tolist() == ["", ""]
    assert found.labels.tolist() == [0, -1]
    assert found.probabilities.tolist() == [[0.75, 0.25], [0.5, 0.5]]
    assert found.protocol == {}
    assert found.scores is None


def test_a_class_with_two_blanks_in_its_name_is_read_back(tmp_path):
    write_predictions(tmp_path / "t.csv", table(classes=("mel", "nv", "basal  cell")))
    found = read_predictions(tmp_path / "t.csv")
    assert (found.classes, found.labels.tolist()) == (("mel", "nv", "basal cell"), [0, 2, -1])


def test_an_empty_group_is_the_image_itself_not_one_large_group(tmp_path):
    path = write(tmp_path / "t.csv", "image_id,group,label,p_a,p_b\nx,,a,1,0\ny,,a,1,0\nz,l,a,1,0\n")
    assert read_predictions(path).groups.tolist() == ["x", "y", "l"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no rows"),
        ("image_id,p_a,p_b\nx,1,0\n", "line 1 lacks the column label; it has image_id, p_a, p_b"),
        ("image_id,label,p_a\nx,a,1\n", "1 classes"),
        ("image_id,label,p_a,p_a\nx,a,1,0\n", "line 1 names the column 'p_a' twice"),
        ("image_id,label,p_a,p_b,s_a\nx,a,1,0,1\n", "no column s_b"),
        ("image_id,label,p_a,p_b\n", "no rows"),
        ("image_id,label,p_a,p_b\nx,a,1,0\n\ny,a,1\n", "line 4 has 3 cells for 4 columns"),
        ("image_id,label,p_a,p_b\nx,a,1,0\ny,a,1,zero\n", "line 3: 'zero' in column p_b is not a number"),
        ("image_id,label,p_a,p_b\nx,a,1,0\ny,a,nan,0\n", "line 3, column p_a: nan is no probability"),
        ("image_id,label,p_a,p_b\nx,a,inf,0\n", "line 2, column p_a: inf"),
        ("image_id,label,p_a,p_b\nx,a,-0.5,1.5\n", "line 2, column p_a: -0.5"),
        ("image_id,label,p_a,p_b\nx,a,1,0\n\ny,a,0.9,0.2\n", "line 4, columns p_a to p_b: they sum to 1.1, not 1"),
        ("image_id,label,p_a,p_b\nx,a,1,0\ny,c,1,0\n", "line 3: unknown class 'c' in column label; known: a, b"),
        ("image_id,label,p_a,p_b\nx,a,1,0\ny,a,1,0\nx,a,1,0\n", "line 4, column image_id: 'x' is there twice"),
        ("image_id,label,p_a,p_b\n,a,1,0\n", "line 2, column image_id: empty"),
    ],
)
def test_a_faulty_file_is_named_with_line_and_column(tmp_path, text, message):
    path = write(tmp_path / "faulty.csv", text)
    with pytest.raises(UserError) as caught:
        read_predictions(path)
    assert message in str(caught.value)
    assert "faulty.csv" in str(caught.value)


def test_other_unreadable_files_are_named(tmp_path):
    good = "image_id,label,p_a,p_b\nx,a,1,0\n"
    with pytest.raises(UserError, match=r"missing\.csv cannot be read: No such file"):
        read_predictions(tmp_path / "missing.csv")
    with pytest.raises(UserError, match=r"table\.txt does not end in \.csv"):
        read_predictions(write(tmp_path / "table.txt", good))
    with pytest.raises(UserError, match=r"latin\.csv line 2 is not UTF-8"):
        read_predictions(write(tmp_path / "latin.csv", good.replace("x", "ü"), "latin-1"))
    write(tmp_path / "a.json", "{")
    with pytest.raises(UserError, match=r"a\.json is not JSON"):
        read_predictions(write(tmp_path / "a.csv", good))
    write(tmp_path / "a.json", "[]")
    with pytest.raises(UserError, match=r"a\.json holds no JSON object"):
        read_predictions(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": [0, 1]}, r"labels has shape \(2,\), but 3 images of 3 classes need \(3,\)"),
        ({"labels": [0.0, 1.0, 2.0]}, "labels are float64"),
        ({"labels": [0, 3, 1]}, r"row 1 \(image 'b'\), column label: 3 is no class number"),
        ({"labels": [0, 1, -2]}, r"row 2 \(image 'c'\), column label: -2"),
        ({"probabilities": np.eye(3)[:, :2]}, r"probabilities has shape \(3, 2\)"),
        ({"probabilities": [[1, 0, 0], [0, 1, 0], [0, 0, np.nan]]}, r"row 2 \(image 'c'\), column p_bcc: nan"),
        ({"probabilities": [[1, 0, 0], [0.5, 0.5, 0.5], [0, 0, 1]]}, "row 1 .* sum to 1.5"),
        ({"scores": np.full((3, 3), 2.0)}, "column s_mel: 2 is no probability"),
        ({"image_ids": ["a", "b", "a"]}, r"row 2 \(image 'a'\), column image_id: 'a' is there twice"),
        ({"groups": ["l", "", "l"]}, r"row 1 \(image 'b'\), column group: empty"),
        ({"classes": ("mel", "nv", "nv")}, "class name 'nv'"),
    ],
)
def test_construction_validates(changes, message):
    with pytest.raises(UserError, match=message):
        table(**changes)


def test_the_first_of_equally_probable_classes_is_predicted():
    assert table(probabilities=[[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [1, 0, 0]]).predicted.tolist() == [0, 1, 0]


def test_align_orders_rows_and_classes():
    other = Predictions(
        ["c", "a", "b"],
        ["l2", "l1", "l1"],
        [-1, 1, 0],
        ["test"] * 3,
        [[0, 0, 1], [0.25, 0.5, 0.25], [0.7, 0.1, 0.2]],
        ("bcc", "mel", "nv"),
        scores=[[0, 0, 1], [0.25, 0.5, 0.25], [0.7, 0.1, 0.2]],
    )
    aligned = align(other, table())
    assert_same(
        dataclasses.replace(aligned, probabilities=aligned.probabilities.astype(np.float32)), table(protocol={})
    )
    np.testing.assert_array_equal(aligned.scores, aligned.probabilities)


def test_align_takes_the_groups_from_the_table_that_knows_them():
    alone = table(groups=["a", "b", "c"])
    assert align(alone, table()).groups.tolist() == ["l1", "l1", "l2"]
    assert align(table(), alone).groups.tolist() == ["l1", "l1", "l2"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_ids": ["a", "b", "d"]}, "2 images are in one of the two tables only .*'c'"),
        ({"labels": [0, 1, -1]}, "1 images have another label .*'b'"),
        ({"groups": ["l1", "l2", "l2"]}, "1 images have another group .*'b'"),
        ({"classes": ("mel", "nv", "scc")}, "different classes .bcc, scc in one only"),
    ],
)
def test_align_refuses_tables_of_other_data(changes, message):
    with pytest.raises(UserError, match=message):
        align(table(**changes), table())
