"""Tables to judge: a CSV from anywhere, or those that a finished run has left in its folder."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from skinjax.core.errors import UserError
from skinjax.evaluation.cases import CLUSTER, with_clusters, with_groups
from skinjax.evaluation.metrics import SMALL
from skinjax.evaluation.predictions import Predictions, in_classes, read_predictions
from skinjax.evaluation.text import record_of

FINISHED_FILE = "finished.json"
RUN_FILE = "config.json"  # that a folder of a run has from its start


@dataclasses.dataclass(frozen=True)
class Source:
    """A table to judge, the one that things are fitted on, if there is one, and what they are called."""

    name: str
    table: Predictions
    validation: Predictions | None = None
    part: str = ""
    small: tuple[int, ...] = SMALL  # over how many of the smallest classes figures are means

    def fitted_on(self) -> Predictions:
        """The validation table, its classes as those of the table, or a `UserError` that says why it cannot serve.

        It may share lesions with the table where the run was split by image, which is told as the leak that it is.
        """
        if self.validation is None:
            raise UserError(
                f"{self.name} has no validation table to fit on, and what is fitted on the table it is judged by "
                "flatters: give --validation=FILE"
            )
        both = np.intersect1d(self.validation.image_ids, self.table.image_ids)
        if len(both):
            raise UserError(
                f"{len(both)} images of {self.name} are in its validation table too, such as {str(both[0])!r}: what is "
                "fitted on images that it is judged by flatters; give others"
            )
        shared = np.intersect1d(self.validation.groups, self.table.groups)
        if len(shared) and record_of(self.table.protocol, "split", "name").get("name") != "image_stratified":
            raise UserError(
                f"{len(shared)} groups of {self.name} are in its validation table too, such as {str(shared[0])!r}: "
                "what is fitted on lesions that it is judged by flatters; give others"
            )
        return in_classes(self.validation, self.table.classes)


def named_path(text: str) -> tuple[str, Path]:
    """The name and the path of NAME=PATH, or '' and the path."""
    name, _, path = text.rpartition("=") if not Path(text).expanduser().exists() else ("", "", text)
    return name, Path(path).expanduser()


def with_groups_of(source: Source, path: str | None) -> Source:
    """A source whose tables have the groups of the file at a path, if one is named."""
    if not path:
        return source
    file, kept = Path(path).expanduser(), source.validation
    return dataclasses.replace(
        source, table=with_groups(source.table, file), validation=kept and with_groups(kept, file)
    )


def table_name(part: str, of: str = "") -> str:
    """The file of a part's predictions, or of those of a member or composition."""
    return f"predictions_{part}{'_' * bool(of)}{of}.csv"


def open_source(path: Path, part: str = "", validation: Path | None = None, name: str = "") -> Source:
    """The table at a path, or of a finished run's `part`: test, if it has one, else validation."""
    if not path.is_dir():
        if part:
            raise UserError(f"--part is of a run, and {path} is a table: leave it out")
        fitted = _table(validation) if validation else None
        return Source(name or path.stem, _table(path), fitted)
    parts = finished_parts(path)
    if not parts:
        raise UserError(f"the run in {path} holds nothing out (split.test and split.validation are 0): it has no table")
    part = part or ("test" if "test" in parts else parts[0])
    if part not in parts:
        raise UserError(f"the run in {path} has no predictions of its {part} part; it has {', '.join(parts)}")
    kept = validation or (path / table_name("validation") if "validation" in parts and part != "validation" else None)
    fitted = _table(kept) if kept else None
    return Source(name or path.resolve().name, _table(path / table_name(part)), fitted, part, _small(path))


def _table(path: Path) -> Predictions:
    """A table, resampled by its column `cluster` where it has one."""
    table = read_predictions(path)
    return with_clusters(table, table.metadata[CLUSTER]) if CLUSTER in table.metadata else table


def _small(folder: Path) -> tuple[int, ...]:
    """The `evaluations.small` of a run's config."""
    try:
        found = tuple(json.loads((folder / RUN_FILE).read_text())["config"]["evaluations"]["small"])
    except (OSError, ValueError, KeyError, TypeError):
        return SMALL
    return found if found and all(isinstance(k, int) and k > 0 for k in found) else SMALL


def finished_parts(folder: Path) -> list[str]:
    """The parts that a finished run has judged."""
    if not (folder / RUN_FILE).is_file():
        raise UserError(f"{folder} holds no run of skinjax: there is no {RUN_FILE} in it; name a run or a table")
    try:
        parts = json.loads((folder / FINISHED_FILE).read_text())["splits"]
        return [str(part) for part in parts]
    except FileNotFoundError:
        raise UserError(
            f"the run in {folder} has not finished: it still goes on, or was stopped; start its command again"
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / FINISHED_FILE} cannot be read ({error}): start the run's command again") from error
