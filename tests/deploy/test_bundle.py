"""The bundle: what was written is opened, bit for bit, under timm's names; what is hostile is refused."""

import io
import json
import os
import pickle
import zipfile

import jax
import numpy as np
import pytest
from safetensors.numpy import load as load_tensors

from skinjax.core.errors import UserError
from skinjax.deploy.bundle import MANIFEST, open_bundle, write_bundle
from skinjax.deploy.making import joined
from skinjax.methods import METHODS
from skinjax.models.pretrained.fitting import fits
from tests.test_model import CLASSES, drawn, photographs


@pytest.mark.parametrize("method", METHODS)
def test_what_was_written_is_opened(method, tmp_path):
    model = drawn(method)
    write_bundle(tmp_path / "x.skinjax", model)
    bundle = open_bundle(tmp_path / "x.skinjax")
    assert (bundle.model.spec, bundle.model.classes) == (model.spec, CLASSES)
    jax.tree.map(np.testing.assert_array_equal, bundle.model.variables, model.variables)


def test_the_same_model_gives_the_same_bytes(model, tmp_path):
    for name in "ab":
        write_bundle(tmp_path / name, model)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_weights_have_the_names_and_layout_that_timm_gives_them(tmp_path):
    model = drawn(model={"backbone": "resnet18", "weights": "/home/me/secret/resnet18.safetensors"})
    write_bundle(tmp_path / "x.skinjax", model)
    with zipfile.ZipFile(tmp_path / "x.skinjax") as archive:
        tensors = load_tensors(archive.read("member0.safetensors"))
        manifest = archive.read(MANIFEST).decode()
    kernel = np.asarray(model.variables["params"]["backbone"]["stem"]["conv"]["kernel"])
    np.testing.assert_array_equal(tensors["conv1.weight"], kernel.transpose(3, 2, 0, 1))
    own = {name: of.shape for name, of in tensors.items() if not name.startswith("constants/")}
    assert fits("resnet18", own)
    assert "secret" not in manifest
    assert '"weights": "resnet18.safetensors"' in manifest


def test_runs_of_different_networks_answer_together_by_their_mean(tmp_path):
    models = [drawn(), drawn("two_stage"), drawn(model={"backbone": "resnet_tiny_6", "weights": "x"})]
    write_bundle(tmp_path / "x.skinjax", joined(models, ["a", "b", "c"]))
    together, images = open_bundle(tmp_path / "x.skinjax").model, photographs(3)
    alone = [model.predict(images)["probabilities"] for model in models]
    np.testing.assert_allclose(together.predict(images)["probabilities"], np.mean(alone, axis=0), rtol=1e-5)
    np.testing.assert_allclose(together.predict(images)["members"], np.stack(alone, axis=1), rtol=1e-5)
    assert [of.spec.model.backbone for of in together.members][2] == "resnet_tiny_6"


def test_snapshots_are_bundled_with_all_their_networks(tmp_path):
    model, images = drawn(members=2), photographs(3)
    write_bundle(tmp_path / "x.skinjax", model)
    opened = open_bundle(tmp_path / "x.skinjax").model
    np.testing.assert_array_equal(opened.predict(images)["members"], model.predict(images)["members"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stored_size": {"height": 24, "width": 24}}, "b sees photographs of another stored_size than a"),
        ({"members": 2}, "the runs are of different numbers of snapshots"),
    ],
)
def test_runs_that_cannot_answer_together(changes, message):
    with pytest.raises(UserError, match=message):
        joined([drawn(), drawn(**changes)], ["a", "b"])


def test_examples_are_answered_again(bundle_file):
    bundle = open_bundle(bundle_file)
    assert bundle.example_differences() == {"example0.jpg": 0.0, "example1.jpg": 0.0}
    assert bundle.card.startswith("# Model card")
    assert bundle.manifest.notices[1] == "Made from ham10000 (CC BY-NC 4.0): no commercial use without leave."


def changed(path, tmp_path, members=(), compression=zipfile.ZIP_STORED, **fields):
    """A copy of a bundle with other members (None leaves one out) and other fields of the manifest."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files[MANIFEST] = json.dumps(json.loads(files[MANIFEST]) | fields).encode()
    out = tmp_path / "changed.skinjax"
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in (files | dict(members)).items():
            if data is not None:
                archive.writestr(name, data)
    return out


def spec_with(path, **changes):
    with zipfile.ZipFile(path) as archive:
        networks = json.loads(archive.read(MANIFEST))["networks"]
    networks["0"]["spec"] |= changes
    return {"networks": networks}


HUGE = (8).to_bytes(8, "little")
TEN_GIGABYTES = b'{"x":{"dtype":"F32","shape":[2500000000],"data_offsets":[0,10000000000]}}'
HOSTILE = {
    "a changed byte": (lambda p, t: changed(p, t, {"card.md": b"# Another card\n"}), "card.md of .* was changed"),
    "a missing file": (lambda p, t: changed(p, t, {"example0.jpg": None}), "lacks 'example0.jpg'"),
    "a pickle beside": (lambda p, t: changed(p, t, {"data.pkl": pickle.dumps([1])}), "holds 'data.pkl', which no"),
    "a pickle for weights": (
        lambda p, t: changed(p, t, {"member0.safetensors": pickle.dumps([1])}),
        "member0.safetensors of .* was changed",
    ),
    "a way out": (lambda p, t: changed(p, t, {"../evil.jpg": b"x"}), r"holds '\.\./evil\.jpg', which no bundle does"),
    "a bomb": (lambda p, t: changed(p, t, {}, zipfile.ZIP_DEFLATED), "compressed or encrypted, as no bundle does"),
    "another schema": (lambda p, t: changed(p, t, schema=2), "is of schema '2', this version reads 1"),
    "no schema": (lambda p, t: changed(p, t, {MANIFEST: b"{}"}), "bundle.json of .* cannot be read"),
    "deep JSON": (lambda p, t: changed(p, t, {MANIFEST: b"[" * 100_000}), "bundle.json of .* cannot be read"),
    "an unknown field": (lambda p, t: changed(p, t, code="x"), "unknown field of bundle.json 'code'"),
    "a class of control characters": (lambda p, t: changed(p, t, classes=["a\x1b[2J", "b", "c"]), "is no name"),
    "a class twice": (lambda p, t: changed(p, t, classes=["a", "a", "b"]), "two classes or more, each once"),
    "other classes": (lambda p, t: changed(p, t, classes=["a", "b"]), "must be of all classes"),
    "a temperature that is none": (lambda p, t: changed(p, t, decisions={"temperature": -1}), "must be a number from"),
    "a gigantic batch": (lambda p, t: changed(p, t, **spec_with(p, batch=2**20)), "more than 67,108,864 pixels"),
    "a correction twice": (
        lambda p, t: changed(p, t, **spec_with(p, views={"corrections": ["gamma"] * 2000})),
        "views.corrections names one twice",
    ),
    "no reference": (lambda p, t: changed(p, t, unlike=None), "has reference.safetensors or a distance without"),
    "a question twice": (
        lambda p, t: changed(p, t, decisions={"question": {"positive": ["mel", "mel"]}}),
        "must be of some of the classes, each once",
    ),
    "no file": (lambda p, t: fifo(t), "is no file: name a bundle"),
    "gigantic views": (
        lambda p, t: changed(p, t, **spec_with(p, views={"size": [16384, 16384]})),
        "more than 67,108,864 pixels",
    ),
    "another network": (
        lambda p, t: changed(p, t, **spec_with(p, model={"backbone": "resnet18", "weights": "x"})),
        "does not fit its network",
    ),
    "an unknown network": (
        lambda p, t: changed(p, t, **spec_with(p, model={"backbone": "os.system", "weights": "x"})),
        "unknown backbone 'os.system'",
    ),
    "no zip": (lambda p, t: written(t, b"hello"), "is no bundle of skinjax"),
    "nothing": (lambda p, t: written(t, b""), "is no bundle of skinjax"),
    "cut short": (lambda p, t: written(t, p.read_bytes()[:-1000]), "is no bundle of skinjax"),
    "another zip": (lambda p, t: changed(p, t, {MANIFEST: None}), "there is no bundle.json in it"),
}


def fifo(tmp_path):
    os.mkfifo(tmp_path / "x")
    return tmp_path / "x"


def written(tmp_path, data):
    (tmp_path / "x.skinjax").write_bytes(data)
    return tmp_path / "x.skinjax"


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_hostile_is_one_sentence(name, bundle_file, tmp_path):
    make, message = HOSTILE[name]
    with pytest.raises(UserError, match=message) as caught:
        open_bundle(make(bundle_file, tmp_path))
    assert "\n" not in str(caught.value)


def test_tensors_of_ten_gigabytes_are_not_believed(bundle_file, tmp_path):
    from skinjax.core.hashes import digest_of

    header = len(TEN_GIGABYTES).to_bytes(8, "little") + TEN_GIGABYTES
    with zipfile.ZipFile(bundle_file) as archive:
        files = json.loads(archive.read(MANIFEST))["files"] | {"member0.safetensors": digest_of(header)}
    path = changed(bundle_file, tmp_path, {"member0.safetensors": header}, files=files)
    with pytest.raises(UserError, match="holds no tensors that can be read"):
        open_bundle(path)


def test_a_member_twice_is_refused(bundle_file, tmp_path):
    data = io.BytesIO(bundle_file.read_bytes())
    with zipfile.ZipFile(data, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("card.md", b"# Model card\n")
    with pytest.raises(UserError, match=r"holds 'card\.md', which no bundle does"):
        open_bundle(written(tmp_path, data.getvalue()))
