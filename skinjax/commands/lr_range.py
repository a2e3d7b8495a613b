"""Find a learning rate: train a phase while the rate rises, and draw the loss against it.

    skinjax lr-range --config=configs/cdc.py --repeats=3
    skinjax lr-range --config=mine.py --workdir=runs/mine-demo-0123abcd --phase=all

It trains for one epoch, or until the loss has grown fourfold. The suggestion is where the smoothed loss falls fastest;
its minimum and a tenth of that are printed too. PHASE.png and PHASE.csv hold the curves.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import fields
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skinjax.commands.show import make_folder, write
from skinjax.core.arguments import Parser
from skinjax.core.errors import UserError
from skinjax.core.settings import from_plain
from skinjax.core.tables import csv_text, write_table
from skinjax.data.dataset import data_root

if TYPE_CHECKING:  # it imports jax, which --help does not wait for
    from skinjax.training.lr_range import Curve


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--config", metavar="FILE[:VARIANT]", help="as in configs/cdc.py:demo")
    parser.add_config_changes()
    parser.add_argument("--phase", default="", help="default: the first, or the one at which the run of --workdir is")
    parser.add_argument("--workdir", metavar="RUN", help="begin from the newest checkpoint of this run, which is kept")
    parser.add_argument("--start", type=float, default=1e-5, help="the lowest rate (default: 1e-5)")
    parser.add_argument("--end", type=float, default=10.0, help="the rate to which it rises (default: 10)")
    parser.add_argument("--steps", type=int, default=0, help="batches, over as many epochs as they take (default: one)")
    parser.add_argument(
        "--repeats", type=int, default=1, help="curves, by seed, of which the median counts (default: 1)"
    )
    parser.add_argument("--per_group", action="store_true", help="curves for each row of learning_rate_multipliers")
    parser.add_argument("--out", metavar="DIR", help="where both files go (default: runs/lr-range/CONFIG-VARIANT-HASH)")
    parser.add_data_dir()


def run(options: argparse.Namespace) -> int:
    if not options.config:
        raise UserError("no config is given: start with --config=configs/cdc.py")
    from skinjax.recipe.config_files import load_config

    recipe = load_config(options.config, options.changes)
    from skinjax.report import figures
    from skinjax.runs.range_test import range_test
    from skinjax.runs.workdir import default_workdir
    from skinjax.training.lr_range import Sweep

    given = {field.name: getattr(options, field.name) for field in fields(Sweep)}
    sweep = from_plain(Sweep, given, "lr-range")
    folder = default_workdir(recipe)
    out = make_folder(options.out or str(folder.parent / "lr-range" / folder.name), "")
    workdir = Path(options.workdir) if options.workdir else None
    phase, curves, synthetic = range_test(recipe, data_root(options.data_dir), sweep, options.phase, workdir)
    if synthetic:
        print(figures.SYNTHETIC)
    path = out / f"{phase.name}.csv"
    rows = (zip(range(len(curve.rates)), *curve[2:], repeat(curve.seed), repeat(curve.group)) for curve in curves)
    write_table(path, csv_text(("k", "rate", "loss", "smoothed", "seed", "group"), chain(*rows)))
    print(f"wrote {path}")
    answers = medians(curves)
    title = f"{recipe.name}:{recipe.variant}: learning rate range test, phase {phase.name}"
    write(figures.range_curves(curves, answers, title=title, synthetic=synthetic), path.with_suffix(".png"))
    print("\n".join(table(curves, answers)))
    for name, factor in phase.learning_rate_multipliers if "all" in answers else ():
        if factor != 1:
            print(f"  {name}: {factor:g} times that, {factor * answers['all']:.2e}")
    return 0


def medians(curves: "Sequence[Curve]") -> dict[str, float]:
    """The median suggestion of each group's curves, on the logarithmic axis."""
    found: dict[str, list[float]] = {}
    for curve in curves:
        found.setdefault(curve.group, []).append(np.log(curve.suggestion().steepest))
    return {group: float(np.exp(np.median(rates))) for group, rates in found.items()}


def table(curves: "Sequence[Curve]", answers: Mapping[str, float]) -> list[str]:
    """What every curve says, and the answer for each group."""
    width = max(map(len, [*answers, "group"]))
    lines = [f"  {'group':<{width}}        seed  batches  steepest   minimum  minimum/10"]
    suggestions = [curve.suggestion() for curve in curves]
    for curve, (steepest, minimum, tenth) in zip(curves, suggestions, strict=True):
        numbers = f"{len(curve.rates):>7}  {steepest:>8.2e}  {minimum:>8.2e}  {tenth:>10.2e}"
        lines.append(f"  {curve.group:<{width}}  {curve.seed:>10}  {numbers}")
    if any(steepest > minimum for steepest, minimum, _ in suggestions):
        lines.append("a curve is lowest before it falls fastest, too noisy to go by: give more --steps, like 300")
    for group, rate in answers.items():
        seeds = sum(curve.group == group for curve in curves)
        how = f"steepest descent, median of {seeds} seeds" if seeds > 1 else "steepest descent"
        lines.append(f"suggested learning rate{f' of {group}' * (group != 'all')}: {rate:.2e} ({how})")
    return lines
