"""Weights from the Hugging Face hub, by its own client and in its cache: fetched once, checked at every use.

What is known of a file beforehand (a commit, a sha256) is held to. Where nothing is known the first fetch is trusted:
the cache keeps which commit it was and names the bytes by the sha256 that the hub announced, and later uses are held to
both. A file in the folder `hub_id.folder(root)`, put there by hand, comes before the cache.
"""

import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from skinjax.core.errors import Print, UserError
from skinjax.models.pretrained.facts import CONFIG_FILE
from skinjax.models.pretrained.files import WEIGHTS_FILE, check_sha256

REPOSITORY = re.compile(r"(?:hf[-_]hub:)?([\w-][\w.-]*/[\w-][\w.-]*)(?:@([0-9a-f]{40}))?")
SHA256 = re.compile(r"[0-9a-f]{64}")


class HubId(NamedTuple):
    """A repository of the hub, and the commit of it that is wanted if one was named."""

    repository: str
    revision: str = ""

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision}" if self.revision else self.repository

    def folder(self, root: Path) -> Path:
        """Where a file put there by hand lies below the folder of all weights."""
        return root / str(self)


class Fetched(NamedTuple):
    """A file of weights: where it is, the commit it came from ('' if it was put there by hand), and its digest."""

    path: Path
    revision: str
    sha256: str


def parse_hub_id(name: str) -> HubId | None:
    """`timm/NAME`, `hf-hub:timm/NAME` or either with `@COMMIT`; None for what is no such id."""
    match = REPOSITORY.fullmatch(name)
    return HubId(match[1], match[2] or "") if match and ".." not in name else None


def fetch(hub_id: HubId, root: Path, revision: str, claims: Mapping[str, str], say: Print) -> Fetched:
    """The file of `hub_id` below `root`, fetched unless it is there, and checked.

    revision: the commit to fetch, or '' for the newest one of the first fetch; claims: {who says it: sha256}, all of
    which the bytes must have
    """
    try:
        found = find(hub_id, root, revision)
        path = found or _download(hub_id, root, revision, say)
    except Exception as error:  # the client raises what its HTTP library does, which differs between its versions
        raise UserError(_explain(error, hub_id, root, revision)) from error
    if path.parent == hub_id.folder(root):
        return Fetched(path, "", check_sha256(path, claims))
    announced = Path(os.readlink(path)).name if path.is_symlink() else ""  # some file systems have no links
    claims = {**claims, "the hub": announced if SHA256.fullmatch(announced) else ""}
    sha256 = check_sha256(path, claims, f"delete {path.parents[2]} to fetch it again")
    if not found:
        say(f"kept in {path}: sha256 {sha256}, which later uses are checked against")
    return Fetched(path, path.parent.name, sha256)


def find(hub_id: HubId, root: Path, revision: str) -> Path | None:
    """The file if it is here, put there by hand or fetched earlier."""
    from huggingface_hub import try_to_load_from_cache

    by_hand = hub_id.folder(root) / WEIGHTS_FILE
    if by_hand.is_file():
        return by_hand
    cached = try_to_load_from_cache(hub_id.repository, WEIGHTS_FILE, root, revision or None)
    return Path(cached) if isinstance(cached, str) else None


def _download(hub_id: HubId, root: Path, revision: str, say: Print) -> Path:
    """Weights and timm's config.json, if there is one, of the same commit."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    def get(name: str, commit: str) -> Path:
        return Path(hf_hub_download(hub_id.repository, name, revision=commit or None, cache_dir=root, endpoint=_host()))

    say(f"fetching {hub_id} from {_host()}, {f'commit {revision}' if revision else 'its newest commit'}")
    with contextlib.suppress(RemoteEntryNotFoundError):
        revision = get(CONFIG_FILE, revision).parent.name  # first, so that a kill leaves no weights without it
    return get(WEIGHTS_FILE, revision)


def _host() -> str:
    from huggingface_hub import constants

    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or constants.ENDPOINT


def _explain(error: Exception, hub_id: HubId, root: Path, revision: str) -> str:
    """Explain in one sentence what went wrong between here and the hub, and what to do."""
    from huggingface_hub import errors

    page, place = f"{_host()}/{hub_id.repository}", hub_id.folder(root) / WEIGHTS_FILE
    by_hand = (
        f"get {page}/resolve/{revision or 'main'}/{WEIGHTS_FILE} (and {CONFIG_FILE} beside it) on another machine and "
        f"put it at {place}"
    )
    match error:
        case errors.GatedRepoError():
            return f"{page} is open only to those who accepted its terms: accept them there, then {by_hand}"
        case errors.RepositoryNotFoundError():
            return (
                f"there is no repository {hub_id.repository} on {_host()}, or it is private, and no file of that name "
                "here; `skinjax weights list` has the usual ones"
            )
        case errors.RevisionNotFoundError():
            return f"{page} has no commit {revision}: leave it out, or name another"
        case errors.RemoteEntryNotFoundError():
            return (
                f"{page} holds no {WEIGHTS_FILE}: if it has a file of PyTorch's, get that and convert it with "
                f"`python tools/convert_weights.py FILE {place}`"
            )
        case OSError(errno=int()):  # the disk, not the network
            return f"cannot write {error.filename or root}: {error.strerror}; make room or use another --data_dir"
    reason = " ".join(str(error.__cause__ or error).split())[:200] or type(error).__name__
    return f"{hub_id} is not here and cannot be fetched from {_host()} ({reason}): {by_hand}"
