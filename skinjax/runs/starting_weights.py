"""The weights that a run starts from: opened once, then remembered in its folder, so that it goes on without them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skinjax.core.errors import Print, UserError
from skinjax.core.files import write_atomically
from skinjax.core.hashes import digest_of
from skinjax.data.splits.parts import Data
from skinjax.data.splits.split import LEAK_IS_AN_ERROR, PARTS
from skinjax.model import read_record
from skinjax.models.pretrained.facts import Facts, facts_from_json
from skinjax.models.pretrained.files import MODEL_FILE
from skinjax.models.pretrained.fitting import plan
from skinjax.models.pretrained.opening import Pretrained, check_known, open_pretrained, starting_arrays

RECORD_FILE = "weights.json"
HASH_DIGITS = 12


def hashed_groups(data: Data, records: np.ndarray) -> list[str]:
    """The whole name of each record's group as a few hex digits."""
    return [digest_of(group)[:HASH_DIGITS] for group in data.dataset.whole_names("group", records).tolist()]


class StartingWeights:
    """The weights `name` for a run in `workdir` with a registered backbone; hub files lie below `store`.

    At the first start the file is opened and must fit; later ones read `record` from the folder, and open the file
    only if nothing was trained yet.
    """

    def __init__(self, name: str, sha256: str, backbone: str, workdir: Path, store: Path, say: Print = print):
        self.name, self.backbone, self.workdir = name, backbone, workdir
        self._open = lambda: open_pretrained(name, store, sha256, say)
        self._say = say
        self._opened: Pretrained | None = None
        record = self._read_record()
        self.is_new = record is None
        if record is None:
            check_known(backbone, name)
            self._opened = self._open()
            record = self._opened.record() | (parent_record(self._opened) if self._opened.from_run else {})
            starting_arrays(self._opened, backbone, plan(backbone).variables)  # refused before anything is made
            write_atomically(workdir / RECORD_FILE, json.dumps(record, indent=2))
        self.groups = set(record.pop("training_groups", ()))  # which the run that left the weights was trained on
        self.record: dict[str, Any] = record

    @property
    def facts(self) -> Facts:
        """The facts that the weights state."""
        return facts_from_json(self.record["facts"], self.workdir / RECORD_FILE)

    def check_leak(self, data: Data) -> None:
        """Refuse weights of a run that was trained on what is held out now; where that is allowed, say and note it."""
        if not self.groups:
            return
        seen = {part: np.isin(hashed_groups(data, data.records[part]), list(self.groups)) for part in PARTS[1:]}
        percent = {part: round(100 * float(found.mean()), 2) for part, found in seen.items() if found.any()}
        leaked = " and ".join(f"{share:.1f} % of the {part} images" for part, share in percent.items())
        protocol = data.split.protocol
        if leaked and LEAK_IS_AN_ERROR[protocol["name"]] and not protocol.get("allow_leak"):
            raise UserError(
                f"the run that left {self.name} was trained on lesions of {leaked}: split as it did (with its "
                "protocol, seed and fold), start from other weights, or give other lesions of the same "
                "names a column `group`"
            )
        if leaked:
            self._say(f"LEAK: the run that left {self.name} was trained on lesions of {leaked}")
            self.record["leak_percent"] = percent

    def arrays(
        self, trunks: Mapping[str, Sequence[str]], classes: Sequence[str], variables: Mapping[str, Any]
    ) -> dict[tuple[str, ...], np.ndarray]:
        """The file's arrays for the trunks among these variables (shapes will do), by path."""
        opened = self._opened or self._open()
        if opened.sha256 != self.record["sha256"]:
            raise UserError(
                f"{self.name} is not the file that this run began with: its sha256 is {opened.sha256} and "
                f"{self.workdir / RECORD_FILE} says {self.record['sha256']}; choose another workdir"
            )
        taken = starting_arrays(opened, self.backbone, dict(variables), trunks, classes)
        self._opened = None
        self._say(taken.remark)
        return taken.arrays

    def _read_record(self) -> dict[str, Any] | None:
        path = self.workdir / RECORD_FILE
        if not path.exists():
            return None
        try:
            record = json.loads(path.read_text())
            facts_from_json(record["facts"], path)
            return {"source": str(record["source"]), "sha256": str(record["sha256"]), **record}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is damaged ({error}): choose another workdir") from error


def parent_record(weights: Pretrained) -> dict[str, Any]:
    """What is recorded of the run that wrote the weights: which it was, and the groups that it was trained on."""
    path = weights.file.path.parent / MODEL_FILE
    try:
        record = read_record(path.parent)
        if record.get("members"):
            raise UserError(
                f"{weights.source} is of {record['members']} networks, and weights are of one: run its config with "
                "evaluate=last or best, and name that run"
            )
        protocol, groups = record["protocol"], record["training_groups"]
        identity = {name: str(protocol[name]) for name in ("config", "config_hash", "dataset", "fingerprint")}
        if record["sha256"] != weights.sha256:
            raise ValueError(f"it is of another {weights.file.path.name}")
        return {"parent": identity, "training_groups": sorted({str(group) for group in groups})}
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path} is damaged ({error}): bring the run back from a copy") from error
