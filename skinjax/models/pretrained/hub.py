"""Weights from the Hugging Face hub: fetched once, whole or not at all, and from then on the same bytes.

What is known of a file beforehand (a revision, a sha256) is held to. Where nothing is known the first fetch is trusted:
the hub says its commit and sha256, the bytes must have it, and both are written into a lock beside the file, which
every later use is checked against.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from skinjax.core.errors import UserError
from skinjax.core.files import check_room, human_bytes, write_atomically
from skinjax.models.pretrained.facts import CONFIG_FILE, MOST_CONFIG_BYTES
from skinjax.models.pretrained.files import check_sha256, sha256_of

WEIGHTS_FILE, LOCK_FILE, INCOMING = "model.safetensors", "model.safetensors.lock", ".incoming"
REPOSITORY = re.compile(r"(?:hf[-_]hub:)?([\w-][\w.-]*/[\w-][\w.-]*)(?:@([0-9a-f]{40}))?")
SHA256 = re.compile(r"[0-9a-f]{64}")
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class HubId:
    """A repository of the hub, and the commit of it that is wanted if one was named."""

    repository: str
    revision: str = ""

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision}" if self.revision else self.repository

    def folder(self, root: Path) -> Path:
        """Where its files lie below the folder of all weights."""
        return root / str(self)


@dataclasses.dataclass(frozen=True)
class Lock:
    """What a file was when it was first used: the commit it came from ('' if it was put there by hand), its bytes."""

    revision: str
    sha256: str
    size: int


def parse_hub_id(name: str) -> HubId | None:
    """`timm/NAME`, `hf-hub:timm/NAME` or either with `@COMMIT`; None for what is no such id."""
    match = REPOSITORY.fullmatch(name)
    return HubId(match[1], match[2] or "") if match and ".." not in name else None


def fetch(hub_id: HubId, root: Path, revision: str, claims: Mapping[str, str], say: Say) -> Lock:
    """The file of `hub_id` in its folder below `root`, fetched unless it is there; returns what it is.

    revision: the commit to fetch, or '' for the one of the lock, else the newest; claims: {who says it: sha256}, all of
    which the bytes must have
    """
    folder = hub_id.folder(root)
    if (folder / WEIGHTS_FILE).is_file():
        return _checked(folder, claims, say)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _held(folder):
            if not (folder / WEIGHTS_FILE).is_file():
                _download(hub_id, folder, revision or _read_lock(folder).revision, claims, say)
    except OSError as error:
        where = error.filename or folder
        raise UserError(f"cannot write {where}: {error.strerror or error}; nothing half-fetched is used") from error
    return _checked(folder, claims, say)


def is_cached(hub_id: HubId, root: Path) -> bool:
    """Whether its file is there."""
    return (hub_id.folder(root) / WEIGHTS_FILE).is_file()


def _checked(folder: Path, claims: Mapping[str, str], say: Say) -> Lock:
    """What the file in `folder` is, after checks; one that was put there by hand gets its lock."""
    path, lock = folder / WEIGHTS_FILE, _read_lock(folder)
    found = sha256_of(path)
    for says, expected in {**claims, str(folder / LOCK_FILE): lock.sha256}.items():
        if expected and found != expected:
            check_sha256(path, expected, says)
    if lock.sha256:
        return lock
    lock = Lock("", found, path.stat().st_size)
    with contextlib.suppress(OSError):  # a folder that others keep may be read only
        _write_lock(folder, lock)
        say(f"{path} is used for the first time: sha256 {found}, which later uses are checked against")
    return lock


def _download(hub_id: HubId, folder: Path, revision: str, claims: Mapping[str, str], say: Say) -> None:
    """Bring weights and config.json of one commit into `folder`, whose lock is written before they appear."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or None
    with _explained(hub_id, folder, revision):
        url = hf_hub_url(hub_id.repository, WEIGHTS_FILE, revision=revision or None, endpoint=endpoint)
        remote = get_hf_file_metadata(url, endpoint=endpoint)
    commit, size = remote.commit_hash or "", remote.size or 0
    announced = remote.etag if SHA256.fullmatch(remote.etag or "") else ""
    expected = {**claims, "the hub": announced or "", str(folder / LOCK_FILE): _read_lock(folder).sha256}
    check_room(folder, size, f"the weights of {hub_id}")
    say(f"fetching {hub_id} ({human_bytes(size)}) from {url.partition(f'/{hub_id.repository}/')[0]}, commit {commit}")
    incoming = folder / INCOMING
    with _explained(hub_id, folder, revision):
        wanted: dict[str, Any] = {"revision": commit, "local_dir": incoming, "endpoint": endpoint}
        path = Path(hf_hub_download(hub_id.repository, WEIGHTS_FILE, **wanted))
        config = _download_config(hub_id, wanted)
    found = sha256_of(path)
    wrong = {says: sha256 for says, sha256 in expected.items() if sha256 and sha256 != found}
    if wrong:
        shutil.rmtree(incoming)
        (says, sha256), *_ = wrong.items()
        raise UserError(
            f"what came for {hub_id} has the sha256 {found} and {says} says {sha256}: nothing of it is kept; try "
            "again, and if the same comes ask who says so"
        )
    _write_lock(folder, Lock(commit, found, path.stat().st_size))
    if config:
        os.replace(config, folder / CONFIG_FILE)
    os.replace(path, folder / WEIGHTS_FILE)
    shutil.rmtree(incoming, ignore_errors=True)
    trusted = "" if any(claims.values()) else ", taken on trust this first time; later uses are checked against it"
    say(f"kept in {folder / WEIGHTS_FILE}: commit {commit}, sha256 {found}{trusted}")


def _download_config(hub_id: HubId, wanted: Mapping[str, Any]) -> Path | None:
    """timm's config.json of the same commit, if there is one of a sensible size."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        path = Path(hf_hub_download(hub_id.repository, CONFIG_FILE, **wanted))
    except EntryNotFoundError:
        return None
    return path if path.stat().st_size <= MOST_CONFIG_BYTES else None


@contextlib.contextmanager
def _explained(hub_id: HubId, folder: Path, revision: str) -> Iterator[None]:
    """What goes wrong between here and the hub, in one sentence that says what to do."""
    from huggingface_hub import constants, errors

    host = os.environ.get("HF_ENDPOINT", "").rstrip("/") or constants.ENDPOINT
    page = f"{host}/{hub_id.repository}"
    by_hand = (
        f"get {page}/resolve/{revision or 'main'}/{WEIGHTS_FILE} (and {CONFIG_FILE} beside it) on another machine and "
        f"put it at {folder / WEIGHTS_FILE}"
    )
    try:
        yield
    except errors.GatedRepoError as error:
        raise UserError(
            f"{page} is open to those only who accepted its terms: accept them there, then {by_hand}"
        ) from (error)
    except errors.RepositoryNotFoundError as error:
        raise UserError(
            f"there is no repository {hub_id.repository} on {host}, or it is private, and no file of that name here; "
            "`skinjax weights list` has the usual ones"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UserError(f"{page} has no commit {revision or hub_id.revision}: leave it out, or name another") from error
    except errors.EntryNotFoundError as error:
        raise UserError(
            f"{page} holds no {WEIGHTS_FILE}: if it has a file of PyTorch's, get that and convert it with "
            f"`python tools/convert_weights.py FILE {folder / WEIGHTS_FILE}`"
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise UserError(f"{hub_id} is not here and HF_HUB_OFFLINE forbids to fetch it: {by_hand}") from error
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "an error")
        raise UserError(f"{host} answered {status} for {hub_id}: try again later, or {by_hand}") from error
    except OSError as error:
        if error.filename or error.errno:  # the disk, not the network
            raise
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{hub_id} did not come whole ({reason}): try again, or {by_hand}") from error
    except Exception as error:  # the client raises what its HTTP library does, which differs between its versions
        reason = (" ".join(str(error).split()) or type(error).__name__)[:200]
        raise UserError(f"{host} cannot be reached for {hub_id} ({reason}): {by_hand}") from error


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Only one process fetches into a folder; the others wait and find the file."""
    with open(folder / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read_lock(folder: Path) -> Lock:
    path = folder / LOCK_FILE
    try:
        if not path.exists():
            return Lock("", "", 0)
        said = json.loads(path.read_text())
        lock = Lock(said["revision"], said["sha256"], said["size"])
        if not SHA256.fullmatch(lock.sha256) or not re.fullmatch(r"([0-9a-f]{40})?", lock.revision):
            raise ValueError("it holds no sha256")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be read ({error}): delete the folder {folder} to fetch it again") from error
    return lock


def _write_lock(folder: Path, lock: Lock) -> None:
    write_atomically(folder / LOCK_FILE, json.dumps(dataclasses.asdict(lock), indent=2))
