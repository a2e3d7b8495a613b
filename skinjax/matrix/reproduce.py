"""A paper's tables: the runs that their rows ask for, and what these came to beside the printed numbers."""

import dataclasses
import functools
import itertools
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skinjax.core.errors import Print, UserError, lookup
from skinjax.data.splits.protocols import DRAWN
from skinjax.evaluation.cases import with_groups
from skinjax.evaluation.comparisons import FEWEST_RUNS, method_difference, runs_mean
from skinjax.evaluation.confusion import METRICS
from skinjax.evaluation.intervals import paired_difference
from skinjax.evaluation.predictions import Predictions, read_predictions
from skinjax.evaluation.priors import choose_tau, training_prior, with_prior
from skinjax.evaluation.scores import SCORE_METRICS
from skinjax.evaluation.sources import finished_parts, table_name
from skinjax.evaluation.text import leaks_in_words, protocol_in_words
from skinjax.matrix.demo import at_demo_scale
from skinjax.matrix.jobs import Job, changes_of_parents, job_of, state_of
from skinjax.matrix.sources import Source
from skinjax.papers.printed import Claim, Printed, Row, Table, place_of, series_of
from skinjax.recipe.config_files import load_config, with_changes
from skinjax.recipe.recipe import Recipe
from skinjax.runs.again import judge_again
from skinjax.runs.side_by_side import watched_by

SCALES = {
    "demo": "drawn photographs, tiny networks, seconds",
    "full": "the data, networks and durations of the configs",
}
MEASURED = {**METRICS, **SCORE_METRICS}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A run that a row asks for, and the changes after which its network is judged, if it was trained without them."""

    table: str
    row: str
    config: str
    job: Job
    changes: tuple[str, ...] = ()

    def folder(self, root: Path, data: Path, say: Print = print) -> Path:
        """The folder of its figures, judged now if need be."""
        trained = self.job.folder(root)
        return judge_again(trained, self.changes, data, say) if self.changes else trained


@dataclasses.dataclass(frozen=True)
class Cell:
    """What a row's runs have in a column: printed as the paper does, in its scale; unknown figures are nan."""

    printed: Printed | None
    values: tuple[float, ...] = ()
    low: float = np.nan
    high: float = np.nan

    @property
    def mean(self) -> float:
        return float(np.mean(self.values)) if self.values else np.nan

    @property
    def sd(self) -> float:
        """The deviation over the runs (ddof 0)."""
        return float(np.std(self.values)) if self.values else np.nan

    @property
    def difference(self) -> float:
        return self.mean - self.printed.mean if self.printed else np.nan


def tables_of(tables: Mapping[str, Table], names: Sequence[str] = ()) -> dict[str, Table]:
    """All tables, or those that are named, as `V` or `Table V`."""
    if not names:
        return dict(tables)
    short = {name.removeprefix("Table "): name for name in tables}
    chosen = [name if name in tables else short[lookup("table", name, {of: of for of in short})] for name in names]
    return {name: tables[name] for name in chosen}


def needed_by(wanted: Mapping[str, Table]) -> set[str]:
    """The tables whose runs these tables and their claims are of."""
    named = {place_of(row, name)[0] for name, table in wanted.items() for of in table.claims for row in of[:2]}
    return named | {table.against for table in wanted.values() if table.against} | wanted.keys()


def entries_of(
    source: Source, scale: str, seeds: int = 1, changes: Sequence[str] = (), needed: Collection[str] = ()
) -> list[Entry]:
    """All runs of the needed tables, or of all; runs that differ only in how they are judged are one."""

    @functools.cache
    def loaded(config: str, own: tuple[str, ...] = ()) -> Recipe:
        return scaled(load_config(config, own, own=source.is_ours), scale)

    def load(config: str) -> Recipe:
        return with_changes(loaded(config), changes_of_parents(changes))

    found: list[Entry] = []
    trained: dict[str, Recipe] = {}  # the first recipe that is trained like it, whichever table asks for it
    for name, table in source.tables.items():
        for row_name, row in table.rows.items():
            if not row.config:
                continue
            named = table.judged.get(row_name, row_name)  # whose network it is
            of_network = table.rows[named].config if named in table.rows else named
            recipe = loaded(row.config, tuple(table.changes.get(row_name, ())))
            network = loaded(of_network, tuple(table.changes.get(named, ())))
            first = trained.setdefault(repr(as_trained(network)), network)
            if needed and name not in needed:
                continue
            first, recipe = with_changes(first, changes), with_changes(recipe, changes)
            if is_blind(table, row_name, recipe):
                raise UserError(f"{name} has figures of the validation part: leave split.validation above 0")
            folds = 1 if scale == "demo" else table.folds
            for seed, fold in itertools.product(range(recipe.seed, recipe.seed + seeds), range(folds)):
                made, wanted = (
                    dataclasses.replace(of, seed=seed, split=of.split.replace(fold=fold)) for of in (first, recipe)
                )
                job = job_of(f"{source.name} {name}: {row_name}", fold, made, load)
                found.append(Entry(name, row_name, row.config, job, judging_changes(made, wanted)))
    return found


def is_blind(table: Table, row: str, recipe: Recipe) -> bool:
    """Whether a row needs validation images, and its split draws none."""
    needs = row in table.corrected or any(figure.startswith("validation:") for figure in table.metrics.values())
    return needs and recipe.split.protocol in DRAWN and not recipe.split.validation


def scaled(recipe: Recipe, scale: str) -> Recipe:
    """A recipe at a scale."""
    return at_demo_scale(recipe) if lookup("scale", scale, dict.fromkeys(SCALES, scale)) == "demo" else recipe


def as_trained(recipe: Recipe) -> Recipe:
    """The recipe without what it is called, and without what only judging knows where no figure steers its training."""
    steered = watched_by(recipe) or not all(phase.augment for phase in recipe.in_order().values())
    plain = dataclasses.replace(recipe, name="", variant="")
    if steered:
        return plain
    views = recipe.views.replace(evaluation="squash", window=None, repeats="none")
    if not views.several_in_training:
        views = views.replace(crops=9, grid=None)
    return dataclasses.replace(plain, views=views)


def judging_changes(trained: Recipe, wanted: Recipe) -> tuple[str, ...]:
    """The changes after which the network of the one recipe is judged as that of the other."""
    found: list[str] = []
    for section in ("views", "dataset", "split"):
        before, after = getattr(trained, section), getattr(wanted, section)
        for field in dataclasses.fields(after):
            was, now, name = getattr(before, field.name), getattr(after, field.name), f"{section}.{field.name}"
            if was == now:
                continue
            if isinstance(now, Mapping):
                found += [f"{name}.{key}={value}" for key, value in now.items()]
            else:
                found.append(f"{name}={now}")
    return tuple(found)


class Run(NamedTuple):
    """A finished run: where it was trained, where it was judged, and of how many smallest classes it tells figures.

    corrected: its decisions are for equally frequent classes; groups: a file with those of the test part
    """

    trained: Path
    judged: Path
    small: int
    corrected: bool = False
    groups: Path | None = None

    @property
    def part(self) -> str:
        """The part that its figures are of."""
        parts = finished_parts(self.judged)
        if not parts:
            raise UserError(f"the run in {self.trained} holds nothing out: set split.test")
        return "test" if "test" in parts else parts[0]

    def table(self, part: str = "") -> Predictions:
        """Its predictions."""
        part = part or self.part
        table = read_predictions(self.judged / table_name(part))
        if self.corrected:
            prior, equal = training_prior(table), np.full(len(table.classes), 1 / len(table.classes))
            kept = read_predictions(self.judged / table_name("validation"))
            table = with_prior(table, prior, equal, choose_tau(kept, prior, equal))
        return with_groups(table, self.groups) if self.groups and part == "test" else table

    def seconds(self) -> float:
        """How long it trained: what its log says last."""
        return float(json.loads((self.trained / "metrics.jsonl").read_text().splitlines()[-1])["seconds"])

    def of_smallest(self, figure: str) -> float:
        """A figure of its smallest classes."""
        found = json.loads((self.judged / f"metrics_{self.part}.json").read_text())["small_classes"]
        value = found[str(self.small)][figure]
        return np.nan if value is None else value


def cells_of(table: Table, row: Row, runs: Sequence[Run], against: Sequence[Run]) -> dict[str, Cell]:
    """The cells of a row; `against`: the runs of the row that it is compared to."""
    cells = {}
    for column, figure in table.metrics.items():
        printed, (prefix, _, name) = row.cells.get(column), figure.rpartition(":")
        values: Sequence[float] = ()
        low = high = np.nan
        if runs and figure == "seconds":
            values = [run.seconds() for run in runs]
        elif runs and against and figure in ("seconds_saved", "seconds_times"):
            ours, theirs = (sum(run.seconds() for run in of) for of in (runs, against))
            values = [theirs / ours if figure == "seconds_saved" else ours / theirs]
        elif runs and prefix == "small":
            values = [table.scale * run.of_smallest(name) for run in runs]
        elif runs and name in MEASURED:
            found = runs_mean([run.table(prefix) for run in runs], name)
            low, high = table.scale * found.low, table.scale * found.high
            values = [table.scale * value for value in found.values]
        cells[column] = Cell(printed, tuple(values), low, high)
    return cells


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What became of a claim: `held`, `not held` or `undecided`, and why, with the difference in the paper's scale."""

    claim: Claim
    state: str
    told: str


def verdict(
    table: Table, claim: Claim, higher: Sequence[Run], lower: Sequence[Run], constant: Printed | None = None
) -> Verdict:
    """A claim judged by the paired interval: of methods over five runs or more, of two networks where there is one.

    constant: the printed number of the row of the two that nobody here trains
    """
    part, _, metric = table.metrics[claim.column].rpartition(":")
    if part == "small":
        return Verdict(claim, "undecided", "no interval is known")
    ours, others = ([run.table(part) for run in runs] for runs in (higher, lower))
    if constant and any(run.protocol.get("synthetic") for run in (*ours, *others)):
        return Verdict(claim, "undecided", "drawn photographs are held against no printed number")
    if constant and bool(ours) != bool(others):
        found = runs_mean(ours or others, metric)
        value, sign = constant.mean / table.scale, 1 if ours else -1
        mean, *bounds = (sign * (x - value) for x in (float(np.mean(found.values)), found.low, found.high))
        low, high = min(bounds), max(bounds)
        told = f"{_signed(table, mean, low, high)}, to a printed number, by our test images alone"
    elif not (ours and others):
        return Verdict(claim, "undecided", "not every row was trained")
    elif len(ours) == 1:
        pair = paired_difference(others[0], ours[0], metric)
        low, high = pair.low, pair.high
        told = f"{_signed(table, pair.value, low, high)}, of these two networks"
    else:
        of = method_difference(others, ours, metric)
        low, high = of.low, of.high
        few = f": fewer than {FEWEST_RUNS} decide nothing" if of.runs < FEWEST_RUNS else ""
        told = f"{_signed(table, of.value, low, high)}, over {of.runs} runs{few}"
    return Verdict(claim, "held" if low > 0 else "not held" if high < 0 else "undecided", told)


def _signed(table: Table, value: float, low: float, high: float) -> str:
    digits = 1 if table.scale > 1 else 3
    value, low, high = (table.scale * x for x in (value, low, high))
    bounds = "" if np.isnan(low) else f" [{low:+.{digits}f}, {high:+.{digits}f}]"
    return f"{value:+.{digits}f}{bounds}"


@dataclasses.dataclass(frozen=True)
class Found:
    """A table as it was found: the cells of its rows, how many runs each has and their protocol, and its claims."""

    name: str
    table: Table
    cells: Mapping[str, Mapping[str, Cell]]
    runs: Mapping[str, int]
    protocols: Mapping[str, str]
    verdicts: Sequence[Verdict]
    networks: Mapping[str, str]


def whole_rows(entries: Sequence[Entry], root: Path) -> list[Entry]:
    """The entries of the rows all of whose runs are done."""
    lacking = {(of.table, of.row) for of in entries if state_of(of.job.folder(root)) != "done"}
    return [of for of in entries if (of.table, of.row) not in lacking]


def read(
    wanted: Mapping[str, Table],
    entries: Sequence[Entry],
    root: Path,
    data: Path,
    say: Print,
    groups: Path | None = None,
) -> list[Found]:
    """The tables whose runs are done; rows that are judged otherwise than they were trained are judged now."""
    runs: dict[tuple[str, str], list[Run]] = {}
    networks: dict[tuple[str, str], str] = {}
    for entry in entries:
        place, recipe = (entry.table, entry.row), entry.job.recipe
        folders = entry.job.folder(root), entry.folder(root, data, say)
        corrected = entry.table in wanted and entry.row in wanted[entry.table].corrected
        run = Run(*folders, recipe.evaluations.small[0], corrected, groups)
        runs.setdefault(place, []).append(run)
        networks[place] = recipe.model.backbone
    found = []
    for name, table in wanted.items():
        of = {row: runs.get((name, row), []) for row in table.rows}

        def compared(row: str, name: str = name, table: Table = table) -> list[Run]:
            """The runs that those of a row are compared to: of the same row elsewhere, or the first of its series."""
            if table.axis:
                row = next(other for other in table.rows if series_of(other)[0] == series_of(row)[0])
            return runs.get((table.against or name, row), [])

        cells = {row: cells_of(table, table.rows[row], of[row], compared(row)) for row in table.rows}
        verdicts = []
        for claim in table.claims:
            places = [place_of(row, name) for row in (claim.higher, claim.lower)]
            named = [table.rows[row] for table_name, row in places if table_name == name]
            constant = next((row.cells.get(claim.column) for row in named if not row.config), None)
            higher, lower = (runs.get(place, []) for place in places)
            verdicts.append(verdict(table, claim, higher, lower, constant))
        protocols = {row: protocol_of(several) for row, several in of.items() if several}
        shown = {row: networks[name, row] for row in table.rows if of[row]}
        found.append(Found(name, table, cells, {row: len(r) for row, r in of.items()}, protocols, verdicts, shown))
    return found


def protocol_of(runs: Sequence[Run]) -> str:
    """The protocol of a row's figures in words, with the part and its size, those of its first run, and any leak."""
    tables = [run.table() for run in runs]
    first = tables[0]
    protocol, groups = first.protocol, len(np.unique(first.groups))
    of = f"of {groups:,} lesions" if groups < len(first) else "by image, whose lesions are not known"
    several = f" (the first of {len(runs)} runs)" if len(runs) > 1 else ""
    leaks = leaks_in_words([table.protocol for table in tables], str(protocol["part"]))
    told = f"{len(first):,} {protocol['part']} images {of}{protocol_in_words(protocol)}{several}"
    return f"{protocol['dataset']}, {told}.{leaks}"
