"""What a model says of photographs, as records, and those as lines of CSV, of JSON, or of ISIC's tables."""

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from skinjax.core.errors import UserError
from skinjax.core.tables import csv_lines, read_file, read_table
from skinjax.core.threads import map_in_order
from skinjax.data.acquire.sources import File
from skinjax.deploy.origins import NOT_MEDICAL
from skinjax.deploy.predictor import Answers, Predictor
from skinjax.evaluation.predictions import NUMBER

Array = np.ndarray
Record = dict[str, Any]

TOP = 3  # classes that a record names
FOLDER = "folder"
# The columns of ISIC's tables, in their order, for these classes.
ISIC = {
    ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"): ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"),
    ("ak", "bcc", "bkl", "df", "mel", "nv", "scc", "vasc"): ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC"),
}


@dataclasses.dataclass(frozen=True)
class Photograph:
    """A photograph that was asked about: what the network says of it (None if it cannot be read), flags, and errors.

    path: as it was named; distance: how unlike training photographs it is, nan where that is not known
    """

    path: str
    image_id: str
    probabilities: Array | None = None
    distance: float = np.nan
    flags: tuple[str, ...] = ()
    error: str = ""
    pixels: Array | None = None


def photographs(predictor: Predictor, files: Sequence[File], keep_pixels: bool = False) -> Iterator[Photograph]:
    """Each photograph, in order; no more pixels are held than make a batch."""

    def read(file: File) -> tuple[Array, tuple[str, ...]] | str:
        try:
            return predictor.look(file.read(), file.path)
        except UserError as error:
            return str(error)

    waiting: list[tuple[File, Any]] = []
    readable = 0
    for file, seen in zip(files, map_in_order(read, files), strict=True):
        waiting.append((file, seen))
        readable += not isinstance(seen, str)
        if readable == predictor.model.spec.batch:
            yield from _answered(predictor, waiting, keep_pixels)
            waiting, readable = [], 0
    yield from _answered(predictor, waiting, keep_pixels)


def _answered(predictor: Predictor, waiting: Sequence[tuple[File, Any]], keep_pixels: bool) -> Iterator[Photograph]:
    seen = [of for _, of in waiting if not isinstance(of, str)]
    outputs = predictor.outputs(np.stack([pixels for pixels, _ in seen])) if seen else {}
    distances = predictor.distances(outputs) if seen else None
    found = iter(range(len(seen)))
    for file, of in waiting:
        if isinstance(of, str):
            yield Photograph(file.path, file.stem, error=of)
            continue
        place = next(found)
        distance = np.nan if distances is None else float(distances[place])
        pixels = of[0] if keep_pixels else None
        yield Photograph(file.path, file.stem, outputs["probabilities"][place], distance, of[1], "", pixels)


def pooled(found: Iterable[Photograph], group_of: Callable[[Photograph], str]) -> list[Photograph]:
    """The photographs of each lesion as one: mean probabilities, all flags, and the largest distance."""
    groups: dict[str, list[Photograph]] = {}
    for of in found:
        groups.setdefault(group_of(of), []).append(of)
    lesions = []
    for name, several in groups.items():
        readable = [of for of in several if of.probabilities is not None]
        bad = [of.error for of in several if of.error]
        more = f"; and {len(bad) - 1} more of {len(several)} photographs" if len(bad) > 1 else ""
        lesions.append(
            Photograph(
                path="; ".join(of.path for of in several),
                image_id=name,
                probabilities=np.mean([np.asarray(of.probabilities) for of in readable], axis=0) if readable else None,
                distance=max((of.distance for of in readable), default=np.nan),
                flags=tuple(dict.fromkeys(flag for of in several for flag in of.flags)),
                error=bad[0] + more if bad else "",
            )
        )
    return lesions


def groups_of(named: str, files: Sequence[File]) -> Callable[[Photograph], str]:
    """The lesion of a photograph: its folder, or that of a CSV `image_id,group`, which must know every one."""
    if named == FOLDER:
        return lambda of: str(PurePosixPath(of.path).parent)
    path = Path(named).expanduser()
    rows = read_table(read_file(path), str(path), ("image_id", "group")).unique("image_id")
    for file in files:
        if not rows.get(file.stem) or not rows[file.stem].cells["group"]:
            raise UserError(f"{path} has no group for {file.stem!r} ({file.path}): give it one, its own if it has none")
    return lambda of: rows[of.image_id].cells["group"]


def records(predictor: Predictor, found: Iterable[Photograph]) -> Iterator[Record]:
    """A record for each photograph; what the model does not know has no place in it."""
    left = iter(found)
    while several := list(itertools.islice(left, predictor.model.spec.batch)):  # which are decided together
        readable = [of for of in several if of.probabilities is not None]
        answered = iter(_answer_records(predictor, readable) if readable else ())
        for of in several:
            record: Record = {"path": of.path, "image_id": of.image_id}
            if of.probabilities is not None:
                record |= next(answered)
            yield record | {"flags": list(of.flags), "error": of.error, "notice": NOT_MEDICAL}


def _answer_records(predictor: Predictor, readable: Sequence[Photograph]) -> Iterator[Record]:
    probabilities = np.stack([np.asarray(of.probabilities) for of in readable])
    distance = np.array([of.distance for of in readable])
    answers = predictor.decide(probabilities, None if np.isnan(distance).all() else distance)
    return (answer_record(predictor, answers, place) for place in range(len(readable)))


def answer_record(predictor: Predictor, answers: Answers, place: int) -> Record:
    """What is said of one photograph, JSON-ready."""
    classes, probabilities = predictor.classes, answers.probabilities[place]
    order = np.argsort(-probabilities, kind="stable")[:TOP]
    record: Record = {
        "prediction": classes[order[0]],
        "top": [[classes[label], float(probabilities[label])] for label in order],
        "probabilities": {name: float(p) for name, p in zip(classes, probabilities, strict=True)},
        "entropy": float(answers.entropy[place]),
    }
    if answers.sets is not None:
        record["conformal_set"] = [name for name, inside in zip(classes, answers.sets[place], strict=True) if inside]
    if answers.distance is not None and answers.is_unlike is not None:
        record |= {"distance": float(answers.distance[place]), "unlike": bool(answers.is_unlike[place])}
    if answers.positive is not None and answers.yes is not None:
        record |= {"p_yes": float(answers.positive[place]), "yes": bool(answers.yes[place])}
    return record


def csv_header(predictor: Predictor) -> list[str]:
    """The columns of the table for people and programs."""
    known = predictor.decisions
    return [
        *("path", "image_id", "prediction", "second"),
        *(f"p_{name}" for name in predictor.classes),
        "entropy",
        *(["conformal_set"] if known and known.farthest else []),
        *(["distance", "unlike"] if predictor.knows_unlike else []),
        *(["p_yes", "yes"] if known and known.question else []),
        *("flags", "error", "notice"),
    ]


def csv_row(header: Sequence[str], record: Mapping[str, Any]) -> list[str]:
    """A record as a row; what is several is parted by blanks."""
    top = record.get("top", [])
    flat = {**record, "second": top[1][0] if len(top) > 1 else ""}
    flat |= {f"p_{name}": p for name, p in record.get("probabilities", {}).items()}
    return [_cell(flat.get(column, "")) for column in header]


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, float):
        return NUMBER % value
    return " ".join(value) if isinstance(value, list) else str(value)


class Lines:
    """The lines of a format, `csv`, `jsonl` or `isic`: the first, and that of a record, '' for none."""

    def __init__(self, predictor: Predictor, format: str):
        self.header = csv_header(predictor)
        self.format = format
        self.columns: tuple[str, ...] = ()
        if format == "isic":
            known = tuple(sorted(name.lower() for name in predictor.classes))
            if known not in ISIC:
                told = " or ".join(", ".join(names) for names in ISIC)
                raise UserError(f"--format=isic is for the classes of ISIC's challenges ({told}); use csv")
            self.columns = ISIC[known]
            self.own = {name.upper(): name for name in predictor.classes}

    def first(self) -> str:
        """The line before all others."""
        if self.format == "jsonl":
            return ""
        if self.format == "isic":
            unknown = ["UNK"] if "SCC" in self.columns else []
            return csv_lines([["image", *self.columns, *unknown]])[0]
        return csv_lines([self.header])[0]

    def of(self, record: Mapping[str, Any]) -> str:
        """The line of a record; ISIC's tables have none for a photograph that cannot be read."""
        if self.format == "jsonl":
            return json.dumps(record, ensure_ascii=False)
        if self.format == "csv":
            return csv_lines([csv_row(self.header, record)])[0]
        if "probabilities" not in record:
            return ""
        numbers = [NUMBER % record["probabilities"][self.own[name]] for name in self.columns]
        return csv_lines([[record["image_id"], *numbers, *(["0"] if "SCC" in self.columns else [])]])[0]
