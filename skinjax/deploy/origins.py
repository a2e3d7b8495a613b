"""Where a network comes from, and what whoever opens it is told: licences that bind its use, and what it is not for."""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from skinjax.core.errors import UserError
from skinjax.core.settings import Settings
from skinjax.data.acquire.catalogue import CATALOGUE
from skinjax.data.dataset import prepared_folder, read_manifest

NOT_MEDICAL = "Research use only, not a medical device."
SYNTHETIC = "Trained on photographs that a program draws: a test bench, and no medicine."
NON_COMMERCIAL = re.compile(
    r"(?<![a-z])NC(?![a-z])|non[- ]?commercial|not for commercial|academic|research", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True)
class Origin(Settings):
    """Data or weights that a network comes from: their name, licence, and whom to cite."""

    name: str = ""
    licence: str = "not known"
    citation: str = ""


def notices(protocol: Mapping[str, Any], origins: Mapping[str, Origin]) -> list[str]:
    """What everybody who sees an answer is told, by the protocol of the run and where its network comes from."""
    bound = [of for of in origins.values() if NON_COMMERCIAL.search(of.licence)]
    told = [f"{of.name} ({of.licence}): no commercial use without leave" for of in bound]
    made_from = ["Made from " + "; ".join(told) + "."] if told else []
    return [NOT_MEDICAL, *([SYNTHETIC] if protocol.get("synthetic") else []), *made_from]


def origins_of(protocols: Iterable[Mapping[str, Any]], root: Path) -> dict[str, Origin]:
    """The data sets and weights that networks come from, by name; `root` is the folder of prepared sets."""
    found: dict[str, Origin] = {}
    for protocol in protocols:
        name = str(protocol.get("dataset", ""))
        if name:
            found[name] = _origin_of_data(name, root)
        weights = protocol.get("weights")
        while isinstance(weights, Mapping):
            source = Path(str(weights.get("source", ""))).name or "weights"
            facts = weights.get("facts", {})
            licence = facts.get("licence") if isinstance(facts, Mapping) else None
            found[source] = Origin(name=source, licence=licence or "not known")
            weights = weights.get("weights")
    return found


def _origin_of_data(name: str, root: Path) -> Origin:
    """What the manifest of a prepared set says of itself, or what is known of its name."""
    if name == "synthetic":
        return Origin(name="synthetic photographs", licence="drawn by skinjax")
    try:
        manifest = read_manifest(prepared_folder(name, {}, root))
    except UserError:
        manifest = {}
    about = CATALOGUE.get(name)
    licence = manifest.get("licence") or (about.licence if about else "not known")
    citation = manifest.get("citation") or (about.citation if about else "")
    return Origin(name=name, licence=str(licence), citation=str(citation))
