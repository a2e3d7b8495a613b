"""tools/convert_weights.py, where torch is installed: checkpoints of several shapes, and those that are no data."""

import sys
import zipfile

import pytest

torch = pytest.importorskip("torch", reason="torch is needed to write a checkpoint")

import convert_weights  # noqa: E402

from skinjax.models.pretrained.facts import facts_from_header  # noqa: E402
from skinjax.models.pretrained.files import open_weights  # noqa: E402


def convert(capsys, monkeypatch, *arguments):
    """(status, output, errors) of the tool."""
    monkeypatch.setattr(sys, "argv", ["convert_weights.py", *map(str, arguments)])
    status = convert_weights.main()
    return status, *capsys.readouterr()


WRAPPED = {
    "plain": lambda tensors: tensors,
    "state_dict": lambda tensors: {"state_dict": tensors, "epoch": 3},
    "model": lambda tensors: {"model": tensors},
    "of several devices": lambda tensors: {"model_state_dict": {f"module.{name}": x for name, x in tensors.items()}},
    "compiled, then of several devices": lambda tensors: {f"module._orig_mod.{name}": x for name, x in tensors.items()},
}


@pytest.mark.parametrize("name", WRAPPED)
def test_tensors_keep_their_names_and_numbers(name, capsys, monkeypatch, tmp_path):
    tensors = {"fc.weight": torch.arange(6.0).reshape(2, 3).t(), "n": torch.tensor(7), "h": torch.ones(2).bfloat16()}
    torch.save(WRAPPED[name](tensors), tmp_path / "net.pth")
    source, target = tmp_path / "net.pth", tmp_path / "of" / "the" / "net.safetensors"
    facts = ["--architecture=resnet18", "--mean=0.5,0.5,0.5", "--bn_eps=1e-3", "--padding=same"]
    status, output, errors = convert(capsys, monkeypatch, source, target, *facts)
    assert (status, output, errors) == (0, f"3 tensors of {source} are in {target}\n", "")
    weights = open_weights(target)
    assert weights["fc.weight"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert weights["n"].tolist() == 7
    assert weights["h"].tolist() == [1, 1]
    found = facts_from_header(weights.metadata, target)
    assert (found.architecture, found.mean, found.epsilon, found.padding) == ("resnet18", (0.5,) * 3, 1e-3, "same")


def test_the_names_of_torchvisions_first_densenets(capsys, monkeypatch, tmp_path):
    layer = "features.denseblock1.denselayer10"
    old = {f"{layer}.norm.1.weight": 1, f"{layer}.conv.2.weight": 2, "features.norm5.weight": 3, "norm.1.weight": 4}
    source, target = tmp_path / "net.pth", tmp_path / "net.safetensors"
    torch.save({name: torch.tensor(number) for name, number in old.items()}, source)
    assert convert(capsys, monkeypatch, source, target)[0] == 0
    weights = open_weights(target)
    new = {f"{layer}.norm1.weight": 1, f"{layer}.conv2.weight": 2, "features.norm5.weight": 3, "norm.1.weight": 4}
    assert {name: weights[name].tolist() for name in new} == new
    torch.save({f"{layer}.norm.1.weight": torch.ones(1), f"{layer}.norm1.weight": torch.ones(1)}, source)
    assert convert(capsys, monkeypatch, source, tmp_path / "both.safetensors")[0] == 1


class Program:
    """What runs when a pickle is opened by somebody careless."""

    def __reduce__(self):
        return print, ("you have been had",)


def test_what_is_no_tensors_is_refused_unopened(capsys, monkeypatch, tmp_path):
    source, target = tmp_path / "net.pt", tmp_path / "net.safetensors"
    torch.save({"weight": torch.ones(1), "evil": Program()}, source)
    status, output, errors = convert(capsys, monkeypatch, source, target)
    assert (status, output) == (1, "")
    assert "no checkpoint that holds tensors alone" in errors
    for content in ([1, 2], {"epoch": 3}, {0: torch.ones(1)}, {}):
        torch.save(content, source)
        assert convert(capsys, monkeypatch, source, target)[0] == 1
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("a", "b")
    assert convert(capsys, monkeypatch, source, target)[0] == 1
    status, _, errors = convert(capsys, monkeypatch, tmp_path / "none.pt", target)
    assert (status, errors.count("\n")) == (1, 1)
    assert not target.exists()


ODD = {
    "sparse": ({"a": torch.ones(2).to_sparse()}, "a in {source} is no plain array"),
    "without data": ({"a": torch.ones(2, device="meta")}, "a in {source} is no plain array"),
    "of 8 bits": ({"a": torch.ones(2).to(torch.float8_e4m3fn)}, "a in {source} is no plain array"),
    "conjugated": ({"a": torch.zeros(2, dtype=torch.complex64).conj()}, "a in {source} is no plain array"),
    "complex": ({"a": torch.zeros(2, dtype=torch.complex64)}, "a in {source} holds complex64"),
    "a name of two lines": ({"a\nb": torch.ones(2)}, "{source} calls a tensor 'a\\nb': no network"),
    "a name of the format": ({"__metadata__": torch.ones(2)}, "{source} calls a tensor '__metadata__': no network"),
    "a network": (torch.nn.Linear(1, 1), "not opened: it needs torch.nn.modules.linear.Linear, which is no tensor"),
    "a program": ({"a": Program()}, "not opened: it needs print, which is no tensor"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_no_network_holds_is_one_sentence(name, capsys, monkeypatch, tmp_path):
    content, told = ODD[name]
    source, target = tmp_path / "net.pth", tmp_path / "net.safetensors"
    torch.save(content, source)
    status, output, errors = convert(capsys, monkeypatch, source, target)
    assert (status, output, errors.count("\n"), target.exists()) == (1, "", 1, False)
    assert told.format(source=source) in errors
    assert errors.strip().isprintable()
    assert "weights_only" not in errors


def test_nothing_is_overwritten_and_wrong_facts_are_told(capsys, monkeypatch, tmp_path):
    source, target = tmp_path / "net.pt", tmp_path / "net.safetensors"
    torch.save({"a": torch.ones(1)}, source)
    assert "says std is '0'" in convert(capsys, monkeypatch, source, target, "--std=0")[2]
    target.write_text("mine")
    assert "is there already" in convert(capsys, monkeypatch, source, target)[2]
    assert target.read_text() == "mine"
