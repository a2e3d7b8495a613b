"""The weights that a run starts from: opened once, then remembered in its folder, so that it goes on without them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from skinjax.core.errors import UserError
from skinjax.core.files import write_atomically
from skinjax.core.hashes import digest_of
from skinjax.data.splits.parts import Data
from skinjax.models.pretrained.facts import Facts, facts_of_plain
from skinjax.models.pretrained.fitting import plan
from skinjax.models.pretrained.opening import Pretrained, check_known, open_pretrained, take

RECORD_FILE = "weights.json"
HASH_DIGITS = 12


def hashed_groups(data: Data, part: str) -> list[str]:
    """The groups of a part's images, each as a few hex digits; drawn photographs are nobody else's."""
    groups = np.unique(data.dataset.columns["group"][data.records[part]]).tolist()
    whose = data.dataset.fingerprint if data.dataset.synthetic else ""
    return sorted(digest_of(whose + group)[:HASH_DIGITS] for group in groups)


class StartingWeights:
    """The weights `name` for a run in `workdir` with a registered backbone; hub files lie below `store`.

    At the first start the file is opened and must fit; later ones read `record` from the folder, and open the file
    only if nothing was trained yet.
    """

    def __init__(
        self, name: str, sha256: str, backbone: str, workdir: Path, store: Path, say: Callable[[str], None] = print
    ):
        self.name, self.backbone, self.workdir = name, backbone, workdir
        self._open = lambda: open_pretrained(name, store, sha256, say)
        self._say = say
        self._opened: Pretrained | None = None
        record = self._read_record()
        self.is_new = record is None
        if record is None:
            check_known(backbone, name)
            self._opened = self._open()
            take(self._opened, backbone, plan(backbone).variables)  # what does not fit is told before anything is made
            record = self._opened.record()
            write_atomically(workdir / RECORD_FILE, json.dumps(record, indent=2))
        self.record: dict[str, Any] = record

    @property
    def facts(self) -> Facts:
        """What the weights say of themselves."""
        return facts_of_plain(self.record["facts"], self.workdir / RECORD_FILE)

    def arrays(self, variables: Mapping[str, Any]) -> dict[tuple[str, ...], np.ndarray]:
        """What the file gives the network of these variables (shapes will do), by path."""
        opened = self._opened or self._open()
        if opened.sha256 != self.record["sha256"]:
            raise UserError(
                f"{self.name} is not the file that this run began with: its sha256 is {opened.sha256} and "
                f"{self.workdir / RECORD_FILE} says {self.record['sha256']}; choose another workdir"
            )
        taken = take(opened, self.backbone, dict(variables))
        self._opened = None
        self._say(taken.remark)
        return taken.arrays

    def _read_record(self) -> dict[str, Any] | None:
        path = self.workdir / RECORD_FILE
        if not path.exists():
            return None
        try:
            record = json.loads(path.read_text())
            facts_of_plain(record["facts"], path)
            return {"source": str(record["source"]), "sha256": str(record["sha256"]), **record}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is damaged ({error}): choose another workdir") from error
