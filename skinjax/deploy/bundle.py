"""A bundle: one file that carries a trained network, its preprocessing, what is decided by it, and where it came from.

It is a zip archive whose members are stored as they are: `bundle.json` (settings, hashes and figures, all of it text),
`member0.safetensors` and so on (weights, under timm's names where timm has the network), `reference.safetensors`
(features of training photographs), `card.md`, and drawn example photographs with their answers. Nothing in it is
executable, and nothing is read before it was checked.
"""

import dataclasses
import io
import json
import os
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.traverse_util
import jax
import numpy as np

from skinjax.core.errors import UserError, os_errors_as_user_errors
from skinjax.core.files import human_bytes, write_atomically
from skinjax.core.hashes import digest_of
from skinjax.core.settings import from_plain, to_plain
from skinjax.deploy.decisions import Decisions
from skinjax.deploy.manifest import MOST_MANIFEST, MOST_NAME, SCHEMA, Figure, Manifest, Network
from skinjax.deploy.origins import Origin
from skinjax.methods.ensemble import parted, united
from skinjax.model import Built, Model, make_shown_method, variable_shapes
from skinjax.models.pretrained.facts import facts_from_json
from skinjax.models.pretrained.files import as_safetensors, tensors_of
from skinjax.models.pretrained.fitting import family
from skinjax.models.pretrained.mapping import (
    Trunks,
    file_shape,
    leaf_at,
    matched,
    timm_names,
    to_file_layout,
    to_jax_layout,
)
from skinjax.recipe.recipe import ModelSpec

Array = np.ndarray
Tree = dict[str, Any]
Place = tuple[str, ...]
Names = dict[Place, tuple[str, bool]]  # of `names_of`

MANIFEST, CARD, REFERENCE = "bundle.json", "card.md", "reference.safetensors"
EPOCH = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes
NAME = re.compile(r"bundle\.json|card\.md|reference\.safetensors|member\d{1,2}\.safetensors|example\d\.jpg")
TOLERANCE = 1e-4  # of the answers to examples, on another machine


@dataclasses.dataclass(frozen=True, eq=False)
class Bundle:
    """An opened bundle: the network with its variables, what the manifest says, and the other files as they are."""

    path: Path
    manifest: Manifest
    model: Model = dataclasses.field(repr=False)
    reference: Array | None = dataclasses.field(repr=False)
    files: Mapping[str, bytes] = dataclasses.field(repr=False)

    @property
    def card(self) -> str:
        return self.files[CARD].decode(errors="replace") if CARD in self.files else ""

    def example_differences(self) -> dict[str, float]:
        """Of each example photograph, how far the answer is from the one that the bundle carries."""
        found = {}
        for name, answer in self.manifest.examples.items():
            image = self.model.read(self.files[name], name)
            probabilities = self.model.predict(image[None])["probabilities"][0]
            found[name] = float(np.abs(probabilities - np.array(answer)).max())
        return found


def write_bundle(
    path: Path,
    model: Model,
    *,
    decisions: Decisions | None = None,
    reference: Array | None = None,
    unlike_from: float | None = None,
    origins: Mapping[str, Origin] | None = None,
    figures: Mapping[str, Figure] | None = None,
    judged: str = "",
    protocol: Mapping[str, Any] | None = None,
    card: str = "",
    examples: Sequence[bytes] = (),
) -> None:
    """Write a bundle of a model, whole or not at all; the answers to the examples are computed here."""
    from skinjax import __version__

    built = [_without_paths(of) for of in model.networks]
    files: dict[str, bytes] = {}
    for place, (of, variables) in enumerate(zip(built, parts_of(model), strict=True)):
        named = names_of(of.spec, make_shown_method(of, model.classes).trunks(), variables)
        files[f"member{place}.safetensors"] = as_safetensors(named_tensors(variables, named), of.facts.header())
    if reference is not None:
        files[REFERENCE] = as_safetensors({"features": reference}, {})
    if card:
        files[CARD] = card.encode()
    answers = {}
    for place, photograph in enumerate(examples):
        name = f"example{place}.jpg"
        files[name] = photograph
        found = model.predict(model.read(photograph, name)[None])["probabilities"][0]
        answers[name] = [float(p) for p in found]
    manifest = Manifest(
        skinjax=__version__,
        classes=model.classes,
        networks={str(n): Network(spec=of.spec, facts=of.facts.known()) for n, of in enumerate(built)},
        decisions=decisions,
        unlike=unlike_from,
        origins=origins or {},
        figures=figures or {},
        judged=judged,
        protocol=protocol or {},
        examples=answers,
        files={name: digest_of(data) for name, data in files.items()},
    )
    text = json.dumps(to_plain(manifest), indent=1, allow_nan=False)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, data in {MANIFEST: text.encode(), **files}.items():
            archive.writestr(zipfile.ZipInfo(name, EPOCH), data)
    write_atomically(path, packed.getvalue())


def open_bundle(path: str | os.PathLike) -> Bundle:
    """The bundle at a path, every file of it checked, or a `UserError` that says what is wrong."""
    path = Path(path).expanduser()
    with os_errors_as_user_errors(f"{path} cannot be read"):
        files = read_files(path)
    manifest = read_manifest(files.pop(MANIFEST), path)
    check_files(manifest, files, path)
    model = model_of(manifest, files, path)
    kept = tensors_of(files[REFERENCE], f"{REFERENCE} of {path}").get("features") if REFERENCE in files else None
    if (REFERENCE in files) != (manifest.unlike is not None):
        raise UserError(f"{path} has {REFERENCE} or a distance without the other: get the bundle again")
    if REFERENCE in files and (kept is None or kept.ndim != 2 or not len(kept) or not np.isfinite(kept).all()):
        raise UserError(f"{REFERENCE} of {path} holds no features: get the bundle again")
    return Bundle(path, manifest, model, kept, files)


def read_files(path: Path) -> dict[str, bytes]:
    """The members of a bundle by name, after what a zip can hide was refused."""
    if not path.is_file():
        raise UserError(f"{path} is no file: name a bundle, or the folder of a finished run")
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is no bundle of skinjax, which is a zip archive: make one with skinjax bundle")
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            if MANIFEST not in names:
                raise UserError(f"{path} is no bundle of skinjax: there is no {MANIFEST} in it")
            for member in members:
                if not NAME.fullmatch(member.filename) or names.count(member.filename) > 1:
                    raise UserError(f"{path} holds {member.filename[:MOST_NAME]!r}, which no bundle does: refused")
                stored = member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1
                if not stored or member.file_size != member.compress_size or member.file_size > size:
                    raise UserError(f"{path} holds {member.filename} compressed or encrypted, as no bundle does")
            if sum(member.file_size for member in members) > size:
                raise UserError(f"{path} announces more bytes than the {human_bytes(size)} it has: get it again")
            for name in {MANIFEST, CARD} & set(names):
                if archive.getinfo(name).file_size > MOST_MANIFEST:
                    raise UserError(f"{name} of {path} has more than {human_bytes(MOST_MANIFEST)}: refused")
            return {member.filename: archive.read(member) for member in members}
    except UserError:
        raise
    except Exception as error:  # what reads hostile bytes raises anything
        raise UserError(f"{path} is damaged ({str(error)[:200] or type(error).__name__}): get it again") from error


def read_manifest(data: bytes, path: Path) -> Manifest:
    """The manifest of a bundle, every field of it checked."""
    try:
        plain = json.loads(data)
        schema = plain["schema"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{MANIFEST} of {path} cannot be read ({error}): get the bundle again") from error
    if schema != SCHEMA:
        raise UserError(
            f"{path} is of schema {str(schema)[:80]!r}, this version reads {SCHEMA}: open it with the one that made it"
        )
    try:
        return from_plain(Manifest, plain, MANIFEST)
    except (UserError, TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{path} cannot be used: {str(error)[:500]}") from error


def check_files(manifest: Manifest, files: Mapping[str, bytes], path: Path) -> None:
    """Refuse files that are missing, that the manifest does not name, or that are not what it says."""
    wanted = {f"member{name}.safetensors" for name in manifest.networks} | manifest.examples.keys()
    wanted |= {REFERENCE} if manifest.unlike is not None else set()
    lacking = (wanted | manifest.files.keys()) - files.keys()
    if lacking:
        raise UserError(f"{path} lacks {sorted(lacking)[0]!r}: get the bundle again")
    for name, data in files.items():
        if manifest.files.get(name) != digest_of(data):
            raise UserError(f"{name} of {path} is not what {MANIFEST} says: the bundle was changed, get it again")


def model_of(manifest: Manifest, files: Mapping[str, bytes], path: Path) -> Model:
    """The network, or the networks together, with their variables."""
    built, trees = [], []
    for name, network in manifest.networks.items():
        file, of = f"member{name}.safetensors", Built(network.spec, facts_from_json(network.facts, path))
        try:
            method = make_shown_method(of, manifest.classes)
            shapes = variable_shapes(method, of.spec.stored_size, len(manifest.classes))
        except UserError:
            raise
        except Exception as error:  # settings that fit no network make tracing raise anything
            raise UserError(f"network {name} of {path} cannot be built: {str(error)[:300]}") from error
        named = names_of(of.spec, method.trunks(), shapes)
        tensors = tensors_of(files[file], f"{file} of {path}")
        trees.append(filled(shapes, named, tensors, f"{file} of {path} does not fit its network"))
        built.append(of)
    variables = jax.device_put(united(trees) if len(trees) > 1 else trees[0])
    members = tuple(built) if len(built) > 1 else ()
    return Model(built[0].spec, manifest.classes, variables, built[0].facts, members=members)


def parts_of(model: Model) -> list[Tree]:
    """The variables of each network of a model."""
    return parted(model.variables, len(model.members)) if model.members else [dict(model.variables)]


def named_tensors(variables: Tree, named: Names) -> dict[str, Array]:
    """The arrays of a network as its file has them, by the names of `names_of`."""
    arrays = {place: np.asarray(leaf_at(variables, place)) for place in named}
    return {
        name: np.ascontiguousarray(to_file_layout(place, arrays[place]) if turned else arrays[place])
        for place, (name, turned) in named.items()
    }


def filled(variables: Tree, named: Names, tensors: Mapping[str, Array], complaint: str) -> Tree:
    """The variables of a network with every array that has a name taken from the tensors, which must fit one to one."""
    shapes = {place: leaf_at(variables, place).shape for place in named}
    wanted = {
        place: (name, file_shape(place, shapes[place]) if turned else shapes[place])
        for place, (name, turned) in named.items()
    }
    found = matched(wanted, tensors, set(), complaint)
    arrays = {place: to_jax_layout(place, array) if named[place][1] else array for place, array in found.items()}
    flat = flax.traverse_util.flatten_dict(variables, keep_empty_nodes=True)
    return flax.traverse_util.unflatten_dict({**flat, **arrays})


def names_of(spec: ModelSpec, trunks: Trunks, variables: Tree) -> Names:
    """The tensor of each array of a network's variables, and whether it lies in PyTorch's layout.

    A trunk has timm's names (behind its own name and a dot, where it is not the only one), and so has an original head
    of a single one; all else is called by its place.
    """
    flat = list(flax.traverse_util.flatten_dict(variables))
    found = {place: ("/".join(place), False) for place in flat}
    alone = list(trunks.values()) == [("head",)] and spec.model.head == "original"
    for trunk in trunks:
        roles = {trunk: "backbone", **({"head": "head"} if alone else {})}
        own = {(place[0], roles[place[1]], *place[2:]): place for place in flat if place[1] in roles}
        named = timm_names(flax.traverse_util.unflatten_dict(dict.fromkeys(own, 0)), family(spec.model.backbone))
        prefix = "" if len(trunks) == 1 else f"{trunk}."
        found |= {own[place]: (prefix + name, True) for place, name in named.items()}
    return found


def _without_paths(built: Built) -> Built:
    """Without the folders of the machine that it was trained on."""
    weights = Path(built.spec.model.weights).name if built.spec.model.weights else ""
    return built._replace(spec=built.spec.replace(model=built.spec.model.replace(weights=weights)))


def blank(model: Model) -> Array:
    """One photograph of nothing, at the size that a network takes."""
    stored = model.spec.stored_size
    return np.zeros((1, stored.height, stored.width, 3), np.uint8)
