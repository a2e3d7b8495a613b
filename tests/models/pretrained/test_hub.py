"""Weights of the hub, by the real client from a server of our own: whole and as announced, or not at all."""

import hashlib

import pytest
from huggingface_hub import constants, file_download

from skinjax.core.errors import UserError
from skinjax.models.pretrained.hub import Fetched, HubId, fetch, find, parse_hub_id
from tests.hub import COMMIT, OTHER_COMMIT, serve

NAME = "timm/net.tag"
WEIGHTS = b"the weights, all of them" * 1000
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()
OTHER_SHA256 = hashlib.sha256(b"others").hexdigest()
CACHE = "models--timm--net.tag"
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


def test_ids():
    assert parse_hub_id("timm/resnet50.a1_in1k") == HubId("timm/resnet50.a1_in1k")
    assert parse_hub_id("hf-hub:timm/resnet50.a1_in1k") == HubId("timm/resnet50.a1_in1k")
    assert parse_hub_id(f"timm/x@{COMMIT}") == HubId("timm/x", COMMIT)
    for name in ("resnet50", "a/b/c", "timm/x@main", "../x", "timm/..", "timm/x y", "/a/b", "~/x", "."):
        assert parse_hub_id(name) is None, name


def test_the_first_fetch_is_trusted_and_later_uses_ask_nobody(hub, tmp_path):
    said = []
    fetched = get(tmp_path, said=said)
    path = tmp_path / CACHE / "snapshots" / COMMIT / "model.safetensors"
    assert fetched == Fetched(path, COMMIT, SHA256)
    assert path.read_bytes() == WEIGHTS
    assert (path.parent / "config.json").read_bytes() == CONFIG
    assert said[0].startswith(f"fetching {NAME} from http://127.0.0.1")
    assert said[1:] == [f"kept in {path}: sha256 {SHA256}, which later uses are checked against"]
    hub.main, asked = OTHER_COMMIT, len(hub.requests)
    assert get(tmp_path, said=said) == fetched
    assert (len(hub.requests), len(said)) == (asked, 2)


def test_bytes_that_changed_on_the_disk_are_refused(hub, tmp_path):
    path = get(tmp_path).path
    path.write_bytes(WEIGHTS[:-1] + b"x")
    told = rf"{path} has the sha256 \w+ and the hub says {SHA256}: .* delete {tmp_path / CACHE} to fetch it again$"
    with pytest.raises(UserError, match=told):
        get(tmp_path)


def test_a_commit_that_is_named_is_fetched_and_has_its_own_file(hub, tmp_path):
    get(tmp_path)
    other = get(tmp_path, f"{NAME}@{OTHER_COMMIT}", OTHER_COMMIT)
    assert (other.revision, other.sha256, other.path.read_bytes()) == (OTHER_COMMIT, OTHER_SHA256, b"others")
    assert not (other.path.parent / "config.json").exists()
    assert get(tmp_path).revision == COMMIT


def test_a_file_that_was_put_there_by_hand_comes_first(hub, tmp_path):
    get(tmp_path)
    path = tmp_path / NAME / "model.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"others")
    assert get(tmp_path) == Fetched(path, "", OTHER_SHA256)
    with pytest.raises(UserError, match=f"{path} has the sha256 {OTHER_SHA256} and table says {SHA256}: .* delete it"):
        get(tmp_path, table=SHA256)


def test_what_the_table_or_the_config_says_wins(hub, tmp_path):
    assert get(tmp_path, revision=COMMIT, table=SHA256).sha256 == SHA256
    with pytest.raises(UserError, match=f"and config says {OTHER_SHA256}"):
        get(tmp_path, revision=COMMIT, config=OTHER_SHA256)


def test_other_bytes_than_the_hub_announced_are_refused(hub, tmp_path):
    hub.wrong_sha256 = OTHER_SHA256
    for _ in range(2):
        with pytest.raises(UserError, match=f"has the sha256 {SHA256} and the hub says {OTHER_SHA256}"):
            get(tmp_path)


def test_weights_that_end_early_are_no_file_and_come_after_their_config(hub, tmp_path):
    hub.short = 1000
    with pytest.raises(UserError, match=r"cannot be fetched from http.*put it at .*model.safetensors"):
        get(tmp_path)
    assert find(parse_hub_id(NAME), tmp_path, "") is None
    assert (tmp_path / CACHE / "snapshots" / COMMIT / "config.json").read_bytes() == CONFIG
    hub.short = None
    assert get(tmp_path).sha256 == SHA256


def test_a_folder_that_cannot_be_written_is_told(hub, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=rf"^cannot write {tmp_path}/file\S*: .*; make room or use another --data_dir$"):
        get(tmp_path / "file")


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
    return rf"get {host}\S+/{NAME}/resolve/main/model.safetensors .* put it at {folder / NAME / 'model.safetensors'}$"


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        ((503, ""), r"is not here and cannot be fetched from http\S+ \(.*503.*\): "),
        ((403, "GatedRepo"), "is open only to those who accepted its terms: accept them there, then "),
    ],
)
def test_a_hub_that_is_ill_or_wants_a_promise_is_told(refusal, told, hub, tmp_path):
    hub.refusal = refusal
    with pytest.raises(UserError, match=rf"net.tag {told}{by_hand(tmp_path)}") as caught:
        get(tmp_path)
    assert "\n" not in str(caught.value)


def test_without_a_network_one_is_told_which_file_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setattr(file_download.time, "sleep", lambda seconds: None)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # where nobody listens
    with pytest.raises(UserError, match=rf"cannot be fetched from \S+:9 \(.+\): {by_hand(tmp_path)}"):
        get(tmp_path)
    monkeypatch.delenv("HF_ENDPOINT")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match=rf"\(.*HF_HUB_OFFLINE.*\): {by_hand(tmp_path, 'https')}"):
        get(tmp_path)
    path = tmp_path / NAME / "model.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(WEIGHTS)
    assert get(tmp_path) == Fetched(path, "", SHA256)
