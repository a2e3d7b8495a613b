"""The README's table of backbones is what the registry, the published sizes and the known weights say.

`python -m tests.test_readme` prints the table as it should be.
"""

import functools
from pathlib import Path

import jax

from skinjax.models import BACKBONES
from skinjax.models.pretrained.fitting import plan
from skinjax.models.pretrained.known_weights import HALF, KNOWN, architecture_of
from skinjax.models.pretrained.opening import usual_weights
from tests.models.test_backbones import OUR_OWN, PARAMETERS

README = Path(__file__).parent.parent / "README.md"
HEADER = """\
| `model.backbone` (millions of parameters) | padding | TAG of `timm/BACKBONE.TAG` | images |
|---|---|---|---|
"""
# The names in a row of the table begin with this, in their order.
ROWS = (
    ("resnet1", "resnet3", "resnet5"),
    ("densenet",),
    ("efficientnet",),
    ("tf_efficientnet",),
    ("vgg",),
    ("inception",),
    ("seresnext", "legacy_seresnext"),
    ("mobilenetv1",),
    ("mobilenetv2",),
    ("convnext",),
    ("unet",),
    ("resnet_",),
)


def table():
    """The table in Markdown."""
    return HEADER + "".join(f"{row(backbones)}\n" for backbones in map(members, ROWS))


def members(starts):
    """The backbones of a row, by size."""
    return sorted(filter(lambda name: name.startswith(starts), BACKBONES), key=lambda name: (parameters(name), name))


def row(backbones):
    """A row: the backbones, how they pad, their usual weights and what these were trained on."""
    names = ", ".join(f"`{name}` ({millions(name)})" for name in backbones)
    # To plan a network takes a second: of a row only `_same` is built otherwise than the first.
    alone = [name for name in backbones if name == backbones[0] or name.endswith("_same")]
    paddings = sorted({plan(name).built.padding for name in alone}, reverse=True)
    weights = [name for backbone in backbones for name in usual_weights(backbone)]
    tags = dict.fromkeys(name.partition(".")[2] for name in weights)
    without = [f"`{name}`" for name in backbones if not usual_weights(name)]
    listed = ", ".join(f"`{tag}`" for tag in tags) + (f"; none for {', '.join(without)}" if tags and without else "")
    sides = sorted({KNOWN[name].side for name in weights})
    pixels = f"{sides[0]} to {sides[-1]} px" if len(sides) > 1 else f"{sides[0]} px" if sides else ""
    halves = {name.partition(".")[2] for name in weights if KNOWN[name].normalisation == HALF}
    centred = ", ".join(f"`{tag}`" for tag in tags if tag in halves)
    colours = f", [-1, 1]{f' ({centred})' if halves != set(tags) else ''}" if halves else ""
    return f"| {names} | {' or '.join(paddings)} | {listed or 'none'} | {pixels}{colours} |"


def millions(name):
    """The parameters in millions, in three digits at most."""
    return f"{parameters(name) / 1e6:.{1 if parameters(name) > 1e6 else 2}f}"


@functools.cache
def parameters(name):
    """How many parameters a backbone has, its original head included."""
    if name in OUR_OWN:
        return sum(leaf.size for leaf in jax.tree.leaves(plan(name).variables["params"]))
    return PARAMETERS[name]


def test_every_backbone_and_all_known_weights_stand_in_the_table_once():
    names = [name for starts in ROWS for name in members(starts)]
    assert sorted(names) == sorted(BACKBONES)
    assert {architecture_of(name) for name in KNOWN} <= set(names)


def test_the_readme_has_the_table():
    assert table() in README.read_text(), f"the table of backbones in the README should be\n{table()}"


if __name__ == "__main__":
    print(table(), end="")
