"""Writes docs/reproduction.md: the tables of `skinjax reproduce`, as they lie below runs/reproduce-demo.

    for paper in 000 001 002 003 004 leaderboard; do skinjax reproduce $paper; done
    python tools/reproduction.py [--folder=runs/reproduce-demo] [--doc=docs/reproduction.md]

What the document says below its line "## What it says" stays.
"""

import argparse
from pathlib import Path

from measuring import write_document

from skinjax.matrix.document import stem_of
from skinjax.papers import PAPERS

TITLES = {
    "000": "Paper 000: auxiliary decoder and twin classifier",
    "001": "Paper 001: focal loss, two stages, pretexts",
    "002": "Paper 002: schedules and balancing",
    "003": "Paper 003: patch attention and balancing",
    "004": "Paper 004: synergic networks",
    "leaderboard": "The leaderboard",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("runs/reproduce-demo"))
    parser.add_argument("--doc", type=Path, default=Path("docs/reproduction.md"))
    options = parser.parse_args()
    parts = []
    for paper, tables in PAPERS.items():
        parts.append(f"## {TITLES[paper]}")
        for name in tables:
            text = (options.folder / paper / f"{stem_of(name)}.md").read_text()
            parts.append(text.replace("## ", "### ", 1).strip())
    body = "\n\n".join(parts)
    write_document(
        options.doc,
        f"""# The papers' tables, at demo scale

Written by `tools/reproduction.py` from what `skinjax reproduce` left for each paper. Synthetic photographs and tiny
networks, trained for 48 steps: every row runs, and no figure says anything of a paper.

{body}""",
    )


if __name__ == "__main__":
    main()
