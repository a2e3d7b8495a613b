"""Draw a data set's classes and counts, and what a config does with them, before anything is trained.

    skinjax show ham10000
    skinjax show configs/cdc.py:demo --config.views.train=skin7_group

TARGET is the name of a data set or a config file. Of both, class_panel.png and class_frequencies.png are drawn and the
counts printed; of a config also views.png, a batch as the network is shown it, and schedule.png, the learning rate.
"""

import argparse
import re
import tempfile
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skinjax.core.arguments import Parser
from skinjax.core.errors import UserError, os_errors_as_user_errors
from skinjax.core.threads import map_in_order
from skinjax.data.acquire.decoding import thumbnail
from skinjax.data.dataset import Dataset, check_dataset, class_counts, data_root, open_dataset
from skinjax.data.pipeline import load
from skinjax.data.splits.parts import Data

if TYPE_CHECKING:  # they import jax or matplotlib, which --help does not wait for
    from matplotlib.figure import Figure

    from skinjax.models.pretrained.facts import Facts
    from skinjax.recipe import Recipe
    from skinjax.training.phases import Phase

MOST_PER_CLASS = 50
DRAWS = 3
PHOTOGRAPHS = 10  # of a batch, in views.png
THUMBNAIL = 240  # pixels of the longer side
NOT_METADATA = ("image_id", "group", "label")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("target", metavar="TARGET", help="a data set's name, or FILE[:VARIANT] of a config")
    parser.add_argument("--out", metavar="DIR", help="where the figures go (default: show/TARGET)")
    parser.add_number("--images", None, 1, MOST_PER_CLASS, "examples per class (default: 8, fewer of many classes)")
    parser.add_number("--seed", 0, 0, 2**63, "another one chooses other examples", "SEED")
    parser.add_data_dir()
    parser.add_config_changes()


def run(options: argparse.Namespace) -> int:
    path, _, variant = options.target.partition(":")
    (show_config if variant or path.endswith(".py") or "/" in path else show_dataset)(options)
    return 0


def show_dataset(options: argparse.Namespace) -> None:
    """The classes of the data set that `options.target` names."""
    for change in options.changes:
        raise UserError(f"--config.{change} changes a config, and {options.target} is the name of a data set")

    root = data_root(options.data_dir)
    check_dataset(options.target, root)
    folder = make_folder(options.out, options.target)
    draw_classes(open_dataset(options.target, {}, root), {}, "", folder, options)


def show_config(options: argparse.Namespace) -> None:
    """The classes, views and learning rate of the config that `options.target` names."""
    from skinjax.recipe.config_files import load_config

    recipe = load_config(options.target, options.changes)
    from skinjax.runs import building

    building.check(recipe)
    root = data_root(options.data_dir)
    check_dataset(recipe.dataset.name, root)
    folder = make_folder(options.out, f"{recipe.name}-{recipe.variant}")
    with tempfile.TemporaryDirectory() as workdir:
        weights = None
        if recipe.views.normalisation == "weights":
            weights = building.open_weights(recipe, Path(workdir), root, print)
        data = building.make_data(recipe, Path(workdir), root, print)
    phases = building.make_phases(recipe, data)
    draw_classes(data.dataset, data.records, f", {data.split.protocol['name']} split", folder, options)
    draw_views(recipe, data, phases[0], folder, weights.facts if weights else None)
    draw_schedule(recipe, data, phases, folder)


def make_folder(out: str | None, name: str) -> Path:
    """The folder of the figures: `out`, or one of its own for what is shown."""
    folder = Path(out).expanduser() if out else Path("show") / re.sub(r"[^\w.-]+", "-", name).strip(".-")
    if folder.is_file():
        raise UserError(f"{folder} is a file, not a folder for figures; give another --out")
    with os_errors_as_user_errors(f"cannot write figures to {folder}", "give another --out"):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def draw_classes(
    dataset: Dataset, parts: Mapping[str, np.ndarray], split: str, folder: Path, options: argparse.Namespace
) -> None:
    """class_panel.png and class_frequencies.png, and the counts as text.

    parts: {part: record numbers} of a split, or nothing; split: what the title says of it
    """
    from skinjax.report import figures

    labels, classes, synthetic = dataset.columns["label"], dataset.classes, dataset.synthetic
    if not classes:
        raise UserError(f"the {len(dataset):,} photographs of {dataset.name} have no labels, and are shown by class")
    lines = [figures.SYNTHETIC] if synthetic else []
    print("\n".join([*lines, *count_lines(dataset, parts)]))
    each = options.images or max(3, min(8, 120 // len(classes)))
    chosen = choose_examples(labels, dataset.columns["group"], len(classes), each, options.seed)
    ids = dataset.columns["image_id"]
    records = np.concatenate(chosen).tolist()
    small = map_in_order(lambda record: thumbnail(dataset.encoded(record), THUMBNAIL, str(ids[record])), records)
    examples = [list(islice(small, len(records))) for records in chosen]
    counts = class_counts(labels, classes).tolist()
    title = f"{dataset.name}: {len(dataset):,} images of {len(classes)} classes"
    panel = figures.class_panel(examples, counts, classes, title=title, synthetic=synthetic)
    write(panel, folder / "class_panel.png")
    shown = {part: class_counts(labels[records], classes).tolist() for part, records in parts.items() if len(records)}
    bars = figures.class_frequencies(shown or {"all": counts}, classes, title=title + split, synthetic=synthetic)
    write(bars, folder / "class_frequencies.png")


def count_lines(dataset: Dataset, parts: Mapping[str, np.ndarray]) -> list[str]:
    """A table of images and groups per class and part, with the imbalance and the metadata that is known."""
    labels, groups = dataset.columns["label"], dataset.columns["group"]
    counts = class_counts(labels, dataset.classes)
    most, least = int(counts.argmax()), int(counts.argmin())
    spread = f"{counts[most]:,} ({dataset.classes[most]}) to {counts[least]:,} ({dataset.classes[least]})"
    if counts[most] == counts[least]:
        imbalance = f"{counts[most]:,} in each"
    else:
        imbalance = f"{counts[most] / counts[least]:.1f} to 1, {spread}" if counts[least] else spread
    images, lesions = f"{len(labels):,} images", f"{len(np.unique(groups)):,} groups"
    lines = [f"{dataset.name}: {images} of {lesions} in {len(counts)} classes, {imbalance}"]
    rows = [["class", "images", "per cent", "groups", *parts]]
    named = [*enumerate(dataset.classes), *([(-1, "(no label)")] if (labels < 0).any() else []), (None, "all")]
    for number, name in named:
        members = labels == number if number is not None else np.ones(len(labels), bool)
        share = f"{100 * members.sum() / max(len(labels), 1):.1f}"
        split = [f"{members[records].sum():,}" for records in parts.values()]
        rows.append([name, f"{members.sum():,}", share, f"{len(np.unique(groups[members])):,}", *split])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        aligned = "  ".join(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append(f"  {name.ljust(widths[0])}  {aligned}")
    metadata = [f"{name} ({known(column):,})" for name, column in dataset.columns.items() if name not in NOT_METADATA]
    return [*lines, f"metadata (images where it is known): {', '.join(metadata)}"] if metadata else lines


def known(column: np.ndarray) -> int:
    """How many cells of a column hold a value."""
    says = {"f": lambda: ~np.isnan(column), "U": lambda: column != ""}
    return int(np.sum(says.get(column.dtype.kind, lambda: np.ones(len(column)))()))


def choose_examples(labels: np.ndarray, groups: np.ndarray, classes: int, each: int, seed: int) -> list[np.ndarray]:
    """For every class up to `each` of its record numbers, of different groups as far as there are."""
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    another = np.ones(len(labels), bool)
    another[np.unique(groups[shuffled], return_index=True)[1]] = False
    order = np.concatenate([shuffled[~another], shuffled[another]])
    return [order[labels[order] == label][:each] for label in range(classes)]


def draw_views(recipe: "Recipe", data: Data, phase: "Phase", folder: Path, facts: "Facts | None" = None) -> None:
    """views.png: the beginning of the first batch of a phase after each view, and what classes that batch has."""
    from skinjax.report import figures

    records = phase.sampler(0)
    batch = class_counts(data.dataset.columns["label"][records.ravel()], data.dataset.classes).tolist()
    present = [f"{name} {count}" for name, count in zip(data.dataset.classes, batch, strict=True) if count]
    print(f"the first batch of phase {phase.name}, {records.size} images: {', '.join(present)}")
    shown = records.ravel()[:PHOTOGRAPHS]
    figure = figures.view_panel(
        view_rows(recipe, data, phase, shown, facts),
        data.dataset.label_names()[shown].tolist(),
        title=f"{recipe.name}:{recipe.variant}: {len(shown)} of {records.size} images of a batch after each view",
        synthetic=data.dataset.synthetic,
    )
    write(figure, folder / "views.png")


def view_rows(
    recipe: "Recipe", data: Data, phase: "Phase", shown: np.ndarray, facts: "Facts | None" = None
) -> dict[str, np.ndarray]:
    """The first images of a phase, `shown`, as they are stored and as the network sees them: {view: uint8}.

    facts: of the weights that the config starts from, where it takes their normalisation
    """
    import jax
    import jax.numpy as jnp

    from skinjax.images.colour import to_bytes
    from skinjax.images.copies import fixed_copies
    from skinjax.images.correction import corrected
    from skinjax.images.views import example_keys, make_views
    from skinjax.models.pretrained.facts import NO_FACTS
    from skinjax.report.figures import tiled
    from skinjax.runs.building import normalisation

    mean_and_std = normalisation(recipe, facts or NO_FACTS)
    stored = trained = load(data.dataset, shown, data.size)
    rows = {f"as stored\n{data.size.height}x{data.size.width}": stored}
    if recipe.views.corrections:
        rows["\n".join(["corrected", *recipe.views.corrections])] = jax.jit(corrected(recipe.views.corrections))(stored)
    if phase.sampler.copies is not None:
        copies = phase.sampler.copies(0).ravel()[: len(shown)]
        trained = np.asarray(fixed_copies(*map(jnp.asarray, (stored, shown, copies))))
        rows["fixed copies"] = trained
    training, evaluation = (jax.jit(view) for view in make_views(recipe.views, mean_and_std))
    size = "x".join(map(str, recipe.views.size))
    for draw in range(DRAWS if phase.objective.augment else 0):
        keys = example_keys(jax.random.fold_in(jax.random.key(recipe.seed), draw), jnp.arange(len(shown)))
        rows[f"training view\n{recipe.views.train}, {size}\ndraw {draw + 1}"] = training(keys, trained)
    rows |= method_rows(recipe, data, phase, shown, trained, facts or NO_FACTS)
    rows[f"evaluation view\n{recipe.views.evaluation}, {size}"] = evaluation(stored)
    grid = recipe.views.crop_grid()
    pictures = {name: to_bytes(np.asarray(row), mean_and_std) for name, row in rows.items()}
    return {name: tiled(row, grid) if row.ndim == 5 else row for name, row in pictures.items()}


def method_rows(
    recipe: "Recipe", data: Data, phase: "Phase", shown: np.ndarray, trained: np.ndarray, facts: "Facts"
) -> dict[str, np.ndarray]:
    """What a method makes of pictures in training, `trained` as they are stored: its pretext's, and its mixtures.

    A mixture stands below the picture and the partner that it is of; so all three are drawn alike.
    """
    import jax
    import jax.numpy as jnp

    from skinjax.images.views import example_keys, make_views
    from skinjax.methods.base import PretextMethod
    from skinjax.model import make_method, normalisation

    key, rows = jax.random.key(recipe.seed), dict[str, jax.Array]()
    method = make_method(recipe, data.dataset.classes, facts)
    if isinstance(method, PretextMethod):
        trains = [term for term in method.pretexts() if phase.objective.coefficient(term, 1.0)]
        rows |= {f"{term}\nin training": jax.jit(method.shown)(key, trained) for term in trains}
    if recipe.method.mixing and phase.objective.augment:
        training, _ = make_views(recipe.views, normalisation(recipe, facts))
        own = jax.jit(training)(example_keys(key, jnp.arange(len(shown))), trained)
        targets = jax.nn.one_hot(data.dataset.columns["label"][shown], len(data.dataset.classes))
        mixed = recipe.method.mixing(key, own, targets, jnp.ones(len(shown), bool))
        rows |= {"a picture": own, "its partner": own[mixed.partner], "mixed": mixed.images}
    return {name: np.asarray(row) for name, row in rows.items()}


def draw_schedule(recipe: "Recipe", data: Data, phases: "Sequence[Phase]", folder: Path) -> None:
    """schedule.png: the learning rate of all phases in their order."""
    from skinjax.report import figures

    title = f"{recipe.name}:{recipe.variant}: learning rate ({recipe.optimizer.name})"
    write(figures.schedule(phases, title=title, synthetic=data.dataset.synthetic), folder / "schedule.png")


def write(figure: "Figure", path: Path) -> None:
    """Save a figure and say so."""
    from skinjax.report.figures import save

    with os_errors_as_user_errors(f"cannot write {path}", "make room or give another --out"):
        save(figure, path)
    print(f"wrote {path}")
