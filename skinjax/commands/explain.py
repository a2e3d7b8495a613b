"""Draw what the answers of a trained run rest on: Grad-CAM, guided backpropagation, attention, reconstructions.

    skinjax explain runs/cdc-demo-0123abcd
    skinjax explain runs/cdc-demo-0123abcd ISIC_0024306 mole.jpg photos/ --stage=stage3 --guided
    skinjax explain runs/cdc-demo-0123abcd --correct=gamma

RUN is the folder of a finished run; PHOTOGRAPHS are ids of its data set, files, folders and archives, and without any
its surest hits and its top losses in the test part. explain.png has a column for each under its likeliest two classes;
randomised.png shows whether the maps depend on what was learnt. Each is there as SVG too, and as the CSV behind it.
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from skinjax.commands.show import make_folder, write
from skinjax.core.arguments import Parser
from skinjax.core.errors import UserError, lookup
from skinjax.core.tables import csv_text, write_table
from skinjax.core.threads import map_in_order
from skinjax.data.acquire.sources import File, open_photographs
from skinjax.data.dataset import data_root
from skinjax.data.pipeline import load as load_records
from skinjax.data.splits.parts import Data
from skinjax.evaluation.errors import confident_hits, top_losses
from skinjax.evaluation.predictions import NUMBER
from skinjax.evaluation.sources import open_source

if TYPE_CHECKING:  # they are imported when needed, which --help does not wait for
    from matplotlib.figure import Figure

    from skinjax.explain.sheet import Rows, Table
    from skinjax.model import Model

MOST_IMAGES = 50


class Photographs(NamedTuple):
    """Names and true classes, '' where that is not known, and pixels uint8 [n, H, W, 3] as `Model.read` gives them."""

    names: list[str]
    labels: list[str]
    images: np.ndarray


class Output(NamedTuple):
    """The folder of pictures and tables, the run's name for titles, and whether it learnt from drawn photographs."""

    folder: Path
    run: str
    synthetic: bool

    def sheet(self, name: str, rows: "Rows", captions: list[str], what: str, model: "Model") -> None:
        """Write these rows, patches laid out as they lie in their photograph."""
        from skinjax.report.figures import tiled, view_panel

        grid = model.spec.views.crop_grid()
        laid_out = {label: tiled(row, grid) if row.ndim == 5 else row for label, row in rows.items()}
        self.figure(name, view_panel(laid_out, captions, title=f"{self.run}: {what}", synthetic=self.synthetic))

    def figure(self, name: str, figure: "Figure") -> None:
        """Write a picture as PNG and as SVG."""
        for suffix in (".png", ".svg"):
            write(figure, self.folder / f"{name}{suffix}")

    def table(self, name: str, table: "Table") -> None:
        """Write a table and say so."""
        path = self.folder / f"{name}.csv"
        write_table(path, csv_text(table[0], table[1:]))
        print(f"wrote {path}")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of a finished run")
    parser.add_argument("photographs", metavar="PHOTOGRAPHS", nargs="*", default=[], help="ids, files, folders")
    parser.add_argument("--stage", default="features", help="whose maps Grad-CAM weighs (default: the last, features)")
    parser.add_argument("--classes", metavar="A,B", help="explain the logits of these (default: the predicted class)")
    parser.add_argument("--signed", action="store_true", help="without Grad-CAM's final ReLU: also what speaks against")
    parser.add_argument("--guided", action="store_true", help="draw guided backpropagation too")
    parser.add_argument("--correct", metavar="NAME", help="instead sweep a photograph correction and plot the answers")
    parser.add_number("--images", 6, 1, MOST_IMAGES, "without names, so many hits and losses (default 6)")
    parser.add_argument("--out", metavar="DIR", help="where pictures and tables go (default: RUN/explain)")
    parser.add_data_dir()


def run(options: argparse.Namespace) -> int:
    from skinjax.core.compilation_cache import use_compilation_cache
    from skinjax.explain.grad_cam import check_stage
    from skinjax.explain.guided_backprop import check_relus
    from skinjax.explain.sweeps import SWEEPS
    from skinjax.model import MODEL_FILE, load_run
    from skinjax.report.figures import SYNTHETIC
    from skinjax.runs.workdir import read_config

    folder = Path(options.run).expanduser()
    if not (folder / MODEL_FILE).exists():
        read_config(folder)  # tells a folder that holds no run from a run that goes on
    model = load_run(folder)
    check_stage(model.method, options.stage)
    for name in split(options.classes):
        lookup("class", name, dict.fromkeys(model.classes))
    if options.guided:
        check_relus(model.spec.model.backbone, model.spec.views.size)
    if options.correct is not None:
        lookup("correction", options.correct, SWEEPS)
        if options.classes or options.guided or options.signed:
            raise UserError("--correct plots the answers alone: leave --classes, --guided and --signed out")
    photographs, bad = read(model, options)
    out = make_folder(options.out or str(folder / "explain"), "")
    use_compilation_cache(data_root(options.data_dir) / "compilation_cache")
    output = Output(out, folder.resolve().name, bool(model.origin.get("protocol", {}).get("synthetic")))
    if output.synthetic:
        print(SYNTHETIC)
    (draw_sweep if options.correct else draw_explanations)(model, photographs, output, options)
    for sentence in bad:
        print(sentence, file=sys.stderr)
    return int(bool(bad))


def split(names: str | None) -> list[str]:
    """The names between commas."""
    return [] if names is None else [*map(str.strip, names.split(","))]


def read(model: "Model", options: argparse.Namespace) -> tuple[Photographs, list[str]]:
    """The photographs that are asked for, and what is wrong with each that cannot be read."""
    named = options.photographs
    paths = [name for name in named if "/" in name or os.path.exists(os.path.expanduser(name))]
    ids = [name for name in named if name not in paths]
    names, labels, images, bad = list[str](), list[str](), list[np.ndarray](), list[str]()
    with contextlib.ExitStack() as opened:
        files = [file for path in paths for file in open_photographs(Path(path).expanduser(), opened)]
        if len(files) + len(ids) > MOST_IMAGES:
            raise UserError(f"{len(files) + len(ids)} photographs are asked for; choose 1 to {MOST_IMAGES}")

        def pixels(file: File) -> np.ndarray | str:
            try:
                return model.read(file.read(), file.path)
            except UserError as error:
                return str(error)

        for file, seen in zip(files, map_in_order(pixels, files), strict=True):
            if isinstance(seen, str):
                bad.append(seen)
            else:
                names, labels, images = [*names, file.stem], [*labels, ""], [*images, seen]
    if ids or not named:
        from skinjax.runs.experiment import open_run

        _, data, _ = open_run(Path(options.run).expanduser(), data_root(options.data_dir))
        records = records_of(data, ids or telling(Path(options.run).expanduser(), options.images))
        names += data.dataset.columns["image_id"][records].tolist()
        labels += data.dataset.label_names()[records].tolist()
        images += list(load_records(data.dataset, records, data.size))
    if not images:
        raise UserError(bad[0])
    return Photographs(names, labels, np.stack(images)), bad


def telling(run: Path, images: int) -> list[str]:
    """The ids of the surest hits in the run's test part, and then of its top losses, as many of both if there are."""
    table = open_source(run).table
    hits = [of.image_id for of in confident_hits(table, (images + 1) // 2)]
    losses = [of.image_id for of in top_losses(table, images) if of.image_id not in hits]
    return [*hits, *losses[: images - len(hits)]]


def records_of(data: Data, image_ids: list[str]) -> np.ndarray:
    """The records of these ids."""
    record_of = {name: record for record, name in enumerate(data.dataset.columns["image_id"].tolist())}
    missing = [name for name in image_ids if name not in record_of]
    if missing:
        raise UserError(
            f"the data set {data.dataset.name} has no photograph {missing[0]!r}, and there is no file or folder of "
            "that name"
        )
    return np.array([record_of[name] for name in image_ids])


def draw_explanations(model: "Model", photographs: Photographs, output: Output, options: argparse.Namespace) -> None:
    """explain.png, randomised.png and their tables."""
    from skinjax.explain import sheet
    from skinjax.explain.randomised import MEANING

    names, labels, images = photographs
    of = sheet.explained(model, images, options.stage, split(options.classes), options.signed, options.guided)
    for place in sheet.places(of.outputs):
        weights = of.outputs[sheet.ATTENTION + place]
        print(f"attention on {place}: weights from {weights.min():.3f} to {weights.max():.3f}")
    stages = sheet.deciding_stages(model, next(iter(of.classes.values())))
    captions = [
        "\n".join([label or name, *(f"{p:.2f} {known}" for known, p in two), *([f"by {stage}"] if stage else [])])
        for name, label, two, stage in zip(names, labels, sheet.top_two(model, of.outputs), stages, strict=True)
    ]
    output.sheet("explain", of.rows, captions, "what its answers rest on, below the likeliest two", model)
    for name, table in sheet.tables(model, of, names, labels).items():
        output.table(name, table)
    rows, correlations = sheet.randomised(model, of, images, options.stage, options.signed)
    output.sheet("randomised", rows, captions, "Grad-CAM as the weights are drawn anew", model)
    header = ("drawn_anew_down_to", "network", "rank_correlation")
    output.table("randomised", [("photograph", *header), *sheet.in_rows(correlations, names)])
    for (lowest, trunk), values in correlations.items():
        print(f"{trunk} drawn anew down to {lowest}: rank correlation {sheet.mean(values)}")
    print(MEANING)


def draw_sweep(model: "Model", photographs: Photographs, output: Output, options: argparse.Namespace) -> None:
    """correct_NAME.png and .csv: the answers by the setting of a correction."""
    from skinjax.explain.sweeps import sweep
    from skinjax.report.responses import response_curves

    names, labels, images = photographs
    correction, (of, probabilities) = options.correct, sweep(model, images, options.correct)
    figure = response_curves(
        of.values,
        probabilities,
        model.classes,
        [f"{name} {label}" for name, label in zip(names, labels, strict=True)],
        setting=of.setting,
        unchanged=of.unchanged,
        title=f"{output.run}: answers by the setting of {correction}",
        synthetic=output.synthetic,
    )
    output.figure(f"correct_{correction}", figure)
    rows = [
        (name, label, f"{value:g}", *(NUMBER % p for p in answer))
        for name, label, answers in zip(names, labels, probabilities.tolist(), strict=True)
        for value, answer in zip(of.values, answers, strict=True)
    ]
    header = ("photograph", "true_class", correction, *(f"p_{known}" for known in model.classes))
    output.table(f"correct_{correction}", [header, *rows])
