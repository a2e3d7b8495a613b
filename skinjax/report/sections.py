"""The sections of a report: each says one thing about one subject."""

import base64
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from skinjax.core.errors import UserError
from skinjax.core.threads import map_in_order
from skinjax.data.acquire.decoding import thumbnail
from skinjax.data.splits.split import PARTS, leaks
from skinjax.evaluation import errors
from skinjax.evaluation.judgement import OTHERS
from skinjax.evaluation.text import HEADLINE, PER_CLASS, interval, leak_lines, protocol_in_words
from skinjax.papers import PAPERS
from skinjax.report import drawings
from skinjax.report.blocks import Block, Figure, Gallery, Grid, Thumbnail, Words
from skinjax.report.subjects import Part, Subject, parts

PEOPLE = {  # columns of metadata, and what they are called
    "age": "age",
    "sex": "sex",
    "site": "site of the body",
    "dx_type": "reference standard (dx_type)",
    "skin_tone": "skin tone",
}
SIDE = 144  # pixels of a thumbnail's longer side
MOST_VALUES = 20  # of a column
METRICS = (*HEADLINE, *OTHERS, "calibration_error")


def protocol(subject: Subject) -> list[Block]:
    """What was run, and on which protocol."""
    found, known = subject.found, subject.protocol
    rows = [("judged", f"{found['images']:,} images of {found['groups']:,} groups in {len(found['classes'])} classes")]
    if found["unlabelled"]:
        rows.append(("without a label, not judged", f"{found['unlabelled']:,} images"))
    if not known:
        return [
            Grid("", (), rows),
            Words("This table has no protocol: on what its classifier was trained is not known.", loud=True),
        ]
    rows += [(name.replace("_", " "), str(known[name])) for name in ("dataset", "config", "part") if known.get(name)]
    rows.append(("protocol", protocol_in_words(known).removeprefix(", ") or "not known"))
    model, method = (subject.config.get(name, {}) for name in ("model", "method"))
    if model and method:
        rows += [("method", str(method.get("name", ""))), ("network", str(model.get("backbone", "")))]
    return [Grid("", (), rows)]


def headline(subject: Subject) -> list[Block]:
    """The figures with their intervals, beside what the paper prints for the config of this name."""
    printed = printed_figures(subject)
    names = [*METRICS, *(name for name in printed if name not in METRICS)]
    header = ["figure", "value [95 % interval]", *(["printed in the paper"] if printed else [])]
    rows = []
    for name in names:
        cells = [name.replace("_", " "), interval(subject.found[name])]
        rows.append([*cells, printed.get(name, "")] if printed else cells)
    obstacle = subject.found["intervals"]["headline"]
    blocks: list[Block] = [Grid("With their 95 % intervals", header, rows)]
    if obstacle.startswith("no bootstrap"):
        blocks.append(Words(f"{obstacle[0].upper()}{obstacle[1:]}.", loud=True))
    note = (
        "Intervals count lesions (groups), not images. The calibration error has none: a bootstrap would not cover it."
    )
    if printed:
        note += (
            " The paper's numbers are of its own split and checkpoint: mean (standard deviation), where it prints one."
        )
    return [*blocks, Words(note)]


def printed_figures(subject: Subject) -> dict[str, str]:
    """What the papers print for the config of the run, by metric, each with its place."""
    name, _, variant = str(subject.protocol.get("config", "")).partition(":")
    found: dict[str, list[str]] = {}
    for paper, tables in PAPERS.items():
        for title, table in tables.items():
            for row in table.rows.values():
                if row.config != f"configs/{name}.py:{variant}":
                    continue
                for column, cell in row.cells.items():
                    spread = "" if cell.sd is None else f" ({cell.sd / table.scale:.3f})"
                    text = f"{cell.mean / table.scale:.3f}{spread}, paper {paper}, {title}"
                    found.setdefault(table.metrics[column], []).append(text)
    return {metric: "; ".join(texts) for metric, texts in found.items() if metric}


def flow(subject: Subject) -> list[Block]:
    """Images and lesions in the parts, and what is known of the people."""
    found = parts(subject)
    labels = [*subject.table.classes, *([""] if any((part.labels == "").any() for part in found.values()) else [])]
    rows = [
        [name or "(no label)", *(_counted(part, part.labels == name) for part in found.values())] for name in labels
    ]
    rows.append(["all", *(_counted(part, np.ones(len(part.labels), bool)) for part in found.values())])
    blocks: list[Block] = [Grid("Images / lesions (groups) of each class", ["class", *found], rows)]
    split = subject.protocol.get("split")
    left_out = {name: split.get(name) for name in ("left_out", "unlabelled")} if isinstance(split, Mapping) else {}
    told = [
        f"{count:,} images {name.replace('_', ' ')}"
        for name, count in left_out.items()
        if isinstance(count, int) and count
    ]
    if told:
        blocks.append(Words(f"In no part: {', '.join(told)}."))
    unknown = []
    for column, title in PEOPLE.items():
        known = {name: _values(part, column) for name, part in found.items()}
        if any(of is not None for of in known.values()):
            blocks += _people(title, found, known, subject.table.classes)
        else:
            unknown.append(title)
    blocks.sort(key=lambda of: isinstance(of, Grid) and of.folded)
    return [*blocks, Words(f"Not known: {', '.join(unknown)}.")] if unknown else blocks


def _people(
    title: str, found: Mapping[str, Part], known: Mapping[str, np.ndarray | None], classes: Sequence[str]
) -> list[Block]:
    """The images of each part with each value of a column, and of each part by class."""
    values = np.concatenate([of for of in known.values() if of is not None])
    distinct, counts = np.unique(values, return_counts=True)
    shown = sorted(distinct[np.argsort(-counts, kind="stable")][:MOST_VALUES].tolist(), key=lambda of: (not of, of))
    rows = [
        [value or "(unknown)", *("not known" if of is None else _share(of == value) for of in known.values())]
        for value in shown
    ]
    blocks: list[Block] = [Grid(f"Images by {title}", [title, *known], rows)]
    for name, of in known.items():
        if of is None or len(classes) > MOST_VALUES:
            continue
        cells = [[f"{np.sum((of == value) & (found[name].labels == label)):,}" for label in classes] for value in shown]
        by_class = [[value or "(unknown)", *row] for value, row in zip(shown, cells, strict=True)]
        blocks.append(Grid(f"By class: {title}, {name}", [title, *classes], by_class, folded=True))
    return blocks


def leak(subject: Subject) -> list[Block]:
    """Whether lesions that are judged were trained on."""
    if subject.split is None:
        return [Words("Not known: the table does not say what its classifier was trained on.", loud=True)]
    told, found = leak_lines(subject.protocol, subject.source.part), leaks(subject.split)
    blocks: list[Block] = [Words(line.strip(), loud=True) for line in told]
    for part in PARTS[1:]:
        shared, images = found[part, "train"], len(subject.split.rows(part))
        if shared.images:
            share = f"{shared.images:,} of {images:,} images ({100 * shared.share:.1f} %)"
            blocks.append(Words(f"{part}: {share} are of lesions with a training image.", loud=True))
        elif images:
            blocks.append(Words(f"{part}: none of {images:,} images is of a lesion with a training image."))
    return [
        *blocks,
        Words("Read off split.csv, by its groups. Duplicates under other names are found by skinjax scan."),
    ]


def training(subject: Subject) -> list[Block]:
    """The curves of the phases."""
    return [Figure(of) for of in drawings.of_logs({"": subject.log}, subject.synthetic)]


def curves(subject: Subject) -> list[Block]:
    """The figures of the table."""
    drawn = drawings.of_table(subject.table, subject.found, subject.synthetic)
    return [Figure(of) for of in drawn] or [Words("No image has a label: there is nothing to draw.")]


def classes(subject: Subject) -> list[Block]:
    """The figures of each class."""
    rows, few = [], False
    for name, of in subject.found["per_class"].items():
        few |= of["few"]
        groups = f"{of['groups']}{' †' if of['few'] else ''}"
        rows.append([name, str(of["support"]), groups, *(interval(of[figure]) for figure in PER_CLASS)])
    header = ["class", "images", "groups", *PER_CLASS]
    blocks: list[Block] = [Grid("Figures of each class [95 % interval]", header, rows)]
    return [
        *blocks,
        *([Words("† so few groups that the figures of the class are hardly known.", loud=True)] if few else []),
    ]


def mistakes(subject: Subject) -> list[Block]:
    """Pairs of classes with many errors, confident mistakes and top losses, with their photographs."""
    found, table = subject.found, subject.table
    if not found["images"]:
        return [Words("No image has a label: errors are not known.")]
    groups = [
        (f"{of['first']} and {of['second']}: {of['errors']} errors", errors.between(table, of["first"], of["second"]))
        for of in found["pairs"][:6]
    ]
    groups += [
        ("Most confident mistakes", [errors.Mistake(**of) for of in found["confident_mistakes"]]),
        ("Top losses: the least probability of their own class", [errors.Mistake(**of) for of in found["top_losses"]]),
    ]
    shown = thumbnails(subject, [of.image_id for _, several in groups for of in several])
    blocks: list[Block] = [] if shown else [Words(_no_photographs(subject))]
    for title, several in groups:
        blocks.append(Gallery(title, [_thumbnail(of, shown.get(of.image_id, "")) for of in several]))
    if not found["pairs"]:
        blocks.insert(0, Words("No two classes have 5 errors between them."))
    return blocks


def _thumbnail(of: errors.Mistake, source: str) -> Thumbnail:
    shows = f"{of.image_id}: {of.label}, taken for {of.prediction}"
    said = f"{of.label}: {of.of_label:.3f}", f"taken for {of.prediction}: {of.confidence:.3f}"
    return Thumbnail(source, shows, [of.image_id, *said])


def _no_photographs(subject: Subject) -> str:
    if not subject.config:
        return "A table has no photographs: images are told by their names."
    name = subject.protocol.get("dataset", "of the run")
    return f"Photographs need the data set {name}, as it was, under --data_dir: images are told by their names."


def thumbnails(subject: Subject, names: Sequence[str]) -> dict[str, str]:
    """The small photographs of these images as data: URIs, of those that can be read."""
    dataset = subject.dataset
    if dataset is None:
        return {}
    record_of = {name: record for record, name in enumerate(dataset.columns["image_id"].tolist())}
    known = sorted({name for name in names if name in record_of})

    def read(name: str) -> str:
        try:
            pixels = thumbnail(dataset.encoded(record_of[name]), SIDE, name)
        except UserError:
            return ""
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=80)
        return data_uri(file.getvalue())

    return dict(zip(known, map_in_order(read, known), strict=True))


def pictures(subject: Subject) -> list[Block]:
    """Pictures that others have drawn: Grad-CAMs of confident hits and top losses."""
    ready = [Thumbnail(data_uri(of.data), of.caption, [of.caption]) for of in subject.pictures]
    return [Gallery("", ready, wide=True)] if ready else []


def settings(subject: Subject) -> list[Block]:
    """The config and the surroundings of the run."""
    blocks: list[Block] = []
    for title, record in (("Settings (config.json)", subject.config), ("Environment", subject.environment)):
        if record:
            blocks.append(Grid(title, ["field", "value"], [*map(list, _flat(record))], folded=True))
    return blocks or [Words("Not known: a table has neither settings nor an environment.")]


def data_uri(data: bytes) -> str:
    """A PNG or JPEG file as a data: URI."""
    kind = "png" if data.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _flat(record: Mapping[str, Any], path: str = "") -> list[tuple[str, str]]:
    """The fields of a record by their paths."""
    found = []
    for name, value in record.items():
        if isinstance(value, Mapping) and value:
            found += _flat(value, f"{path}{name}.")
        else:
            found.append((f"{path}{name}", value if isinstance(value, str) else json.dumps(value)))
    return found


def _counted(part: Part, rows: np.ndarray) -> str:
    return f"{rows.sum():,} / {len(np.unique(part.groups[rows])):,}"


def _share(rows: np.ndarray) -> str:
    return f"{rows.sum():,} ({100 * rows.mean():.0f} %)" if len(rows) else "0"


def _values(part: Part, column: str) -> np.ndarray | None:
    """A column of metadata, ages in bands; None where it is not known."""
    values = part.metadata.get(column)
    if values is None or not len(values):
        return None
    return np.array([errors.age_band(of) for of in values.tolist()]) if column == "age" else values


SECTIONS: dict[str, tuple[str, Callable[[Subject], list[Block]]]] = {
    "protocol": ("What was judged", protocol),
    "figures": ("Figures", headline),
    "parts": ("Images and people", flow),
    "leak": ("Leak status", leak),
    "classes": ("Classes", classes),
    "curves": ("Confusion, curves and calibration", curves),
    "training": ("Training", training),
    "mistakes": ("Mistakes", mistakes),
    "pictures": ("What the answers rest on", pictures),
    "settings": ("Settings and environment", settings),
}
