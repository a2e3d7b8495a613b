"""The figures of a table in words: what is printed after a run, and by `skinjax evaluate`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

HEADLINE = ("macro_recall", "macro_f1", "macro_precision", "accuracy", "mc_specificity", "macro_auc")
PROTOCOL_IN_WORDS = {
    "split": ", {} split",
    "checkpoint": ", {} checkpoint",
    "members": " of {} networks",
    "steps": " ({} steps)",
    "view": ", {} view",
    "crops": " of {} crops",
    "repeats": ", {} repeats",
    "seed": ", seed {}",
    "synthetic": ", synthetic",
    "weights": ", started from {}",
}
PER_CLASS = ("recall", "precision", "f1", "specificity", "npv", "auc")


def format_figures(part: str, figures: Mapping[str, Any], rows: str = "images") -> str:
    """The headline metrics with their intervals and their protocol; `rows` says what a row of the table is."""
    protocol = protocol_in_words(figures["protocol"])
    units = figures.get("units") or ("lesions" if protocol else "groups")
    counted = f"{figures['images']} {rows} of {figures['groups']} {units}"
    lines = [f"{in_a_line(part)}: {counted}{protocol or ', protocol unknown'}"]
    lines += leak_lines(figures["protocol"], part)
    percent = round(100 * figures["intervals"]["level"])
    for name in HEADLINE:
        value, low, high = (figures[name][key] for key in ("value", "low", "high"))
        if value is not None:
            bounds = "" if low is None else f"  {percent} % interval [{low:.3f}, {high:.3f}]"
            lines.append(f"  {name.replace('_', ' '):<16} {value:.3f}{bounds}")
    if figures["accuracy"]["low"] is None:
        lines.append(f"  {figures['intervals']['headline']}")
    return "\n".join(lines)


def leak_lines(protocol: Mapping[str, Any], part: str) -> list[str]:
    """What a protocol says of images whose lesions were trained on."""
    found = []
    if leak := _leaked(record_of(protocol, "split", "name"), part):
        found.append(f"  LEAK: {leak:.1f} % of these images share a lesion with a training image")
    if seen := _leaked(record_of(protocol, "weights", "source"), part):
        found.append(f"  LEAK: {seen:.1f} % of these images are of lesions that the weights it started from have seen")
    return found


def leaks_in_words(protocols: Sequence[Mapping[str, Any]], part: str) -> str:
    """A sentence, with a blank before it, about the images of several runs whose lesions were trained on, if any."""
    shares = [_leaked(record_of(protocol, "split", "name"), part) for protocol in protocols]
    if not any(shares):
        return ""
    low, high = min(shares), max(shares)
    told = f"{low:.1f}" if low == high else f"{low:.1f} to {high:.1f}"
    return f" LEAK: {told} % of the {part} images share a lesion with a training image."


def _leaked(record: Mapping[str, Any], part: str) -> float:
    """The per cent of a part that a record calls leaked, 0 where it does not say."""
    percent = record.get("leak_percent")
    found = percent.get(part) if isinstance(percent, Mapping) else None
    return float(found) if isinstance(found, int | float) else 0.0


def per_class_lines(figures: Mapping[str, Any]) -> list[str]:
    """A row for each class: its images, its groups, and its figures with their intervals."""
    rows = [["class", "images", "groups", *PER_CLASS]]
    for name, of_class in figures["per_class"].items():
        few = " few" if of_class["few"] else ""
        counts = [str(of_class["support"]), f"{of_class['groups']}{few}"]
        rows.append([name, *counts, *(interval(of_class[figure]) for figure in PER_CLASS)])
    return aligned(rows)


def interval(figure: Mapping[str, float | None]) -> str:
    """A figure and its bounds, or what there is of them."""
    value, low, high = (figure.get(key) for key in ("value", "low", "high"))
    if value is None:
        return "-"
    return f"{value:.3f}" if low is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown."""
    return [f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *rows)]


def aligned(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows of cells under each other, two blanks between columns, without blanks at the end."""
    rows = [[in_a_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def visible(text: str) -> str:
    """The text with a mark for each letter that cannot be seen, turns the line round or steers a terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text)


def in_a_line(text: str, most: int = 80) -> str:
    """A name as a terminal may show it: in one line, of at most so many letters."""
    seen = visible(text).replace("\n", "\ufffd")
    return seen if len(seen) <= most else seen[: most - 1] + "…"


def protocol_in_words(protocol: Mapping[str, Any]) -> str:
    """A protocol in words; that of a table made elsewhere may lack any part."""
    known = {
        **protocol,
        "split": record_of(protocol, "split", "name").get("name"),
        "synthetic": protocol.get("synthetic") or None,
        "weights": record_of(protocol, "weights", "source").get("source"),
    }
    told = (words.format(known[key]) for key, words in PROTOCOL_IN_WORDS.items() if known.get(key) is not None)
    return in_a_line("".join(told), 400)


def record_of(protocol: Mapping[str, Any], entry: str, main: str) -> Mapping[str, Any]:
    """An entry that is a record in our protocols; elsewhere it may be nothing, or its `main` value alone."""
    value = protocol.get(entry)
    return value if isinstance(value, Mapping) else {main: value}
