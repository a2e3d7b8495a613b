"""What the five papers print, as data, and the config that aims at each row: `PAPERS["003"]["Table II"].rows[...]`."""

from skinjax.papers import paper_000, paper_001, paper_002, paper_003, paper_004
from skinjax.papers.printed import Table

PAPERS: dict[str, dict[str, Table]] = {
    "000": paper_000.TABLES,
    "001": paper_001.TABLES,
    "002": paper_002.TABLES,
    "003": paper_003.TABLES,
    "004": paper_004.TABLES,
}
