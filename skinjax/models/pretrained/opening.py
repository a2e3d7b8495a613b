"""Open weights by path or hub id, with all that is known of them, and check that a config fits them."""

import dataclasses
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skinjax.core.errors import Print, UserError, lookup
from skinjax.models import BACKBONES
from skinjax.models.pretrained import files
from skinjax.models.pretrained.facts import CONFIG_FILE, Colour, Facts, facts_from_config, facts_from_header
from skinjax.models.pretrained.files import PYTORCH_ENDINGS, WEIGHTS_FILE, WeightFile, check_sha256
from skinjax.models.pretrained.fitting import Built, family, matching_backbones, plan, same_architecture
from skinjax.models.pretrained.hub import HubId, fetch, parse_hub_id
from skinjax.models.pretrained.known_weights import KNOWN, PINS, architecture_of
from skinjax.models.pretrained.mapping import Loaded, Trunks, Variables, start_from, start_from_run

OWNER = "timm"
ONE_TRUNK = {"backbone": ("head",)}


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A file of weights: `source` is what the user called it, `revision` the hub's commit if it came from there."""

    source: str
    file: WeightFile
    sha256: str
    revision: str
    facts: Facts

    @property
    def from_run(self) -> bool:
        """Whether a run of skinjax wrote these weights."""
        return any(name.startswith("params/") for name in self.file)

    def has_classes(self, classes: Sequence[str]) -> bool:
        """Whether the run that wrote them had these classes, in this order."""
        return self.file.metadata.get("classes") == json.dumps(list(classes))

    def record(self) -> dict[str, Any]:
        """What a run that starts from these weights records of them."""
        return {"source": self.source, "sha256": self.sha256, "revision": self.revision, "facts": self.facts.known()}


def open_pretrained(name: str, folder: Path, sha256: str = "", say: Print = print) -> Pretrained:
    """The weights `name`: a path, a finished run, or an id of the hub whose files lie (or will lie) below `folder`.

    Facts come from the file's header; what it lacks, from the config.json beside it; what that lacks, from the table of
    known weights.

    >>> open_pretrained("timm/resnet50.a1_in1k", data_root() / "weights").facts.filter  # doctest: +SKIP
    'bicubic'
    """
    path, hub_id = Path(name).expanduser(), parse_hub_id(name)
    if name.endswith((".safetensors", *PYTORCH_ENDINGS)) or path.exists() or hub_id is None:
        if not path.exists() and suggestion(name):
            raise UserError(f"{name} is no file; {suggestion(name)}")
        path = files.weights_at(path)
        files.check_is_file(path)
        found, revision, timm_name = check_sha256(path, {"the config or --sha256": sha256}), "", ""
    else:
        timm_name = _timm_name(hub_id)
        commit, pinned = PINS.get(timm_name, ("", ""))
        if hub_id.revision and hub_id.revision != commit:
            commit, pinned = hub_id.revision, ""
        place = hub_id.folder(folder) / WEIGHTS_FILE
        if timm_name in KNOWN and KNOWN[timm_name].url and not place.is_file():
            raise UserError(
                f"{OWNER}/{timm_name} is published for PyTorch alone: get {KNOWN[timm_name].url} and convert it, where "
                f"torch is installed, with `python tools/convert_weights.py FILE {place}`"
            )
        claims = {"the config or --sha256": sha256, "skinjax's table of known weights": pinned}
        fetched = fetch(hub_id, folder, commit, claims, say)
        path, found, revision = fetched.path, fetched.sha256, fetched.revision
    file = files.open_weights(path)
    facts = facts_from_header(file.metadata, path).completed(facts_from_config(path.parent / CONFIG_FILE))
    known = timm_name if timm_name in KNOWN else next((known for known, (_, pin) in PINS.items() if pin == found), "")
    if known:
        facts = facts.completed(KNOWN[known].facts(architecture_of(known)))
    return Pretrained(name, file, found, revision, facts)


def starting_arrays(
    weights: Pretrained, backbone: str, variables: Variables, trunks: Trunks = ONE_TRUNK, classes: Sequence[str] = ()
) -> Loaded:
    """The arrays of the weights for the variables of `trunks`, networks with the registered backbone `backbone`."""
    check_backbone(backbone, weights)
    if weights.from_run:
        return start_from_run(variables, weights.file, trunks, weights.has_classes(classes), weights.source)
    original = {name: {"head": tree["head"]} for name, tree in plan(backbone).variables.items()}
    arrays: dict[tuple[str, ...], np.ndarray] = {}
    notes: list[str] = []
    try:
        for trunk, head in ((trunk, head) for trunk, heads in trunks.items() for head in heads or ("",)):
            modules = {"backbone": trunk, "head": head}
            one = {
                collection: {role: tree[name] for role, name in modules.items() if name in tree}
                for collection, tree in variables.items()
            }
            taken = start_from(one, original, weights.file, family(backbone), weights.source)
            arrays |= {(path[0], modules[path[1]], *path[2:]): array for path, array in taken.arrays.items()}
            notes += [taken.remark] if taken.remark not in notes else []
        return Loaded(arrays, "; ".join(notes))
    except UserError as error:
        right = matching_backbones(weights.file.shapes, weights.facts.architecture)
        hint = f"; they fit model.backbone={' or '.join(right)}" if right and backbone not in right else ""
        raise UserError(f"{error}{hint}") from error


def check_backbone(backbone: str, weights: Pretrained) -> None:
    """Refuse a backbone of another architecture, padding or epsilon than the weights were trained with."""
    _check_architecture(backbone, weights.source, weights.facts)
    built, needed = plan(backbone).built, _needed(weights.facts)
    if _agree(needed, built):
        return
    right = [name for name in matching_backbones(weights.file.shapes, backbone) if _agree(needed, plan(name).built)]
    instead = f"use model.backbone={' or '.join(right)}" if right else "no registered backbone has that"
    raise UserError(f"{weights.source} needs {needed}, and model.backbone={backbone} has {built}: {instead}")


def check_known(backbone: str, name: str) -> None:
    """Refuse a backbone of another architecture than known weights of the hub have, before they are fetched."""
    hub_id = None if Path(name).expanduser().exists() else parse_hub_id(name)
    known = _timm_name(hub_id) if hub_id else ""
    if known in KNOWN:
        _check_architecture(backbone, name, KNOWN[known].facts(architecture_of(known)))


def _check_architecture(backbone: str, source: str, facts: Facts) -> None:
    lookup("backbone", backbone, BACKBONES)
    if facts.architecture not in BACKBONES or same_architecture(facts.architecture, backbone):
        return
    needed = _needed(facts)
    right = [
        name for name in BACKBONES if same_architecture(name, facts.architecture) and _agree(needed, plan(name).built)
    ]
    raise UserError(
        f"{source} is of a {facts.architecture} and model.backbone is {backbone}: use "
        f"model.backbone={' or '.join(right or [facts.architecture])}"
    )


def remarks(
    facts: Facts, normalisation: tuple[Colour, Colour], size: tuple[int, ...], stored_filter: str
) -> Iterator[str]:
    """Say how a run prepares images otherwise than the weights are used to, a line each; normalisation: (mean, std)."""
    mean, std = normalisation
    if facts.mean is None or facts.std is None:
        yield "the weights do not say which normalisation they are used to: see that views.normalisation is theirs"
    elif not np.allclose(facts.mean + facts.std, mean + std, rtol=1e-3, atol=1e-3):
        yield (
            f"the weights are used to images of mean {_listed(facts.mean)} and deviation {_listed(facts.std)}, and "
            f"this config's have mean {_listed(mean)} and deviation {_listed(std)}: unless that is meant, set "
            "views.normalisation=weights"
        )
    if facts.size and facts.size != tuple(size):
        yield f"the weights were trained on images of {_by(facts.size)}, and views.size is {_by(size)}"
    if facts.filter in ("bilinear", "bicubic") and facts.filter != stored_filter:
        yield f"the weights are used to images resized with {facts.filter}, and stored_size.filter is {stored_filter}"


def suggestion(name: str) -> str:
    """The ids to give instead of a name, of known weights or of a backbone, that lacks the hub's owner; else ''."""
    ids = [f"{OWNER}/{known}" for known in ([name] if name in KNOWN else usual_weights(name))]
    return f"on the hub there is {' or '.join(ids)}: give that, or the path of a file" if ids else ""


def usual_weights(backbone: str) -> list[str]:
    """The known weights of a registered backbone, by timm's names."""
    return [name for name in KNOWN if architecture_of(name) == backbone]


def fitting_backbones(weights: Pretrained) -> list[str]:
    """The registered backbones with the tensors of the weights and, as far as it is known, built as they need."""
    if weights.from_run:
        return [weights.facts.architecture]
    guess = weights.facts.architecture or architecture_of(weights.file.path.stem)
    needed = _needed(weights.facts)
    return [name for name in matching_backbones(weights.file.shapes, guess) if _agree(needed, plan(name).built)]


def _timm_name(hub_id: HubId) -> str:
    """The name of timm's weights; '' for those of another owner."""
    owner, _, name = hub_id.repository.partition("/")
    return name if owner == OWNER else ""


def _needed(facts: Facts) -> Built:
    """How the network must be built: as the facts say, else as the architecture that they name is."""
    default = plan(facts.architecture).built if facts.architecture in BACKBONES else Built("", None)
    return Built(facts.padding or default.padding, default.epsilon if facts.epsilon is None else facts.epsilon)


def _agree(needed: Built, built: Built) -> bool:
    """Whether a network is built as is needed, as far as either is known."""
    epsilons = needed.epsilon is None or built.epsilon is None or math.isclose(needed.epsilon, built.epsilon)
    return epsilons and needed.padding in ("", built.padding)


def _listed(numbers: tuple[float, ...]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def _by(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size))
