"""ImageNet weights to start from: list the usual ones, fetch them, or look into a file.

    skinjax weights list densenet
    skinjax weights fetch timm/resnet50.a1_in1k
    skinjax weights inspect resnet50.safetensors

`list` has every backbone with its usual weights, and which of them are here; NAME keeps those it occurs in. `fetch`
gets weights of the hub, once, and prints their commit and sha256. `inspect` says what a file (or weights of the hub)
holds, what it says of its training, and which backbone it fits.
"""

import argparse
import math
from collections import Counter
from typing import TYPE_CHECKING

from skinjax.core.arguments import Parser
from skinjax.core.errors import UserError, lookup
from skinjax.core.files import human_bytes
from skinjax.data.dataset import data_root

if TYPE_CHECKING:  # it imports jax, which --help does not wait for
    from skinjax.models.pretrained.opening import Pretrained


def add_arguments(parser: Parser) -> None:
    parser.add_argument("action", metavar="ACTION", help="list, fetch or inspect")
    parser.add_argument("name", metavar="NAME", nargs="?", help="part of a name to list; timm/NAME, or a file's path")
    parser.add_argument("--sha256", default="", help="what the file must be, to the last byte")
    parser.add_argument("--tensors", action="store_true", help="inspect: every tensor with its shape and type")
    parser.add_data_dir()


def run(options: argparse.Namespace) -> int:
    act = lookup("action of skinjax weights", options.action, {"list": show_list, "fetch": fetch, "inspect": inspect})
    if options.action != "list" and not options.name:
        path = ", or the path of a file" if options.action == "inspect" else ""
        raise UserError(f"skinjax weights {options.action} needs a name: timm/NAME{path}")
    act(options)
    return 0


def show_list(options: argparse.Namespace) -> None:
    """Print the registered backbones, and under each the weights that are usual for it."""
    from skinjax.models import BACKBONES
    from skinjax.models.pretrained.hub import HubId, find
    from skinjax.models.pretrained.known_weights import KNOWN, PINS
    from skinjax.models.pretrained.opening import OWNER, usual_weights

    folder, word = data_root(options.data_dir) / "weights", options.name or ""
    lines = []
    for backbone in sorted(BACKBONES):
        names = [name for name in usual_weights(backbone) if word in name]
        if not names and word not in backbone:
            continue
        lines.append(backbone if names else f"{backbone}: no usual weights")
        for name in names:
            known = KNOWN[name]
            marks = [f"{known.side} px", known.filter, f"{known.classes:,} classes", known.licence]
            marks += ["pinned"] if name in PINS else []
            marks += ["for PyTorch alone, to be converted"] if known.url else []
            marks += ["here"] if find(HubId(f"{OWNER}/{name}"), folder, PINS.get(name, ("", ""))[0]) else []
            lines.append(f"  {OWNER}/{name}: {', '.join(marks)}")
    if not lines:
        raise UserError(f"no backbone and no weights have {word!r} in their names; skinjax weights list has them all")
    print("\n".join(lines))
    print(f"files lie below {folder}")


def fetch(options: argparse.Namespace) -> None:
    """Fetch weights of the hub into their folder and check them."""
    from skinjax.models.pretrained.hub import parse_hub_id
    from skinjax.models.pretrained.opening import suggestion

    if parse_hub_id(options.name) is None:
        ids = suggestion(options.name) or "one is like timm/resnet50.a1_in1k"
        raise UserError(f"{options.name!r} is no id of the hub; {ids}")
    weights = opened(options)
    print(f"{weights.source} is in {weights.file.path}\n{usage(weights)}")


def inspect(options: argparse.Namespace) -> None:
    """Print what a file holds, what it states, and which backbones it fits."""
    weights = opened(options)
    file = weights.file
    types = ", ".join(f"{count} of {dtype}" for dtype, count in Counter(file.dtypes.values()).most_common())
    print(f"{file.path}: {human_bytes(file.path.stat().st_size)}, sha256 {weights.sha256}")
    if weights.revision:
        print(f"from the hub, commit {weights.revision}")
    print(f"{len(file):,} tensors ({types}), {sum(map(math.prod, file.shapes.values())):,} numbers")
    if options.tensors:
        print("\n".join(f"  {name}  {shape}  {file.dtypes[name]}" for name, shape in file.shapes.items()))
    facts = weights.facts.known()
    print("it says:" if facts else "it says nothing of its training: no facts in its header, no config.json beside it")
    for name, value in facts.items():
        print(f"  {name}: {' '.join(f'{part:g}' for part in value) if isinstance(value, tuple) else value}")
    print(usage(weights))


def opened(options: argparse.Namespace) -> "Pretrained":
    """The weights that the command names."""
    from skinjax.models.pretrained.opening import open_pretrained

    return open_pretrained(options.name, data_root(options.data_dir) / "weights", options.sha256)


def usage(weights: "Pretrained") -> str:
    """Which backbones the weights fit, and the fields of a config that start from them."""
    from skinjax.models.pretrained.opening import fitting_backbones

    found = fitting_backbones(weights)
    if not found:
        return "it fits no registered backbone"
    fields = [f"--config.model.backbone={found[0]}", f"--config.model.weights={weights.source}"]
    if weights.facts.mean and weights.facts.std:
        fields.append("--config.views.normalisation=weights")
    return f"it fits {' and '.join(found)}: {' '.join(fields)}"
