"""A trained network by itself: written, opened again, asked; and what is refused."""

import io
import json
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from skinjax.core.errors import UserError
from skinjax.core.hashes import sha256_of
from skinjax.core.settings import from_plain
from skinjax.methods import METHODS
from skinjax.model import MODEL_FILE, WEIGHTS_FILE, Built, Model, load_run, make_method, variable_shapes, write_model
from skinjax.models.pretrained.facts import Facts
from skinjax.models.pretrained.files import open_weights
from skinjax.recipe.recipe import ModelSpec

CLASSES = ("mel", "nv", "bcc")
PLAIN = {
    "stored_size": {"height": 20, "width": 24},
    "views": {"size": (16, 16), "normalisation": "weights"},
    "model": {"backbone": "resnet_tiny", "weights": "some.safetensors"},
    "batch": 4,
}
METHOD = {
    "classifier": {"name": "classifier", "logit_adjustment": 1.0},
    "decoder_classifier": {"name": "decoder_classifier", "decoder": {"channels": 4}},
    "patches": {"name": "patches", "join": "gru", "attention": ("pixels", "features"), "gru": {"features": 8}},
    "synergic": {"name": "synergic", "members": 3},
    "two_stage": {"name": "two_stage", "dominant": ("nv",)},
    "rotation": {"name": "rotation"},
    "restoration": {"name": "restoration", "width": 2, "patch": 4},
}
FACTS = Facts(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.125), architecture="resnet_tiny")


def drawn(method: str = "classifier", members: int = 0, **changes) -> Model:
    """A model whose parameters, statistics and constants are drawn."""
    plain = {**PLAIN, "method": METHOD[method], **changes}
    if method == "patches":
        plain["views"] = {**plain["views"], "train": "ordered_crop", "evaluation": "ordered_crop", "crops": 4}
    spec = from_plain(ModelSpec, plain, "spec")
    of_members = (Built(spec, FACTS),) * members
    built = Model(spec, CLASSES, {}, FACTS, members=of_members).method
    whole = variable_shapes(built, spec.stored_size, len(CLASSES))
    shapes = {part: whole[part] for part in ("params", "batch_stats")}
    random = np.random.default_rng(3)  # numpy compiles nothing
    variables = jax.tree.map(lambda leaf: np.float32(random.uniform(0.01, 0.2, leaf.shape) - 0.1), shapes)
    variables["batch_stats"] = jax.tree.map(np.abs, variables["batch_stats"])  # variances among them
    variables["constants"] = built.constants(np.array([1, 2, 3]), np.full(3, 1 / 3))
    return Model(spec, CLASSES, variables, FACTS, {"protocol": {"seed": 3}}, of_members)


def photographs(n: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, 20, 24, 3), np.uint8)


@pytest.fixture
def written(tmp_path):
    """The folder of a model on disk."""
    write_model(tmp_path, drawn())
    return tmp_path


@pytest.mark.parametrize("method", METHODS)
def test_what_was_written_is_opened_and_answers_alike(method, tmp_path):
    model, images = drawn(method), photographs(9)
    write_model(tmp_path, model)
    opened = load_run(str(tmp_path))
    assert (opened.spec, opened.classes, opened.facts) == (model.spec, CLASSES, FACTS)
    assert opened.origin["protocol"] == {"seed": 3}
    assert opened.stages == tuple(make_method(model.spec, CLASSES, FACTS).stages())
    ours, theirs = model.predict(images), opened.predict(images)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
    np.testing.assert_allclose(ours["probabilities"].sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("members", [1, 3])
def test_an_ensemble_is_opened_with_all_its_members(members, tmp_path):
    model, images = drawn(members=members), photographs(5)
    write_model(tmp_path, model)
    opened = load_run(tmp_path)
    assert json.loads((tmp_path / MODEL_FILE).read_text())["members"] == len(opened.members) == members
    assert f"params/member{members - 1}/head/classifier/kernel" in open_weights(tmp_path / WEIGHTS_FILE)
    ours, theirs = model.predict(images), opened.predict(images)
    assert theirs["members"].shape == (5, members, 3)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])
    assert opened.features(images).shape == (5, 32 * members)


def test_a_network_alone_says_nothing_of_members(written):
    assert "members" not in json.loads((written / MODEL_FILE).read_text())
    assert load_run(written).members == ()


def test_the_densenet_of_fastai_pools_what_no_relu_has_cut():
    """Paper 002's: ten classes, the head `concat_pool` right on the last norm; as shapes, 28,748,490 parameters."""
    model = {"backbone": "densenet161", "head": "concat_pool", "final_relu": False}
    spec = from_plain(ModelSpec, {"views": {"size": (32, 32)}, "model": model}, "spec")
    method = make_method(spec, tuple("abcdefghij"))
    shapes = variable_shapes(method, spec.stored_size, 10)
    assert sum(x.size for x in jax.tree.leaves(shapes["params"])) == 28_748_490
    assert shapes["params"]["head"]["norm1"]["scale"].shape == (2 * 2208,)
    assert method.parts.network.backbone.final_relu is False


def test_answers_do_not_depend_on_how_many_are_asked():
    model, images = drawn(), photographs(9)
    together = model.predict(images)["probabilities"]
    assert together.shape == (9, 3)
    for start, stop in ((0, 1), (3, 8), (8, 9)):
        np.testing.assert_array_equal(model.predict(images[start:stop])["probabilities"], together[start:stop])
    assert model.predict(images[:0])["probabilities"].shape == (0, 3)


@pytest.mark.parametrize("method", METHODS)
def test_features_are_what_a_linear_head_reads(method):
    model, images = drawn(method), photographs(5)
    features = model.features(images)
    # Of the recurrent network, of networks side by side, and of the backbone.
    width = {"patches": 8, "synergic": 3 * 32, "two_stage": 2 * 32}.get(method, 32)
    assert (features.shape, features.dtype) == ((5, width), np.float32)
    assert model.features(images[:0]).shape == (0, width)
    if method == "decoder_classifier":  # whose answer is of nothing else
        (layer,) = model.variables["params"]["head"].values()
        logits = features @ layer["kernel"] + layer["bias"]
        np.testing.assert_allclose(jax.nn.softmax(logits), model.predict(images)["probabilities"], rtol=1e-4)


def test_a_photograph_is_read_as_in_training(tmp_path):
    pixels = photographs(1)[0]
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(pixels).save(file, "PNG", exif=exif)
    (tmp_path / "photograph").write_bytes(file.getvalue())
    for given in (file.getvalue(), tmp_path / "photograph", str(tmp_path / "photograph")):
        np.testing.assert_array_equal(drawn().read(given), pixels[::-1, ::-1])
    assert drawn(stored_size={"height": 8, "width": 9}).read(file.getvalue()).shape == (8, 9, 3)
    with pytest.raises(UserError, match="image 'given as bytes' cannot be decoded"):
        drawn().read(b"no image")
    with pytest.raises(UserError, match=r"nowhere\.jpg cannot be read: No such file"):
        drawn().read(tmp_path / "nowhere.jpg")


@pytest.mark.parametrize("images", [photographs(2)[0], photographs(2) / 255, np.zeros((2, 24, 20, 3), np.uint8)])
def test_images_of_another_kind_are_refused(images):
    with pytest.raises(UserError, match=r"this model takes uint8 \[n, 20, 24, 3\], as from its `read`"):
        drawn().predict(images)


def test_the_files_say_what_they_are_and_are_the_same_each_time(written, tmp_path_factory):
    again = tmp_path_factory.mktemp("again")
    write_model(again, drawn())
    for name in (WEIGHTS_FILE, MODEL_FILE):
        assert (written / name).read_bytes() == (again / name).read_bytes()
    file = open_weights(written / WEIGHTS_FILE)
    assert set(file.dtypes.values()) == {"F32"}
    assert {"params/head/classifier/kernel", "constants/class_counts"} <= set(file)
    assert file.metadata["architecture"] == "resnet_tiny"
    assert file.metadata["mean"] == "0.1, 0.2, 0.3"
    assert json.loads(file.metadata["classes"]) == list(CLASSES)


def test_opening_needs_no_trainer_no_checkpoints_and_no_data(written):
    program = (
        f"import sys, skinjax; skinjax.load({str(written)!r}); "
        "print(sorted({'orbax', 'grain', 'tensorflow_datasets', 'skinjax.training.loop'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def change(folder, **changes):
    record = json.loads((folder / MODEL_FILE).read_text())
    (folder / MODEL_FILE).write_text(json.dumps({**record, **changes}))


DAMAGES = {
    "another schema": (
        {"schema": 99},
        "is of schema '99', this version reads 1: open it with the one that made",
    ),
    "one class": ({"classes": ["mel"]}, "cannot be read (it names no classes"),
    "classes twice": ({"classes": ["mel", "mel", "nv"]}, "cannot be read (it names no classes"),
    "classes of numbers": ({"classes": [1, 2, 3]}, "cannot be read (it names no classes"),
    "another sha256": ({"sha256": "0" * 64}, "model.json says 000"),
    "no facts": ({"facts": None}, "or lacks something"),
    "hostile facts": ({"facts": {"mean": "__import__"}}, "says mean is '__import__' ("),
    "no spec": ({"spec": []}, "must be a section with fields"),
    "an unknown field": ({"spec": {"modl": {}}}, "(did you mean 'model'?)"),
    "a wrong value": ({"spec": {"batch": 0}}, "batch is 0; it must be a whole number from 1"),
    "members of another type": ({"members": "2"}, "or lacks something"),
    "fewer members than none": ({"members": -1}, "or lacks something"),
    "too many members": ({"members": 10**9}, "or lacks something"),
    "members that are not there": ({"members": 2}, "does not fit model.json: "),
    "another network": (
        {"spec": {**PLAIN, "model": {"backbone": "resnet18", "weights": "x"}, "views": {"normalisation": "weights"}}},
        "does not fit model.json: ",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_record_that_was_changed_is_refused(name, written):
    changes, message = DAMAGES[name]
    change(written, **changes)
    with pytest.raises(UserError, match=re.escape(message)):
        load_run(written)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}', "[" * 100_000])
def test_a_record_that_is_none_is_refused(text, written):
    (written / MODEL_FILE).write_text(text)
    with pytest.raises(UserError, match=r"model\.json cannot be read \(.*bring it back from a copy"):
        load_run(written)


def test_arrays_that_do_not_fit_are_told_at_once(written):
    file = open_weights(written / WEIGHTS_FILE)
    tensors = dict(file.items())
    tensors["params/new/kernel"] = tensors.pop("params/head/classifier/bias")
    tensors["params/head/classifier/kernel"] = np.zeros((32, 4), np.float32)
    tensors["constants/class_counts"] = np.full(3, np.nan, np.float32)
    save_file(tensors, written / WEIGHTS_FILE)
    change(written, sha256=sha256_of(written / WEIGHTS_FILE))
    with pytest.raises(UserError) as told:
        load_run(written)
    for part in (
        "1 is missing (params/head/classifier/bias)",
        "1 is not used (params/new/kernel)",
        "1 is of another shape (params/head/classifier/kernel is 32x4 and not 32x3)",
        "1 is without usable numbers (constants/class_counts has 3 of 3 that are not finite)",
    ):
        assert part in str(told.value)


def test_arrays_that_were_cut_or_changed_are_refused(written):
    path = written / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="it is another or a damaged file; bring both back from a copy"):
        load_run(written)
    path.unlink()
    with pytest.raises(UserError, match=r"model\.safetensors cannot be read: No such file"):
        load_run(written)


def test_a_folder_without_a_model_is_told(tmp_path):
    with pytest.raises(UserError, match=r"has no model\.json, so its run has not finished: start the run's command"):
        load_run(tmp_path)
    with pytest.raises(UserError, match=r"nowhere has no model\.json, so it holds no run"):
        load_run(tmp_path / "nowhere")
