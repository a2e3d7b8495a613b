"""Tables to judge: a CSV from anywhere, or those that a finished run has left in its folder."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from skinjax.core.errors import UserError
from skinjax.evaluation.cases import with_groups
from skinjax.evaluation.predictions import Predictions, read_predictions

FINISHED_FILE = "finished.json"
RUN_FILE = "config.json"  # that a folder of a run has from its start


@dataclasses.dataclass(frozen=True)
class Source:
    """A table to judge, the one that things are fitted on, if there is one, and what they are called."""

    name: str
    table: Predictions
    validation: Predictions | None = None
    part: str = ""

    def fitted_on(self) -> Predictions:
        """The validation table, or a `UserError` that says what is lacking, or that it is no other one."""
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
        return self.validation


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
        fitted = read_predictions(validation) if validation else None
        return Source(name or path.stem, read_predictions(path), fitted)
    parts = finished_parts(path)
    if not parts:
        raise UserError(f"the run in {path} holds nothing out (split.test and split.validation are 0): it has no table")
    part = part or ("test" if "test" in parts else parts[0])
    if part not in parts:
        raise UserError(f"the run in {path} has no predictions of its {part} part; it has {', '.join(parts)}")
    kept = validation or (path / table_name("validation") if "validation" in parts and part != "validation" else None)
    fitted = read_predictions(kept) if kept else None
    return Source(name or path.resolve().name, read_predictions(path / table_name(part)), fitted, part)


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
