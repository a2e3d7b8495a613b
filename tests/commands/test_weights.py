"""`skinjax weights`: what is usual and here, what is fetched, and what a file is."""

import os
import subprocess
import sys

import pytest
from safetensors.numpy import save, save_file

from skinjax.cli import main
from skinjax.models.pretrained.known_weights import KNOWN
from tests.hub import COMMIT, serve
from tests.models.pretrained.test_mapping import tensors_of

FACTS = {"architecture": "resnet_tiny", "mean": "0.5,0.5,0.5", "std": "0.5,0.5,0.5", "interpolation": "bicubic"}


def test_weights_are_fetched_listed_and_looked_into(capsys, tmp_path, monkeypatch):
    """The hub's own client, in a process of its own that reads HF_ENDPOINT as a user's does."""
    monkeypatch.setitem(KNOWN, "resnet_tiny.tag", KNOWN["resnet18.a1_in1k"])
    name = "timm/resnet_tiny.tag"
    command = [sys.executable, "-m", "skinjax.cli", "weights", "fetch", f"hf-hub:{name}", f"--data_dir={tmp_path}"]
    with serve() as (hub, address):
        hub.files[name, COMMIT, "model.safetensors"] = save(tensors_of("resnet_tiny"), FACTS)
        ran = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HF_ENDPOINT": address})
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == f"fetching {name} from {address}, its newest commit"
    path = tmp_path / "weights" / "models--timm--resnet_tiny.tag" / "snapshots" / COMMIT / "model.safetensors"
    assert lines[1].startswith(f"kept in {path}: sha256 ")
    assert lines[-1] == (
        f"it fits resnet_tiny: --config.model.backbone=resnet_tiny --config.model.weights=hf-hub:{name} "
        "--config.views.normalisation=weights"
    )
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # from here on nobody is asked
    assert main(["weights", "list", "resnet_tiny.tag", f"--data_dir={tmp_path}"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "resnet_tiny",
        f"  {name}: 224 px, bicubic, 1,000 classes, apache-2.0, here",
        f"files lie below {tmp_path / 'weights'}",
    ]
    assert main(["weights", "inspect", name, f"--data_dir={tmp_path}", "--tensors"]) == 0
    output = capsys.readouterr().out
    assert f"from the hub, commit {COMMIT}" in output
    assert "62 tensors (62 of F32), 53,412 numbers" in output
    assert "  conv1.weight  (4, 3, 7, 7)  F32\n" in output
    assert "  mean: 0.5 0.5 0.5\n  std: 0.5 0.5 0.5\n  size: 224 224\n  filter: bicubic\n" in output


def test_a_file_that_fits_nothing_is_told(capsys, tmp_path):
    tensors = tensors_of("resnet_tiny")
    save_file({name: tensors[name] for name in ("conv1.weight", "bn1.bias")}, tmp_path / "x.safetensors")
    assert main(["weights", "inspect", str(tmp_path / "x.safetensors")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == [
        "2 tensors (2 of F32), 592 numbers",
        "it says nothing of its training: no facts in its header, no config.json beside it",
        "it fits no registered backbone",
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["get"], "unknown action of skinjax weights 'get'"),
        (["fetch"], "skinjax weights fetch needs a name: timm/NAME\n"),
        (["inspect"], "skinjax weights inspect needs a name: timm/NAME, or the path of a file"),
        (["fetch", "alexnet"], "'alexnet' is no id of the hub; one is like timm/resnet50.a1_in1k"),
        (["fetch", "vgg16"], "'vgg16' is no id of the hub; on the hub there is timm/vgg16.tv_in1k: give that"),
        (["inspect", "--tensors", "none.safetensors"], f"'none.safetensors' (seen from {os.getcwd()})"),
        (["inspect", "none.safetensors"], "there is no file of weights 'none.safetensors'"),
        (["list", "alexnet"], "no backbone and no weights have 'alexnet' in their names"),
    ],
)
def test_mistakes_are_one_sentence(capsys, arguments, told):
    assert main(["weights", *arguments]) == 1
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
