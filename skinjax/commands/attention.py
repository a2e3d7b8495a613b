"""Draw the patches of photographs in borders as bright as the attention that a trained run gives them.

    skinjax attention runs/patch_attention-demo-0123abcd
    skinjax attention runs/patch_attention-demo-0123abcd ISIC_0024306 ISIC_0024310 --out=pictures

RUN is the folder of a finished run of the method `patches` with attention. attention.png has a column for each
photograph: as it is stored, then its patches for every place of attention. The border of the patch that weighs most is
bright, that of the one that weighs least is black, and the weights between which they lie are printed.
"""

import argparse
from pathlib import Path

import numpy as np

from skinjax.commands.show import make_folder, to_bytes, write
from skinjax.core.arguments import Parser
from skinjax.core.errors import UserError
from skinjax.data.dataset import data_root
from skinjax.data.pipeline import load
from skinjax.data.splits.parts import Data

PICTURE = "attention.png"
MOST_IMAGES = 50


def add_arguments(parser: Parser) -> None:
    parser.add_argument("run", metavar="RUN", help="the folder of a finished run")
    parser.add_argument("image_ids", metavar="IMAGE_ID", nargs="*", default=[], help="photographs of its data set")
    parser.add_number("--images", 6, 1, MOST_IMAGES, "without ids, so many of the test part")
    parser.add_argument("--out", metavar="DIR", help="where the picture goes (default: the run's folder)")
    parser.add_data_dir()


def run(options: argparse.Namespace) -> int:
    if len(options.image_ids) > MOST_IMAGES:
        raise UserError(f"{len(options.image_ids)} photographs are asked for; choose 1 to {MOST_IMAGES}")
    import jax

    from skinjax.explain.attention import framed
    from skinjax.methods.patches import Patches, attention_at
    from skinjax.model import normalisation
    from skinjax.report.figures import tiled, view_panel
    from skinjax.runs.experiment import open_run
    from skinjax.runs.workdir import read_config

    folder = Path(options.run)
    read_config(folder)  # a folder that holds no run is not made one for pictures
    out = make_folder(options.out or str(folder), "")
    recipe, data, model = open_run(folder, data_root(options.data_dir))
    method = model.method
    if model.members:
        raise UserError(f"the run in {folder} is an ensemble: give one of evaluate=last or best, which has one network")
    if not isinstance(method, Patches) or not method.settings.attention:
        raise UserError(f"the run in {folder} has no attention between patches: its method.attention names no place")
    records = chosen(data, options.image_ids, options.images)
    stored = load(data.dataset, records, data.size)
    outputs = model.predict(stored)
    view = np.asarray(method.parts.pictures.evaluation_view(jax.numpy.asarray(stored)))
    shown = to_bytes(view, normalisation(model.spec, model.facts))
    grid = recipe.views.crop_grid()
    rows = {"as stored": stored}
    for place in method.settings.attention:
        weights = outputs[attention_at(place)]
        print(f"attention on {place}: weights from {weights.min():.3f} to {weights.max():.3f}")
        rows[f"attention on\n{place}"] = tiled(framed(shown, weights), grid)
    names = data.dataset.label_names()[records]
    likeliest = np.array(data.dataset.classes)[outputs["probabilities"].argmax(-1)]
    captions = [f"{name} ({answer})" for name, answer in zip(names, likeliest, strict=True)]
    title = f"{recipe.name}:{recipe.variant}: attention, and true class (answer)"
    write(view_panel(rows, captions, title=title, synthetic=data.dataset.synthetic), out / PICTURE)
    return 0


def chosen(data: Data, image_ids: list[str], images: int) -> np.ndarray:
    """The records of these ids; without any, the first photographs of the test part, class by class in turn."""
    if image_ids:
        record_of = {name: record for record, name in enumerate(data.dataset.columns["image_id"].tolist())}
        missing = [name for name in image_ids if name not in record_of]
        if missing:
            raise UserError(f"the data set {data.dataset.name} has no photograph {missing[0]!r}")
        return np.array([record_of[name] for name in image_ids])
    part = "test" if len(data.records["test"]) else "validation" if len(data.records["validation"]) else "train"
    records, labels = data.records[part], data.labels(part)
    turn = np.empty(len(records), int)  # which image of its class it is, from 0
    for label in np.unique(labels):
        turn[labels == label] = np.arange(np.sum(labels == label))
    return records[np.lexsort((labels, turn))][:images]
