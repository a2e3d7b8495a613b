"""Where tables come from: a paper, or a file of Python that declares one's own."""

import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from skinjax.core.errors import UserError, lookup
from skinjax.papers import FIGURES, PAPERS
from skinjax.papers.printed import Figure, Table
from skinjax.recipe.config_files import readable_program


class Source(NamedTuple):
    """Where tables come from: a paper, or a file of the user's."""

    name: str
    tables: Mapping[str, Table]
    figures: Mapping[str, Figure]

    @property
    def is_ours(self) -> bool:
        """Whether it comes with skinjax, so that its configs are skinjax's and not the user's."""
        return self.name in PAPERS


def open_source(name: str) -> Source:
    """The tables of a paper of this name, or those that a file of Python declares as TABLES."""
    if not name.endswith(".py"):
        return Source(name, lookup("paper", name, PAPERS), FIGURES[name])
    if not Path(name).is_file():
        raise UserError(f"there is no file {name[:200]!r}: give a paper ({', '.join(PAPERS)}) or a file with TABLES")
    with readable_program(name, "file of tables"):
        tables = runpy.run_path(name).get("TABLES")
    if not isinstance(tables, dict) or not tables or not all(isinstance(of, Table) for of in tables.values()):
        raise UserError(f"{name} declares no TABLES: a dictionary of skinjax.papers.printed.comparison(...) by name")
    return Source(Path(name).stem, tables, {})
