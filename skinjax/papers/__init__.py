"""What the five papers print, as data, and the config that aims at each row: `PAPERS["003"]["Table II"].rows[...]`.

Beside them the leaderboard, whose rows are ours alone.
"""

from skinjax.papers import leaderboard, paper_000, paper_001, paper_002, paper_003, paper_004
from skinjax.papers.printed import Figure, Table

_MODULES = {
    "000": paper_000,
    "001": paper_001,
    "002": paper_002,
    "003": paper_003,
    "004": paper_004,
    "leaderboard": leaderboard,
}
PAPERS: dict[str, dict[str, Table]] = {name: module.TABLES for name, module in _MODULES.items()}
FIGURES: dict[str, dict[str, Figure]] = {name: module.FIGURES for name, module in _MODULES.items()}
