"""A run that starts from weights: they are what it starts from, it says so everywhere, and goes on without the file."""

import functools
import json
import re

import jax
import numpy as np
import pytest
from flax import traverse_util
from safetensors.numpy import save_file

from skinjax.core.errors import UserError
from skinjax.evaluation.predictions import read_predictions
from skinjax.images.views import make_views
from skinjax.main import main
from skinjax.models.families.resnet import ResNet
from skinjax.models.pretrained.facts import Facts
from skinjax.models.pretrained.mapping import timm_names
from skinjax.parallel import make_mesh
from skinjax.recipe.config_files import load_config
from skinjax.runs import building
from skinjax.runs.starting_weights import StartingWeights
from skinjax.training.programs import draw
from tests.end_to_end.conftest import ROOT, TINY, UNREPORTED
from tests.models.pretrained.test_mapping import tensors_of

# With the normalisation that TINY has, so that its compiled programs serve.
FACTS = {"mean": "0.485,0.456,0.406", "std": "0.229,0.224,0.225", "interpolation": "bicubic"}


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "tiny.safetensors"
    save_file(tensors_of("resnet_tiny"), path, {"architecture": "resnet_tiny", **FACTS})
    return path


def test_a_run_starts_from_weights_and_goes_on_without_them(capsys, tmp_path, data_dir, weights):
    workdir = tmp_path / "run"
    own = [f"--config.model.weights={weights}", "--config.views.normalisation=weights"]
    command = [*UNREPORTED, *own, f"--workdir={workdir}", f"--data_dir={data_dir}"]
    assert main(command) == 0, capsys.readouterr().err
    output = capsys.readouterr().out
    assert f"60 tensors of {weights} are taken: its classifier of 1,000 classes is left out, and one of 7" in output
    assert "the weights are used to images resized with bicubic, and stored_size.filter is bilinear" in output
    assert f"seed 0, synthetic, started from {weights}\n" in output
    assert "normalisation=weights" not in output
    for name in ("environment.json", "metrics_test.json"):
        said = json.loads((workdir / name).read_text())
        record = said.get("protocol", said)["weights"]
        assert record["facts"]["mean"] == [0.485, 0.456, 0.406]
        assert len(record["sha256"]) == 64
    figures = (workdir / "metrics_test.json").read_bytes()
    weights.unlink()
    for finished in workdir.glob("*.json"):
        if finished.name.startswith(("metrics", "finished")):
            finished.unlink()
    assert main(command) == 0, capsys.readouterr().err
    assert "continuing from the checkpoint after 16 steps" in capsys.readouterr().out
    assert (workdir / "metrics_test.json").read_bytes() == figures


def test_images_are_shown_as_the_weights_are_used_to_in_training_and_evaluation():
    changes = ["views.normalisation=weights", "views.train=none", "views.size=(2,2)", "model.weights=x"]
    config = load_config(str(ROOT / "configs" / "cdc.py"), changes)
    facts = Facts(mean=(0.25, 0.5, 0.75), std=(0.5, 0.25, 0.5))
    training, evaluation = make_views(config.views, building.normalisation(config, facts))
    images = np.full((1, 2, 2, 3), 255, np.uint8)
    for shown in (evaluation(images), training(jax.random.split(jax.random.key(0), 1), images)):
        np.testing.assert_allclose(shown[0, 0, 0], [1.5, 2.0, 0.5], rtol=1e-6)
    with pytest.raises(UserError, match=r"the weights state no normalisation: set views.normalisation"):
        building.normalisation(config)


def test_what_the_file_has_is_drawn_by_nobody_and_the_rest_as_without_it(tmp_path, data_dir, weights):
    changes = [change.removeprefix("--config.") for change in TINY[1:]]
    config = load_config(str(ROOT / "configs" / "cdc.py"), changes)
    data = building.make_data(config, tmp_path, data_dir, print)
    init = building.initialisation(building.make_method(config, data.dataset.classes), data.size)
    seed, mesh = jax.numpy.uint32(3), make_mesh()
    starting = StartingWeights(str(weights), "", "resnet_tiny", tmp_path, tmp_path)
    plain = traverse_util.flatten_dict(draw(init, seed, mesh))
    given = functools.partial(starting.arrays, {"backbone": ("head",)}, data.dataset.classes)
    loaded = traverse_util.flatten_dict(draw(init, seed, mesh, given))
    assert plain.keys() == loaded.keys()
    shapes = jax.eval_shape(init, seed)
    names = timm_names({name: {"backbone": shapes[name]["backbone"]} for name in ("params", "batch_stats")}, ResNet)
    tensors = tensors_of("resnet_tiny")
    for path, array in loaded.items():
        if path in names:
            np.testing.assert_array_equal(np.sort(array.ravel()), np.sort(tensors[names[path]].ravel()))
        else:
            np.testing.assert_array_equal(array, plain[path])
    drawn = {path[1] for path in loaded if path not in names}
    assert drawn == {"head", "decoder"}


def test_another_file_under_the_same_name_is_refused(tmp_path, weights):
    StartingWeights(str(weights), "", "resnet_tiny", tmp_path, tmp_path)
    save_file({name: tensor + 1 for name, tensor in tensors_of("resnet_tiny").items()}, weights, FACTS)
    again = StartingWeights(str(weights), "", "resnet_tiny", tmp_path, tmp_path)
    assert not again.is_new
    with pytest.raises(UserError, match="is not the file that this run began with"):
        again.arrays({"backbone": ("head",)}, (), {})
    (tmp_path / "weights.json").write_text('{"facts": []}')
    with pytest.raises(UserError, match=r"weights.json is damaged"):
        StartingWeights(str(weights), "", "resnet_tiny", tmp_path, tmp_path)


def start(changes, workdir, data_dir):
    """A short run of TINY with changes."""
    short = ["--config.phases.train.duration=2.0", "--config.phases.train.warmup=0.0", "--config.evaluations.every=0.0"]
    return main([*UNREPORTED, *short, *changes, f"--workdir={workdir}", f"--data_dir={data_dir}"])


def test_a_run_starts_from_another_run(tiny_run, capsys, tmp_path, data_dir):
    parent, own = tiny_run[0], f"--config.model.weights={tiny_run[0]}"
    assert start([own], tmp_path / "child", data_dir) == 0, capsys.readouterr().err
    output = capsys.readouterr().out
    assert f"70 tensors of {parent} are taken: backbone, decoder, head" in output
    assert "LEAK" not in output
    record = json.loads((tmp_path / "child" / "metrics_test.json").read_text())["protocol"]["weights"]
    assert record["sha256"] == json.loads((parent / "model.json").read_text())["sha256"]
    assert record["parent"]["dataset"] == "synthetic"
    assert record["parent"]["fingerprint"] == read_predictions(parent / "predictions_test.csv").protocol["fingerprint"]
    assert "training_groups" not in record
    # Its test part must not be what the parent was trained on, and nor must a grandchild's.
    other = "--config.split.seed=7"
    for weights in (own, f"--config.model.weights={tmp_path / 'child'}"):
        assert start([weights, other], tmp_path / "other", data_dir) == 1
        assert re.search(
            r"trained on lesions of \d+\.\d % of the validation images and .* split as it did", capsys.readouterr().err
        )
    assert start([own, other, "--config.split.protocol=image_stratified"], tmp_path / "leaky", data_dir) == 0
    output = capsys.readouterr().out
    assert f"LEAK: the run that left {parent} was trained on lesions of " in output
    figures = json.loads((tmp_path / "leaky" / "metrics_test.json").read_text())
    percent = figures["protocol"]["weights"]["leak_percent"]["test"]
    assert f"LEAK: {percent:.1f} % of these images are of lesions that the weights it started from have seen" in output


MISTAKES = {
    "no such file": (["model.weights=none.safetensors"], "there is no file of weights 'none.safetensors'"),
    "PyTorch's": (["model.weights=net.pth"], "there is no file of weights 'net.pth'"),
    "a sha256 of nothing": ([f"model.weights_sha256={'0' * 64}"], "set model.weights too"),
    "no sha256": (["model.weights_sha256=0"], "it must be the 64 hex digits of a sha256"),
    "a normalisation of nothing": (["views.normalisation=weights"], "'weights': set model.weights too"),
    "another sha256": (["model.weights={}", f"model.weights_sha256={'0' * 64}"], "the config or --sha256 says 000"),
    "another backbone": (["model.weights={}", "model.backbone=resnet18"], "use model.backbone=resnet_tiny"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_before_anything_is_made(name, capsys, tmp_path, weights):
    changes, told = MISTAKES[name]
    own = [f"--config.{change.format(weights)}" for change in changes]
    assert main([*TINY, *own, f"--workdir={tmp_path / 'run'}", f"--data_dir={tmp_path / 'data'}"]) == 1
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("data/synthetic-*/manifest.json"))
