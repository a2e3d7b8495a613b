"""Files of weights, good and hostile: each mistake is one sentence, and nothing is read that was not asked for."""

import io
import json
import os
import struct
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save

from skinjax.core.errors import UserError
from skinjax.models.pretrained.files import check_sha256, open_weights

ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def file_of(header, data=b"\0\0\0\0", length=None):
    """The bytes of a file with this header (a dict or bytes) and data."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def zipped(name):
    """The bytes of a zip archive with one file."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(name, "")
    return archive.getvalue()


def test_tensors_are_read_by_name(tmp_path):
    path = tmp_path / "some.safetensors"
    path.write_bytes(save({"a.weight": np.arange(6.0).reshape(2, 3), "n": np.array(7)}, {"mean": "0.5,0.5,0.5"}))
    weights = open_weights(path)
    assert sorted(weights) == ["a.weight", "n"]
    assert weights.metadata == {"mean": "0.5,0.5,0.5"}
    assert weights.shapes == {"a.weight": (2, 3), "n": ()}
    np.testing.assert_array_equal(weights["a.weight"], [[0, 1, 2], [3, 4, 5]])
    with pytest.raises(KeyError):
        weights["b"]


def test_bfloat16_is_read(tmp_path):
    header = {"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}
    (tmp_path / "x.safetensors").write_bytes(file_of(header, b"\x80\x3f\x00\xc0"))
    assert open_weights(tmp_path / "x.safetensors")["a"].astype(np.float32).tolist() == [1.0, -2.0]


HOSTILE = {
    "nothing": (b"", "is empty"),
    "no header": (b"12345678 and more", "no safetensors file"),
    "a web page": (b"<!DOCTYPE html><html>404</html>", "is a web page"),
    "a web page after blanks": (b"\n\n<html lang=en>", "is a web page"),
    "an LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "git lfs pull"),
    "a zip": (b"PK\x03\x04\0\0\0\0\0\0\0\0\0\0", "python tools/convert_weights.py"),
    "a pickle": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P", "python tools/convert_weights.py"),
    "a zip of something else": (zipped("model.txt"), "is a zip archive: unpack it first"),
    "a checkpoint under this name": (zipped("net/data.pkl"), "/model_converted.safetensors`"),
    "gzip": (b"\x1f\x8b\x08\0\0\0\0\0\0\0", "unpack it first"),
    "a header of 4 exabytes": (file_of({"a": ONE}, length=2**62), "header too large"),
    "a header beyond the limit": (file_of({"a": ONE}, length=2**24), "invalid header length"),
    "a header cut short": (file_of({"a": ONE}, b"", length=1000), "invalid header length"),
    "no JSON": (file_of(b'{"a": '), "EOF while parsing"),
    "deep JSON": (file_of(b'{"a":' + b"[" * 100_000), "no intact safetensors file"),
    "data cut short": (file_of({"a": ONE}, b"\0\0"), "it is cut short"),
    "data too long": (file_of({"a": ONE}, b"\0" * 8), "longer than its tensors"),
    "overlap": (file_of({"a": ONE, "b": ONE}), "invalid offset"),
    "out of range": (file_of({"a": {**ONE, "data_offsets": [0, 2**40]}}), "no intact safetensors file"),
    "negative shape": (file_of({"a": {**ONE, "shape": [-1]}}), "no intact safetensors file"),
    "shape and bytes differ": (file_of({"a": {**ONE, "shape": [3]}}), "no intact safetensors file"),
    "unknown type": (file_of({"a": {**ONE, "dtype": "F33"}}), "no intact safetensors file"),
    "a type that numpy lacks": (file_of({"a": {**ONE, "dtype": "F8_E4M3", "shape": [4]}}), "of type F8_E4M3"),
    "metadata that are no text": (file_of({"__metadata__": {"a": 1}, "a": ONE}), "no intact safetensors file"),
    "a name of two lines": (file_of({"a\nerror: b": ONE}), "holds a tensor of the name 'a\\nerror: b'"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_sentence(name, tmp_path):
    content, told = HOSTILE[name]
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        open_weights(path)
    assert told in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", [".pth", ".pt", ".bin", ".ckpt"])
def test_what_pytorch_writes_is_refused_by_its_name_with_the_command_that_converts_it(ending, tmp_path):
    path = tmp_path / f"resnet50{ending}"
    path.write_bytes(b"anything")
    target = path.with_suffix(".safetensors")
    with pytest.raises(UserError, match=f"`python tools/convert_weights.py {path} {target}`"):
        open_weights(path)


def test_the_command_that_converts_takes_a_path_with_blanks(tmp_path):
    (tmp_path / "my net.pth").touch()
    with pytest.raises(UserError, match=f" '{tmp_path}/my net.pth' '{tmp_path}/my net.safetensors'`"):
        open_weights(tmp_path / "my net.pth")


def test_what_is_no_file_is_told(tmp_path):
    with pytest.raises(UserError, match=r"there is no file of weights .*none\.safetensors"):
        open_weights(tmp_path / "none.safetensors")
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(UserError, match=r"is a folder \(model.safetensors is in it\)"):
        open_weights(tmp_path)
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(UserError, match="device, pipe or socket"):
        open_weights(tmp_path / "pipe.safetensors")


def test_other_bytes_than_expected_are_told(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert check_sha256(path, {"nobody": ""}) == check_sha256(path, {"the config": digest}) == digest
    with pytest.raises(UserError, match=f"has the sha256 {digest} and the config says 00"):
        check_sha256(path, {"nobody": "", "the config": "00" * 32})
