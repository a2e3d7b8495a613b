"""Rows of pictures and tables of what answers rest on."""

import numpy as np

from skinjax.explain import sheet
from tests.test_model import CLASSES, drawn, photographs


def test_patches_have_maps_and_attention_a_row_for_each_class_that_is_asked_for():
    model, images = drawn("patches"), photographs(2)
    of = sheet.explained(model, images, "stage1", ["mel", "nv"], signed=False, guided=False)
    shapes = {name: row.shape for name, row in of.rows.items()}
    patches = (2, 4, 16, 16, 3)
    assert shapes == {
        "as stored\n20x24": (2, 20, 24, 3),
        "Grad-CAM\nstage1\nmel": patches,
        "Grad-CAM\nstage1\nnv": patches,
        "attention on\nfeatures": patches,
        "attention on\npixels": patches,
    }
    assert all(row.dtype == np.uint8 for row in of.rows.values())
    tables = sheet.tables(model, of, ["a", "b"], ["nv", ""])
    answers = [row[:4] for row in tables["explain"][1:]]
    assert answers == [("a", "nv", "mel", ""), ("b", "", "mel", ""), ("a", "nv", "nv", ""), ("b", "", "nv", "")]
    assert len(tables["grad_cam"]) == 1 + 2 * 2 * 4 * 4 * 4  # classes, photographs, patches, rows, columns
    assert tables["attention"][1][:3] == ("a", "features", 0)
    weights = of.outputs["attention_features"]
    assert [float(row[3]) for row in tables["attention"][1:5]] == [float(f"{weight:.6g}") for weight in weights[0]]


def test_a_decoder_has_a_row_of_reconstructions_and_no_class_means_the_predicted_one():
    model, images = drawn("decoder_classifier"), photographs(3)
    of = sheet.explained(model, images, "features", [], signed=False, guided=True)
    rows = ["as stored\n20x24", "Grad-CAM\nfeatures", "guided back-\npropagation", "reconstruction"]
    assert list(of.rows) == rows
    assert of.rows["reconstruction"].shape == (3, 16, 16, 3)
    np.testing.assert_array_equal(of.classes[""], of.outputs["probabilities"].argmax(axis=1))
    for two, probabilities in zip(sheet.top_two(model, of.outputs), of.outputs["probabilities"], strict=True):
        order = np.argsort(-probabilities)
        assert two == [(CLASSES[number], float(probabilities[number])) for number in order[:2]]


def test_the_stage_that_has_a_class_decides():
    assert sheet.deciding_stages(drawn("two_stage"), np.array([0, 1, 2])) == ["rest", "dominant", "rest"]
    assert sheet.deciding_stages(drawn(), np.array([0, 1])) == ["", ""]


def test_what_is_not_a_number_is_left_empty():
    rows = list(sheet.in_rows({("head",): np.array([[0.5, np.nan]])}, ["a"]))
    assert rows == [("a", "head", 0, "0.5"), ("a", "head", 1, "")]
    assert sheet.mean(np.array([np.nan, 0.25, 0.75])) == "0.50"
    assert sheet.mean(np.array([np.nan])) == "none (flat)"
