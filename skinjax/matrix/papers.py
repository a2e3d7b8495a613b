"""Every printed number of the five papers by paper, table, row and column: `PAPERS["003"]["Table II"].rows[...]`."""

from skinjax.matrix import paper_000, paper_001, paper_002, paper_003, paper_004
from skinjax.matrix.printed import Row, Table

PAPERS: dict[str, dict[str, Table]] = {
    "000": paper_000.TABLES,
    "001": paper_001.TABLES,
    "002": paper_002.TABLES,
    "003": paper_003.TABLES,
    "004": paper_004.TABLES,
}


def aimed_at(config: str) -> dict[tuple[str, str, str], Row]:
    """The rows that a config (`configs/cdc.py:skin7`) aims at, by paper, table and name; several may print one run."""
    return {
        (paper, name, row_name): row
        for paper, tables in PAPERS.items()
        for name, table in tables.items()
        for row_name, row in table.rows.items()
        if row.config == config != ""
    }
