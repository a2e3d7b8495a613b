"""The pages: their links lead somewhere, their example runs, their table of backbones is what the registry says.

`python -m tests.test_docs` prints that table as it should be.
"""

import functools
import re
import sys
import types
from pathlib import Path

import jax
import numpy as np
import pytest

from skinjax.core.settings import Kind, from_plain
from skinjax.data.sampling.samplers import Images
from skinjax.main import main
from skinjax.methods import METHODS
from skinjax.models import BACKBONES, make_backbone
from skinjax.models.pretrained.fitting import plan
from skinjax.models.pretrained.known_weights import HALF, KNOWN, architecture_of
from skinjax.models.pretrained.opening import usual_weights
from skinjax.recipe import Recipe, defaults, load_config
from skinjax.runs import building
from tests.end_to_end.conftest import SMALL
from tests.models.test_backbones import OUR_OWN, PARAMETERS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
HEADER = """\
| `model.backbone` (millions of parameters) | padding | `early` / `late` | TAG of `timm/BACKBONE.TAG` | images |
|---|---|---|---|---|
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
    """A row: the backbones, how they pad, where they are cut, their usual weights and what these were trained on."""
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
    padded = " or ".join(paddings)
    return f"| {names} | {padded} | {groups(backbones[0])} | {listed or 'none'} | {pixels}{colours} |"


def groups(name):
    """The first and last stages of both groups of depth."""
    backbone = make_backbone(name)
    cut = backbone.stages.index(backbone.late)
    return " / ".join(" to ".join(dict.fromkeys((x[0], x[-1]))) for x in (backbone.stages[:cut], backbone.stages[cut:]))


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


def test_the_page_has_the_table():
    assert table() in (ROOT / "docs" / "backbones.md").read_text(), f"docs/backbones.md should have\n{table()}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text()
    assert [page.name for page in PAGES[1:] if page.name != "README.md" and f"({page.name})" not in index] == []


def blocks(page):
    """The Python on a page."""
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


def test_the_library_example_runs_and_then_the_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKINJAX_DATA", str(tmp_path / "data"))
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (example,) = blocks("library.md")
    exec(compile(example, "docs/library.md", "exec"), {})
    cells: dict = {}
    for cell in blocks("notebook.md"):
        exec(compile(cell, "docs/notebook.md", "exec"), cells)
    assert cells["pictures"]["backbone"].shape == (8, 32, 32, 3)
    assert cells["found"]["fitted"]["temperature"] == cells["predictor"].decisions.temperature


def test_the_method_of_the_page_is_trained_by_its_command(tmp_path, monkeypatch, capsys):
    source, *_ = blocks("add_a_method.md")
    page: dict = {"__name__": "compact"}
    monkeypatch.setitem(sys.modules, "compact", types.ModuleType("compact"))
    exec(compile(source, "docs/add_a_method.md", "exec"), page)
    monkeypatch.setitem(METHODS, "compact", Kind(page["CompactSettings"], page["build"]))
    command = [f"--config={ROOT / 'configs' / 'baselines.py'}:demo", *SMALL]
    command += ["--config.method.name=compact", "--config.method.gamma=0.1", "--config.phases.train.duration=2.0"]
    assert main([*command, f"--workdir={tmp_path / 'run'}", f"--data_dir={tmp_path / 'data'}"]) == 0
    assert '"train/length"' in (tmp_path / "run" / "metrics.jsonl").read_text()


def test_the_phases_of_the_page_are_a_config():
    _, lines, _ = blocks("add_a_method.md")
    config = defaults("own", "demo")
    config.method = {"name": "decoder_classifier"}
    exec(lines, {"config": config})
    recipe = from_plain(Recipe, config.to_dict(), "config")
    assert list(recipe.in_order()) == ["head", "all"]
    assert recipe.evaluations_in(recipe.phases["all"]).patience == 3


def test_the_sampler_of_the_page_draws(monkeypatch):
    *_, source = blocks("add_a_method.md")
    page: dict = {"__name__": "every_other"}
    monkeypatch.setitem(sys.modules, "every_other", types.ModuleType("every_other"))
    exec(compile(source, "docs/add_a_method.md", "exec"), page)
    images = Images(np.arange(100), np.repeat([0, 1], 50), batch=20, seed=3)
    sampler = page["every_other"](images, page["EveryOtherSettings"](share=0.1))
    assert len(np.unique(np.concatenate([sampler(step) for step in range(50)]))) == 10
    assert sampler(7).tolist() == sampler(7).tolist()


def test_the_config_of_the_page_is_one(tmp_path):
    (source,) = blocks("experiments.md")
    (tmp_path / "mine.py").write_text(source)
    recipe = load_config(str(tmp_path / "mine.py"))
    assert list(recipe.in_order()) == ["head", "all"]
    assert recipe.phases["all"].schedule.milestones == (6.0, 8.0)


def test_the_two_phases_of_the_page_pass_their_checks(tmp_path):
    (source,) = blocks("stored_features.md")
    (tmp_path / "two_phases.py").write_text(source)
    recipe = load_config(str(tmp_path / "two_phases.py"))
    building.check(recipe)
    phases = [(phase.augment, phase.features) for phase in recipe.in_order().values()]
    assert phases == [(False, "stored"), (True, "computed")]


if __name__ == "__main__":
    print(table(), end="")
