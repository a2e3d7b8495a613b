"""Weights of the hub, by the real client from a server of our own: whole and as announced, or not at all."""

import hashlib
import json

import pytest
from huggingface_hub import constants, file_download

from skinjax.core.errors import UserError
from skinjax.models.pretrained.hub import HubId, Lock, fetch, parse_hub_id
from tests.hub import COMMIT, OTHER_COMMIT, serve

NAME = "timm/net.tag"
WEIGHTS = b"the weights, all of them" * 1000
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
OTHER_SHA256 = hashlib.sha256(b"others").hexdigest()
CONFIG = b'{"architecture": "net"}'


@pytest.fixture
def hub(monkeypatch):
    """A hub with one repository of two commits, which the client asks."""
    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)
    with serve() as (hub, address):
        monkeypatch.setenv("HF_ENDPOINT", address)
        hub.files = {
            (NAME, COMMIT, "model.safetensors"): WEIGHTS,
            (NAME, COMMIT, "config.json"): CONFIG,
            (NAME, OTHER_COMMIT, "model.safetensors"): b"others",
        }
        yield hub


def get(folder, name=NAME, revision="", said=None, **claims):
    """Fetch into `folder`; what is printed is kept in `said`."""
    return fetch(parse_hub_id(name), folder, revision, claims, (said if said is not None else []).append)


def files(folder):
    """What lies in a folder, but for what locks it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - {".lock"}


def test_ids():
    assert parse_hub_id("timm/resnet50.a1_in1k") == HubId("timm/resnet50.a1_in1k")
    assert parse_hub_id("hf-hub:timm/resnet50.a1_in1k") == HubId("timm/resnet50.a1_in1k")
    assert parse_hub_id(f"timm/x@{COMMIT}") == HubId("timm/x", COMMIT)
    for name in ("resnet50", "a/b/c", "timm/x@main", "../x", "timm/..", "timm/x y", "/a/b", "~/x", "."):
        assert parse_hub_id(name) is None, name


def test_the_first_fetch_is_trusted_and_remembered(hub, tmp_path):
    said = []
    assert get(tmp_path, said=said) == Lock(COMMIT, SHA256, len(WEIGHTS))
    folder = tmp_path / NAME
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert (folder / "config.json").read_bytes() == CONFIG
    assert json.loads((folder / "model.safetensors.lock").read_text())["sha256"] == SHA256
    assert files(folder) == {"model.safetensors", "model.safetensors.lock", "config.json"}
    assert said[0].startswith(f"fetching {NAME} (24 kB) from http://127.0.0.1")
    assert said[1] == (
        f"kept in {folder / 'model.safetensors'}: commit {COMMIT}, sha256 {SHA256}, taken on trust this first time; "
        "later uses are checked against it"
    )


def test_later_uses_ask_nobody_and_are_checked(hub, tmp_path):
    lock = get(tmp_path)
    asked = len(hub.requests)
    assert get(tmp_path, revision=lock.revision) == lock
    assert len(hub.requests) == asked
    path = tmp_path / NAME / "model.safetensors"
    path.write_bytes(WEIGHTS[:-1] + b"x")
    with pytest.raises(UserError, match=rf"{path} has the sha256 \w+ and {path}.lock says {SHA256}"):
        get(tmp_path)


def test_a_lost_file_is_fetched_again_as_it_was(hub, tmp_path):
    get(tmp_path)
    (tmp_path / NAME / "model.safetensors").unlink()
    hub.main = OTHER_COMMIT
    assert get(tmp_path).revision == COMMIT
    assert any(f"/resolve/{COMMIT}/model.safetensors" in request for request in hub.requests)


def test_a_commit_has_a_folder_of_its_own(hub, tmp_path):
    get(tmp_path)
    assert get(tmp_path, f"{NAME}@{OTHER_COMMIT}", OTHER_COMMIT) == Lock(OTHER_COMMIT, OTHER_SHA256, 6)
    assert (tmp_path / f"{NAME}@{OTHER_COMMIT}" / "model.safetensors").read_bytes() == b"others"
    assert not (tmp_path / f"{NAME}@{OTHER_COMMIT}" / "config.json").exists()


def test_what_the_table_or_the_config_says_wins(hub, tmp_path):
    said = []
    assert get(tmp_path, said=said, revision=COMMIT, table=SHA256).sha256 == SHA256
    assert "on trust" not in said[1]
    with pytest.raises(UserError, match=f"and config says {OTHER_SHA256}"):
        get(tmp_path, config=OTHER_SHA256)


@pytest.mark.parametrize("claims", [{"table": OTHER_SHA256}, {}])
def test_other_bytes_than_announced_are_thrown_away(claims, hub, tmp_path):
    hub.wrong_sha256 = "" if claims else OTHER_SHA256
    with pytest.raises(UserError, match=f"sha256 {SHA256} and {'table' if claims else 'the hub'} says {OTHER_SHA256}"):
        get(tmp_path, **claims)
    assert files(tmp_path / NAME) == set()


def test_a_body_that_ends_early_is_no_file(hub, tmp_path):
    hub.short = 1000
    with pytest.raises(UserError, match=r"put it at .*model.safetensors"):
        get(tmp_path)
    assert not (tmp_path / NAME / "model.safetensors").exists()
    hub.short = None
    assert get(tmp_path).sha256 == SHA256


def test_a_fetch_that_was_killed_leaves_nothing_that_is_used(hub, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("skinjax.models.pretrained.hub._write_lock", killed)
        with pytest.raises(KeyboardInterrupt):
            get(tmp_path)
    assert not (tmp_path / NAME / "model.safetensors").exists()
    partial = tmp_path / NAME / ".incoming" / "model.safetensors"
    partial.write_bytes(WEIGHTS[:100])  # and on a disk that lost the rest of it
    with pytest.raises(UserError, match="nothing of it is kept"):
        get(tmp_path)
    assert get(tmp_path).sha256 == SHA256


MISTAKES = {
    "an unknown repository": ({"name": "timm/none.tag"}, "there is no repository timm/none.tag on http"),
    "an unknown commit": ({"revision": "c" * 40}, f"has no commit {'c' * 40}"),
    "a repository without safetensors": ({"name": "timm/old.tag"}, "holds no model.safetensors: if it has a file of"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_the_hub_does_not_have_is_told(name, hub, tmp_path):
    arguments, told = MISTAKES[name]
    hub.files["timm/old.tag", COMMIT, "pytorch_model.bin"] = b"pickle"
    with pytest.raises(UserError, match=told) as caught:
        get(tmp_path, **arguments)
    assert "\n" not in str(caught.value)


def by_hand(folder, host="http"):
    """What a person is told to do without the hub."""
    return rf"get {host}\S+/{NAME}/resolve/main/model.safetensors .* put it at {folder / NAME / 'model.safetensors'}"


def test_a_hub_that_is_ill_is_told(hub, tmp_path):
    hub.status = 503
    with pytest.raises(UserError, match="answered 503 for timm/net.tag: try again later, or " + by_hand(tmp_path)):
        get(tmp_path)


def test_without_a_network_one_is_told_which_file_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    with pytest.raises(UserError, match=r"cannot be reached for timm/net.tag \(.*\): " + by_hand(tmp_path)):
        get(tmp_path)
    monkeypatch.delenv("HF_ENDPOINT")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE forbids to fetch it: " + by_hand(tmp_path, "https")):
        get(tmp_path)
    path = tmp_path / NAME / "model.safetensors"
    path.write_bytes(WEIGHTS)
    said = []
    assert get(tmp_path, said=said) == Lock("", SHA256, len(WEIGHTS))
    assert said == [f"{path} is used for the first time: sha256 {SHA256}, which later uses are checked against"]


@pytest.mark.parametrize("content", ["{", "[]", '{"revision": "", "sha256": "1", "size": 1}', "null"])
def test_a_damaged_lock_is_told(content, hub, tmp_path):
    get(tmp_path)
    (tmp_path / NAME / "model.safetensors.lock").write_text(content)
    with pytest.raises(UserError, match=r"model.safetensors.lock cannot be read .* delete the folder"):
        get(tmp_path)
