"""A run's network as the beginning of another: what is taken, what starts anew, what is refused."""

import json
import re
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from skinjax.core.errors import UserError
from skinjax.data.dataset import Dataset
from skinjax.model import make_method, write_model
from skinjax.runs.starting_weights import StartingWeights, hashed_groups
from tests.test_model import CLASSES, drawn

ORIGIN = {
    "protocol": {"config": "a:b", "config_hash": "01234567", "dataset": "own", "fingerprint": "f"},
    "training_groups": [],
}
ONE = {"backbone": ("head",)}


def held_out(groups, protocol="lesion_grouped", drawn_from="", **more):
    """Data whose test part has these groups."""
    ids = {"image_id": np.array(groups), "group": np.array(groups), "label": np.zeros(len(groups), int)}
    dataset = Dataset("own", ("mel", "nv"), ids, [b""] * len(groups), "f", drawn_from)
    made = {"name": protocol, "fingerprint": "f"}
    records = {"train": np.array([], int), "validation": np.array([], int), "test": np.arange(len(groups))}
    return SimpleNamespace(dataset=dataset, records=records, split=SimpleNamespace(protocol=made | more))


@pytest.fixture
def head():
    return "original"


@pytest.fixture
def parent(tmp_path, head):
    """The folder of a run that was trained on the lesions a and b, and its variables."""
    model = drawn(model={"backbone": "resnet_tiny", "weights": "some.safetensors", "head": head})
    folder = tmp_path / "parent"
    folder.mkdir()
    data = held_out(["a", "b"])
    model.origin.update(ORIGIN, training_groups=hashed_groups(data, data.records["test"]))
    write_model(folder, model)
    return folder, flatten_dict(model.variables)


def starting(folder, tmp_path, backbone="resnet_tiny", say=print):
    workdir = tmp_path / "child"
    workdir.mkdir(exist_ok=True)
    return StartingWeights(str(folder), "", backbone, workdir, tmp_path, say)


def shapes(classes, **changes):
    """The variables of a new method, without their values."""
    model = drawn(**changes)
    method = make_method(model.spec, classes, model.facts)
    return jax.eval_shape(method.init, jax.random.key(0), {"image": np.zeros((1, 20, 24, 3), np.uint8)})


@pytest.mark.parametrize("head", ["original", "concat_pool"])
def test_the_same_classes_take_the_head_too(parent, tmp_path, head):
    told = []
    model = {"backbone": "resnet_tiny", "weights": "x", "head": head}
    arrays = starting(parent[0], tmp_path, say=told.append).arrays(ONE, CLASSES, shapes(CLASSES, model=model))
    assert arrays.keys() == {path for path in parent[1] if path[0] != "constants"}
    for path, array in arrays.items():
        np.testing.assert_array_equal(array, parent[1][path])
    assert told[-1].endswith("are taken: backbone, head")


@pytest.mark.parametrize(
    ("classes", "changes"),
    [
        (("nv", "mel", "bcc"), {}),
        (("mel", "nv"), {}),
        (CLASSES, {"model": {"head": "mlp", "backbone": "resnet_tiny", "weights": "x"}}),
    ],
)
def test_other_classes_in_another_order_or_another_head_start_anew(classes, changes, parent, tmp_path):
    told = []
    arrays = starting(parent[0], tmp_path, say=told.append).arrays(ONE, classes, shapes(classes, **changes))
    assert {path[1] for path in arrays} == {"backbone"}
    assert told[-1].endswith("are taken: backbone; anew: head; left out: head")


def test_an_ensemble_is_nothing_to_start_from(tmp_path):
    folder = tmp_path / "parent"
    folder.mkdir()
    write_model(folder, drawn(members=2))
    with pytest.raises(
        UserError, match=r"parent is of 2 networks, and weights are of one: run its config with evaluat"
    ):
        starting(folder, tmp_path)
    assert not (tmp_path / "child" / "weights.json").exists()


def test_every_trunk_gets_its_arrays_or_it_is_an_error(parent, tmp_path):
    variables = shapes(CLASSES)
    for tree in variables.values():
        tree["tutor"] = tree["backbone"]
    weights = starting(parent[0], tmp_path)
    arrays = weights.arrays({"backbone": ("head",), "tutor": ()}, CLASSES, variables)
    for path, array in arrays.items():
        if path[1] == "tutor":
            np.testing.assert_array_equal(array, parent[1][(path[0], "backbone", *path[2:])])
    assert {path[1] for path in arrays} == {"backbone", "head", "tutor"}
    variables["params"]["tutor"] = {"stem": {"conv": {"kernel": np.zeros((7, 7, 3, 5))}}, "more": {"bias": np.zeros(3)}}
    with pytest.raises(
        UserError, match=r"does not fit this network: 1 is missing \(params/backbone/more/bias\); .* of another shape"
    ):
        weights.arrays({"tutor": ()}, CLASSES, variables)


def test_another_architecture_is_refused_by_name(parent, tmp_path):
    with pytest.raises(
        UserError, match=r"is of a resnet_tiny and model\.backbone is resnet18: use model\.backbone=resnet_tiny"
    ):
        starting(parent[0], tmp_path, backbone="resnet18")


def test_what_is_kept_of_the_parent_serves_without_it(parent, tmp_path):
    first = starting(parent[0], tmp_path)
    assert first.record["parent"] == ORIGIN["protocol"]
    assert first.facts.mean == (0.1, 0.2, 0.3)
    for path in parent[0].iterdir():
        path.unlink()
    again = starting(parent[0], tmp_path)
    assert (again.groups, again.facts, again.is_new) == (first.groups, first.facts, False)
    assert again.record == json.loads(json.dumps(first.record))


def test_lesions_that_the_parent_saw_are_not_held_out(parent, tmp_path):
    told = []
    weights = starting(parent[0], tmp_path, say=told.append)
    weights.check_leak(held_out(["c", "d"]))
    weights.check_leak(held_out(["a", "b"], drawn_from="v1-seed0"))  # another data set's, whatever they are called
    assert (told, "leak_percent" in weights.record) == ([], False)
    for protocol in ("lesion_grouped", "file", "official"):
        with pytest.raises(UserError, match=r"was trained on lesions of 75\.0 % of the test images: split as it did"):
            weights.check_leak(held_out(["a", "b", "b", "d"], protocol))
    for data in (held_out(["a", "c"], "image_stratified"), held_out(["a", "c"], "file", allow_leak=True)):
        weights.check_leak(data)
        assert weights.record["leak_percent"] == {"test": 50.0}
        assert told.pop().startswith("LEAK: the run that left ")


@pytest.mark.parametrize(
    "changes", [{"protocol": []}, {"training_groups": 3}, {"training_groups": None}, {"sha256": "0"}]
)
def test_a_parent_that_was_changed_is_refused(changes, parent, tmp_path):
    path = parent[0] / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(UserError, match=re.escape(f"{path} is damaged")):
        starting(parent[0], tmp_path)
