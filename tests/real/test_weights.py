"""Real ImageNet weights: strictly loaded, they see a cat and a uniform; and a run starts from them."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from skinjax.core.errors import UserError
from skinjax.data.acquire.decoding import decode
from skinjax.explain import grad_cam
from skinjax.images.colour import Normalisation
from skinjax.images.views import evaluation_view
from skinjax.main import main
from skinjax.model import from_weights
from skinjax.models import make_backbone
from skinjax.models.pretrained.fitting import family, plan
from skinjax.models.pretrained.mapping import fill
from skinjax.models.pretrained.opening import check_backbone, fitting_backbones, open_pretrained
from tests.end_to_end.conftest import TINY

FILE, BACKBONE = "mobilenetv2_100.tf_in1k.safetensors", "mobilenetv2_100_same"
SEEN = {"cat.bmp": ("Egyptian cat", 0.657), "grace_hopper.bmp": ("military uniform", 0.752)}


@pytest.fixture(scope="module")
def weights(shared):
    return open_pretrained(str(shared / "weights" / FILE), shared)


def test_the_network_sees_what_it_should(shared, weights):
    """The whole picture at the size and with the filter that the weights ask for, as a run reads and shows it."""
    variables = fill(plan(BACKBONE).variables, weights.file, family(BACKBONE), FILE)
    facts, backbone = weights.facts, make_backbone(BACKBONE)
    head, view = (
        backbone.original_head(1000),
        evaluation_view("squash", facts.size, Normalisation(facts.mean, facts.std)),
    )

    @jax.jit
    def probabilities(images):
        own = {name: tree["backbone"] for name, tree in variables.items()}
        features = backbone.apply(own, view(images), train=False)["features"]
        return jax.nn.softmax(head.apply({"params": variables["params"]["head"]}, features, train=False))

    labels = (shared / "weights" / "imagenet_labels.txt").read_text().splitlines()[1:]
    for name, (label, expected) in SEEN.items():
        encoded = (shared / "weights" / name).read_bytes()
        stored = decode(encoded, facts.size, fit="squash", filter=facts.filter, name=name)
        found = np.asarray(probabilities(stored[None]))[0]
        assert labels[found.argmax()] == label
        assert found.max() == pytest.approx(expected, abs=0.01)


def test_grad_cam_lights_the_cat(shared, weights):
    """Without a run; its face and body stand in the middle of the picture."""
    labels = (shared / "weights" / "imagenet_labels.txt").read_text().splitlines()[1:]
    model = from_weights(weights, BACKBONE)
    model = dataclasses.replace(model, spec=model.spec.replace(batch=1))
    image = model.read(shared / "weights" / "cat.bmp")[None]
    answer = model.predict(image)["probabilities"][0]
    assert labels[answer.argmax()] == "Egyptian cat"
    assert answer.max() == pytest.approx(SEEN["cat.bmp"][1], abs=0.01)
    lit = grad_cam.explain(model, image, np.array([answer.argmax()])).scaled["backbone"][0]
    cat = np.zeros_like(lit, bool)
    cat[35:, 45:165] = True
    assert cat.ravel()[lit.argmax()]
    assert lit[cat].mean() > 1.5 * lit[~cat].mean()


def test_they_fit_the_network_of_their_padding_alone(weights):
    assert fitting_backbones(weights) == [BACKBONE]
    with pytest.raises(UserError, match=r"needs padding 'same' .* use model.backbone=mobilenetv2_100_same"):
        check_backbone("mobilenetv2_100", weights)


def test_a_run_starts_from_them(shared, weights, capsys, tmp_path):
    own = {
        "model.backbone": BACKBONE,
        "model.weights": shared / "weights" / FILE,
        "model.weights_sha256": weights.sha256,
        "views.normalisation": "weights",
        "method.alpha": 0.0,
        "method.beta": 0.0,
        "phases.train.frozen": make_backbone(BACKBONE).stages,
        "phases.train.duration": 2.0,
        "phases.train.warmup": 0.0,
        "evaluations.every": 0.0,
    }
    changes = [f"--config.{name}={value}" for name, value in own.items()]
    assert main([*TINY, *changes, f"--workdir={tmp_path / 'run'}", f"--data_dir={tmp_path}"]) == 0
    output = capsys.readouterr().out
    assert "260 tensors of" in output
    assert "its classifier of 1,000 classes is left out, and one of 7 starts anew" in output
    figures = json.loads((tmp_path / "run" / "metrics_test.json").read_text())
    assert figures["protocol"]["weights"]["sha256"] == weights.sha256
