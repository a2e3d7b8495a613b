"""Exports: the files answer as skinjax predict does, by the example of the page as well; what would not is refused."""

import dataclasses
import datetime
import importlib.util
import json
import re
import sys
import types
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from skinjax.core.errors import UserError
from skinjax.deploy import export as exports
from skinjax.deploy.bundle import open_bundle
from skinjax.deploy.export import FORMATS, export, read_until
from skinjax.deploy.making import joined
from skinjax.deploy.predictor import Predictor, open_predictor
from skinjax.methods import METHODS
from skinjax.models.pretrained.fitting import fits
from tests.data.acquire.test_decoding import GREY_PNG, encoded, one_row_png, photograph, turned_exif
from tests.test_model import CLASSES, drawn, photographs

PAGE = Path(__file__).parents[2] / "docs" / "export.md"


def called(data: bytes, images: np.ndarray) -> np.ndarray:
    return np.asarray(jax.export.deserialize(bytearray(data)).call(images))


def silent(line: str) -> None:
    pass


@pytest.fixture(scope="module")
def predictor(bundle_file):
    return open_predictor(bundle_file, say=silent)


@pytest.fixture(scope="module")
def stablehlo(predictor):
    return export(predictor, "stablehlo")


def test_a_program_answers_as_predict_with_any_number_of_photographs(predictor, stablehlo):
    assert stablehlo.difference < 1e-5
    for n in (1, 5):
        expected = predictor.ask(photographs(n)).probabilities
        np.testing.assert_allclose(called(stablehlo.data, photographs(n)), expected, rtol=1e-5)
    bare = predictor.model.predict(photographs(5))["probabilities"]
    assert np.abs(bare / expected - 1).max() > 1e-3  # the temperature is inside


def test_the_same_file_is_for_every_platform(stablehlo):
    assert jax.export.deserialize(bytearray(stablehlo.data)).platforms == ("cpu", "cuda", "tpu")
    assert "takes photographs uint8 [b, 20, 24, 3]: upright RGB, by squash and bilinear" in stablehlo.about
    assert "answers [b, 3]: mel, nv, bcc" in stablehlo.about


@pytest.mark.parametrize("method", METHODS)
def test_every_method_takes_any_number_of_photographs(method):
    shown = exports.photographs(drawn(method).spec.stored_size)
    answers = jax.eval_shape(exports.program_of(Predictor(drawn(method))), shown)
    assert (str(answers.shape), answers.dtype) == ("(b, 3)", np.float32)


def test_a_program_carries_no_decoder():
    alone, with_decoder = (exports.make_stablehlo(Predictor(drawn(of))) for of in ("classifier", "decoder_classifier"))
    assert len(with_decoder) < 1.02 * len(alone)


def test_networks_of_several_methods_and_repeated_views_are_one_program():
    mirrored = {"size": (16, 16), "normalisation": "weights", "repeats": "mirrored"}
    together = joined([drawn("patches"), drawn("two_stage"), drawn(views=mirrored)], ["a", "b", "c"])
    assert export(Predictor(together), "stablehlo").difference < 1e-5


# Photographs as people have them: sizes, colours, formats and turns.
ODD = {
    **{f"jpeg_{mode}": encoded(photograph().convert(mode)) for mode in ("RGB", "L", "CMYK")},
    **{f"jpeg_turned_{n}": encoded(photograph(), exif=turned_exif(n)) for n in range(1, 9)},
    **{f"png_turned_{n}": encoded(photograph(), "PNG", exif=turned_exif(n)) for n in (3, 6)},
    **{f"tiff_turned_{n}": encoded(photograph(), "TIFF", exif=turned_exif(n)) for n in (3, 6)},
    **{f"{h}x{w}": encoded(photograph(h, w)) for h, w in ((1, 1), (1, 500), (500, 3), (7, 60), (300, 411), (20, 24))},
    **{f"alpha_{of}": encoded(photograph().convert("RGBA"), of) for of in ("PNG", "TIFF", "WEBP")},
    "alpha_half": encoded(Image.merge("RGBA", (*photograph().split(), photograph().convert("L"))), "PNG"),
    "alpha_none": encoded(Image.merge("RGBA", (*photograph().split(), Image.new("L", (60, 45)))), "PNG"),
    "alpha_grey": encoded(Image.merge("LA", (photograph().convert("L"),) * 2), "PNG"),
    "palette": encoded(photograph().quantize(16), "PNG"),
    "palette_transparent": encoded(photograph().quantize(16), "PNG", transparency=3),
    "one_bit": encoded(photograph().convert("1"), "PNG"),
    "cmyk_tiff": encoded(photograph().convert("CMYK"), "TIFF"),
    "grey_of_16_bits": GREY_PNG,
    "colour_of_16_bits": one_row_png(2, 16, 2, np.array([0x12FF, 0x8000, 0xFFFF, 0, 255, 256], ">u2").tobytes()),
    "bmp": encoded(photograph(), "BMP"),
    "progressive": encoded(photograph(), progressive=True),
}


def test_the_example_of_the_page_answers_as_predict(predictor, stablehlo, tmp_path, monkeypatch):
    for name, data in ODD.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "model.stablehlo").write_bytes(stablehlo.data)
    monkeypatch.chdir(tmp_path)
    page: dict = {}
    exec(block(0), page)
    shown = np.stack([predictor.look(data, name)[0] for name, data in ODD.items()])
    for name, pixels in zip(ODD, shown, strict=True):
        np.testing.assert_array_equal(page["pixels"](name), pixels, name)
    expected = predictor.ask(shown).probabilities
    np.testing.assert_allclose(page["probabilities"], expected, rtol=1e-4)
    if importlib.util.find_spec("jax2onnx"):  # in an environment of its own
        (tmp_path / "model.onnx").write_bytes(export(predictor, "onnx").data)
        exec(block(1), page)
        np.testing.assert_allclose(page["probabilities"], expected, rtol=1e-4)
        facts = page["session"].get_modelmeta().custom_metadata_map
        assert (json.loads(facts["classes"]), facts["fit"], facts["width"]) == (list(CLASSES), "squash", "24")


def block(number: int) -> types.CodeType:
    """The page's Python, which looks at the odd photographs."""
    source = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[number]
    paths = '["a.jpg", "b.png"]'
    assert paths in source
    return compile(source.replace(paths, repr(list(ODD))), str(PAGE), "exec")


def tensors(data: bytes, tmp_path):
    (tmp_path / "weights").write_bytes(data)
    with safe_open(tmp_path / "weights", "np") as file:
        return {name: file.get_tensor(name).shape for name in file.keys()}, file.metadata()  # noqa: SIM118


def test_the_weights_of_a_classifier_are_a_file_of_timms(tmp_path):
    made = export(Predictor(drawn()), "safetensors")
    shapes, header = tensors(made.data, tmp_path)
    assert fits("resnet_tiny", shapes)
    assert shapes["conv1.weight"] == (4, 3, 7, 7)
    assert (header["architecture"], header["num_classes"], header["mean"]) == ("resnet_tiny", "3", "0.1, 0.2, 0.3")
    assert (json.loads(header["classes"]), header["logit_adjustment"]) == (list(CLASSES), "1.0")
    assert made.difference == 0
    assert f"{len(shapes)} tensors under timm's names, as timm loads them" in made.about


def test_other_weights_keep_their_names_where_timm_has_none(tmp_path):
    made = export(Predictor(drawn("patches", members=1)), "safetensors")
    shapes, _ = tensors(made.data, tmp_path)
    assert {"conv1.weight", "params/attention_pixels/mix/kernel"} <= shapes.keys()
    assert re.search(r"but \d+ that timm does not have", made.about)
    with pytest.raises(UserError, match="to safetensors: it is 2 networks, each with weights of its own"):
        export(Predictor(drawn(members=2)), "safetensors")


@pytest.mark.parametrize("off", [1.001, np.nan])
def test_a_file_that_answers_otherwise_is_refused_with_the_figure(predictor, off, monkeypatch):
    kind = FORMATS["safetensors"]
    wrong = dataclasses.replace(kind, run=lambda *args: lambda images: off * kind.run(*args)(images))
    monkeypatch.setitem(FORMATS, "safetensors", wrong)
    figure = "0.001" if off > 1 else "nan"
    with pytest.raises(UserError, match=f"answers otherwise as safetensors, by {figure} of a probability"):
        export(predictor, "safetensors")


def test_onnx_says_what_it_needs(predictor, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(UserError, match=r"needs jax2onnx \(.*\): install skinjax\[onnx\] in an environment of its own"):
        export(predictor, "onnx")


@pytest.mark.parametrize(
    ("version", "until"),
    [
        ("0.10.2", (2026, 12, 17)),
        ("0.11.2", (2027, 3, 17)),
        ("0.12.0.1", (2027, 4, 19)),
        ("99.0.dev20300101", (2027, 4, 19)),  # not known yet: no later than the last that is
    ],
)
def test_the_date_until_which_jax_reads_it(version, until):
    assert read_until(version) == datetime.date(*until)


def test_the_dtype_does_not_depend_on_the_platform(predictor):
    built = exports.in_float32(predictor).model
    assert built.spec.model.dtype == "float32"
    kept = drawn(model={"backbone": "resnet_tiny", "weights": "x", "dtype": "bfloat16"})
    assert exports.in_float32(Predictor(kept)).model.spec.model.dtype == "bfloat16"
    assert open_bundle(predictor.bundle.path).model.spec.model.dtype == "auto"
