"""What is known of weights, where from, and what a config may not do with them."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from skinjax.core.errors import UserError
from skinjax.models import BACKBONES
from skinjax.models.pretrained.facts import Facts, facts_from_config, facts_from_header, facts_from_json
from skinjax.models.pretrained.fitting import plan
from skinjax.models.pretrained.hub import SHA256, parse_hub_id
from skinjax.models.pretrained.known_weights import KNOWN, PINS, architecture_of
from skinjax.models.pretrained.opening import (
    Pretrained,
    check_known,
    fitting_backbones,
    open_pretrained,
    remarks,
    starting_arrays,
)
from tests.models.pretrained.test_mapping import TINY, tensors_of

HALF, IMAGENET = ((0.5,) * 3, (0.5,) * 3), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CONFIG = {
    "architecture": "resnet_tiny",
    "num_classes": 1000,
    "pretrained_cfg": {
        "input_size": [3, 224, 288],
        "interpolation": "bicubic",
        "crop_pct": 0.95,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "pool_size": [7, 9],
        "license": "apache-2.0",
        "first_conv": "conv1",
    },
}


@pytest.fixture
def tiny(tmp_path):
    """tiny(metadata) writes the weights of a tiny ResNet with these facts, and gives their path."""

    def write(metadata=None):
        save_file(tensors_of("resnet_tiny"), tmp_path / "tiny.safetensors", metadata)
        return tmp_path / "tiny.safetensors"

    return write


def test_facts_of_a_header():
    said = {"format": "pt", "mean": "0.5,0.5,0.5", "std": "[0.5, 0.5, 0.25]", "input_size": "224", "bn_eps": "1e-3"}
    assert facts_from_header(said | {"padding": "same", "licence": "Apache-2.0"}, Path("x")) == Facts(
        mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.25), size=(224, 224), epsilon=1e-3, padding="same", licence="Apache-2.0"
    )


def test_facts_of_timms_config(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert facts_from_config(tmp_path / "config.json") == Facts(
        "resnet_tiny", 1000, (0.5,) * 3, (0.5,) * 3, (224, 288), "bicubic", 0.95, (7, 9), licence="apache-2.0"
    )
    assert facts_from_config(tmp_path / "none.json") == Facts()


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean": "0.5,0.5"},
        {"mean": "a,b,c"},
        {"mean": "nan,0,0"},
        {"std": "0,0,0"},
        {"input_size": "0"},
        {"input_size": "1e9"},
        {"crop_pct": "-1"},
        {"padding": "valid"},
        {"bn_eps": "2"},
        {"architecture": "a\nb"},
        {"num_classes": "1e99"},
    ],
)
def test_facts_that_cannot_be_are_told(wrong):
    ((word, _),) = wrong.items()
    with pytest.raises(UserError, match=f"the header of x says {word} is ") as caught:
        facts_from_header(wrong, Path("x"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[]", "3", '{"pretrained_cfg": 3}', "[" * 10_000, " " * 2_000_000])
def test_a_hostile_config_is_told(content, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"config.json cannot be read"):
        facts_from_config(path)


def test_the_header_comes_before_the_config_beside_it(tiny, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    facts = open_pretrained(str(tiny({"mean": "0.1,0.2,0.3"})), tmp_path).facts
    assert (facts.mean, facts.std, facts.filter) == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5), "bicubic")


def test_known_weights_have_their_facts_by_id_and_by_their_bytes(tiny, tmp_path, monkeypatch):
    path = tiny()
    digest = open_pretrained(str(path), tmp_path).sha256
    monkeypatch.setitem(KNOWN, "resnet_tiny.tag", KNOWN["resnet18.a1_in1k"])
    assert open_pretrained(str(path), tmp_path).facts == Facts()
    folder = tmp_path / "weights" / "timm" / "resnet_tiny.tag"
    folder.mkdir(parents=True)
    path.rename(folder / "model.safetensors")
    by_id = open_pretrained("timm/resnet_tiny.tag", tmp_path / "weights", say=lambda line: None)
    assert by_id.facts.architecture == "resnet_tiny"
    assert (by_id.facts.filter, by_id.facts.crop, by_id.source) == ("bicubic", 0.95, "timm/resnet_tiny.tag")
    monkeypatch.setitem(PINS, "resnet_tiny.tag", ("a" * 40, digest))
    assert open_pretrained(str(folder / "model.safetensors"), tmp_path).facts.crop == 0.95
    monkeypatch.setitem(PINS, "resnet_tiny.tag", ("a" * 40, "0" * 64))
    with pytest.raises(UserError, match=r"and skinjax's table of known weights says 0000"):
        open_pretrained("timm/resnet_tiny.tag", tmp_path / "weights")


def test_another_sha256_than_the_configs_is_told(tiny, tmp_path):
    with pytest.raises(UserError, match=r"and the config or --sha256 says 0000"):
        open_pretrained(str(tiny()), tmp_path, "0" * 64)


def test_names_that_are_neither_are_told(tmp_path):
    with pytest.raises(UserError, match=r"no file; on the hub there is timm/resnet18.a1_in1k: give that"):
        open_pretrained("resnet18.a1_in1k", tmp_path)
    with pytest.raises(UserError, match=r"resnet34 is no file; on the hub there is timm/resnet34.a1_in1k or timm/resn"):
        open_pretrained("resnet34", tmp_path)
    with pytest.raises(UserError, match=r"there is no file of weights 'weights/none.safetensors' \(seen from /"):
        open_pretrained("weights/none.safetensors", tmp_path)
    with pytest.raises(UserError, match=r"there is no file of weights 'weights/net.pth'"):
        open_pretrained("weights/net.pth", tmp_path)
    with pytest.raises(UserError, match=r"for PyTorch alone: get https://\S+pth and convert it"):
        open_pretrained("timm/legacy_seresnext50_32x4d.in1k", tmp_path)


def test_known_weights_of_another_network_are_refused_before_they_are_fetched():
    with pytest.raises(UserError, match=r"^timm/resnet50.tv_in1k is of a resnet50 and model.backbone is resnet18: use"):
        check_known("resnet18", "timm/resnet50.tv_in1k")
    check_known("resnet50", "timm/resnet50.tv_in1k")
    check_known("resnet18", "somebody/resnet50.tv_in1k")
    check_known("resnet18", "weights/resnet50.safetensors")


def opened(path, **facts):
    """Weights of a tiny ResNet that say this of themselves."""
    weights = open_pretrained(str(path), path.parent)
    return Pretrained(weights.source, weights.file, "", "", Facts(**facts))


def test_what_contradicts_the_backbone_is_an_error(tiny, monkeypatch):
    path = tiny()
    assert (
        "62 tensors"
        in starting_arrays(opened(path, architecture="resnet_tiny", epsilon=1e-5), "resnet_tiny", TINY).remark
    )
    with pytest.raises(UserError, match=r"is of a resnet18 and model.backbone is resnet_tiny: use model.backbone=resn"):
        starting_arrays(opened(path, architecture="resnet18"), "resnet_tiny", TINY)
    with pytest.raises(
        UserError,
        match=r"needs padding 'symmetric' and epsilon 0.001, and model.backbone=resnet_tiny has padding "
        "'symmetric' and epsilon 1e-05: no registered backbone has that",
    ):
        starting_arrays(opened(path, architecture="resnet_tiny", epsilon=1e-3), "resnet_tiny", TINY)
    few = {name: BACKBONES[name] for name in ("resnet18", "resnet_narrow", "resnet_tiny")}
    monkeypatch.setattr("skinjax.models.pretrained.fitting.BACKBONES", few)  # planning all takes seconds
    with pytest.raises(UserError, match=r"does not fit ResNet: .*; they fit model.backbone=resnet_tiny"):
        starting_arrays(opened(path), "resnet_narrow", plan("resnet_narrow").variables)


def test_the_backbone_of_the_right_padding_is_named(tmp_path):
    path = tmp_path / "mobile.safetensors"
    save_file({name: np.float16(x) for name, x in tensors_of("mobilenetv2_100").items()}, path)
    weights = opened(path, architecture="mobilenetv2_100", padding="same", epsilon=1e-5)
    assert fitting_backbones(weights) == ["mobilenetv2_100_same"]
    with pytest.raises(
        UserError, match=r"has padding 'symmetric' and epsilon 1e-05: use model.backbone=mobilenetv2_100_"
    ):
        starting_arrays(weights, "mobilenetv2_100", plan("mobilenetv2_100").variables)
    with pytest.raises(UserError, match=r"model.backbone is resnet_tiny: use model.backbone=mobilenetv2_100_same$"):
        starting_arrays(weights, "resnet_tiny", TINY)


def test_what_contradicts_the_images_is_a_remark():
    facts = Facts(mean=HALF[0], std=HALF[1], size=(224, 224), filter="bicubic")
    assert list(remarks(facts, HALF, (224, 224), "bicubic")) == []
    assert list(remarks(facts, IMAGENET, (96, 96), "bilinear")) == [
        "the weights are used to images of mean 0.5, 0.5, 0.5 and deviation 0.5, 0.5, 0.5, and this config's have mean "
        "0.485, 0.456, 0.406 and deviation 0.229, 0.224, 0.225: unless that is meant, set views.normalisation=weights",
        "the weights were trained on images of 224x224, and views.size is 96x96",
        "the weights are used to images resized with bicubic, and stored_size.filter is bilinear",
    ]
    (unknown,) = remarks(Facts(), IMAGENET, (96, 96), "bilinear")
    assert unknown.startswith("the weights do not say which normalisation")


def test_known_weights_are_of_registered_backbones():
    assert {architecture_of(name) for name in KNOWN} <= set(BACKBONES)
    assert set(PINS) <= set(KNOWN)
    for name, (commit, sha256) in PINS.items():
        assert parse_hub_id(f"timm/{name}@{commit}"), name
        assert SHA256.fullmatch(sha256), name


def test_a_fact_of_weights_that_nobody_knows_is_refused():
    assert facts_from_json({"crop": 0.9}, Path("x")).crop == 0.9
    with pytest.raises(UserError, match="x states 'flavour', which this version does not know"):
        facts_from_json({"crop": 0.9, "flavour": "sweet"}, Path("x"))
